"""Exact values: what a column would round or cut is found before the database does it without a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.rows import SourceColumn

_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?\s*", re.ASCII)
_DECIMAL = re.compile(
    r"(?:(?:numeric|decimal|dec|number)\s*\(\s*(\d+)\s*|(?:float|double)\s*\(\s*(\d+)\s*(?=,))"
    r"(?:,\s*(-?\d+)\s*)?\)",
    re.IGNORECASE,
)

_SECONDS = re.compile(r"(?:timestamp|datetime|time|interval)[a-z ]*\(\s*(\d)\s*\)", re.IGNORECASE)

_LENGTH = re.compile(r"(?:character varying|varchar)\((\d+)\)")

SHORT_YEAR = (
    r"^\s*(?:[0-9]{1,3}[^0-9]\s*(?:[0-9]{1,2}|[A-Za-z]+)[^0-9]\s*[0-9]{1,3}(?:[^0-9]|$)"
    r"|[A-Za-z]+[^0-9A-Za-z]+[0-9]{1,2}[^0-9]+[0-9]{1,3}(?:[^0-9]|$)|[0-9]{6}(?:[^0-9]|$))"
)
"""Pattern of dates whose year databases complete: ``24-01-05``, ``05-Jan-24``, ``Jan 5, 24``, ``240105``."""

HAS_SHORT_YEAR = (
    "has a year of fewer than four digits, of which a database makes one of this century or the last"
)

_ITEM = re.compile(r"[^{},\"\s]+")
"""Item of the text of an array; a text without braces is one item."""

_MIDNIGHT = re.compile(
    r"(?<=\d)(?:[Tt]|\s+)00?(?::?00(?::?00(?:\.0+)?)?)?\s*(?:[Zz]|UTC|[+-]00(?::?00)?)?(?=$|[\",}\s])"
)
_TIME = re.compile(r":|\d[Tt]\d")

_MORE_THAN_TIME = re.compile(r"[0-9]\s*[-+][0-9]|[0-9/]\s+(?![AaPp]\.?[Mm]|UTC)[0-9A-Za-z]")

DROPS_TIME = "does not fit its type: it has a time of day or a zone, which a date drops"

_SAFE_DIGITS = 15
"""Digits that a 64-bit float keeps, whatever they are."""

_AHEAD, _PLACES = 28, 10
"""Digits before and behind the point that a new column has room for."""

_LONGEST = 400
"""Maximum exponent of a number that is written out; no column holds a longer one."""


class UnfitError(ValueError):
    """A value that its column would change; the message has no value.

    :param problem: what is wrong, behind the column's name.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def read_number(text: str) -> Decimal | None:
    """Return the number that a text is; None for any other text."""
    return Decimal(text.strip()) if _NUMBER.fullmatch(text) else None


def whole(text: str) -> str:
    """Return a whole number without fraction and exponent: ``12`` for ``12.0``, ``1000`` for ``1e3``.

    A text that is no number is returned as it is, for the database to refuse.

    :raises UnfitError: for a number with a fraction.
    """
    if text.isdecimal():
        return text
    number = read_number(text)
    if number is None or number.adjusted() > _LONGEST:
        return text
    if places_of(number) > 0:
        raise UnfitError("does not fit its type: it is no whole number")
    return format(number, "f").partition(".")[0]


