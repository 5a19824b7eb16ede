"""Field values: read the values of rows as the service keeps them, or say what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from airflow_provider.core.input.doubled_keys import unique_keys
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
    shown_value,
    utc_text,
)

Json = dict[str, Any]

READER = ValueReader()
"""Reader of lists and files, in which NaN is a missing value."""

_OBJECT_ID = re.compile("[0-9a-f]{24}")
_EXACT = 2**53
"""Bound of the whole numbers that a float holds exactly."""

_NAMES = ("name", "description")
"""Properties that the service gives a meaning to; their keys are in lower case."""


class OwnFeatureId(str):
    """The id that a GeoJSON feature has beside its properties: of the service, of a table, or of a server."""

    __slots__ = ()


def is_object_id(text: str) -> bool:
    """Return whether a text can be an id of the service: 24 hexadecimal digits."""
    return bool(_OBJECT_ID.fullmatch(text.strip().lower()))


def read_plain(value: Any) -> Any:
    """Return a value as JSON has it; :data:`ABSENT` for a value that is not there."""
    read = READER.read(value)
    return ABSENT if read is None else read


def read_key(value: Any) -> Any:
    """Return a key in its normal form: ``12``, ``12.0`` and ``" 12 "`` are ``12``.

    :raises UnreadableValueError: for booleans, and for floats that are not exact.
    """
    read = read_plain(value)
    if read is ABSENT:
        return read
    if isinstance(read, bool):
        raise UnreadableValueError(f"must be a text, not {shown_value(value)}")
    if isinstance(read, float) and abs(read) >= _EXACT:
        raise UnreadableValueError(
            f"is {shown_value(read)}, a float whose digits are not exact; read it as text"
        )
    return normal_key(read_text(read))


def read_line(value: Any) -> Any:
    """Return a text without blanks around it."""
    read = read_plain(value)
    return read if read is ABSENT else read_text(read).strip()


def read_any_text(value: Any) -> Any:
    """Return a text as it is; numbers and booleans in the service's form."""
    read = read_plain(value)
    return read if read is ABSENT else read_text(read)


def read_id(value: Any) -> Any:
    """Return an id of the service."""
    read = read_plain(value)
    if read is ABSENT:
        return read
    if not isinstance(read, str) or not read.strip():
        raise UnreadableValueError(f"must be a text of 24 hexadecimal digits, not {shown_value(value)}")
    return read.strip()


def read_index(value: Any) -> Any:
    """Return a floor's index as the service keeps it: ``0`` for 0.0; other texts as they are."""
    read = read_key(value)
    if read is ABSENT:
        return read
    try:
        return str(read_integer(read))
    except UnreadableValueError:
        return read


def read_status(value: Any) -> Any:
    """Return the status bits as a whole number."""
    read = read_plain(value)
    try:
        return read if read is ABSENT else read_integer(read)
    except UnreadableValueError:
        return _refuse("must be 0, 1, 2 or 3", value)


def read_coordinate(value: Any) -> Any:
    """Return a coordinate as a number; a text may have a decimal comma."""
    read = read_plain(value)
    if read is ABSENT:
        return read
    if isinstance(read, str) and read.count(",") == 1 and "." not in read:
        read = read.replace(",", ".")
    return float(read_number(read))


def read_texts(value: Any) -> Any:
    """Return a list of texts, from a list, from JSON text, or from ``A;B``."""
    read = read_json(value)
    if isinstance(read, str):
        return [part.strip() for part in read.split(";") if part.strip()]
    if read is ABSENT or not isinstance(read, list):
        return read if read is ABSENT else _refuse("must be a list of texts", value)
    if any(item is None or isinstance(item, (list, dict)) for item in read):
        _refuse("must be a list of texts", value)
    return [read_text(item) for item in read]


def read_json(value: Any) -> Any:
    """Return an object or a list, or the same from JSON text; other values as they are."""
    read = read_plain(value)
    if isinstance(read, str) and read.lstrip().startswith(("{", "[")):
        try:
            return read_plain(json.loads(read, object_pairs_hook=unique_keys))
        except UnreadableValueError:
            raise
        except (ValueError, RecursionError):  # A number of thousands of digits is no JSONDecodeError.
            _refuse("is not JSON", value)
    return read


def read_list(value: Any) -> Any:
    """Return a list of any items, or the same from JSON text."""
    read = read_json(value)
    return read if read is ABSENT or isinstance(read, list) else _refuse("must be a list", value)


def read_object(value: Any) -> Any:
    """Return an object, or the same from JSON text."""
    read = read_json(value)
    return read if read is ABSENT or isinstance(read, dict) else _refuse("must be an object", value)


def _refuse(problem: str, value: Any) -> Any:
    raise UnreadableValueError(f"{problem}, not {shown_value(value)}")


def _read_capacity(value: Any, _: tzinfo | None) -> Any:
    return str(read_integer(value, 0))


def _read_flag(value: Any, _: tzinfo | None) -> Any:
    return read_text(read_boolean(value))


def _read_moment(value: Any, zone: tzinfo | None) -> Any:
    return utc_text(read_moment(value, zone))


_MEMBERS: dict[str, Callable[[Any, tzinfo | None], Any]] = {
    "administrativeid": lambda value, _: read_key(value),
    "defaultfloor": lambda value, _: read_index(value),
    "capacity": _read_capacity,
    "obstacle": _read_flag,
    "activefrom": _read_moment,
    "activeto": _read_moment,
}
"""Readers of base type properties; all others are texts."""


def read_member(key: str, value: Any, zone: tzinfo | None = None) -> Any:
    """Return a base type property as the text that the service keeps; an empty text clears it.

    :param key: the property's key.
    :param value: its value in a row.
    :param zone: the time zone of a date, and of a time without one; None for UTC, and refuses such a time.
    :raises UnreadableValueError: when the value does not fit the property.
    """
    read = read_plain(value)
    if read is ABSENT or read == "":
        return read
    if isinstance(read, (dict, list)):
        raise UnreadableValueError("must be a text, number or boolean")
    reader = _MEMBERS.get(key)
    return reader(read, zone) if reader else read_text(read)


def property_key(name: str) -> str:
    """Return a property's key in the form in which it is sent to a new object.

    The spelling is the user's, because other programs may read it, but for the capitals that headers of
    tables begin with or consist of. ``name``, ``description`` and ``generic`` have the service's spelling.
    """
    key, at, language = normal_key(name).partition("@")
    key = key.strip()
    is_header = key.isupper() or key[1:] == key[1:].lower()
    key = key.lower() if is_header or key.lower() in _NAMES else key
    language = language.strip()
    return f"{key}{at}{'generic' if language.lower() == 'generic' else language}"


@lru_cache(maxsize=4096)
def plain_key(name: str) -> str:
    """Return a property's key as keys are compared: without case, in the normal form of Unicode."""
    return normal_key(name).lower()


def with_members(base: Mapping[str, Any], own: Mapping[str, Any]) -> Json:
    """Return properties with those of another object over them; keys have no case."""
    given = set(map(plain_key, own))
    return {**{key: value for key, value in base.items() if plain_key(key) not in given}, **own}
