"""Fields of a dataset: values of rows in the form that the dataset stores, and their comparison."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any

from airflow_provider.amigocloud.sync.geometry import fitted, read_geometry, read_stored
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.values import (
    UnreadableValueError,
    normal_key,
    read_boolean,
    read_integer,
    read_moment,
    read_number,
    read_text,
    shown_value,
)

_KINDS = {
    **dict.fromkeys(("string", "text", "uuid", *(f"unknown({oid})" for oid in (19, 25, 1042, 1043))), "text"),
    **dict.fromkeys(("integer", "bigint", "smallint"), "integer"),
    **dict.fromkeys(("float", "number", "real", "double", "double precision"), "number"),
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "datetime": "moment",
    "geometry": "geometry",
    "unknown(2950)": "uuid",
}
"""Reader of values by the type of a field; those of any other type are sent and compared as they are."""

_PLAIN: Mapping[str, type] = {"text": str, "integer": int, "boolean": bool}
_TEXT_BOOLEANS = {"t": True, "f": False}
"""PostgreSQL's texts of booleans."""

_INT64_END = 2**63

_FLOAT4_DIGITS = 9
"""Maximum digits of a number of 32 bits."""


@dataclass(frozen=True)
class Field:
    """Field of a dataset.

    :param name: its name.
    :param type: its type, as the service names it.
    :param nullable: whether it may be null.
    :param max_length: maximum characters of a text; None for no limit.
    :param geometry_type: declared type of its geometries; empty for any.
    """

    name: str
    type: str
    nullable: bool = True
    max_length: int | None = None
    geometry_type: str = ""

    @cached_property
    def kind(self) -> str:
        """Name of the reader of its values; ``json`` for a type that this module does not know."""
        return _KINDS.get(self.type.lower(), "json")

    @cached_property
    def plain(self) -> Any:
        """Type of values that a dataset returns as rows have them, apart from :meth:`fits`; None for none."""
        return _PLAIN.get(self.kind)

    def fits(self, value: Any) -> bool:
        """Return whether a value of the type :attr:`plain` is sent as it is; checks most values quickly."""
        if self.plain is str:
            return bool(value.isascii()) and len(value) <= (self.max_length or len(value))
        return self.plain is bool or bool(-_INT64_END <= value < _INT64_END)

    def read(self, value: Any) -> Any:
        """Return a row's value as it is sent, which is as the dataset returns it.

        :param value: the value as JSON has it, or a geometry in any form; not None.
        :raises UnreadableValueError: when it is of another type.
        """
        found = _READERS[self.kind](value)
        if self.kind == "geometry":
            return fitted(found, self.geometry_type).to_hex()
        if self.max_length is not None and isinstance(found, str) and len(found) > self.max_length:
            raise UnreadableValueError(f"has {len(found)} characters; the field holds {self.max_length}")
        return found

    def is_equal(self, found: Any, wanted: Any) -> bool:
        """Return whether a value of the dataset is the one that is wanted.

        :param found: the value, as the service returned it.
        :param wanted: what :meth:`read` returned, or None.
        """
        if found == wanted and isinstance(found, bool) == isinstance(wanted, bool):
            return True
        if found is None or wanted is None:
            return self.kind == "geometry" and not found and not wanted
        if self.kind == "json":
            return bool(_decoded(found) == _decoded(wanted) or found == _array_text(wanted))
        try:
            there = self._normal(found)
        except UnreadableValueError:
            return False
        return bool(there == wanted or (self.kind == "number" and there == _as_float4(wanted)))

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
        return _READERS[self.kind](found)


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


def _as_float4(number: Any) -> Any:
    """Return a number as a column of 32 bits returns it: with the fewest digits that tell it apart."""
    try:
        packed = struct.pack("<f", number)
    except (OverflowError, struct.error):
        return number
    (rounded,) = struct.unpack("<f", packed)
    for digits in range(6, _FLOAT4_DIGITS):
        if struct.pack("<f", found := float(f"{rounded:.{digits}g}")) == packed:
            return found
    return float(f"{rounded:.{_FLOAT4_DIGITS}g}")


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


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "text": _read_plain_text,
    "integer": read_integer,
    "number": read_number,
    "boolean": read_boolean,
    "date": _read_date,
    "time": _read_time,
    "moment": lambda value: _row_time(read_moment(value)),
    "geometry": read_geometry,
    "uuid": lambda value: _read_plain_text(value).strip().lower(),
    "json": lambda value: value,
}


class Schema:
    """Fields of a dataset by name.

    :param fields: the fields, as the service describes them.
    """

    def __init__(self, fields: Iterable[Mapping[str, Any]]) -> None:
        self.fields = {found.name: found for found in map(_read_field, fields)}
        self.fields.setdefault(KEY, Field(KEY, "string", nullable=False))

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
