"""Any scalar of the standard library, NumPy and pandas is understood or refused, never passed on as it is."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    ValueReader,
    normal_key,
    read_boolean,
    read_integer,
    read_moment,
    read_number,
    read_text,
)

READER = ValueReader()
SQL = ValueReader(nan_is_absent=False)


class Level(enum.Enum):
    HIGH = "high"


class Kind(enum.StrEnum):
    ROOM = "room"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(1.5), 1.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-31"), "2026-01-31"),
        (np.array([1, 2]), [1, 2]),
        (np.array(5), 5),
        (pd.Timestamp("2026-01-01", tz="Europe/Berlin"), "2025-12-31T23:00:00Z"),
        (pa.scalar(4), 4),
        (Decimal("1.50"), 1.5),
        (Decimal("5.00"), 5),
        (Decimal("12345678901234567"), 12345678901234567),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 1), "2026-01-01"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-01T00:00:00Z"),
        (time(1, 2), "01:02:00"),
        (Level.HIGH, "high"),
        (Kind.ROOM, "room"),
        ((1, 2), [1, 2]),
        ({"a": np.int8(1), "b": pd.NA, "c": None}, {"a": 1, "c": None}),
        ([1, float("nan")], [1, None]),
    ],
    ids=repr,
)
def test_values_are_read_as_json_has_them(value: object, read: object) -> None:
    found = READER.read(value)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    "value", [float("nan"), pd.NA, pd.NaT, np.float64("nan"), np.datetime64("NaT"), Decimal("NaN")]
)
def test_a_missing_value_is_absent_in_lists_and_files_and_a_problem_in_sql(value: object) -> None:
    assert READER.read(value) is ABSENT
    with pytest.raises(UnreadableValueError, match="NaN"):
        SQL.read(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("inf"), "no JSON number"),
        (np.float32("-inf"), "no JSON number"),
        (Decimal("Infinity"), "no JSON number"),
        (b"x", "binary"),
        (memoryview(b"x"), "binary"),
        (datetime(2026, 1, 1), "without a time zone"),
        (pd.Timestamp("2026-01-01"), "without a time zone"),
        (timedelta(1), "timedelta"),
        (pd.Timedelta(1), "Timedelta"),
        (np.timedelta64(1, "D"), "is a numpy.timedelta64, which has no JSON form"),
        (np.timedelta64(1, "ns"), "is a numpy.timedelta64, which has no JSON form"),
        (np.array(np.timedelta64(1, "ns")), "which has no JSON form"),
        (pd.Interval(0, 1), "Interval"),
        ({1, 2}, "set"),
        (object(), "object"),
        (2**64, "64 bits"),
        ({1: 2}, "no text"),
        ({"a": {"b": b""}}, "at 'a' at 'b' is binary"),
        ("\ud800", "Unicode"),
        (1j, "complex"),
        (np.datetime64(2**33, "D"), "outside the years 1 to 9999"),
        (np.datetime64(2**43, "s"), "outside the years 1 to 9999"),
        (np.datetime64(2**62, "s"), "outside the years 1 to 9999"),
        (pd.Timestamp(np.datetime64(2**39, "s")), "outside the years 1 to 9999"),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{type(one).__module__}.{type(one).__name__}",
)
def test_what_json_cannot_hold_is_refused_with_its_kind(value: object, why: str) -> None:
    with pytest.raises(UnreadableValueError, match=why):
        READER.read(value)


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_times_in_arrays_are_those_of_any_unit(unit: str) -> None:
    utc = ValueReader(naive=UTC)
    times = np.array(["2026-07-01T10:00", "NaT"], dtype=f"datetime64[{unit}]")
    assert utc.read(times) == ["2026-07-01T10:00:00Z", None]
    assert utc.read(times[:1].reshape(1, 1)) == [["2026-07-01T10:00:00Z"]]
    assert utc.read(times[0]) == utc.read(np.array(times[0])) == "2026-07-01T10:00:00Z"
    for wrong in (times[:1] - times[0], np.array(times[0] - times[0])):
        with pytest.raises(UnreadableValueError, match="is a numpy.timedelta64, which has no JSON form"):
            utc.read(wrong)


def test_a_naive_time_is_read_where_its_zone_is_stated() -> None:
    berlin = ValueReader(naive=ZoneInfo("Europe/Berlin"))
    assert berlin.read(datetime(2026, 7, 1, 12)) == "2026-07-01T10:00:00Z"


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(),
    st.fractions(),
    st.ip_addresses(),
)
OF_LIBRARIES = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.integers(0, 255).map(np.uint8),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.integers(-(2**63) + 1, 2**63 - 1).map(lambda n: np.datetime64(n, "s")),
    st.integers(-(2**62), 2**62).map(lambda n: np.timedelta64(n, "ms")),
    st.datetimes(pd.Timestamp.min.to_pydatetime(warn=False), datetime(2200, 1, 1)).map(pd.Timestamp),
    st.lists(st.floats(), max_size=3).map(np.array),
    st.sampled_from([pd.NA, pd.NaT]),
)
ANY = st.recursive(
    PLAIN | OF_LIBRARIES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(ANY, st.booleans())
def test_any_value_is_understood_or_refused(value: object, nan_is_absent: bool) -> None:
    try:
        read = ValueReader(UTC, nan_is_absent).read(value)
    except UnreadableValueError:
        return
    if read is not ABSENT:
        assert json.loads(msgspec.json.encode(read)) == read


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0", " 0 "])
def test_a_whole_number_is_read_from_what_tables_hold(value: object) -> None:
    assert read_integer(value) == 0


@pytest.mark.parametrize("value", [True, 0.5, "0,0", "zero", None, [], "1e3", ""])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(UnreadableValueError, match="whole number"):
        read_integer(value)


def test_a_decimal_comma_is_named() -> None:
    assert read_number("9.5") == 9.5
    with pytest.raises(UnreadableValueError, match="comma"):
        read_number("9,5")


def test_texts_of_numbers_and_booleans_are_as_the_services_write_them() -> None:
    assert [read_text(value) for value in (4.0, 2.5, True, "x", 7)] == ["4", "2.5", "true", "x", "7"]
    assert [read_boolean(value) for value in ("true", 0, 1.0, False)] == [True, False, True, False]


@pytest.mark.parametrize("value", ["next Tuesday", "31.01.2026", "2026-13-01", 20260101, ""])
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(UnreadableValueError, match="ISO 8601"):
        read_moment(value)


def test_dates_and_times_are_moments() -> None:
    assert read_moment("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert read_moment("2026-01-31T10:00:00+01:00") == datetime(2026, 1, 31, 9, tzinfo=UTC)
    with pytest.raises(UnreadableValueError, match="time zone"):
        read_moment("2026-01-31T10:00")


def test_keys_are_equal_in_their_normal_form() -> None:
    assert normal_key(" Cafe\u0301\u00a0") == normal_key("Caf\u00e9")
