"""Value reader: turn any Python, NumPy, pandas or database value into a JSON value, or refuse it.

Rows come from pandas, SQL, Parquet, CSV and people. Every vendor reads their values here, so that one value
means the same everywhere. No data library is imported: a library's scalar is known by its type's module.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

from airflow_provider.core.redaction import redact

_AS_TEXT = (UUID, IPv4Address, IPv6Address, IPv4Interface, IPv6Interface, IPv4Network, IPv6Network)
_BINARY = (bytes, bytearray, memoryview)
_INTEGER = r"[+-]?[0-9]+(\.0*)?"
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_BOOLEANS = {"true": True, "false": False}
_NO_YEAR = "is a time outside the years 1 to 9999"
_MAX_DEPTH = 100
"""Maximum nesting of lists and objects in one value."""

_MAX_NAMED = 8
"""Maximum keys in the path to a value in an error."""

_INTEGER_DIGITS = 20
"""Digits that a whole number of 64 bits has at most."""

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64
"""Bounds of integers that JSON encoders keep exactly: the first one, and the one after the last."""

SHORT = 16
"""Characters of a number of JSON up to which a float has the same digits."""

_MAX_DIGITS = 400
"""Maximum digits of a number, and characters of a text that is read as an integer: no type holds more."""

_SHOWN = 60
"""Maximum characters of a value that an error repeats."""


_hidden: ContextVar[bool] = ContextVar("hidden", default=False)
"""Whether errors have no values of rows."""


class _Absent:
    """The type of :data:`ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Any = _Absent()
"""A value that the row does not have (NaN, ``pandas.NA``, ``NaT``); different from None, which is null."""


class Unreadable:
    """A value of a database that has no JSON form: a problem of its row only where it is used.

    :param problem: completes "field 'x' …".
    """

    __slots__ = ("problem",)

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def __repr__(self) -> str:
        return "a value that cannot be read"


class UnreadableValueError(ValueError):
    """A value that cannot be read; the message completes "field 'x' …"."""


class ValueReader:
    """Reader of one source's values.

    :param naive: the time zone that a date and time without one is in; None refuses such a value.
    :param nan_is_absent: NaN means that the row has no value, as in pandas and files. False refuses NaN, as
        for SQL, which has NULL.
    """

    def __init__(self, naive: tzinfo | None = None, nan_is_absent: bool = True) -> None:
        self.naive = naive
        self.nan_is_absent = nan_is_absent
        self._by_type: dict[type, Callable[[Any], Any]] = {
            Decimal: self._decimal,
            datetime: self._moment,
            date: date.isoformat,
            UUID: str,
        }

    def read(self, value: Any) -> Any:
        """Return a value as JSON has it: None, bool, int, float, str, list or dict; :data:`ABSENT` for NaN.

        Decimals become numbers, UUIDs, addresses and enums their text or value, dates ISO 8601, a date and
        time UTC with ``Z``. NaN within a list is null, and within an object is left out.

        :raises UnreadableValueError: for any other type, for infinities, bytes, and times without a zone.
        """
        return self._read(value, 0)

    def _read(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return _checked_text(value)
        if kind is int:
            return _checked_integer(value)
        if value is None or kind is bool or value is ABSENT:
            return value
        if kind is float:
            return self._float(value)
        if (reader := self._by_type.get(kind)) is not None:
            return reader(value)
        if depth > _MAX_DEPTH:
            raise UnreadableValueError(f"is nested more than {_MAX_DEPTH} levels deep")
        library = kind.__module__.partition(".")[0]
        if library in _LIBRARIES:
            return self._read(self._of_library(value, library), depth + 1)
        return self._of_python(value, depth)

    def _of_python(self, value: Any, depth: int) -> Any:
        if isinstance(value, Unreadable):
            raise UnreadableValueError(value.problem)
        if isinstance(value, (dict, Mapping)):  # A dict alone is found in a tenth of the time.
            return self._object(value, depth)
        if isinstance(value, (list, tuple)):
            items = (self._read(item, depth + 1) for item in value)
            return [None if item is ABSENT else item for item in items]
        if isinstance(value, Enum):
            return self._read(value.value, depth + 1)
        for kinds, read in self._readers():
            if isinstance(value, kinds):
                return read(value)
        raise UnreadableValueError(f"is a {_type_name(value)}, which has no JSON form")

    def _readers(self) -> tuple[tuple[Any, Callable[[Any], Any]], ...]:
        return (
            (str, lambda value: _checked_text(str.__str__(value))),
            (int, lambda value: _checked_integer(int(value))),
            (float, lambda value: self._float(float(value))),
            (Decimal, self._decimal),
            (datetime, self._moment),
            (date, date.isoformat),
            (time, time.isoformat),
            (_AS_TEXT, str),
            (_BINARY, _refuse_bytes),
        )

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnreadableValueError(f"has the key {shown_value(key)}, which is no text")
            try:
                read = self._read(item, depth + 1)
            except UnreadableValueError as problem:
                if depth >= _MAX_NAMED:
                    raise
                raise UnreadableValueError(f"at {key!r} {problem}") from None
            if read is not ABSENT:
                found[_checked_text(str(key))] = read
        return found

    def _float(self, value: float) -> Any:
        if math.isfinite(value):
            return value
        if math.isnan(value):
            return self._nan()
        raise UnreadableValueError(f"is {value}, which is no JSON number")

    def _decimal(self, value: Decimal) -> Any:
        if value.is_nan():
            return self._nan()
        if value.is_infinite():
            raise UnreadableValueError(f"is {value}, which is no JSON number")
        if value == value.to_integral_value():
            if value.adjusted() < _INTEGER_DIGITS:
                return _checked_integer(int(value))
            # A column of whole decimals may hold ids: a float that is near is no such number.
            if Decimal(repr(float(value))) != value:
                return _checked_integer(_MAX_INTEGER)
        return self._float(float(value))

    def _moment(self, value: datetime) -> Any:
        if value.tzinfo is None and self.naive is None:
            shown_time = "a time" if hides_values() else f"the time {value.isoformat()}"
            raise UnreadableValueError(f"is {shown_time} without a time zone; {NAIVE_HINT}")
        return utc_text(value if value.tzinfo else value.replace(tzinfo=self.naive))

    def _nan(self) -> Any:
        if self.nan_is_absent:
            return ABSENT
        raise UnreadableValueError("is NaN; select NULL for a value that is not there")

    def _datetime64(self, value: Any) -> Any:
        if value != value:  # NaT alone differs from itself.
            return self._nan()
        # Years first: NumPy converts to microseconds without a word when they overflow.
        if not 1 <= 1970 + int(value.astype("datetime64[Y]").astype("int64")) <= 9999:
            raise UnreadableValueError(_NO_YEAR)
        days = value.dtype.str.endswith("[D]")
        return value.item() if days else value.astype("datetime64[us]").item()

    def _of_library(self, value: Any, library: str) -> Any:
        name = type(value).__name__
        if name in ("NAType", "NaTType"):
            return self._nan()
        if library == "pandas" and name == "Timestamp":
            if not 1 <= value.year <= 9999:
                raise UnreadableValueError(_NO_YEAR)
            return value.to_pydatetime(warn=False)
        if name == "datetime64":
            return self._datetime64(value)
        if name == "ndarray" and (value.ndim or value.dtype.kind in _TIMES):
            return _items(value)
        if hasattr(value, "item") and getattr(value, "shape", None) == () and name != "timedelta64":
            plain = value.item()
            if type(plain).__module__.partition(".")[0] not in _LIBRARIES:
                return plain
        if hasattr(value, "as_py"):
            try:
                return value.as_py()
            except (ValueError, OverflowError) as error:  # such as a time after year 9999
                raise UnreadableValueError(f"is a {_type_name(value)} that cannot be read: {error}") from None
        raise UnreadableValueError(f"is a {_type_name(value)}, which has no JSON form")


def _items(array: Any) -> Any:
    """Return the items of a NumPy array, or its only one; of nanoseconds ``tolist`` would make numbers."""
    if array.dtype.kind not in _TIMES:
        return array.tolist()
    return list(array) if array.ndim else array[()]


_TIMES = frozenset("mM")
"""Kinds of NumPy's types of times and durations."""

_LIBRARIES = frozenset({"numpy", "pandas", "pyarrow"})
NAIVE_HINT = "state its zone (for a query: sql_timezone, or AT TIME ZONE)"


def is_missing(value: Any) -> bool:
    """Return whether a value is null, NaN, an empty text or blanks, or an empty list or object."""
    if isinstance(value, str):
        return is_blank(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return not value
    try:
        read = ValueReader().read(value)
    except UnreadableValueError:
        return False
    return read is None or read is ABSENT


def is_blank(text: str) -> bool:
    """Return whether a text has no character that can be seen: blanks, control and format characters."""
    if text[:1].isalnum():  # As nearly all texts do, and this takes a fifth of the time.
        return False
    return all(one.isspace() or unicodedata.category(one) in ("Cc", "Cf") for one in text)


class JsonNumber(float):
    """A number of JSON with so many digits that a float may not hold all of them.

    :param text: the digits.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def read(cls, text: str) -> float:
        """Return a number with a fraction; one of many digits with its text. A ``float_hook`` of msgspec."""
        return float(text) if len(text) <= SHORT else cls(text)


def exact_number(value: Decimal) -> int | float | str:
    """Return a finite decimal as a number of JSON that has the same digits; as text when there is none.

    Equal decimals have equal results.

    :raises UnreadableValueError: when it has hundreds of digits.
    """
    if abs(value.adjusted()) > _MAX_DIGITS or len(value.as_tuple().digits) > _MAX_DIGITS:
        raise UnreadableValueError(f"has more than {_MAX_DIGITS} digits")
    if value == value.to_integral_value() and _MIN_INTEGER <= value < _MAX_INTEGER:
        return int(value)
    number = float(value)
    if Decimal(repr(number)) == value:
        return number
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_exact(value: Decimal) -> None:
    """Refuse a decimal that has more digits than a number of 64 bits.

    :raises UnreadableValueError: when digits would be lost.
    """
    if value.is_finite() and value != value.to_integral_value() and Decimal(repr(float(value))) != value:
        raise UnreadableValueError("has more digits than a number of 64 bits; round it in the source")


def read_integer(value: Any, least: int | None = None) -> int:
    """Return a whole number from a number or a text: ``0``, ``0.0`` and ``"0"`` are 0.

    :param value: what :meth:`ValueReader.read` returned.
    :param least: smallest value allowed.
    :raises UnreadableValueError: when it is no whole number, or too small.
    """
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and re.fullmatch(_INTEGER, value.strip()):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableValueError(f"must be a whole number, not {shown_value(value)}")
    if least is not None and value < least:
        raise UnreadableValueError(f"must be a whole number of at least {least}, not {shown_value(value)}")
    return value


def read_number(value: Any) -> int | float:
    """Return a number from a number or a text; a whole one as an integer.

    :param value: what :meth:`ValueReader.read` returned.
    :raises UnreadableValueError: when it is none; a decimal comma is named.
    """
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(_NUMBER, text):
            comma = " (a decimal point is needed, not a comma)" if "," in text else ""
            raise UnreadableValueError(f"must be a number, not {shown_value(value)}{comma}")
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise UnreadableValueError(f"must be a number, not {shown_value(value)}")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def read_boolean(value: Any) -> bool:
    """Return a boolean from a boolean, 0 or 1, or the texts ``true`` and ``false``.

    :raises UnreadableValueError: when it is none of these.
    """
    if isinstance(value, str):
        value = _BOOLEANS.get(value.strip().lower(), value)
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise UnreadableValueError(f"must be true or false, not {shown_value(value)}")


def read_text(value: Any) -> str:
    """Return a text from a text, a number or a boolean, as the services write them: ``4``, ``2.5``, ``true``.

    :raises UnreadableValueError: when it is null, a list or an object.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_INTEGER:
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UnreadableValueError(f"must be a text, not {shown_value(value)}")


def read_moment(value: Any, naive: tzinfo | None = None) -> datetime:
    """Return a date and time from ISO 8601 text; a date alone is its midnight in ``naive``, or in UTC.

    :param value: what :meth:`ValueReader.read` returned, or a ``date`` or ``datetime``.
    :param naive: the zone of a time without one; None refuses it.
    :raises UnreadableValueError: when it is no date, or its zone is not known.
    """
    found = value if isinstance(value, date) else _read_iso(value)
    if not isinstance(found, datetime):
        return datetime(found.year, found.month, found.day, tzinfo=naive or UTC)
    if found.tzinfo is None:
        if naive is None:
            raise UnreadableValueError(
                f"is the time {shown_value(value)} without a time zone; add one, such as Z"
            )
        found = found.replace(tzinfo=naive)
    return found


def _read_iso(value: Any) -> date:
    """Return the date of a text in ISO 8601, or its date and time."""
    if isinstance(value, str):
        for read in (date.fromisoformat, datetime.fromisoformat):
            with suppress(ValueError):
                return read(value.strip())
    raise UnreadableValueError(f"must be a date in ISO 8601, such as 2026-01-31, not {shown_value(value)}")


def utc_text(moment: datetime) -> str:
    """Return a moment in ISO 8601, in UTC with ``Z``; fractions of a second only where there are any.

    :raises UnreadableValueError: when the moment leaves the years 1 to 9999 in UTC.
    """
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        shown_time = "a time" if hides_values() else f"the time {moment.isoformat()}"
        raise UnreadableValueError(f"is {shown_time}, outside the years 1 to 9999") from None


def normal_key(text: str) -> str:
    """Return a key in its normal form: Unicode NFC, without blanks or no-break spaces around it."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", text).strip().strip("\ufeff\u200b").strip()


def shown(value: Any) -> str:
    """Return a value for an error, on one line and cut short."""
    text = "a missing value" if value is ABSENT else redact(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def shown_value(value: Any) -> str:
    """Return a value of a row for an error: as :func:`shown` does, or its kind within :func:`hide_values`."""
    return _described(value) if hides_values() else shown(value)


def hides_values() -> bool:
    """Return whether values of rows are kept out of errors."""
    return _hidden.get()


@contextmanager
def hide_values() -> Iterator[None]:
    """Keep values of rows out of errors, because they are private: those of a database."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


def _described(value: Any) -> str:
    if value is None or value is ABSENT or isinstance(value, (bool, Unreadable)):
        return shown(value)
    if isinstance(value, str):
        return f"a text of {len(value)} characters" if value else "an empty text"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else f"a value of the type {type(value).__name__}"


def _checked_text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        shown_text = "a text" if hides_values() else f"{value!a:.60}"
        raise UnreadableValueError(f"is {shown_text}, which is no valid Unicode text") from None
    return value


def _checked_integer(value: int) -> int:
    if not _MIN_INTEGER <= value < _MAX_INTEGER:
        raise UnreadableValueError("is a whole number of more than 64 bits")
    return value


def _refuse_bytes(value: Any) -> Any:
    raise UnreadableValueError(f"is binary ({len(value)} bytes); only a geometry may be")


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
