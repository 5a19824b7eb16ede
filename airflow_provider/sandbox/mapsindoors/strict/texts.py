"""Texts: values that the service keeps as texts, and keys of properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

ID = re.compile(r"[0-9a-f]{24}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INDEX = re.compile(r"-?\d{1,9}", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_DAY_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])[Mm])?", re.ASCII)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def is_instant(text: str) -> bool:
    """Return whether a text is a time with its zone: ``2015-01-16T07:09:00Z``."""
    if not _INSTANT.fullmatch(text):
        return False
    try:
        # Python takes microseconds, .NET ten times as fine ones.
        datetime.fromisoformat(re.sub(r"(\.\d{6})\d", r"\1", text))
    except ValueError:
        return False
    return True


def is_index(text: str, strict: bool) -> bool:
    """Return whether a text is the index of a floor."""
    return bool(_INDEX.fullmatch(text)) if strict else text.lstrip("-").isdigit()


def is_time_of_day(text: str) -> bool:
    """Return whether a text is a time of day, of 24 or of 12 hours."""
    found = _DAY_TIME.fullmatch(text)
    if not found:
        return False
    hour, minute, second, half = found.groups()
    most = (1, 12) if half else (0, 23)
    return most[0] <= int(hour) <= most[1] and int(minute) < 60 and int(second or 0) < 60


def _is_flag(text: str) -> bool:
    return text.lower() in {"true", "false"}


Rule = tuple[str, Callable[[str], bool]]
_DATE: Rule = ("Must be a time with its zone, such as 2015-01-16T07:09:00Z.", is_instant)
DATES: Mapping[str, Rule] = {"activefrom": _DATE, "activeto": _DATE}
NUMBERS: Mapping[str, Rule] = {
    "capacity": ("Must be a whole number, 0 or more.", lambda text: bool(_COUNT.fullmatch(text))),
    "defaultfloor": ("Must be the index of a floor.", lambda text: bool(_INDEX.fullmatch(text))),
    "obstacle": ("Must be true or false.", _is_flag),
}
"""Message and test of base type properties whose texts have a form."""


def text_problems(given: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """Yield the problems of base type properties; an empty text clears a property.

    :param given: the properties.
    :param rules: message and test by property.
    """
    for name, (message, fits) in rules.items():
        text = given.get(name)
        if text not in (None, "") and not (isinstance(text, str) and fits(text)):
            yield f"baseTypeProperties.{name}", message


def key_problems(keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the problems of property keys: blanks around names and languages, and control characters."""
    for key in keys:
        parts = key.split("@")
        if any(part != part.strip() for part in parts) or not key.isprintable():
            yield f"properties.{key}", "A key has no blanks around its name and language."


def twice(keys: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a problem for each property key that differs from an earlier one in case only."""
    seen: set[str] = set()
    for key in keys:
        if key.lower() in seen:
            yield f"properties.{key}", "An item with the same key has already been added."
        seen.add(key.lower())
