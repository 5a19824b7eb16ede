"""Database values: read each value of a row as JSON has it, with geometries as bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider.core.input.values import (
    NAIVE_HINT,
    Unreadable,
    UnreadableValueError,
    ValueReader,
    check_exact,
)
from airflow_provider.core.sql.dates import NO_DATE

_INTEGER_END = 2**63

_INTEGER_DIGITS = 18
"""Digits that each whole number of 64 bits has, less one."""

RANGE = "is a range; select its bounds, as lower(…) and upper(…) return them"
"""Problem of a range."""

_BINARY = (bytes, bytearray, memoryview)

_AS_THEY_ARE = frozenset({type(None), bool})


class ExactDecimal:
    """A decimal with all of its digits, which msgspec would write as a text.

    :param number: the decimal.
    """

    __slots__ = ("number",)

    def __init__(self, number: Decimal) -> None:
        self.number = number


class DatabaseValueReader:
    """Reader of one query's values.

    A value is returned as JSON has it; None for NULL, bytes for binary values, which only a geometry may be,
    and :class:`~airflow_provider.core.input.values.Unreadable` for a value that has no such form. That is a
    problem only where the value is used: a column may be left out.

    :param timezone: the time zone of dates and times without one; None makes them unreadable.
    :param long_decimals: what happens to decimals with more digits than a number of 64 bits has: ``round``,
        ``refuse`` (they are unreadable), or ``keep``, which returns each decimal with a fraction, and each of
        more than 64 bits, as :class:`ExactDecimal`.
    """

    def __init__(self, timezone: tzinfo | None = None, *, long_decimals: str = "round") -> None:
        self._long_decimals = long_decimals
        self._timezone = timezone
        self._reader = ValueReader(timezone, nan_is_absent=False)
        # Most values are of these types, for which the general way takes ten times as long.
        self._by_type: dict[type, Callable[[Any], Any]] = {
            Decimal: self._read_decimal,
            datetime: self._read_moment,
            date: date.isoformat,
            UUID: str,
            bytes: bytes,
            memoryview: bytes,
        }

    def read_row(self, row: Sequence[Any]) -> list[Any]:
        """Return the values of a row."""
        return list(map(self._read, row))

    def _read(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return _text(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is int and -_INTEGER_END <= value < _INTEGER_END:
            return value
        if kind is float and math.isfinite(value):
            return value
        try:
            return self._by_type.get(kind, self._read_other)(value)
        except UnreadableValueError as problem:
            return Unreadable(str(problem))

    def _read_other(self, value: Any) -> Any:
        if isinstance(value, Unreadable):
            return value
        if isinstance(value, Decimal):
            return self._read_decimal(value)
        if isinstance(value, datetime) and value == value:  # ``NaT`` alone differs from itself.
            return self._read_moment(value)
        if isinstance(value, _BINARY):
            return bytes(value)
        if isinstance(value, timedelta):
            raise UnreadableValueError("is an interval; select a number, as EXTRACT(EPOCH FROM …) returns it")
        if "Range" in type(value).__name__:
            raise UnreadableValueError(RANGE)
        read = self._reader.read(value)
        return _text(read) if isinstance(read, str) else read

    def _read_decimal(self, value: Decimal) -> Any:
        if self._long_decimals == "keep" and value.is_finite():
            is_short = value == value.to_integral_value() and value.adjusted() < _INTEGER_DIGITS
            return int(value) if is_short else ExactDecimal(value)
        if value.is_finite() and value.adjusted() >= 20:
            raise UnreadableValueError("is a number of more than 64 bits; select it as text")
        if self._long_decimals == "refuse":
            check_exact(value)
        return self._reader.read(value)

    def _read_moment(self, value: datetime) -> Any:
        # Drivers make infinity the last moment that Python has.
        if value.replace(tzinfo=None) in (datetime.max, datetime.min):
            raise UnreadableValueError(NO_DATE)
        if value.tzinfo is None and self._timezone is None:
            raise UnreadableValueError(f"is a time without a time zone; {NAIVE_HINT}")
        if value.tzinfo is None and self._timezone and _is_skipped(value, self._timezone):
            raise UnreadableValueError(
                f"is a time that {self._timezone} does not have, as its clocks went forward then; check"
                " 'sql_timezone'"
            )
        return self._reader.read(value)


def _is_skipped(value: datetime, zone: tzinfo) -> bool:
    """Return whether the clocks of a zone were set from before a moment to after it."""
    moment = datetime.combine(value.date(), value.time(), zone)  # pandas would shift its own times
    if moment.utcoffset() == moment.replace(fold=1 - moment.fold).utcoffset():
        return False
    there_and_back = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return there_and_back.replace(tzinfo=None) != moment.replace(tzinfo=None)


def _text(value: str) -> Any:
    if "\0" in value:
        return Unreadable("has a NUL character, which no text may have")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return Unreadable("is no valid Unicode text")
    return value
