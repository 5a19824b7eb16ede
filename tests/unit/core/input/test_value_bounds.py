"""Values at the bounds of their types, and the texts by which errors show them."""

from __future__ import annotations

import warnings
from collections import UserDict
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider.core.input.values import (
    ABSENT,
    JsonNumber,
    Unreadable,
    UnreadableValueError,
    ValueReader,
    check_exact,
    exact_number,
    hide_values,
    hides_values,
    is_missing,
    normal_key,
    read_boolean,
    read_integer,
    read_moment,
    read_number,
    read_text,
    shown,
    shown_value,
    utc_text,
)
from airflow_provider.core.redaction import redact_token

READER = ValueReader()
BERLIN = ZoneInfo("Europe/Berlin")


def nested(levels: int, wrap: Any) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda value: [value], lambda value: {"a": value}], ids=["lists", "objects"]
)
def test_lists_and_objects_are_read_up_to_a_depth(wrap: Any) -> None:
    assert READER.read(nested(101, wrap)) == nested(101, wrap)
    with pytest.raises(UnreadableValueError, match="is nested more than 100 levels deep"):
        READER.read(nested(102, wrap))


def test_arrays_within_arrays_count_as_levels() -> None:
    def wrap(value: Any) -> Any:
        array = np.empty(1, dtype=object)
        array[0] = value
        return array

    assert READER.read(nested(50, wrap)) == nested(50, lambda value: [value])
    with pytest.raises(UnreadableValueError, match="nested more than 100 levels"):
        READER.read(nested(52, wrap))


def test_enums_count_as_levels() -> None:
    items: list[Any] = []

    class Circle(Enum):
        ITEMS = items

    assert READER.read([Circle.ITEMS]) == [[]]
    items.append(Circle.ITEMS)
    with pytest.raises(UnreadableValueError, match="is nested more than 100 levels deep"):
        READER.read(Circle.ITEMS)
    deepest = nested(100, lambda value: [value])
    assert READER.read(Enum("Deep", {"LISTS": deepest})["LISTS"]) == deepest


def test_any_mapping_is_an_object_and_a_subclass_is_its_type() -> None:
    class Number(int):
        pass

    value = MappingProxyType({"a": UserDict({"b": Number(7)})})
    found = READER.read(value)
    assert found == {"a": {"b": 7}}
    assert [type(found), type(found["a"]), type(found["a"]["b"])] == [dict, dict, int]


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), Decimal(2**64 - 1)])
def test_integers_of_64_bits_are_read(value: Any) -> None:
    assert READER.read(value) == int(value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, Decimal(2**64), Decimal(10**19 * 9)])
def test_larger_integers_are_refused(value: Any) -> None:
    with pytest.raises(UnreadableValueError, match="^is a whole number of more than 64 bits$"):
        READER.read(value)


@pytest.mark.parametrize("digits", ["1" * 21, "-123456789012345678901", "1" * 38, "100000000000000000001"])
def test_no_float_stands_for_a_whole_decimal_that_it_does_not_hold(digits: str) -> None:
    with pytest.raises(UnreadableValueError, match="^is a whole number of more than 64 bits$"):
        READER.read(Decimal(digits))


def test_decimals_beyond_integers_are_numbers() -> None:
    assert READER.read(Decimal("1e20")) == 1e20
    assert READER.read(Decimal("1.5e25")) == 1.5e25


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (np.datetime64("0001-01-01"), "0001-01-01"),
        (np.datetime64("9999-12-31"), "9999-12-31"),
        (np.datetime64("2026-01-31", "M"), "2026-01-01"),
        (np.array([[1], [2]]), [[1], [2]]),
        (np.array([np.datetime64("2026-01-31")]), ["2026-01-31"]),
    ],
    ids=repr,
)
def test_dates_and_arrays_of_numpy_are_read(value: Any, read: Any) -> None:
    assert ValueReader(UTC).read(value) in (read, f"{read}T00:00:00Z")


@pytest.mark.parametrize("year", [0, 10_000, -1])
def test_years_that_iso_8601_lacks_are_refused(year: int) -> None:
    with pytest.raises(UnreadableValueError, match="^is a time outside the years 1 to 9999$"):
        READER.read(np.datetime64(f"{year:05}-06-01" if year < 0 else f"{year:04}-06-01"))


def test_times_of_pandas_in_the_years_1_and_9999_are_read() -> None:
    for year in (1, 9999):
        moment = pd.Timestamp(np.datetime64(f"{year:04}-06-01", "s"), tz="UTC")
        assert READER.read(moment) == f"{year:04}-06-01T00:00:00Z"
    for year in (0, 10_000):
        with pytest.raises(UnreadableValueError, match="^is a time outside the years 1 to 9999$"):
            READER.read(pd.Timestamp(np.datetime64(year - 1970, "Y").astype("datetime64[s]")))


def test_nanoseconds_are_cut_off_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moment = pd.Timestamp("2026-07-01T10:00:00.123456789", tz="UTC")
        assert READER.read(moment) == "2026-07-01T10:00:00.123456Z"


