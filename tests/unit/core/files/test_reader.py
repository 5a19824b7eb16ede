from __future__ import annotations

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider.core.files import reader
from airflow_provider.core.files.reader import read_open_file, read_rows
from airflow_provider.core.input import doubled_keys
from airflow_provider.errors import InputError

ROWS = [{"id": "a", "n": 61.5, "ok": True}, {"id": "ø", "n": None, "ok": False}]


def write(path: Path, kind: str) -> str:
    target = path / f"rows.{kind}"
    if kind.startswith(("jsonl", "ndjson")):
        data = "\n".join(json.dumps(row) for row in ROWS).encode() + b"\n\n"
    elif kind == "geojson":
        data = json.dumps({"type": "FeatureCollection", "features": ROWS}).encode()
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(ROWS), target)
        return str(target)
    else:
        data = json.dumps(ROWS).encode()
    target.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return str(target)


@pytest.mark.parametrize("kind", ["json", "json.gz", "jsonl", "jsonl.gz", "ndjson", "geojson", "parquet"])
def test_every_format_yields_the_same_rows_with_their_types(kind: str, tmp_path: Path) -> None:
    # A null in a table is no value; in JSON it is one.
    second = {"id": "ø", "ok": False} if kind == "parquet" else ROWS[1]
    assert list(read_rows(write(tmp_path, kind))) == [(1, ROWS[0]), (2, second)]
    assert list(read_rows("file://" + write(tmp_path, kind))) == [(1, ROWS[0]), (2, second)]


def test_a_list_yields_its_rows() -> None:
    assert list(read_rows(ROWS)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_csv_yields_texts_by_the_names_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes('\ufeffid,name\n1,"a,b"\n2,ø\n'.encode())
    assert list(read_rows(str(tmp_path / "x.csv"))) == [
        (1, {"id": "1", "name": "a,b"}),
        (2, {"id": "2", "name": "ø"}),
    ]


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_json_may_begin_with_a_byte_order_mark(name: str, tmp_path: Path) -> None:
    text = '[{"id": "ø"}]' if name == "x.json" else '{"id": "ø"}\n'
    (tmp_path / name).write_text(text, "utf-8-sig")
    assert list(read_rows(str(tmp_path / name))) == [(1, {"id": "ø"})]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", b'{"id": 1}\nnope\n', "line 2 is not JSON"),
        ("x.jsonl", b'{"id": 1}\n[1]\n', "row 2 is not an object but a list"),
        ("x.json", b"{}", "must be a JSON list"),
        ("x.json", b"[", "is not JSON"),
        ("x.csv", b"a,b\n1\n", "the header has 2 columns"),
        ("x.csv", b"a,b\n1,2,3\n", "the header has 2 columns"),
        ("x.jsonl.gz", b"not gzip", "cannot be read"),
        ("x.xlsx", b"", "must end in one of"),
        ("x.csv", b"a\n\xff\n", "encoding='cp1252'"),
        ("x.csv", b"a,b,a\n1,2,3\n", "the header has 'a' more than once"),
        ("x.csv", b"a\n" + b"x" * (16 * 1024 * 1024 + 1), "field larger than field limit"),
        ("x.jsonl.gz", gzip.compress(b"{}", mtime=0)[:12] + b"\xff" * 9, "cannot be read"),
        (
            "x.json",
            b'["\xfc"]',
            "x.json': is not utf-8: unexpected end of data; pass its encoding|x.json': is not utf-8",
        ),
        ("x.parquet", b"PAR1 is not enough", "cannot be read as Parquet"),
        ("x.parquet", b"", "cannot be read as Parquet"),
    ],
)
def test_an_error_names_the_line_or_row(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        list(read_rows(str(tmp_path / name)))


TWICE = {
    "a field": '{"id": 1, "id": 2}',
    "a member": '{"id": 1, "properties": {"a": 1, "b": {}, "a": 2}}',
    "in a list": '{"id": 1, "details": [{"key": "a"}, {"key": "b", "key": "c"}]}',
    "compact": '{"id":1,"n\u00e9":1,"n\\u00e9":2}',
    "beside a text": '{"id": 1, "text": "{\\"id\\": 1}", "id": 2}',
    "spaced": '{"id" : 1, "n"  :2,"id"\t:1}',
}
ONCE = [
    '{"id": 1, "text": "{\\"id\\": 1, \\"id\\": 2}", "other": "\\\\"}',
    '{"id": 1, "list": [1, {"a": 1}, {"a": 2}], "a\\"": {"a": 1}, "b": [[{"a": 1}]], "": "a\\":"}',
]


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_key_that_is_there_twice_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(f'{{"id": 0}}\n{text}\n')
    (tmp_path / "x.json").write_text(f'[{{"id": 0}}, {text}]')
    key = {"a member": "a", "in a list": "key", "compact": "né"}.get(
        next(k for k in TWICE if TWICE[k] == text), "id"
    )
    with pytest.raises(InputError, match=f"x.jsonl': line 2 has the key '{key}' twice"):
        list(read_rows(str(tmp_path / "x.jsonl")))
    with pytest.raises(InputError, match=f"x.json': has the key '{key}' twice in one object"):
        list(read_rows(str(tmp_path / "x.json")))


KEYS = st.sampled_from(["a", "b", "", ":", '"', "\\", 'a":', 'a\\":', " ", "é"])
TREES = st.recursive(
    st.sampled_from([1, ":", 'x":', "\\", '{"a":1}']),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=3).map(tuple),
    max_leaves=8,
)


