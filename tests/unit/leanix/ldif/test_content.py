"""Content of a run: lists and files of every kind make the same items."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from collections import UserDict, UserList
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import SqlRows, read_query
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.content import _ending, _is_packed, open_content
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.ldif.mapping import read_mapping

HEADER = make_header(
    connector_type="cmdb", connector_id="campus", connector_version="1.0.0", processing_direction="inbound"
)
ITEMS = [
    {"type": "ITComponent", "id": "1", "data": {"name": "K\u00fcche", "note": "a;b"}},
    {"type": "ITComponent", "id": "2", "data": {"name": "Aula"}},
]
FLAT = [{"type": one["type"], "id": one["id"], **one["data"]} for one in ITEMS]


def items_of(content: Any, options: RowOptions = NO_OPTIONS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(b"".join(prepare(HEADER, content, options=options).open()))[
        "content"
    ]
    return found


def as_csv(delimiter: str = ",", header: tuple[str, ...] = ("type", "id", "name", "note")) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ("type", "id", "name", "note"), delimiter=delimiter, lineterminator="\n")
    out.write(delimiter.join(header) + "\n")
    writer.writerows(FLAT)
    return out.getvalue()


FILES = {
    "a.jsonl": "\n".join(map(json.dumps, ITEMS)).encode(),
    "flat.jsonl": "\n".join(map(json.dumps, FLAT)).encode(),
    "bom.jsonl": b"\xef\xbb\xbf" + "\n".join(map(json.dumps, ITEMS)).encode(),
    "a.jsonl.gz": gzip.compress("\n".join(map(json.dumps, ITEMS)).encode()),
    "a.json": json.dumps({"content": ITEMS}).encode(),
    "list.json": json.dumps(ITEMS).encode(),
    "flat.json": json.dumps(FLAT).encode(),
    "bom.ldif": b"\xef\xbb\xbf" + json.dumps({"content": ITEMS}, ensure_ascii=False).encode(),
    "utf16.ldif": json.dumps({"content": ITEMS}, ensure_ascii=False).encode("utf-16"),
    "a.ldif.gz": gzip.compress(b"\xef\xbb\xbf" + json.dumps({"content": ITEMS}).encode()),
    "of.a.day.LDIF.GZ": gzip.compress(json.dumps({"content": ITEMS}).encode()),
    "a.json.gz": gzip.compress(json.dumps({"content": ITEMS}).encode()),
    "a.csv": as_csv().encode(),
    "bom.csv": as_csv(";", (" type", "id ", "name", "note")).encode("utf-8-sig"),
    "tab.csv": as_csv("\t").encode("utf-16"),
    "a.csv.gz": gzip.compress(as_csv().encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_makes_the_same_items(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert items_of(str(path)) == ITEMS
    assert items_of(path) == ITEMS


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.jsonl"])
def test_a_path_without_an_ending_needs_its_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "content"
    path.write_bytes(FILES[name])
    with pytest.raises(InputError, match="must end in"):
        items_of(str(path))
    for given in (name[2:], name[1:], name[1:].upper()):
        assert items_of(str(path), RowOptions(source_format=given)) == ITEMS


@pytest.mark.parametrize(
    ("path", "given", "ending", "is_packed"),
    [
        ("https://host/a.b/x.y.ldif?sig=a.csv", None, "ldif", False),
        ("https://host/x.csv?y.ldif?sig=1", None, "ldif", False),
        ("https://host/x.LDIF.GZ?sig=1", None, "ldif", True),
        ("x.gz.json", None, "json", False),
        ("x", None, "x", False),
        ("x.ldif.gz", " .JSON ", "json", True),
    ],
)
def test_a_content_is_read_by_the_ending_of_its_path_or_the_given_one(
    path: str, given: str | None, ending: str, is_packed: bool
) -> None:
    assert (_ending(path, given), _is_packed(path)) == (ending, is_packed)


def test_cp1252_needs_its_encoding(tmp_path: Path) -> None:
    for name, text in (("a.csv", as_csv()), ("a.ldif", json.dumps({"content": ITEMS}, ensure_ascii=False))):
        path = tmp_path / name
        path.write_bytes(text.encode("cp1252"))
        with pytest.raises(InputError, match="encoding"):
            items_of(str(path))
        assert items_of(str(path), RowOptions(encoding="cp1252")) == ITEMS


def test_csv_has_nested_data_and_empty_fields_are_absent(tmp_path: Path) -> None:
    path = tmp_path / "nested.csv"
    path.write_text('type,id,data\nA,1,"{""n"": null, ""m"": 2}"\n')
    assert items_of(str(path)) == [{"type": "A", "id": "1", "data": {"n": None, "m": 2}}]
    path.write_text("type,id,data\nA,1,\nA,2,text\n")
    with pytest.raises(InputError) as caught:
        items_of(str(path))
    assert "item 1 (1): 'data' is missing" in str(caught.value)
    assert "item 2 (2): 'data' must be an object, not the text 'text'" in str(caught.value)
    path.write_text("type,id,name\nA,1,\n,2,x\n")
    with pytest.raises(InputError, match=r"item 2 \(2\): 'type' is missing"):
        items_of(str(path))


def test_parquet_is_read_value_by_value(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    rows = [
        {"type": "A", "id": 1.0, "at": at, "n": 1, "price": float("nan"), "inner": {"x": 1, "y": None}},
        {"type": "A", "id": 2.0, "at": None, "n": None, "price": 2.5, "inner": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert items_of(str(path)) == [
        {"type": "A", "id": "1", "data": {"at": "2026-01-31T12:00:00Z", "n": 1, "inner": {"x": 1}}},
        {"type": "A", "id": "2", "data": {"price": 2.5}},
    ]
    pq.write_table(pa.Table.from_pylist([{"type": "A", "id": 1, "at": datetime(2026, 1, 31)}]), path)
    with pytest.raises(InputError, match=r"item 1 \(1\): field 'at' is the time .* without a time zone"):
        items_of(str(path))
    geo = tmp_path / "a.geoparquet"
    pq.write_table(pa.Table.from_pylist([{"type": " A ", "id": 1, "data": '{"n": 1}'}]), geo)
    assert items_of(str(geo)) == [{"type": "A", "id": "1", "data": {"n": 1}}]
    pq.write_table(pa.Table.from_pylist([{"type": "A", "id": 1, "data": {"n": 1, "blob": b"x"}}]), path)
    with pytest.raises(InputError, match="field 'blob' is binary"):
        items_of(str(path))


def test_ids_of_tables_are_in_their_normal_form(tmp_path: Path) -> None:
    path = tmp_path / "mac.csv"
    path.write_text("type,id,name\nA ,\u00a0cafe\u0301,x\n")
    assert items_of(str(path)) == [{"type": "A", "id": "caf\u00e9", "data": {"name": "x"}}]


def test_columns_and_ignore_apply_to_an_ldif_files_items(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(json.dumps({"content": [{**one, "source": "x"} for one in ITEMS]}))
    with pytest.raises(InputError, match="2 items, the first is item 1, have the field 'source'"):
        items_of(str(path))
    assert items_of(str(path), RowOptions(ignore=["source"])) == ITEMS
    with pytest.raises(InputError, match="fewer than min_rows 3"):
        items_of(str(path), RowOptions(ignore=["source"], min_rows=3))


@pytest.mark.parametrize("text", ['[{"type": "A"}]' * 10_000, " {'a': 1}", "[]"])
def test_a_rendered_list_is_refused_shortly(text: str) -> None:
    with pytest.raises(InputError, match=r"\.output.*render_template_as_native_obj") as caught:
        items_of(text)
    assert len(str(caught.value)) < 300


def test_lists_may_be_any_sequence_but_nothing_that_ends() -> None:
    assert items_of(tuple(ITEMS)) == items_of(UserList(ITEMS)) == ITEMS
    for wrong in (iter(ITEMS), (one for one in ITEMS), {"content": ITEMS}, b"[]", 5, float("nan")):
        with pytest.raises(InputError, match="must be a list of items or the path of a file"):
            items_of(wrong)


def test_a_data_frame_is_refused_with_the_way_to_pass_it() -> None:
    import pandas as pd

    frame = pd.DataFrame(FLAT)
    with pytest.raises(InputError, match=r"to_dict\('records'\)"):
        items_of(frame)
    assert [one["data"] for one in items_of(frame.to_dict("records"))] == [one["data"] for one in ITEMS]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.ldif.gz", b"no gzip", "cannot be read"),
        ("a.ldif.gz", gzip.compress(b'{"content": []}', mtime=0)[:-9], "cannot be read"),
        ("a.ldif", b"{", "is no LDIF"),
        ("a.ldif", b'"text"', "no list 'content'"),
        ("a.ldif", b'{"content": [{"a": NaN}]}', "is no LDIF"),
        ("a.geojson", b"[]", "has places"),
        ("a.xlsx", b"PK", "must end in"),
    ],
)
def test_files_that_are_no_content_are_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        items_of(str(path))


def test_a_million_items_are_one_at_a_time_in_memory() -> None:
    import tracemalloc

    class Rows:
        def __iter__(self) -> Any:
            return ({"type": "A", "id": str(number), "name": "x"} for number in range(20_000))

    tracemalloc.start()
    assert prepare(HEADER, Rows()).count == 20_000
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_no_content_has_no_rows() -> None:
    with pytest.raises(InputError, match="has 0 rows, fewer than min_rows 1"):
        items_of(None, RowOptions(min_rows=1))
    assert items_of(None, RowOptions(columns={"key": "id"})) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"processingMode": "partial", "content": [], "processingMode": "full"}', "'processingMode'"),
        ('{"content": [{"type": "A", "id": "1", "data": {}}], "content": []}', "'content'"),
        ('{"customFields": {"site": 1, "site": 2}, "content": []}', "'site'"),
    ],
)
def test_a_header_with_a_field_twice_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(text)
    with pytest.raises(InputError, match=f"has {said} more than once"):
        items_of(str(path))


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(" \n")
    with pytest.raises(InputError, match="is no LDIF: it is not JSON: it is empty"):
        items_of(str(path))


@pytest.mark.parametrize(
    ("columns", "options", "item"),
    [
        ("'A' AS TYPE, '1' AS ID, 'x' AS Name", NO_OPTIONS, {"type": "A", "id": "1", "data": {"Name": "x"}}),
        (
            """'A' AS Type, '1' AS Id, '{"n": 1}' AS DATA""",
            NO_OPTIONS,
            {"type": "A", "id": "1", "data": {"n": 1}},
        ),
        (
            "'A' AS type, '1' AS id, 'x' AS Data, 2 AS more",
            NO_OPTIONS,
            {"type": "A", "id": "1", "data": {"Data": "x", "more": 2}},
        ),
        (
            """'A' AS type, '1' AS id, '{"n": 1}' AS DATA, 2 AS more""",
            RowOptions(ignore=["more"]),
            {"type": "A", "id": "1", "data": {"n": 1}},
        ),
        (
            "'A' AS kind, '1' AS id, 'x' AS name",
            RowOptions(columns={"kind": "type"}),
            {"type": "A", "id": "1", "data": {"name": "x"}},
        ),
    ],
)
def test_columns_of_a_query_have_the_case_of_items_and_keep_that_of_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: str, options: RowOptions, item: Any
) -> None:
    host = str(tmp_path / "rows.db")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": host}))
    with read_query(Query(f"SELECT {columns}", "warehouse"), logging.getLogger(__name__)) as rows:
        assert not open_content(rows, options).is_ordered
        assert items_of(rows, options) == [item]


@pytest.mark.parametrize(
    ("name", "data", "options", "said"),
    [
        (
            "a.ldif",
            "[{}]".encode("utf-16")[:-1],
            NO_OPTIONS,
            r"^content '.*': is not UTF-8 \(truncated data\)",
        ),
        (
            "a.ldif",
            "[{}]".encode("utf-32")[:-2],
            NO_OPTIONS,
            r"^content '.*': is not UTF-8 \(truncated data\)",
        ),
        (
            "a.ldif",
            b'[{"a": "\xc3"}]',
            RowOptions(encoding="utf-8"),
            "is not UTF-8 .invalid continuation byte",
        ),
        ("a.ldif", b'[]"\xc3', RowOptions(encoding="utf-8"), "is not UTF-8 .unexpected end of data"),
        ("a.ldif", b"[]", RowOptions(encoding="latin-99"), "^content '[^:]*': encoding 'latin-99' is not"),
        ("a.ldif", b"[" * 200_000, NO_OPTIONS, "is no LDIF"),
    ],
)
def test_a_file_in_another_encoding_is_refused(
    tmp_path: Path, name: str, data: bytes, options: RowOptions, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        items_of(str(path), options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_longer_than_one_read_is_read_whole(tmp_path: Path, encoding: str) -> None:
    items = [{"type": "A", "id": str(number), "data": {"n": "ä" * 1000}} for number in range(300)]
    path = tmp_path / "a.ldif"
    path.write_bytes(json.dumps({"content": items}, ensure_ascii=False).encode(encoding))
    assert items_of(str(path), RowOptions(encoding=encoding)) == items


@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, encoding: str | None) -> None:
    path = tmp_path / "a.ldif"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"content": ITEMS}).encode())
    assert items_of(str(path), RowOptions(encoding=encoding or "")) == ITEMS


def test_an_ldif_without_a_list_has_a_header_only(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(json.dumps({"description": "x", "content": {"a": 1}, "lxWorkspace": "w"}))
    content = open_content(str(path), RowOptions(ignore=["lxWorkspace"], min_rows=0))
    assert content.has_items
    assert list(content.rows()) == []
    assert (content.has_items, content.header) == (False, {"description": "x"})


def test_a_whole_ldif_takes_no_mapping_and_a_list_does(tmp_path: Path) -> None:
    mapping = read_mapping({"type": {"constant": "A"}, "id": "key", "data": {"name": "name"}})[0]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"key": "1", "name": "x"}]))
    assert prepare(HEADER, str(path), mapping=mapping).count == 1
    path.write_text(json.dumps({"content": [{"key": "1", "name": "x"}]}))
    with pytest.raises(InputError, match="is a whole LDIF, whose items need no mapping; leave 'mapping' out"):
        prepare(HEADER, str(path), mapping=mapping)


def test_an_item_with_a_key_twice_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.ldif"
    path.write_text(
        '[{"type": "A", "id": "1", "data": {}}, {"type": "A", "id": "2", "data": {"x": 1, "x": 2}}]'
    )
    with pytest.raises(InputError) as caught:
        items_of(str(path))
    assert str(caught.value) == f"content '{path}': item 2 has the key 'x' twice"


def test_rows_that_are_no_objects_are_problems_with_options_as_well() -> None:
    with pytest.raises(InputError, match="^content: row 1 is not an object but an int$"):
        items_of([5], RowOptions(columns={"key": "id"}, min_rows=0))


def test_rows_of_a_list_may_be_flat_by_default() -> None:
    content = open_content(FLAT)
    problems: list[str] = []
    assert [content.reader.read(row, problems) for _, row in content.rows()] == ITEMS
    assert problems == []


def test_a_column_of_a_query_that_is_null_in_all_rows_is_no_column_of_the_mapping() -> None:
    mapping = read_mapping({"type": {"constant": "A"}, "id": "key"})[0]
    rows = SqlRows(["key", "extra"])
    rows.add([["1", None]])
    with pytest.raises(InputError) as caught:
        prepare(HEADER, rows, mapping=mapping)
    rows.close()
    assert caught.value.problems == [
        "the column 'extra' is not in the mapping; ignore=['extra'] leaves it out"
    ]


def test_columns_of_a_query_are_mapped_whatever_their_case() -> None:
    mapping = read_mapping({"type": {"constant": "A"}, "id": "key", "data": {"title": "name"}})[0]
    rows = SqlRows(["KEY", "Name"])
    rows.add([["1", "x"]])
    document = json.loads(b"".join(prepare(HEADER, rows, mapping=mapping).open()))
    rows.close()
    assert document["content"] == [{"type": "A", "id": "1", "data": {"title": "x"}}]


def test_an_ldif_file_whose_path_is_the_text_of_a_list_is_refused_before_it_is_opened() -> None:
    for text in ("['a.ldif']", " {'a': 1}"):
        with pytest.raises(InputError, match="is the text of a list"):
            open_content(text, RowOptions(source_format="ldif"))


@pytest.mark.parametrize("kind", [dict, MappingProxyType, UserDict])
def test_columns_of_rows_of_any_mapping_are_renamed(kind: Any) -> None:
    rows = [kind({**one, "title": one["name"]}) for one in FLAT]
    found = items_of(rows, RowOptions(columns={"title": "label"}, ignore=["name", "note"]))
    assert [one["data"] for one in found] == [{"label": "K\u00fcche"}, {"label": "Aula"}]
