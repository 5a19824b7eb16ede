"""SQL dialect: PostgreSQL and PostGIS syntax, as far as clients use it, for SQLite."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from datetime import UTC, datetime

from airflow_provider.sandbox.amigocloud.sql import geometry

_LITERAL = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/)", re.DOTALL)
_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d[T ]\d\d:\d\d[^']*'")
WRITES = ("insert", "update", "delete")
_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)


def statement_kind(sql: str) -> str:
    """Return ``select``, ``insert``, ``update`` or ``delete``, else the first word of a statement."""
    bare = _LITERAL.sub(" ", sql)
    while "(" in bare:
        shorter = re.sub(r"\([^()]*\)", " ", bare)
        if shorter == bare:
            break
        bare = shorter
    words = re.findall(r"[a-z_]+", bare.lower())
    first = words[0] if words else ""
    if first == "with":
        return next((word for word in words if word in WRITES), "select")
    return "select" if first in {"select", "values"} else first


def translate(sql: str) -> str:
    """Translate for SQLite: remove casts (``::text``), replace ILIKE, format moments as they are stored."""
    pieces = _LITERAL.split(sql.strip().rstrip(";"))
    for i, piece in enumerate(pieces):
        if i % 2:
            pieces[i] = _stored_moment(piece) if _MOMENT.fullmatch(piece) else piece
        else:
            uncast = re.sub(r"::\s*\w+(\s*\(\d+\))?", "", piece)
            pieces[i] = re.sub(r"\bilike\b", "LIKE", uncast, flags=re.IGNORECASE)
    return "".join(pieces)


def _stored_moment(literal: str) -> str:
    try:
        return f"'{format_moment(datetime.fromisoformat(literal[1:-1]))}'"
    except ValueError:
        return literal


def format_moment(moment: datetime) -> str:
    """Return a moment in the format of rows: ``2025-01-31 14:05:11+00:00``."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(sep=" ")


def _md5(text: str | None) -> str | None:
    return None if text is None else hashlib.md5(str(text).encode()).hexdigest()


def _x(hexed: str | None) -> float | None:
    point = geometry.point_of(hexed)
    return point[0] if point else None


def _y(hexed: str | None) -> float | None:
    point = geometry.point_of(hexed)
    return point[1] if point else None


def add_functions(db: sqlite3.Connection) -> None:
    """Register the functions that clients use; the store registers ``now()``."""
    db.create_function("md5", 1, _md5, deterministic=True)
    db.create_function("st_x", 1, _x, deterministic=True)
    db.create_function("st_y", 1, _y, deterministic=True)
    db.create_function("st_astext", 1, geometry.to_wkt, deterministic=True)
    db.create_function("st_makepoint", 2, lambda x, y: geometry.ewkb("POINT", (x, y)), deterministic=True)
    db.create_function("st_setsrid", 2, lambda hexed, _: hexed, deterministic=True)
    db.create_function("st_geomfromewkt", 1, geometry.from_text, deterministic=True)
    db.create_function("st_geomfromtext", 2, lambda text, _: geometry.from_text(text), deterministic=True)
    db.create_function("to_ewkb", 1, geometry.from_text, deterministic=True)
    db.create_function("current_schema", 0, lambda: "public", deterministic=True)
    db.create_function("find_srid", 3, lambda *_: geometry.SRID, deterministic=True)


def add_reference_systems(db: sqlite3.Connection) -> None:
    """Create PostGIS's view of coordinate systems, which GDAL reads before any geometry."""
    row = f"SELECT {geometry.SRID} AS srid, 'EPSG' AS auth_name, {geometry.SRID} AS auth_srid"
    db.execute(f"CREATE TEMP VIEW spatial_ref_sys AS {row}, '{_WGS84}' AS srtext")
