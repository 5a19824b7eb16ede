"""Fields of a dataset: values of rows in the form that the dataset stores, and their comparison."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from airflow_provider.amigocloud.pagination import Column
from airflow_provider.amigocloud.sync.geometry import fitted, in_degrees, read_geometry, read_stored
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.values import (
    JsonNumber,
    UnreadableValueError,
    exact_number,
    normal_key,
    read_boolean,
    read_integer,
    read_moment,
    read_number,
    read_text,
    shown_value,
)

_KINDS = {
    **dict.fromkeys(("string", "text", *(f"unknown({oid})" for oid in (19, 25, 1042, 1043))), "text"),
    **dict.fromkeys(("integer", "bigint", "smallint"), "integer"),
    **dict.fromkeys(("float", "double", "double precision", "unknown(701)"), "double"),
    **dict.fromkeys(("real", "unknown(700)"), "real"),
    **dict.fromkeys(("number", "numeric", "unknown(1700)"), "number"),
    **dict.fromkeys(("uuid", "unknown(2950)"), "uuid"),
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "datetime": "moment",
    "geometry": "geometry",
}
"""Reader of values by the type of a field; those of any other type are sent and compared as they are."""

_PLAIN: Mapping[str, type] = {"text": str, "integer": int, "boolean": bool}
_TEXT_BOOLEANS = {"t": True, "f": False}
"""PostgreSQL's texts of booleans."""

_BITS = {"smallint": 16, "integer": 32}
"""Bits of whole numbers by type; those of other types have 64."""

