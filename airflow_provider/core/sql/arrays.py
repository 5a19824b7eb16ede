"""Types of PostgreSQL that its drivers do not know: arrays as lists, and ranges as unreadable values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql.values import RANGE

_TYPES = """
SELECT t.oid::bigint, t.typarray::bigint, t.typtype::text, t.typbasetype::bigint FROM pg_type t
WHERE t.typarray <> 0 AND t.typcategory <> 'A'
    AND (t.typtype IN ('r', 'm') OR t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e'))"""
"""Ranges, and types that a user or an extension has made; composites have arrays of another form."""

_HAS_COLUMNS = """
SELECT count(*) = 2 FROM pg_attribute
WHERE attrelid = 'pg_type'::regclass AND attname IN ('typarray', 'typcategory')"""
"""Redshift's list of types is that of PostgreSQL 8.0, which has neither; it has no such arrays, either."""

_UUID = (2950, 2951, "b", 0)
"""The type uuid, whose arrays psycopg 2 does not know."""

_RANGES = ("r", "m")


def read_types_with_psycopg(cursor: Any) -> None:
    """Make the cursor return arrays of other types as lists: of texts, or of what a domain is made of.

    :param cursor: a cursor of psycopg 3, in the query's transaction, that reads all other types as it shall.
    """
    from psycopg.adapt import Loader
    from psycopg.pq import Format
    from psycopg.types import TypeInfo

    class RangeLoader(Loader):
        def load(self, _: Any) -> Any:
            return Unreadable(RANGE)

    for oid, array_oid, kind, base in _with_bases(_types(cursor)):
        if cursor.adapters.types.get(oid) is None:
            TypeInfo(str(oid), oid, array_oid).register(cursor)
        loader = RangeLoader if kind in _RANGES else base and cursor.adapters.get_loader(base, Format.TEXT)
        if loader:
            cursor.adapters.register_loader(oid, loader)


def read_types_with_psycopg2(connection: Any, cursor: Any) -> None:
    """Make the cursor return arrays of other types, and of uuid, as lists, as psycopg 3 does.

    :param connection: its connection.
    :param cursor: a cursor of psycopg 2 that reads all other types as it shall.
    """
    from psycopg2 import extensions

    with connection.cursor(cursor_factory=extensions.cursor) as asking:
        found = [_UUID, *_with_bases(_types(asking))]
    known = {**extensions.string_types, **(cursor.string_types or {})}
    for oid, array_oid, kind, base in found:
        reader = _unreadable if kind in _RANGES else known.get(base, extensions.UNICODE)
        item = extensions.new_type((oid,), str(oid), reader)
        array = extensions.new_array_type((array_oid,), str(array_oid), item)
        extensions.register_type(item, cursor)
        extensions.register_type(array, cursor)


def _types(cursor: Any) -> list[tuple[int, int, str, int]]:
    cursor.execute(_HAS_COLUMNS)
    if cursor.fetchone() == (False,):
        return []
    cursor.execute(_TYPES)
    return list(cursor.fetchall())


def _with_bases(types: list[tuple[int, int, str, int]]) -> Iterator[tuple[int, int, str, int]]:
    """Yield types with that of their values: a domain may be one over another domain."""
    bases = {oid: base for oid, _, kind, base in types if kind == "d"}
    for oid, array_oid, kind, base in types:
        while base in bases:
            base = bases[base]  # noqa: PLW2901
        yield oid, array_oid, kind, base


def _unreadable(value: Any, _: Any) -> Any:
    return None if value is None else Unreadable(RANGE)