@given(tree=TREES, colon=st.sampled_from([":", ": ", " :", "\t: ", "  :"]), ascii_only=st.booleans())
def test_a_key_is_there_twice_exactly_where_an_object_has_it_twice(
    tree: Any, colon: str, ascii_only: bool
) -> None:
    doubled = []

    def dump(value: Any) -> str:
        if isinstance(value, tuple):
            names = [name for name, _ in value]
            doubled.extend(name for name in names if names.count(name) > 1)
            members = [f"{dump(name)}{colon}{dump(one)}" for name, one in value]
            return f"{{{','.join(members)}}}"
        if isinstance(value, list):
            return f"[{','.join(map(dump, value))}]"
        return json.dumps(value, ensure_ascii=ascii_only)

    text = dump((("row", tree),)).encode()
    found = doubled_keys.doubled_key(text, msgspec.json.decode(text))
    assert (found in doubled) if doubled else found is None


def test_the_depth_of_json_is_no_limit_for_its_keys(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": ' + 800 * '{"a": [' + "1" + 800 * "]}" + "}")
    assert len(list(read_rows(str(tmp_path / "x.jsonl")))) == 1


@pytest.mark.parametrize("text", ONCE)
def test_a_key_in_a_text_or_in_another_object_is_there_once(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    (tmp_path / "x.json").write_text(f"[{text}]")
    for name in ("x.jsonl", "x.json"):
        assert list(read_rows(str(tmp_path / name))) == [(1, json.loads(text))]


PAGES: dict[str, dict[str, Any]] = {
    "matched": {"numberMatched": 250, "numberReturned": 2},
    "total": {"totalFeatures": 250},
    "limit": {"exceededTransferLimit": True},
    "limit in properties": {"properties": {"exceededTransferLimit": True}},
    "next": {"links": [{"rel": "self", "href": "x"}, {"rel": "next", "href": "y"}]},
}
WHOLE: dict[str, dict[str, Any]] = {
    "matched": {"numberMatched": 2, "numberReturned": 2, "totalFeatures": 2},
    "unknown": {"numberMatched": "unknown", "totalFeatures": "unknown", "links": None, "properties": []},
    "limit": {"exceededTransferLimit": False, "links": [{"rel": "prev"}, "x"]},
    "of another form": {"links": 5, "properties": "x", "numberMatched": [3], "totalFeatures": {}},
}
FEATURES = [{"type": "Feature", "properties": {"id": n}, "geometry": None} for n in (1, 2)]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_of_a_map_server_is_no_complete_source(page: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", **page, "features": FEATURES}))
    with pytest.raises(InputError, match="x.geojson': is one page of a longer result"):
        list(read_rows(str(path)))


@pytest.mark.parametrize("page", WHOLE.values(), ids=WHOLE)
def test_the_only_page_of_a_map_server_is_complete(page: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", **page, "features": FEATURES}))
    assert len(list(read_rows(str(path)))) == 2


@pytest.mark.parametrize(
    ("names", "twice"), [(["a", "b", "a"], "'a'"), (["b", "a", "b", "a", "c", "b"], "'a', 'b'")]
)
def test_columns_of_parquet_that_are_there_twice_are_named(
    names: list[str], twice: str, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1]] * len(names), names=names), tmp_path / "x.parquet")
    with pytest.raises(InputError) as caught:
        list(read_rows(str(tmp_path / "x.parquet")))
    assert f"has the columns {twice} more than once" in str(caught.value)