_MAX_DIGITS = 400
"""Maximum characters of a number as text: no type holds more digits."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")

_UUID = re.compile(r"(?i)(?:urn:uuid:)?(\{?[0-9a-f]{4}(?:-?[0-9a-f]{4}){7}\}?)")
"""A UUID in any form that PostgreSQL or a library writes."""

_NUL = "has the character NUL, which no text of the service holds"


@dataclass(frozen=True)
class Field:
    """Field of a dataset.

    :param name: its name.
    :param type: its type, as the service names it.
    :param nullable: whether it may be null.
    :param max_length: maximum characters of a text; None for no limit.
    :param geometry_type: declared type of its geometries; empty for any.
    :param is_rounded: whether the rows have floats for exact numbers: a float then is each number that is
        nearest to it, because it cannot tell further digits.
    """

    name: str
    type: str
    nullable: bool = True
    max_length: int | None = None
    geometry_type: str = ""
    is_rounded: bool = False

    @cached_property
    def kind(self) -> str:
        """Name of the reader of its values; ``json`` for a type that this module does not know."""
        return _KINDS.get(self.type.lower(), "json")

    @cached_property
    def plain(self) -> Any:
        """Type of values that a dataset returns as rows have them, apart from :meth:`fits`; None for none."""
        return _PLAIN.get(self.kind)

    @cached_property
    def end(self) -> int:
        """Bound of its whole numbers."""
        return int(2 ** (_BITS.get(self.type.lower(), 64) - 1))

    def fits(self, value: Any) -> bool:
        """Return whether a value of the type :attr:`plain` is sent as it is; checks most values quickly."""
        if self.plain is str:
            return value.isascii() and len(value) <= (self.max_length or len(value)) and "\0" not in value
        return self.plain is bool or bool(-self.end <= value < self.end)

    def plain_day(self, value: Any) -> Any:
        """Return a moment for a field of dates as its text: at midnight, its zone does not matter.

        Any other value is returned as it is.
        """
        # ``NaT`` alone differs from itself.
        is_day = self.kind == "date" and isinstance(value, datetime) and value == value
        return value.isoformat() if is_day else value

    def read(self, value: Any) -> Any:
        """Return a row's value as it is sent, which is as the dataset returns it.

        :param value: the value as JSON has it, or a geometry in any form; not None.
        :raises UnreadableValueError: when it is of another type, or the field does not hold it.
        """
        found = _READERS[self.kind](value)
        if self.kind == "geometry":
            return fitted(in_degrees(found), self.geometry_type).to_hex()
        if self.max_length is not None and isinstance(found, str) and len(found) > self.max_length:
            raise UnreadableValueError(f"has {len(found)} characters; the field holds {self.max_length}")
        if self.kind == "integer" and not -self.end <= found < self.end:
            raise UnreadableValueError(
                f"is {shown_value(found)}; the field holds whole numbers from {-self.end} to {self.end - 1}"
            )
        if self.kind == "real" and (_as_float4(found) is None or (found and not _as_float4(found))):
            raise UnreadableValueError(f"is {shown_value(found)}, which no number of 32 bits is near")
        if self.kind in ("text", "json") and _has_nul(found):
            raise UnreadableValueError(_NUL)
        return found

    def is_equal(self, found: Any, wanted: Any) -> bool:
        """Return whether a value of the dataset is the one that is wanted.

        :param found: the value, as the service returned it.
        :param wanted: what :meth:`read` returned, or None.
        """
        if found is None or wanted is None:
            return found is wanted or (self.kind == "geometry" and not found and not wanted)
        if self.kind == "json":
            return _same_json(_decoded(found), _decoded(wanted)) or found == _array_text(wanted)
        if found == wanted and isinstance(found, bool) == isinstance(wanted, bool):
            return True
        try:
            normal, held = self._normal(found), self._held(wanted)
        except UnreadableValueError:
            return False
        if self.is_rounded and isinstance(normal, str) and isinstance(held, float):
            normal = float(normal)
        return bool(normal == held)

    def key_text(self, value: Any) -> str | None:
        """Return a value of the key field as text, equal for equal keys; None for null.

        :param value: what :meth:`read` or the service returned.
        """
        if value is None:
            return None
        if type(value) is int:
            return str(value)
        try:
            return normal_key(read_text(self._normal(value))) or None
        except UnreadableValueError:
            return normal_key(str(value)) or None

    def _normal(self, found: Any) -> Any:
        """Return a value of the dataset in the form of :meth:`read`."""
        if self.kind == "geometry":
            return read_stored(found).to_hex()
        if self.kind == "moment":
            return _row_time(read_moment(found, UTC))
        if self.kind == "boolean" and isinstance(found, str):
            found = _TEXT_BOOLEANS.get(found, found)
        return self._held(_READERS[self.kind](found))

    def _held(self, value: Any) -> Any:
        """Return a number as the field holds it, in 64 or 32 bits; any other value as it is."""
        if self.kind == "double" and isinstance(value, int):
            return float(value)
        return _as_float4(value) if self.kind == "real" else value


def _decoded(value: Any) -> Any:
    """Return a value of JSON from its text, as some services return it; any other value as it is."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _array_text(value: Any) -> str | None:
    """Return an array of numbers or plain texts as PostgreSQL writes it; None for what is none."""
    if not isinstance(value, list):
        return None
    return "{" + ",".join("NULL" if item is None else str(item) for item in value) + "}"


