"""Write requests: all rows are validated, and every problem names its row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.iotstudio.properties.requests import MAX_MESSAGE_BYTES, Write, plan_writes


def problems(**given: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        plan_writes(**given)
    return caught.value.problems


def test_one_thing_is_one_write() -> None:
    assert plan_writes(thing_id="T", properties={"a": 1}) == [Write((1,), "T", {"a": 1})]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"thing_id": "T"},
        {"properties": {"a": 1}},
        {"thing_id": "T", "properties": {"a": 1}, "writes": []},
        {"thing_id": "T", "writes": []},
    ],
)
def test_exactly_one_form_must_be_given(given: dict[str, Any]) -> None:
    assert "thing_id and properties" in problems(**given)[0]


def test_no_rows_are_no_writes() -> None:
    assert plan_writes(writes=[]) == []


def test_all_problems_are_in_one_error_with_their_rows() -> None:
    rows: list[Any] = [
        {"thing_id": "A", "properties": {"x": 1}},
        {"properties": {"x": 1}},
        {"thing_id": "B"},
        {"thing_id": "C", "properties": {}},
        {"thing_id": "D", "properties": {"x": float("nan")}},
        {"thing_id": "E", "properties": {"when": datetime(2026, 1, 1, tzinfo=UTC)}},
        {"thing_id": "F", "properties": {"x": 1}, "colour": "red"},
        "G",
        {"thing_id": "H", "properties": [1]},
        {"thing_id": 7, "properties": {"x": 1}},
        {"thing_id": "I", "properties": {"x": {"y": [Decimal(1)]}}},
        {"thing_id": "A", "properties": {"x": 2}},
    ]
    assert problems(writes=rows) == [
        "row 2: thing_id is missing",
        "row 3: properties is missing",
        "row 4: properties is empty",
        "row 5: property 'x': nan is not a JSON number",
        "row 6: property 'when': a datetime is not a JSON value",
        "row 7: unknown field 'colour'",
        "row 8: is not an object but str",
        "row 9: properties must be an object of values by name",
        "row 10: thing_id is not a text",
        "row 11: property 'x': a Decimal is not a JSON value",
        "row 12: property 'x' of Thing A is set already (row 1)",
    ]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_a_property_named_twice_in_one_object_is_refused_and_not_dropped(tmp_path: Path, kind: str) -> None:
    path, twice = tmp_path / f"writes.{kind}", '{"x": 1, "y": 2, "x": 3}'
    row = f'{{"thing_id": "A", "properties": {twice}}}'
    quoted = twice.replace('"', '""')
    texts = {"json": f"[{row}]", "jsonl": f"{row}\n", "csv": f'thing_id,properties\nA,"{quoted}"\n'}
    path.write_text(texts[kind])
    (problem,) = problems(writes=str(path))
    assert "'x' is there more than once" in problem
    assert kind == "json" or "1" in problem.partition(":")[0]


def test_text_that_is_not_json_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "writes.csv"
    path.write_text('thing_id,properties\nA,"{""x"": 1}"\nB,{x: 1}\nC,"{""x"": NaN}"\nD,[1]\n')
    second, third, fourth = problems(writes=str(path))
    assert second.startswith("row 2: properties is not JSON: Expecting property name")
    assert third == "row 3: property 'x': nan is not a JSON number"
    assert fourth == "row 4: properties must be an object of values by name"


class Kelvin(float):
    """A number that JSON encoders do not know."""


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Kelvin(1.5), "is not a JSON value"),
        ("\ud800", "surrogates not allowed"),
        (nested(100_000), "nested too deep"),
        ({1: 2}, "the key 1 is not a text"),
        (float("-inf"), "-inf is not a JSON number"),
    ],
)
def test_values_that_would_change_on_the_way_are_refused_with_their_row(value: Any, said: str) -> None:
    (problem,) = problems(writes=[{"thing_id": "A", "properties": {"x": value}}])
    assert problem.startswith("row 1: property 'x': ")
    assert said in problem


def test_rows_of_one_thing_become_one_request() -> None:
    rows = [
        {"thing_id": "A", "properties": {"x": 1}},
        {"thing_id": "B", "properties": {"x": 1}},
        {"thing_id": "A", "properties": {"y": 2}},
    ]
    assert plan_writes(writes=rows) == [Write((1, 3), "A", {"x": 1, "y": 2}), Write((2,), "B", {"x": 1})]


def test_values_beyond_the_message_limit_are_refused_with_their_row() -> None:
    (problem,) = problems(writes=[{"thing_id": "A", "properties": {"x": "é" * MAX_MESSAGE_BYTES}}])
    assert problem.startswith("row 1: the values of Thing A take 10248 bytes")


ROWS = [
    {"thing_id": "A", "properties": {"x": 21.0, "on": True, "n": 1, "s": "1", "b": 2**70, "o": {"p": [0.1]}}},
    {"thing_id": "B", "properties": {"x": 5}},
]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
def test_rows_come_from_files_with_their_json_types(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"writes.{kind}"
    if kind == "json":
        path.write_text(json.dumps(ROWS))
    elif kind == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    elif kind == "csv":
        quoted = [json.dumps(row["properties"]).replace('"', '""') for row in ROWS]
        path.write_text(f'thing_id,properties\nA,"{quoted[0]}"\nB,"{quoted[1]}"\n')
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        texts = [json.dumps(row["properties"]) for row in ROWS]
        pq.write_table(pa.table({"thing_id": ["A", "B"], "properties": texts}), path)
    writes = plan_writes(writes=str(path))
    assert [(write.thing_id, write.properties) for write in writes] == [
        (row["thing_id"], row["properties"]) for row in ROWS
    ]
    assert [type(value) for value in writes[0].properties.values()] == [float, bool, int, str, int, dict]


def test_a_null_in_a_parquet_struct_leaves_the_property_alone(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "writes.parquet"
    rows = [{"x": 1.5, "mode": None}, {"x": None, "mode": "eco"}]
    pq.write_table(pa.table({"thing_id": ["A", "B"], "properties": rows}), path)
    assert [write.properties for write in plan_writes(writes=str(path))] == [{"x": 1.5}, {"mode": "eco"}]


def test_a_missing_file_is_named() -> None:
    assert "/nowhere/writes.jsonl" in problems(writes="/nowhere/writes.jsonl")[0]
