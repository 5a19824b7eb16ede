"""Dates of PostgreSQL that Python does not have: unreadable values, where a driver would end the query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider.core.input.values import Unreadable

NO_DATE = "is infinity, or a date outside the years 1 to 9999"


def tolerate_dates_of_psycopg(cursor: Any) -> None:
    """Make dates that Python does not have unreadable values, where the driver would end the query."""
    from psycopg import DataError
    from psycopg.types import datetime as types

    def tolerant(base: Any) -> Any:
        def load(self: Any, data: Any) -> Any:
            try:
                return base.load(self, data)
            except DataError:
                return Unreadable(NO_DATE)

        return type(base.__name__, (base,), {"load": load})

    for name, loader in {
        "date": types.DateLoader,
        "timestamp": types.TimestampLoader,
        "timestamptz": types.TimestamptzLoader,
        "time": types.TimeLoader,
        "timetz": types.TimetzLoader,
        "interval": types.IntervalLoader,
    }.items():
        cursor.adapters.register_loader(name, tolerant(loader))


def tolerate_dates_of_psycopg2(cursor: Any) -> None:
    """Make dates that Python does not have unreadable values; the driver makes infinity the year 9999."""
    from psycopg2 import DataError, extensions

    def tolerant(base: Any) -> Callable[[Any, Any], Any]:
        def load(value: Any, at: Any) -> Any:
            if value is not None and (value.endswith("infinity") or value.startswith("24:")):
                return Unreadable(NO_DATE)
            try:
                return base(value, at)
            except (ValueError, OverflowError, DataError):
                return Unreadable(NO_DATE)

        return load

    # The ids of PostgreSQL's types, each with that of its array.
    for oid, array_oid, base in (
        (1083, 1183, extensions.PYTIME),
        (1266, 1270, extensions.PYTIME),
        (1082, 1182, extensions.PYDATE),
        (1114, 1115, extensions.PYDATETIME),
        (1184, 1185, extensions.PYDATETIMETZ),
        (1186, 1187, extensions.PYINTERVAL),
    ):
        kind = extensions.new_type((oid,), base.name, tolerant(base))
        extensions.register_type(kind, cursor)
        extensions.register_type(extensions.new_array_type((array_oid,), base.name, kind), cursor)