def places_of(number: Decimal) -> int:
    """Return how many decimals a number has, without zeros at its end."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or not number:
        return 0
    zeros = 0
    while digits[-1 - zeros] == 0:
        zeros += 1
    return max(-exponent - zeros, 0)


def scale_of(declared: str) -> int | None:
    """Return the decimals that a type keeps, such as 2 for ``numeric(10,2)``; None when it keeps any.

    :param declared: the type, as the database writes it.
    """
    found = _DECIMAL.match(declared)
    return int(found.group(3) or 0) if found else None


def length_of(declared: str) -> int | None:
    """Return the characters that a type of texts keeps, such as 3 for ``varchar(3)``; None for any number.

    :param declared: the type, as the database writes it.
    """
    found = _LENGTH.fullmatch(declared)
    return int(found.group(1)) if found else None


def seconds_of(declared: str, usual: int) -> int:
    """Return the decimals of seconds that a type keeps, such as 3 for ``time(3)``.

    :param declared: the type, as the database writes it.
    :param usual: what it keeps without a number.
    """
    found = _SECONDS.match(declared)
    return int(found.group(1)) if found else usual


def check_scale(text: str, scale: int) -> str:
    """Return the text of a number, or of an array of numbers.

    :param scale: the decimals that its column keeps.
    :raises UnfitError: for a number that would be rounded.
    """
    for item in _ITEM.findall(text):
        number = read_number(item)
        if number is not None and places_of(number) > scale:
            raise UnfitError(f"does not fit its type: it has more than {scale} decimals")
    return text


def check_date(text: str) -> str:
    """Return the text of a date.

    :raises UnfitError: for a moment of which the column would drop the time or the zone.
    """
    if has_time(text):
        raise UnfitError(DROPS_TIME)
    return text


def check_time(text: str) -> str:
    """Return the text of a time of day.

    :raises UnfitError: for one with a date or another zone than UTC, which the column would drop.
    """
    if _MORE_THAN_TIME.search(text):
        raise UnfitError("does not fit its type: it has a date or a zone, which a time of day drops")
    return text


def has_time(text: str) -> bool:
    """Return whether a text of one date or of several has a time or a zone, but midnight of UTC."""
    if len(text) <= len("2026-01-01"):
        return False
    return _TIME.search(_MIDNIGHT.sub("", text)) is not None


MICROSECONDS = 6
"""Decimals of seconds that databases keep at most."""


def finer_than(decimals: int) -> str:
    """Return a pattern of texts of times, and of lengths of time, whose seconds have more decimals."""
    more = rf"[.,][0-9]{{{decimals}}}[0-9]*[1-9]"
    return rf"(?::[0-9]{{2}}|[Tt][0-9]{{6}}){more}|{more}\s*[sS]"


def too_fine(decimals: int) -> str:
    """Return the problem of a time whose seconds have more decimals than its column keeps."""
    if decimals == MICROSECONDS:
        return "does not fit its type: it is finer than a microsecond"
    return "does not fit its type: its seconds have more decimals than the column keeps"


def is_double(text: str) -> bool:
    """Return whether a 64-bit float keeps a number: written out again, it is the same.

    :param text: a number of JSON.
    """
    if len(text) <= _SAFE_DIGITS and "e" not in text and "E" not in text:
        return True
    number = Decimal(text)
    near = float(text)
    return near not in (float("inf"), float("-inf")) and Decimal(repr(near)) == number


def decimal_type(column: SourceColumn, name: str, most: Sequence[int], most_places: int) -> str:
    """Return the type that keeps a column's decimals; empty when there is none.

    A Parquet file names its decimals' digits. Those of JSON are counted, and the type has room for more.

    :param name: the type's name.
    :param most: the digits that a type may have, ascending.
    :param most_places: the decimals that it may have.
    """
    ahead, places = column.digits or (_AHEAD, _PLACES)
    if column.form == "arrow":
        fits = ahead + places <= most[-1] and places <= most_places
        return f"{name}({max(ahead + places, 1)},{places})" if fits else ""
    for digits in most:
        scale = max(places, min(_PLACES, digits - ahead))
        if ahead + scale <= digits and scale <= most_places:
            return f"{name}({digits},{scale})"
    return ""


def stored_number(text: str) -> int | float | str:
    """Return a number of JSON as the type of Python that keeps it; as its text when none does.

    :param text: the number.
    """
    if text.lstrip("-").isdecimal():
        return int(text)
    return float(text) if is_double(text) else text


def in_utc(value: Any) -> Any:
    """Return a moment with a zone as one without, in UTC; all else as it is."""
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return value
