"""Values and types: PostgreSQL's as the service reports them in JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq
from psycopg.adapt import Loader, Transformer

from airflow_provider.sandbox.amigocloud.sql.geometry import SRID

if TYPE_CHECKING:
    from psycopg.abc import Buffer

_COLUMN_TYPES = {
    "string": "text",
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "real": "real",
    "number": "numeric",
    "numeric": "numeric",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "datetime": "timestamptz",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "jsonb",
}
"""PostgreSQL's type by type of field; other types are texts, as in the embedded engine."""

_REPORTED = {
    "bool": "boolean",
    "int2": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "float",
    "numeric": "number",
    "date": "date",
    "time": "time",
    "timestamptz": "datetime",
    "text": "string",
    "varchar": "string",
}
"""Names of types in a result's ``columns``; a type without a name is reported by its number."""

_HEADER = 4
"""Bytes that PostgreSQL adds to the length of a text that a type declares."""

_IN_JSON = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "json", "jsonb"})
"""Types whose values have a form in JSON; those of other types are texts, and arrays are lists."""

_SHAPES = re.compile(r"(MULTI)?(POINT|LINESTRING|POLYGON)(Z|M|ZM)?|GEOMETRYCOLLECTION")


def column_type(column: Mapping[str, Any]) -> str:
    """Return PostgreSQL's type of a field."""
    kind = str(column["type"])
    if kind == "geometry":
        shape = str(column.get("geometry_type") or "").upper().replace(" ", "")
        return f"public.geometry({shape if _SHAPES.fullmatch(shape) else 'geometry'}, {SRID})"
    if kind == "string" and isinstance(column.get("max_length"), int):
        return f"varchar({max(1, column['max_length'])})"
    if kind.endswith("[]"):
        return f"{_COLUMN_TYPES.get(kind[:-2], 'text')}[]"
    return _COLUMN_TYPES.get(kind, "text")


class _TextLoader(Loader):
    """Values as PostgreSQL writes them, which no type of Python limits."""

    def load(self, data: Buffer) -> str:
        """Return a value as text."""
        return bytes(data).decode()


class _FloatLoader(Loader):
    """Floats; NaN and infinities become decimals, which are written as Python writes them: not as JSON."""

    def load(self, data: Buffer) -> float | Decimal:
        """Return a float, or a decimal that is no finite number."""
        number = float(bytes(data))
        return number if math.isfinite(number) else Decimal(number)


class _MomentLoader(Loader):
    """Moments in the service's format: ``2025-01-31 14:05:11+00:00``."""

    def load(self, data: Buffer) -> str:
        """Return a moment as text."""
        text = bytes(data).decode()
        return f"{text}:00" if text[-3:-2] in {"+", "-"} else text


def adapt(connection: psycopg.Connection[Any]) -> None:
    """Set how a connection returns values: as JSON has them."""
    for kind in connection.adapters.types:
        if kind.name not in _IN_JSON:
            connection.adapters.register_loader(kind.oid, _TextLoader)
    for name in ("float4", "float8"):
        connection.adapters.register_loader(name, _FloatLoader)
    connection.adapters.register_loader("timestamptz", _MomentLoader)


def _describe(result: pq.abc.PGresult, n: int, geometry: int) -> dict[str, Any]:
    """Return name and type of a result's column."""
    oid, modifier = result.ftype(n), result.fmod(n)
    known = psycopg.adapters.types.get(oid)
    name = known.name if known and known.oid == oid else ""
    kind = "geometry" if oid == geometry else _REPORTED.get(name, f"unknown({oid})")
    label = result.fname(n) or b""
    found: dict[str, Any] = {"name": label.decode(), "type": kind}
    if name == "varchar" and modifier > _HEADER:
        found["max_length"] = modifier - _HEADER
    return found


def read(
    result: pq.abc.PGresult, connection: psycopg.Connection[Any], geometry: int
) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """Return the columns and rows of a result.

    :param geometry: PostGIS's number of the type ``geometry``.
    """
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    columns = [_describe(result, n, geometry) for n in range(result.nfields)]
    return columns, transformer.load_rows(0, result.ntuples, tuple)