def _same_json(found: Any, wanted: Any) -> bool:
    """Return whether two values of JSON are the same; true is no 1."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same_json(found[name], wanted[name]) for name in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same_json, found, wanted))
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _has_nul(value: Any) -> bool:
    """Return whether a text, or one within lists and objects, has the character NUL."""
    if isinstance(value, dict):
        return any(map(_has_nul, value)) or any(map(_has_nul, value.values()))
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def _as_float4(number: Any) -> Any:
    """Return a number as a column of 32 bits holds it; None when it is too great."""
    try:
        return struct.unpack("<f", struct.pack("<f", number))[0]
    except (OverflowError, struct.error):
        return None


def _row_time(moment: datetime) -> str:
    """Return a moment as rows have it: ``2025-01-31 14:05:11+00:00``."""
    try:
        return moment.astimezone(UTC).isoformat(sep=" ")
    except OverflowError:
        raise UnreadableValueError("is a time outside the years 1 to 9999") from None


def _read_date(value: Any) -> str:
    if isinstance(value, str):
        text = value.strip()
        try:
            if len(text) <= len("2026-W01-1"):
                return date.fromisoformat(text).isoformat()
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is not None and moment.time() == time():
            return moment.date().isoformat()
    raise UnreadableValueError(f"must be a date, such as 2026-01-31, not {shown_value(value)}")


def _read_time(value: Any) -> str:
    try:
        return time.fromisoformat(value.strip()).isoformat()
    except (AttributeError, ValueError):
        raise UnreadableValueError(f"must be a time, such as 14:05:11, not {shown_value(value)}") from None


def _read_plain_text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise UnreadableValueError(f"must be a text, not {shown_value(value)}")
    return read_text(value)


def _read_integer(value: Any) -> int:
    if isinstance(value, str) and len(value.strip()) > _MAX_DIGITS:
        raise UnreadableValueError(f"has {len(value)} characters, more than any number that the field holds")
    return read_integer(value)


def _read_exact(value: Any) -> int | float | str:
    """Return a number with all its digits: as text when no number of 64 bits has them."""
    if isinstance(value, JsonNumber):
        value = value.text
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        if len(value.strip()) > _MAX_DIGITS:
            raise UnreadableValueError(
                f"has {len(value)} characters, more than any number that the field holds"
            )
        value = Decimal(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return exact_number(value) if isinstance(value, Decimal) else _read_double(value)


def _read_double(value: Any) -> int | float:
    """Return a number; a great one as a float, because JSON has whole numbers of 64 bits."""
    found = read_number(value)
    return found if -(2**63) <= found < 2**64 else float(found)


def _read_uuid(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not (found := _UUID.fullmatch(text)):
        raise UnreadableValueError(f"must be a UUID, not {shown_value(value)}")
    return str(UUID(found[1]))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "text": _read_plain_text,
    "integer": _read_integer,
    "double": _read_double,
    "real": _read_double,
    "number": _read_exact,
    "boolean": read_boolean,
    "date": _read_date,
    "time": _read_time,
    "moment": lambda value: _row_time(read_moment(value)),
    "geometry": read_geometry,
    "uuid": _read_uuid,
    "json": lambda value: value,
}


class Schema:
    """Fields of a dataset by name.

    :param fields: the fields, as the service describes them.
    """

    def __init__(self, fields: Iterable[Mapping[str, Any]]) -> None:
        self.fields = {found.name: found for found in map(_read_field, fields)}
        self.fields.setdefault(KEY, Field(KEY, "string", nullable=False))

    def learn(self, columns: Iterable[Column]) -> None:
        """Take the type of numbers of 32 bits from a reply, which tells it where the dataset names a float.

        :param columns: columns of a reply.
        """
        for column in columns:
            field = self.fields.get(column.name)
            if field and field.kind == "double" and _KINDS.get(column.type.lower()) == "real":
                self.fields[column.name] = replace(field, type=column.type)

    def note_floats(self, names: Iterable[str]) -> None:
        """Note the exact numbers for which the rows have floats.

        :param names: names of fields.
        """
        for name in names:
            self.fields[name] = replace(self.fields[name], is_rounded=True)

    @property
    def exact(self) -> frozenset[str]:
        """Names of the fields whose numbers may have more digits than one of 64 bits."""
        return frozenset(name for name, field in self.fields.items() if field.kind == "number")

    @cached_property
    def geometry(self) -> str | None:
        """Name of the only geometry field; None without one, or with several."""
        found = [field.name for field in self.fields.values() if field.kind == "geometry"]
        return found[0] if len(found) == 1 else None


def _read_field(given: Mapping[str, Any]) -> Field:
    length = given.get("max_length")
    return Field(
        str(given["name"]),
        str(given.get("type") or "string"),
        given.get("nullable") is not False,
        length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else None,
        str(given.get("geometry_type") or ""),
    )