def test_unreadable_values_are_a_problem_where_they_are_used() -> None:
    assert repr(Unreadable("is broken")) == "a value that cannot be read"
    with pytest.raises(UnreadableValueError, match="^is broken$"):
        READER.read(Unreadable("is broken"))
    assert not is_missing(Unreadable("is broken"))


def test_the_absent_value_is_false_and_missing() -> None:
    assert (repr(ABSENT), bool(ABSENT), is_missing(ABSENT), READER.read(ABSENT)) == (
        "ABSENT",
        False,
        True,
        ABSENT,
    )
    assert [is_missing(value) for value in (None, " ", [], {}, pd.NA)] == [True] * 5
    assert [is_missing(value) for value in (0, "0", [None], {"a": 1}, {1}, 1j)] == [False] * 6


def test_numbers_of_json_keep_their_digits_where_a_float_may_not() -> None:
    short, long = JsonNumber.read("0.12345678901234"), JsonNumber.read("0.123456789012345")
    assert (type(short), short) == (float, 0.12345678901234)
    assert isinstance(long, JsonNumber)
    assert (long, long.text) == (0.123456789012345, "0.123456789012345")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.50", 1.5),
        ("100", 100),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", "-9223372036854775809"),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", "18446744073709551616"),
        ("1e20", 1e20),
        ("18446744073709551617", "18446744073709551617"),
        ("0.12345678901234567890", "0.1234567890123456789"),
        ("100.00000000000000000100", "100.000000000000000001"),
        ("1e400", "1" + "0" * 400),
        ("1." + "1" * 399, "1." + "1" * 399),
    ],
)
def test_a_decimal_has_all_its_digits_as_number_or_text(text: str, number: Any) -> None:
    found = exact_number(Decimal(text))
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize("text", ["1e401", "1e-401", "1." + "1" * 400])
def test_a_decimal_of_hundreds_of_digits_is_refused(text: str) -> None:
    with pytest.raises(UnreadableValueError, match="has more than 400 digits"):
        exact_number(Decimal(text))


def test_a_decimal_that_would_lose_digits_is_refused() -> None:
    for text in ("1.5", "Infinity", "NaN", "12345678901234567890123"):
        check_exact(Decimal(text))
    with pytest.raises(UnreadableValueError, match="has more digits than a number of 64 bits"):
        check_exact(Decimal("0.12345678901234567890"))


def test_numbers_have_bounds() -> None:
    assert [read_integer(value, 0) for value in (0, " +5. ", "-0", 3.0)] == [0, 5, 0, 3]
    with pytest.raises(UnreadableValueError, match="^must be a whole number of at least 1, not 0$"):
        read_integer(0, 1)
    assert [read_number(value) for value in (" .5 ", "1e3", "2.0", 2.5, 7)] == [0.5, 1000, 2, 2.5, 7]
    assert [type(read_number(value)) for value in ("2.0", 2.0, 2.5)] == [int, int, float]
    for value in (True, "", "1 2", "1e999", float("nan"), None):
        with pytest.raises(UnreadableValueError) as caught:
            read_number(value)
        shown_as = "inf" if value == "1e999" else repr(value)
        assert str(caught.value) == f"must be a number, not {shown_as}"
    with pytest.raises(UnreadableValueError) as caught:
        read_number("1,5")
    assert str(caught.value) == "must be a number, not '1,5' (a decimal point is needed, not a comma)"


def test_numbers_without_end_are_refused_as_such() -> None:
    for value in ("9" * 5000, f"-{'9' * 5000}.0"):
        with pytest.raises(UnreadableValueError, match="^must be a whole number, not "):
            read_integer(value)
    assert read_integer(f"5.{'0' * 398}") == 5
    with pytest.raises(UnreadableValueError, match="must be a whole number"):
        read_integer(f"5.{'0' * 399}")
    for value in ("9" * 5000, 10**400):
        with pytest.raises(UnreadableValueError, match="^must be a number, not "):
            read_number(value)


def test_a_time_that_python_has_no_type_for_is_refused() -> None:
    late = pa.scalar(10**18, pa.timestamp("s"))
    with pytest.raises(UnreadableValueError, match="that cannot be read: "):
        ValueReader().read(late)


def test_a_value_that_is_a_credential_is_not_shown() -> None:
    redact_token("s3cr3t-of-values")
    assert shown(["s3cr3t-of-values", 1]) == "['***', 1]"