def test_a_named_coordinate_system_must_be_degrees_where_geometries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.geojson"
    system = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": system, "features": [{"id": 1}]}))
    with pytest.raises(InputError, match="has SRID 25832, but longitude and latitude are needed"):
        list(read_rows(str(path), "source", geo=True))
    assert [row for _, row in read_rows(str(path), "source")] == [{"id": 1}]


@pytest.mark.parametrize("source", ["", "  ", 7, {"id": 1}, b"x", None])
def test_a_source_that_is_neither_list_nor_path_is_refused(source: Any) -> None:
    with pytest.raises(InputError, match="source"):
        list(read_rows(source))


def test_an_unknown_protocol_is_named_without_credentials() -> None:
    with pytest.raises(InputError) as caught:
        list(read_rows("nowhere://user:s3cret@host/x.csv"))
    assert str(caught.value).startswith("source: 'nowhere://host/x.csv' cannot be opened: ")
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        list(read_rows(str(tmp_path / "none.json")))


def test_rows_are_streamed_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": 1}\n' * 3 + b"broken\n")
    rows = read_rows(str(path))
    assert [next(rows)[0] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(InputError, match="line 4"):
        next(rows)


def test_an_open_csv_file_without_a_byte_is_refused_and_empty_rows_are_counted() -> None:
    def read(data: bytes) -> list[Any]:
        how: dict[str, Any] = dict.fromkeys(("csv_delimiter", "encoding", "source_format"))
        found = read_open_file(BytesIO(data), "x.csv", "source", decode=json.loads, on_columns=list, **how)
        return list(found)

    with pytest.raises(InputError, match="x.csv': is empty: a CSV file begins with a header"):
        read(b"")
    assert read(b"a,b\n1,2\n,\n") == [(1, {"a": "1", "b": "2"}), (2, {})]


def test_keys_of_values_that_are_not_decoded_count() -> None:
    value = {"a": msgspec.Raw(b'{"x": 1, "y": [{"z": 2}]}'), "b": 1}
    assert doubled_keys._decoded_keys(value) == 5
    for without in ([1, 2], [], "a", [[{"a": 1}]], None):
        assert doubled_keys._decoded_keys(without) == 0
    for text in (b'{"a":[1],"a":[2]}', b'[{"a":"x","a":"y"}]', b'[[{"a":1,"a":2}]]', b'[1,{"a":1,"a":2}]'):
        assert doubled_keys.doubled_key(text, msgspec.json.decode(text)) == "a"


@pytest.mark.parametrize("error", [ValueError("Nanosecond"), OverflowError("date value out of range")])
def test_a_time_of_parquet_that_python_has_no_type_for_is_refused(error: Exception) -> None:
    class Batch:
        def to_pylist(self) -> list[Any]:
            raise error

    with pytest.raises(InputError, match=f"^x: cannot be read as Parquet: {error}$"):
        reader._to_rows(Batch(), "x")


def test_a_time_zone_of_parquet_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """The error was the time zones' own, without the file."""
    times = pa.array([0], pa.timestamp("us", "Mars/Base"))
    parquet.write_table(pa.table({"at": times}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet': has times in a zone that is not known: .*Mars/Base"):
        list(read_rows(f"{tmp_path}/x.parquet"))


@pytest.mark.parametrize(("free", "refused"), [(1000, False), (999, True)])
def test_a_compressed_file_may_have_its_free_bytes_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, refused: bool
) -> None:
    monkeypatch.setattr(reader, "FREE_BYTES", free)
    monkeypatch.setattr(reader, "MAX_EXPANSION", 1)
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"[1" + b" " * 997 + b"]"))
    with pytest.raises(InputError, match="expands more than 1-fold" if refused else "row 1 is not an object"):
        list(read_rows(str(tmp_path / "x.json.gz")))


