"""Mapping: rows of a table with columns of its own become items of an LDIF."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.ldif.mapping import read_mapping
from airflow_provider.leanix.operators import LeanIXRunOperator, LeanIXStartRunOperator
from tests.support.sql_sources import connect_file
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND

HEADER = make_header(**INBOUND)
MAPPING = {
    "type": "Application",
    "id": "app_id",
    "data": {
        "name": "app_name",
        "lifecycle": {"phase": "phase", "asString": {"constant": "active"}},
        "tags": ["tag_a", "tag_b"],
    },
}
ROWS = [
    {"app_id": 7, "app_name": "Portal", "phase": "live", "tag_a": "web", "tag_b": "north"},
    {"app_id": 8, "app_name": "Ledger", "tag_b": "south"},
    {"app_id": 9, "app_name": "Archive"},
]
ITEMS = [
    {
        "type": "Application",
        "id": "7",
        "data": {
            "name": "Portal",
            "lifecycle": {"phase": "live", "asString": "active"},
            "tags": ["web", "north"],
        },
    },
    {"type": "Application", "id": "8", "data": {"name": "Ledger", "tags": ["south"]}},
    {"type": "Application", "id": "9", "data": {"name": "Archive"}},
]
COLUMNS = list(ROWS[0])


def items_of(content: Any, mapping: Any = MAPPING, **options: Any) -> list[dict[str, Any]]:
    found, problems = read_mapping(mapping)
    assert problems == []
    document = prepare(HEADER, content, options=RowOptions(**options), mapping=found)
    items: list[dict[str, Any]] = json.loads(b"".join(document.open()))["content"]
    assert document.count == len(items)
    return items


def problems_of(content: Any, mapping: Any = MAPPING, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        items_of(content, mapping, **options)
    return caught.value.problems


def in_list(_: Path) -> Any:
    return ROWS


def in_jsonl(folder: Path) -> Any:
    (folder / "apps.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return str(folder / "apps.jsonl")


def in_json(folder: Path) -> Any:
    (folder / "apps.json").write_text(json.dumps(ROWS))
    return str(folder / "apps.json")


def in_csv(folder: Path) -> Any:
    lines = [COLUMNS, *([str(row.get(name, "")) for name in COLUMNS] for row in ROWS)]
    (folder / "apps.csv").write_text("".join(f"{';'.join(line)}\n" for line in lines))
    return str(folder / "apps.csv")


def in_parquet(folder: Path) -> Any:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in ROWS])
    parquet.write_table(table, folder / "apps.parquet")
    return str(folder / "apps.parquet")


def in_folder(folder: Path) -> Any:
    for number, row in enumerate(ROWS):
        (folder / f"part-{number}.jsonl").write_text(json.dumps(row) + "\n")
    return f"{folder}/"


SOURCES = [in_list, in_jsonl, in_json, in_csv, in_parquet, in_folder]


@pytest.mark.parametrize("source", SOURCES)
def test_rows_of_every_source_become_items_by_the_mapping(
    source: Callable[[Path], Any], tmp_path: Path
) -> None:
    assert items_of(source(tmp_path)) == ITEMS


def connect_apps(monkeypatch: pytest.MonkeyPatch, folder: Path, columns: str) -> None:
    with sqlite3.connect(folder / "apps.db") as database:
        database.execute(f"CREATE TABLE apps ({columns})")
        rows = [tuple(row.get(name) for name in COLUMNS) for row in ROWS]
        database.executemany("INSERT INTO apps VALUES (?, ?, ?, ?, ?)", rows)
    connect_file(monkeypatch, "sqlite", folder / "apps.db")


@pytest.mark.parametrize("columns", [", ".join(COLUMNS), ", ".join(COLUMNS).upper()])
@pytest.mark.parametrize("kind", [LeanIXStartRunOperator, LeanIXRunOperator])
def test_rows_of_a_query_become_items_whatever_the_case_of_its_columns(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, columns: str
) -> None:
    connect_apps(monkeypatch, tmp_path, columns)
    more = {} if kind is LeanIXStartRunOperator else {"allow_unprocessed": True, "poll_interval": 0.02}
    task = kind(
        task_id="t",
        **INBOUND,
        sql="SELECT * FROM apps",
        sql_conn_id="warehouse",
        mapping=MAPPING,
        **more,
    )
    TaskRunner().run(task)
    assert sorted(leanix.runs[0].content, key=lambda item: item["id"]) == ITEMS


def test_the_type_is_a_column_only_where_it_says_so() -> None:
    rows = [{"kind": "Application", "key": "a"}, {"kind": "ITComponent", "key": "b"}]
    found = items_of(rows, {"type": {"column": "kind"}, "id": {"column": "key"}})
    assert [item["type"] for item in found] == ["Application", "ITComponent"]
    assert problems_of(rows, {"type": "kind", "id": "key"}) == [
        "the column 'kind' is not in the mapping; ignore=['kind'] leaves it out"
    ]


def test_data_may_be_an_object_of_one_column_or_its_json() -> None:
    mapping = {"type": "Application", "id": "key", "data": "payload"}
    rows = [{"key": "a", "payload": {"name": "A"}}, {"key": "b", "payload": '{"name": "B"}'}]
    assert [item["data"] for item in items_of(rows, mapping)] == [{"name": "A"}, {"name": "B"}]
    rows = [{"key": "a", "payload": "no object"}, {"key": "b", "payload": 4}]
    assert problems_of(rows, mapping) == [
        "item 1 (a): 'data' must be an object, not the text 'no object' (type Application)",
        "item 2 (b): 'data' must be an object, not 4 (type Application)",
    ]


def test_values_are_those_of_the_other_rows() -> None:
    rows = [{"key": 12.0, "n": Decimal("1.50"), "d": date(2026, 1, 31), "none": None, "nan": float("nan")}]
    mapping = {"type": "A", "id": "key", "data": {name: name for name in ("n", "d", "none", "nan")}}
    assert items_of(rows, mapping) == [
        {"type": "A", "id": "12", "data": {"n": 1.5, "d": "2026-01-31", "none": None}}
    ]


def test_an_object_or_a_list_without_a_value_is_left_out() -> None:
    mapping = {
        "type": "A",
        "id": "key",
        "data": {
            "owner": {"mail": "mail", "role": {"constant": "owner"}},
            "tags": ["tag", {"constant": "all"}],
            "always": {"source": {"constant": "cmdb"}, "list": [{"constant": 1}], "none": []},
        },
    }
    always = {"source": "cmdb", "list": [1], "none": []}
    rows = [{"key": "a"}, {"key": "b", "mail": "x@y", "tag": "t"}, {"key": "c", "mail": None, "tag": None}]
    assert [item["data"] for item in items_of(rows, mapping)] == [
        {"always": always},
        {"owner": {"mail": "x@y", "role": "owner"}, "tags": ["t", "all"], "always": always},
        {"owner": {"mail": None, "role": "owner"}, "tags": None, "always": always},
    ]


def test_all_columns_that_do_not_fit_are_named_at_once() -> None:
    rows = [{"app_id": "a", "app_nme": "A", "phase": "x", "tag_a": 1, "cost": 3}, {"app_id": "b", "extra": 1}]
    assert problems_of(rows) == [
        "column 'app_name' of the mapping is in no row; did you mean 'app_nme'?",
        "column 'tag_b' of the mapping is in no row",
        "3 columns 'app_nme', 'cost', 'extra' are not in the mapping;"
        " ignore=['app_nme', 'cost', 'extra'] leaves them out",
    ]


@pytest.mark.parametrize("source", [in_csv, in_parquet])
def test_empty_columns_of_a_table_count_as_columns(source: Callable[[Path], Any], tmp_path: Path) -> None:
    path = source(tmp_path)
    mapping = {"type": "Application", "id": "app_id", "data": {"name": "app_name", "tag": "tag_b"}}
    assert problems_of(path, mapping) == [
        "2 columns 'phase', 'tag_a' are not in the mapping; ignore=['phase', 'tag_a'] leaves them out"
    ]
    assert len(items_of(path, mapping, ignore=["phase", "tag_a"])) == 3


def test_a_table_without_rows_is_compared_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "apps.csv").write_text("app_id;name\n")
    assert "column 'app_name' of the mapping is in no row; did you mean 'name'?" in problems_of(
        str(tmp_path / "apps.csv")
    )
    assert items_of([]) == []


def test_columns_renames_before_the_mapping(tmp_path: Path) -> None:
    mapping = {"type": "Application", "id": "key", "data": {"name": "app_name"}}
    for source in (in_csv(tmp_path), in_list(tmp_path)):
        found = items_of(source, mapping, columns={"app_id": "key"}, ignore=["phase", "tag_a", "tag_b"])
        assert [item["id"] for item in found] == ["7", "8", "9"]


def test_items_without_an_id_and_duplicates_are_refused() -> None:
    mapping = {"type": "A", "id": "key"}
    rows = [{"key": "a"}, {"key": " a "}, {}, {"key": None}, {"key": ""}]
    assert problems_of(rows, mapping) == [
        "item 2 (a): the same type and id occurred before (allow_duplicates accepts that) (type A)",
        "item 3: 'id' is missing (column 'key') (type A)",
        "item 4: 'id' is missing (column 'key') (type A)",
        "item 5: 'id' must be a text that is not empty (type A)",
    ]


def test_a_whole_ldif_takes_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "whole.ldif"
    path.write_text(json.dumps({**HEADER, "content": [{"type": "A", "id": "1", "data": {}}]}))
    assert problems_of(str(path)) == ["is a whole LDIF, whose items need no mapping; leave 'mapping' out"]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("columns", "mapping must be an object with type, id and data, not 'columns'"),
        ("", "'mapping' is empty"),
        ("{'type': 'A'}", "render_template_as_native_obj"),
        ([], "mapping must be an object with type, id and data, not []"),
        ({"id": "key"}, "mapping has no 'type'"),
        ({"type": "A"}, "mapping has no 'id'"),
        ({"type": "A", "id": "key", "date": {}}, "mapping has 'date', but takes only type, id and data"),
        ({"type": " ", "id": "key"}, "type must be a text such as 'Application'"),
        ({"type": "A", "id": {"constant": "x"}}, "id must be a column"),
        ({"type": "A", "id": "key", "data": []}, "data must be an object of columns"),
        ({"type": "A", "id": "key", "data": {"n": 5}}, "data.n must be the name of a column, not 5; a value"),
        ({"type": "A", "id": "key", "data": {"n": None}}, "data.n must be the name of a column, not None"),
        ({"type": "A", "id": "key", "data": {"n": ["a", ""]}}, r"data.n[1] must be the name of a column"),
        ({"type": "A", "id": "key", "data": {"n": {"column": "a", "default": 1}}}, "and nothing beside"),
        ({"type": "A", "id": "key", "data": {"n": {"constant": object()}}}, "the constant of data.n is a"),
        ({"type": "A", "id": "key", "data": {"": "a"}}, "data has the field '', which is no name"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused_before_any_request(
    leanix: Any, sandbox: Any, mapping: Any, said: str
) -> None:
    task = LeanIXRunOperator(task_id="t", **INBOUND, content=ROWS, mapping=mapping)
    with pytest.raises(InputError) as caught:
        TaskRunner().run(task)
    assert said in str(caught.value)
    assert sandbox.counters.total() == 0


def test_a_mapping_without_rows_is_refused(leanix: Any, sandbox: Any) -> None:
    with pytest.raises(InputError, match="give it with 'content' or 'sql'"):
        TaskRunner().run(LeanIXRunOperator(task_id="t", **INBOUND, mapping=MAPPING))
    assert sandbox.counters.total() == 0


def test_a_mapping_may_be_the_json_of_a_template(leanix: Any) -> None:
    task = LeanIXStartRunOperator(task_id="t", **INBOUND, content=ROWS, mapping=json.dumps(MAPPING))
    TaskRunner().run(task)
    assert leanix.runs[-1].content == ITEMS
    assert "mapping" in LeanIXStartRunOperator.template_fields


@pytest.mark.parametrize(("mapping", "problem"), [("None", "is the text 'None'"), ("", "is empty")])
def test_a_mapping_that_a_template_has_lost_is_refused(
    leanix: Any, sandbox: Any, mapping: str, problem: str
) -> None:
    with pytest.raises(InputError, match=f"'mapping' {problem}"):
        TaskRunner().run(LeanIXStartRunOperator(task_id="t", **INBOUND, content=ITEMS, mapping=mapping))
    assert sandbox.counters.total() == 0


def test_an_id_of_more_than_64_bits_is_one_problem() -> None:
    (problem,) = problems_of([{**ROWS[0], "app_id": 2**65}])
    assert "more than 64 bits" in problem


def test_a_decimal_becomes_the_nearest_number_so_that_an_average_never_fails_a_run() -> None:
    mapping = {"type": "A", "id": "key", "data": {"n": "n"}}
    values = [Decimal("0.1"), Decimal("12345678.90"), Decimal(2**60), Decimal(10) / 3]
    found = items_of([{"key": str(n), "n": value} for n, value in enumerate(values)], mapping)
    assert [item["data"]["n"] for item in found] == [0.1, 12345678.9, 2**60, 10 / 3]


def test_a_mapping_that_is_too_deep_is_refused() -> None:
    deep: Any = "column"
    for _ in range(200):
        deep = {"inner": deep}
    assert "nested more than" in read_mapping({"type": "A", "id": "b", "data": deep})[1][0]


def test_values_of_a_query_are_in_no_error(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_apps(monkeypatch, tmp_path, ", ".join(COLUMNS))
    mapping = {"type": "A", "id": "app_id", "data": "app_name"}
    task = LeanIXStartRunOperator(
        task_id="t", **INBOUND, sql="SELECT * FROM apps", sql_conn_id="warehouse", mapping=mapping
    )
    with pytest.raises(InputError) as caught:
        TaskRunner().run(task)
    assert "'data' must be an object" in str(caught.value)
    assert "Portal" not in str(caught.value)
