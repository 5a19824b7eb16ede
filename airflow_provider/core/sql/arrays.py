"""Arrays of PostgreSQL whose types its drivers do not know, such as those of enums: lists, not texts."""

from __future__ import annotations

from typing import Any

_ARRAYS = """
SELECT t.oid::bigint, t.typarray::bigint FROM pg_type t
WHERE t.oid >= 16384 AND t.typarray <> 0 AND t.typtype IN ('b', 'd', 'e') AND t.typcategory <> 'A'"""
"""Types that a user or an extension has made; composites have arrays of another form."""

_UUID_ARRAY = 2951
"""Id of the type ``uuid[]``, whose values psycopg 2 returns as texts."""


def read_arrays_with_psycopg(cursor: Any) -> None:
    """Make the cursor return arrays of other types as lists of texts.

    :param cursor: a cursor of psycopg 3, in the query's transaction.
    """
    from psycopg.types import TypeInfo

    for oid, array_oid in cursor.execute(_ARRAYS).fetchall():
        if cursor.adapters.types.get(oid) is None:
            TypeInfo(str(oid), oid, array_oid).register(cursor)


def read_arrays_with_psycopg2(connection: Any, cursor: Any) -> None:
    """Make the cursor return arrays of other types, and of uuid, as lists of texts.

    :param connection: its connection.
    :param cursor: a cursor of psycopg 2.
    """
    from psycopg2 import extensions

    with connection.cursor(cursor_factory=extensions.cursor) as asking:
        asking.execute(_ARRAYS)
        found = tuple(array_oid for _, array_oid in asking.fetchall())
    texts = extensions.new_array_type((_UUID_ARRAY, *found), extensions.UNICODE.name, extensions.UNICODE)
    extensions.register_type(texts, cursor)
