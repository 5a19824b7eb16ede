"""LDIF items: each value is understood or refused, with the item's number, type, id and field."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.ldif.validation import ItemValidator
from tests.support.hypothesis_sizes import examples

pytestmark = pytest.mark.slow  # items do not depend on versions

HEADER = make_header(
    connector_type="cmdb", connector_id="campus", connector_version="1.0.0", processing_direction="inbound"
)
EAST = timezone(timedelta(hours=2))


class Level(enum.Enum):
    HIGH = "high"


class Rank(enum.IntEnum):
    FIRST = 1


def items_of(content: Any, **options: Any) -> list[dict[str, Any]]:
    data = json.loads(b"".join(prepare(HEADER, content, **options).open()))
    found: list[dict[str, Any]] = data["content"]
    return found


def item(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Application", "id": "app-7", "data": {"value": value, **more}}


UNDERSTOOD = [
    (None, None),
    (True, True),
    (12, 12),
    (1.5, 1.5),
    ("text", "text"),
    (np.int64(7), 7),
    (np.float32(0.5), 0.5),
    (np.float64(2.5), 2.5),
    (np.bool_(True), True),
    (np.str_("s"), "s"),
    (np.datetime64("2026-01-31"), "2026-01-31"),
    (np.array([1, 2]), [1, 2]),
    (pd.Timestamp("2026-01-31 12:00", tz="UTC"), "2026-01-31T12:00:00Z"),
    (Decimal("12.50"), 12.5),
    (Decimal("12"), 12),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (date(2026, 1, 31), "2026-01-31"),
    (datetime(2026, 1, 31, 14, 0, tzinfo=EAST), "2026-01-31T12:00:00Z"),
    (time(8, 30), "08:30:00"),
    (Level.HIGH, "high"),
    (Rank.FIRST, 1),
    (("a", 1), ["a", 1]),
    ([float("nan"), 1], [None, 1]),
    ({"inner": Decimal("0.5"), "none": None, "nan": float("nan")}, {"inner": 0.5, "none": None}),
]


@pytest.mark.parametrize(
    ("value", "found"),
    UNDERSTOOD,
    ids=[f"{number}-{type(value).__name__}" for number, (value, _) in enumerate(UNDERSTOOD)],
)
def test_values_of_any_library_are_json_in_both_forms(value: Any, found: Any) -> None:
    assert items_of([item(value)]) == [item(found)]
    (flat,) = items_of([{"type": "Application", "id": "app-7", "value": value}])
    assert flat == item(found)


@pytest.mark.parametrize("absent", [float("nan"), np.float64("nan"), pd.NA, pd.NaT, Decimal("NaN")])
def test_missing_values_are_left_out_and_null_clears(absent: Any) -> None:
    assert items_of([item(absent, name="n", owner=None)]) == [
        {"type": "Application", "id": "app-7", "data": {"name": "n", "owner": None}}
    ]


REFUSED = [
    (float("inf"), "is inf"),
    (np.float64("-inf"), "is -inf"),
    (Decimal("Infinity"), "is Infinity"),
    (b"bytes", "is binary"),
    (memoryview(b"bytes"), "is binary"),
    (datetime(2026, 1, 31, 12), "without a time zone"),
    (pd.Timestamp("2026-01-31 12:00"), "without a time zone"),
    (object(), "has no JSON form"),
    ({1, 2}, "has no JSON form"),
    (np.timedelta64(1, "s"), "has no JSON form"),
    ("\ud800", "no valid Unicode"),
    (2**70, "more than 64 bits"),
    ({1: "key"}, "which is no text"),
    ([[datetime(2026, 1, 31)]], "without a time zone"),
]


@pytest.mark.parametrize(
    ("value", "said"),
    REFUSED,
    ids=[f"{number}-{type(value).__name__}" for number, (value, _) in enumerate(REFUSED)],
)
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
def test_values_without_a_meaning_are_refused_with_item_type_id_and_field(
    value: Any, said: str, flat: bool
) -> None:
    bad = {"type": "Application", "id": "app-7", "value": value} if flat else item(value)
    good = {"type": "Application", "id": "app-6", "data": {}}
    with pytest.raises(InputError, match=said) as caught:
        prepare(HEADER, [good, bad])
    (problem,) = caught.value.problems
    assert problem.startswith("item 2 (app-7): field 'value' ")
    assert problem.endswith("(type Application)")


def test_all_problems_are_told_at_once_and_shortly() -> None:
    rows = [
        {"type": "A", "id": str(number), "data": {"v": b"x" * 10**6, "w": float("inf")}}
        for number in range(2000)
    ]
    with pytest.raises(InputError) as caught:
        prepare(HEADER, rows)
    text = str(caught.value)
    assert "item 1 (0): field 'v'" in text
    assert "item 1 (0): field 'w'" in text
    assert len(text) < 4096
    assert len(caught.value.problems) == 4000


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (np.int32(3), "3"),
        (np.float64(4.0), "4"),
        (Decimal("5.0"), "5"),
        (1.5, "1.5"),
    ],
)
def test_numbers_as_type_or_id_become_text_in_plain_form(key: Any, text: str) -> None:
    rows = [{"type": key, "id": key, "data": {"n": 1}}, {"type": "B", "id": key, "n": 1}]
    assert [(one["type"], one["id"]) for one in items_of(rows)] == [(text, text), ("B", text)]


@pytest.mark.parametrize("key", [None, "", " ", True, float("nan"), pd.NA, [1], b"a", 1e20, float("inf")])
@pytest.mark.parametrize("name", ["type", "id"])
def test_a_type_or_id_that_is_none_is_refused(key: Any, name: str) -> None:
    for row in ({"type": "A", "id": "1", "data": {"n": 1}}, {"type": "A", "id": "1", "n": 1}):
        with pytest.raises(InputError, match=f"item 1.*'{name}'"):
            prepare(HEADER, [{**row, name: key}])


def test_unknown_fields_are_told_once_with_a_count_and_the_nearest_name() -> None:
    rows = [{"type": "A", "id": str(n), "data": {}, "dta": 1, "source": "x"} for n in range(408)]
    rows.append({"type": "A", "id": "408", "data": {"lon": float("inf")}})
    with pytest.raises(InputError) as caught:
        prepare(HEADER, rows)
    assert len(caught.value.problems) == 3
    text = str(caught.value)
    assert "408 items, the first is item 1, have the field 'dta', which the service ignores" in text
    assert "did you mean 'data'?" in text
    assert "fields of the item belong into 'data'" in text
    assert "item 409 (408): field 'lon' is inf" in text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"Type": "A", "id": "1", "n": 1}, "'type' is missing; the row has 'Type'"),
        ({"type": "A", "ID ": "1", "n": 1}, "'id' is missing; the row has 'ID '"),
        ({"type": "A", "id": "1", "Data": {"n": 1}}, "'Data' is unknown; did you mean 'data'"),
        ({"type": "A", "id": "1"}, "'data' is missing"),
        ({"type": "A", "id": "1", "data": None}, "'data' must be an object"),
        ({"type": "A", "id": "1", "data": [1]}, "'data' must be an object"),
        ({"type": "A", "id": "1", "data": "text"}, "'data' must be an object, not the text 'text'"),
        (5, "must be an object, not int"),
        ("text", "must be an object, not str"),
    ],
)
def test_rows_of_no_form_are_refused(row: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        prepare(HEADER, [row])


def test_columns_and_ignore_make_a_real_table_items() -> None:
    from airflow_provider.core.files.row_source import RowOptions

    frame = pd.DataFrame({"key": [7.0, 8.0], "kind": "Application", "note": "x", "name": ["a", None]})
    options = RowOptions(columns={"key": "id", "kind": "type"}, ignore=["note"], min_rows=2)
    rows = frame.to_dict("records")
    assert items_of(rows, options=options) == [
        {"type": "Application", "id": "7", "data": {"name": "a"}},
        {"type": "Application", "id": "8", "data": {"name": None} if rows[1]["name"] is None else {}},
    ]
    for wrong in (RowOptions(min_rows=3), RowOptions(columns={"keys": "id"}), RowOptions(ignore=["nots"])):
        with pytest.raises(InputError):
            prepare(HEADER, rows, options=wrong)


def test_duplicates_are_refused_unless_they_are_points_of_a_metric() -> None:
    points = [{"type": "Metric", "id": "m", "data": {"v": number}} for number in range(3)]
    with pytest.raises(InputError, match=r"item 2 \(m\): the same type and id occurred before"):
        prepare(HEADER, points)
    assert items_of(points, allow_duplicates=True) == points


@pytest.mark.parametrize("other", ["caf\u0065\u0301", "caf\u00e9 ", "\u00a0caf\u00e9"])
def test_ids_that_differ_in_their_unicode_form_only_are_duplicates(other: str) -> None:
    rows = [{"type": "A", "id": name, "data": {}} for name in ("caf\u00e9", other)]
    with pytest.raises(InputError, match="occurred before"):
        prepare(HEADER, rows)


def test_a_trigger_is_no_data() -> None:
    trigger: dict[str, Any] = {"type": "", "id": "", "data": {}}
    ldif = prepare(HEADER, [trigger])
    assert (ldif.count, ldif.sent, ldif.is_export) == (1, 0, True)
    both = prepare(HEADER, [trigger, item(1)])
    assert (both.sent, both.is_export) == (1, False)
    with pytest.raises(InputError, match="0 items, fewer than 1; a full run deletes"):
        prepare({**HEADER, "processingMode": "full"}, [trigger])


@pytest.mark.parametrize("content", [None, [], [{"type": "", "id": "", "data": {}}]])
def test_a_full_run_without_items_is_refused_with_the_argument_that_accepts_it(content: Any) -> None:
    full = {**HEADER, "processingMode": "full"}
    with pytest.raises(InputError, match=r"fewer than 1; a full run deletes .*\(min_content=0 accepts"):
        prepare(full, content)
    assert prepare(full, content, min_content=0).sent == 0
    with pytest.raises(InputError, match=r"0 items, fewer than 2 \('min_content'\)"):
        prepare(full, content, min_content=2)


def test_one_bad_value_is_seen_beside_a_column_of_bad_values() -> None:
    since = [datetime(2026, 1, 1, 0, minute % 60) for minute in range(408)]
    rows = [{"type": "A", "id": str(n), "data": {"since": one}} for n, one in enumerate(since)]
    rows.append({"type": "A", "id": "x", "data": {"share": float("inf")}})
    with pytest.raises(InputError) as caught:
        prepare(HEADER, rows)
    assert "item 409 (x): field 'share' is inf" in str(caught.value)
    assert str(caught.value).startswith("409 problems in the LDIF:")
    assert len(str(caught.value)) < 4096


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.characters(),
    st.binary(),
    st.decimals(),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.timedeltas(),
    st.fractions(),
    st.complex_numbers(),
    st.sampled_from([pd.NA, pd.NaT, Level.HIGH, Rank.FIRST, np.datetime64("NaT"), object(), {1}, ...]),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1)).map(pd.Timestamp),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=examples(300), deadline=None)
@given(value=VALUES, flat=st.booleans())
def test_any_value_is_understood_or_refused_by_its_field_and_never_a_librarys_error(
    value: Any, flat: bool
) -> None:
    row = (
        {"type": "A", "id": "1", "value": value}
        if flat
        else {"type": "A", "id": "1", "data": {"value": value}}
    )
    problems, found = [], {}
    try:
        (found,) = items_of([row])
    except InputError as error:
        problems = [*error.problems, str(error)]
    assert all("item 1 (1): field 'value' " in problem and len(problem) < 4096 for problem in problems)
    assert problems or found["data"].keys() <= {"value"}


@given(
    st.lists(st.tuples(st.sampled_from("ab\u00e9"), st.sampled_from(["1", "2", "\u00e4", " 1"])), max_size=8)
)
def test_the_quick_test_finds_the_same_duplicates(keys: list[tuple[str, str]]) -> None:
    validator, seen, twice = ItemValidator(), set(), 0
    for number, (kind, name) in enumerate(keys, start=1):
        validator.validate(number, {"type": kind, "id": name, "data": {}})
        twice += (kind, name.strip()) in seen
        seen.add((kind, name.strip()))
    assert len(validator.problems) == twice