def test_booleans_and_texts_of_other_kinds_are_refused() -> None:
    assert [read_boolean(value) for value in (" TRUE ", "False", 1, 0.0)] == [True, False, True, False]
    for value in ("yes", 2, None, [], 0.5):
        with pytest.raises(UnreadableValueError, match="^must be true or false, not "):
            read_boolean(value)
    assert [read_text(value) for value in (False, float(2**63), float(2**64), 1e300)] == [
        "false",
        "9223372036854775808",
        "1.8446744073709552e+19",
        "1e+300",
    ]
    for value in (None, [], {}):
        with pytest.raises(UnreadableValueError, match="^must be a text, not "):
            read_text(value)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (date(2026, 7, 1), datetime(2026, 7, 1, tzinfo=BERLIN)),
        (" 2026-07-01 ", datetime(2026, 7, 1, tzinfo=BERLIN)),
        ("2026-W27-3", datetime(2026, 7, 1, tzinfo=BERLIN)),
        ("2026-07-01T12:00", datetime(2026, 7, 1, 12, tzinfo=BERLIN)),
        (datetime(2026, 7, 1, 12), datetime(2026, 7, 1, 12, tzinfo=BERLIN)),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ],
)
def test_moments_without_a_zone_are_in_the_zone_that_is_stated(value: Any, moment: datetime) -> None:
    found = read_moment(value, BERLIN)
    assert (found, found.tzinfo) == (moment, moment.tzinfo)


def test_dates_without_a_zone_are_in_utc() -> None:
    assert read_moment(date(2026, 7, 1)) == datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(UnreadableValueError, match="without a time zone; add one, such as Z"):
        read_moment(datetime(2026, 7, 1))


@pytest.mark.parametrize("text", ["20260701T12", "2026-07-01T12", "2026W27T12", "2026-07-01 12:00"])
def test_a_short_time_without_a_zone_is_no_date(text: str) -> None:
    with pytest.raises(UnreadableValueError) as caught:
        read_moment(text)
    assert str(caught.value) == f"is the time {text!r} without a time zone; add one, such as Z"
    assert read_moment(text, BERLIN).hour == 12


def test_moments_are_written_in_utc() -> None:
    assert utc_text(datetime(2026, 7, 1, 12, 0, 0, 500, tzinfo=BERLIN)) == "2026-07-01T10:00:00.000500Z"
    with pytest.raises(UnreadableValueError, match="^is the time 0001-01-01T00.*, outside the years"):
        utc_text(datetime(1, 1, 1, tzinfo=BERLIN))
    with hide_values(), pytest.raises(UnreadableValueError, match="^is a time, outside the years"):
        utc_text(datetime(1, 1, 1, tzinfo=BERLIN))


def test_keys_lose_invisible_letters_around_them() -> None:
    assert [normal_key(text) for text in (" a ", "\ufeffé\u200b ", "\u00a0e\u0301", "X\u00e9X")] == [
        "a",
        "é",
        "é",
        "X\u00e9X",
    ]


def test_shown_values_are_cut_short() -> None:
    assert shown("x" * 58) == f"'{'x' * 58}'"
    assert shown("x" * 59) == f"'{'x' * 58}…"
    assert shown(ABSENT) == "a missing value"
    assert shown_value("secret") == "'secret'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (ABSENT, "a missing value"),
        (True, "True"),
        (Unreadable("is broken"), "a value that cannot be read"),
        ("secret", "a text of 6 characters"),
        ("", "an empty text"),
        (7, "a number"),
        (1.5, "a number"),
        ({"a": 1}, "an object"),
        ([1], "a list"),
        ((1,), "a list"),
        (1j, "a value of the type complex"),
    ],
    ids=repr,
)
def test_hidden_values_are_described_by_their_kind(value: Any, text: str) -> None:
    with hide_values():
        assert hides_values()
        assert shown_value(value) == text
    assert not hides_values()


@pytest.mark.parametrize(
    ("value", "shown_text", "hidden"),
    [
        ("a\ud800", r"is 'a\\ud800', which is no valid Unicode text", "is a text, which is no valid"),
        (datetime(2026, 1, 1), "is the time 2026-01-01T00:00:00 without a time", "is a time without a"),
        ({5: 1}, "has the key 5, which is no text", "has the key a number, which is no text"),
    ],
    ids=str,
)
def test_errors_repeat_a_value_unless_values_are_hidden(value: Any, shown_text: str, hidden: str) -> None:
    with pytest.raises(UnreadableValueError, match=f"^{shown_text}"):
        READER.read(value)
    with hide_values(), pytest.raises(UnreadableValueError, match=f"^{hidden}"):
        READER.read(value)


def test_bytes_and_types_are_named_in_errors() -> None:
    with pytest.raises(UnreadableValueError, match=r"^is binary \(3 bytes\); only a geometry may be$"):
        READER.read(b"abc")
    with pytest.raises(UnreadableValueError, match="^is a set, which has no JSON form$"):
        READER.read({1})
    with pytest.raises(UnreadableValueError, match="^is a pandas.*Timedelta, which has no JSON form$"):
        READER.read(pd.Timedelta(1))
    with pytest.raises(UnreadableValueError, match="^is a numpy.*longdouble, which has no JSON form$"):
        READER.read(np.longdouble(1))


def test_an_error_names_the_outer_keys_of_a_deep_value_only() -> None:
    value: Any = object()
    for number in reversed(range(20)):
        value = {f"k{number}": value}
    with pytest.raises(UnreadableValueError, match=r"^at 'k0' at 'k1' .*at 'k7' is a object"):
        ValueReader().read(value)
