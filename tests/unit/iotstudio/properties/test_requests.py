"""Write requests: all rows are validated, and every problem names its row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.core.input.values import NAIVE_HINT
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.properties.requests import plan_writes, read_plan
from airflow_provider.iotstudio.properties.writes import MAX_MESSAGE_BYTES, Write, WriteSpool
from tests.support.hypothesis_sizes import examples


@pytest.fixture
def spool() -> Iterator[WriteSpool]:
    """Yield an open spool."""
    with WriteSpool() as spool:
        yield spool


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
        {"thing_id": "D", "properties": {"x": float("inf")}},
        {"thing_id": "E", "properties": {"when": datetime(2026, 1, 1)}},
        {"thing_id": "F", "properties": {"x": 1}, "colour": "red"},
        "G",
        {"thing_id": "H", "properties": [1]},
        {"thing_id": 7, "properties": {"x": 1}},
        {"thing_id": "I", "properties": {"x": {"y": [b"1"]}}},
        {"thing_id": "A", "properties": {"x": 2}},
    ]
    assert problems(writes=rows) == [
        "unknown field 'colour' (row 7)",
        "row 2: thing_id is missing",
        "row 3: properties is missing",
        "row 4 (C): properties is empty",
        "row 5 (D): property 'x' is inf, which is no JSON number",
        f"row 6 (E): property 'when' is the time 2026-01-01T00:00:00 without a time zone; {NAIVE_HINT}",
        "row 8: is not an object but str",
        "row 9 (H): properties must be an object of values by name",
        "row 10: thing_id is not a text",
        "row 11 (I): property 'x' at 'y' is binary (1 bytes); only a geometry may be",
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
    assert "has the key 'x' twice" in problem
    assert kind == "json" or "1" in problem.partition(":")[0]


def test_text_that_is_not_json_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "writes.csv"
    path.write_text('thing_id,properties\nA,"{""x"": 1}"\nB,{x: 1}\nC,"{""x"": Infinity}"\nD,[1]\n')
    second, third, fourth = problems(writes=str(path))
    assert second.startswith("row 2 (B): properties is not JSON: Expecting property name")
    assert third == "row 3 (C): property 'x' is inf, which is no JSON number"
    assert fourth == "row 4 (D): properties must be an object of values by name"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "which has no JSON form"),
        ("\ud800", "no valid Unicode text"),
        (nested(100_000), "nested more than 100 levels deep"),
        ({1: 2}, "the key 1, which is no text"),
        (float("-inf"), "-inf, which is no JSON number"),
        (b"\x01", "is binary"),
    ],
)
def test_values_that_would_change_on_the_way_are_refused_with_their_row(value: Any, said: str) -> None:
    (problem,) = problems(writes=[{"thing_id": "A", "properties": {"x": value}}])
    assert problem.startswith("row 1 (A): property 'x' ")
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


# -- values -------------------------------------------------------------------------------------------


class Mode(Enum):
    ECO = "eco"


class Kelvin(float):
    """A number of a type of its own."""


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("eco"), "eco"),
        (np.array([1, 2]), [1, 2]),
        (pd.Timestamp("2026-01-01T12:00:00+02:00"), "2026-01-01T10:00:00Z"),
        (Decimal("21.50"), 21.5),
        (Decimal(21), 21),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (Mode.ECO, "eco"),
        (Kelvin(1.5), 1.5),
        (None, None),
        ((1, Decimal(2)), [1, 2]),
        ({"a": np.int64(1), "b": float("nan")}, {"a": 1}),
        ([1.0, float("nan")], [1.0, None]),
        (2**70, 2**70),
    ],
    ids=repr,
)
def test_any_scalar_is_sent_as_json(value: Any, sent: Any) -> None:
    (write,) = plan_writes(thing_id="A", properties={"x": value})
    assert write.properties == {"x": sent}
    assert type(write.properties["x"]) is type(sent)


@pytest.mark.parametrize(
    "nothing", [float("nan"), np.nan, pd.NA, pd.NaT, Decimal("NaN"), np.datetime64("NaT")]
)
def test_nan_leaves_the_property_alone(nothing: Any, spool: WriteSpool) -> None:
    rows = [
        {"thing_id": "A", "properties": {"x": nothing, "y": 1}},
        {"thing_id": "B", "properties": {"x": nothing}},
    ]
    plan = read_plan(spool, writes=rows)
    assert list(plan.writes) == [Write((1,), "A", {"y": 1})]
    assert plan.empty_rows == 1


def test_nan_in_a_json_file_leaves_the_property_alone(tmp_path: Path) -> None:
    path = tmp_path / "writes.jsonl"
    path.write_text('{"thing_id": "A", "properties": {"x": NaN, "y": null}}\n')
    assert plan_writes(writes=str(path)) == [Write((1,), "A", {"y": None})]


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.decimals()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.sampled_from(
        [pd.NA, pd.NaT, pd.Timestamp("2026-01-01"), np.datetime64("NaT"), np.timedelta64(1, "s")]
    )
    | st.sampled_from(
        [np.int8(1), np.uint64(2**63), np.float16(1.5), np.void(b"x"), np.bytes_(b"x"), object()]
    )
)


@settings(max_examples=examples(300))
@given(values=st.dictionaries(st.text(max_size=3), ANY | st.lists(ANY, max_size=2), min_size=1, max_size=3))
def test_any_value_is_understood_or_refused_with_its_row(values: dict[str, Any]) -> None:
    refused: list[str] = []
    try:
        writes = plan_writes(writes=[{"thing_id": "A", "properties": values}])
        json.dumps([write.properties for write in writes], allow_nan=False)
    except InputError as error:
        refused = error.problems
    assert all(problem.startswith("row 1 (A): ") for problem in refused)


# -- wide rows ----------------------------------------------------------------------------------------


def test_a_wide_row_has_a_field_per_property() -> None:
    rows = [{"thing_id": "A", "x": 1, "y": None}, {"uid": "B", "property:x": 2, "z": float("nan")}]
    assert plan_writes(writes=rows) == [
        Write((1,), "A", {"x": 1, "y": None}, frozenset({"x", "y"})),
        Write((2,), "B", {"x": 2}, frozenset({"x"})),
    ]


def test_columns_of_the_things_export_are_left_out(spool: WriteSpool) -> None:
    row = {
        "uid": "A",
        "title": "t",
        "categories": ["c"],
        "model": None,
        "created": "x",
        "modified": "y",
        "p": 1,
    }
    plan = read_plan(spool, writes=[row])
    assert [write.properties for write in plan.writes] == [{"p": 1}]
    assert plan.left_out == ("title", "categories", "model", "created", "modified")
    renamed = {"thing_id": "A", **{name: value for name, value in row.items() if name != "uid"}}
    assert [write.properties for write in plan_writes(writes=[renamed])] == [{"p": 1}]


def test_a_description_beside_a_thing_id_is_refused() -> None:
    rows = [{"thing_id": "A", "title": "t", "p": 1}, {"thing_id": "B", "title": "t", "p": 1}]
    (problem,) = problems(writes=rows)
    assert "ignore=['title']" in problem
    assert "(2 rows: 1, 2)" in problem
    assert plan_writes(writes=rows[:1], options=RowOptions(ignore=["title"]))[0].properties == {"p": 1}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"thing_id": "A", "propertys": {"x": 1}}, "did you mean 'properties'"),
        ({"thing_id": "A", "property": '{"x": 1}'}, "did you mean 'properties'"),
        ({"thing_id": "A", "properties": {"x": 1}, "thingid": "B"}, "did you mean 'thing_id'"),
        ({"thingId": "A", "x": 1}, "columns={'thingId': 'thing_id'}"),
        ({"Thing ID": "A", "x": 1}, "columns={'Thing ID': 'thing_id'}"),
        ({"thing_id": "A", "uid": "B", "x": 1}, "thing_id and uid differ"),
        ({"thing_id": "A", "x": 1, "property:x": 2}, "has two columns"),
        ({"thing_id": "A"}, "properties is missing"),
        ({"thing_id": None, "x": 1}, "thing_id is missing"),
        ({"uid": float("nan"), "x": 1}, "thing_id is missing"),
        ({"uid": "None", "x": 1}, "thing_id is 'None', which cannot be the id of a Thing"),
        ({"thing_id": "..", "properties": {"x": 1}}, "thing_id is '..', which cannot be the id of a Thing"),
        ({"thing_id": "A", "properties": ""}, "properties is missing"),
        ({"thing_id": "A", "properties": " "}, "properties is missing"),
        ({"thing_id": "A", "": 1}, "is not a property name"),
        ({"thing_id": "A", 5: 1}, "is not a property name"),
    ],
    ids=repr,
)
def test_a_row_that_is_not_understood_is_refused(row: dict[Any, Any], said: str) -> None:
    (problem,) = problems(writes=[row])
    assert said in problem


def test_an_id_under_another_name_is_told_once() -> None:
    rows = [{"UID": str(number), "x": 1} for number in range(264)]
    assert problems(writes=[*rows, {"thing_id": "A", "y": float("inf")}]) == [
        "thing_id is missing; is 'UID' meant? pass columns={'UID': 'thing_id'} (264 rows: 1, 2, 3, …)",
        "row 265 (A): property 'y' is inf, which is no JSON number",
    ]


def test_a_data_frame_is_refused_with_the_way_to_pass_it() -> None:
    import pandas as pd

    frame = pd.DataFrame([{"thing_id": "A", "x": 1}])
    with pytest.raises(InputError, match=r"pass its rows as a list of objects"):
        plan_writes(writes=frame)
    assert plan_writes(writes=frame.to_dict("records"))[0].properties == {"x": 1}


def test_columns_ignore_and_min_rows_fit_a_real_table(tmp_path: Path) -> None:
    path = tmp_path / "plant.csv"
    path.write_bytes("Gerät;Solltemp;Bemerkung\nA;21.5;wärmer\nB;;\n".encode("cp1252"))
    options = RowOptions(
        columns={"Gerät": "thing_id", "Solltemp": "setpoint"},
        ignore=["Bemerkung"],
        encoding="cp1252",
        min_rows=2,
    )
    assert plan_writes(writes=str(path), options=options) == [
        Write((1,), "A", {"setpoint": "21.5"}, frozenset({"setpoint"}), texts=True)
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"writes": "[{'thing_id': 'A'}]"},
        {"writes": '[{"thing_id": "A", "properties": {"x": 1}}]' * 20_000},
        {"thing_id": "A", "properties": "{'x': 1}"},
    ],
    ids=["repr", "long", "properties"],
)
def test_a_rendered_list_is_one_short_error(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="render_template_as_native_obj") as caught:
        plan_writes(**given)
    assert len(str(caught.value)) < 1000