@pytest.mark.parametrize(
    ("path", "given", "found"),
    [
        ("a.csv", None, (".csv", False)),
        ("A.CSV.GZ", None, (".csv", True)),
        ("s3://b/a.jsonl?sig=1", None, (".jsonl", False)),
        ("s3://b/a.json.gz?sig=1", None, (".json", True)),
        ("a?b.csv?c", None, (".csv", False)),
        ("a.txt?b.csv", None, (".csv", False)),
        ("a.txt", "csv", (".csv", False)),
        ("a.csv", ".JSONL", (".jsonl", False)),
        ("a.gz", "ndjson", (".ndjson", True)),
        ("a.parquet", None, (".parquet", False)),
    ],
)
def test_the_format_of_a_path_is_its_ending_or_what_is_given(
    path: str, given: str | None, found: tuple[str, bool]
) -> None:
    assert reader.format_of(path, "rows", given) == found


@pytest.mark.parametrize(
    ("path", "given", "problem"),
    [
        (" ", None, "the path is empty"),
        ("a.csv", "xlsx", "source_format 'xlsx' is unknown; it is one of jsonl, ndjson, json, geojson, csv,"),
        ("a.txt", None, "'a.txt' must end in one of .jsonl, .ndjson, .json, .geojson, .csv, .parquet, "),
        ("a.gz", "parquet", "'a.gz' must end in one of"),
        ("a.geoparquet.gz", None, "'a.geoparquet.gz' must end in one of"),
        ("csv", None, "'csv' must end in one of"),
    ],
)
def test_a_format_that_is_not_known_is_refused(path: str, given: str | None, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        reader.format_of(path, "rows", given)
    assert str(caught.value).startswith(f"rows: {problem}")


def test_a_compressed_file_may_expand_by_the_bytes_that_were_read_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "FREE_BYTES", 10)
    monkeypatch.setattr(reader, "_BLOCK", 100)
    data = gzip.compress(b"x" * 1000)
    for most, refused in ((1000 // len(data) + 1, False), (1000 // len(data), True)):
        monkeypatch.setattr(reader, "MAX_EXPANSION", most)
        file = gzip.GzipFile(fileobj=BytesIO(data))
        if refused:
            with pytest.raises(InputError, match=f"^rows: expands more than {most}-fold; unpack it before$"):
                reader.read_whole(file, "rows")
        else:
            assert reader.read_whole(file, "rows") == b"x" * 1000
    assert reader.read_whole(BytesIO(b"y" * 1000), "rows") == b"y" * 1000


def test_a_mark_at_the_beginning_of_a_later_line_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"a": 2}\n')
    with pytest.raises(InputError, match=r"x.jsonl': line 2 is not JSON"):
        list(read_rows(str(tmp_path / "x.jsonl")))


def test_a_kept_file_is_closed_with_its_last_row(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with reader.open_source(str(tmp_path / "x.jsonl")) as file:
        assert file.read() == b'{"a": 1}\n'
    assert file.closed


def open_file(data: bytes, path: str) -> list[Any]:
    how: dict[str, Any] = dict.fromkeys(("csv_delimiter", "encoding", "source_format"))
    return list(read_open_file(BytesIO(data), path, "rows", decode=json.loads, on_columns=list, **how))


def test_an_open_file_is_read_with_its_coordinate_system_and_named_in_errors() -> None:
    system = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    file = json.dumps({"crs": system, "features": []}).encode()
    for data, path, problem in (
        (file, "a/x.geojson", "rows 'a/x.geojson': has SRID 25832"),
        (b'["\xfc"]', "a/x.json", "rows 'a/x.json': is not utf-8: "),
        (b"no gzip", "a/x.json.gz", "rows 'a/x.json.gz': cannot be read: Not a gzipped file"),
    ):
        with pytest.raises(InputError) as caught:
            open_file(data, path)
        assert str(caught.value).startswith(problem)


def test_a_folder_and_an_unknown_format_are_named_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(InputError) as caught:
        list(read_rows(f"{tmp_path}/x.csv"))
    assert (
        str(caught.value) == f"source: '{tmp_path}/x.csv' is a folder; for all of its files, end it with '/'"
    )
    with pytest.raises(InputError, match=r"^source: '.*none.txt' must end in one of"):
        list(read_rows(f"{tmp_path}/none.txt"))


@pytest.mark.parametrize("text", ["[{'a': 1}]", '{"a": 1}'])
def test_the_text_of_a_list_is_no_path(text: str) -> None:
    with pytest.raises(InputError, match="^rows: is the text of a list"):
        list(read_rows(text, "rows"))
