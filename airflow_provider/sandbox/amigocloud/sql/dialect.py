"""SQL dialect: PostgreSQL and PostGIS syntax, as far as clients use it, for SQLite."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_provider.sandbox.amigocloud.sql import geometry


class SqlError(Exception):
    """A statement that cannot be run."""


_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d[T ]\d\d:\d\d[^']*'")
TIMED_OUT = "canceling statement due to statement timeout"
"""PostgreSQL's message about a statement that takes too long."""

_OTHER_ENGINE = (
    "The sandbox's embedded SQL is a part of PostgreSQL's; for all of it with PostGIS, start the sandbox with"
    " --amigocloud-sql postgresql://USER:PASSWORD@HOST/DATABASE, or Sandbox(amigocloud_sql=...)"
)

WRITES = ("insert", "update", "delete")
READS = frozenset({"select", "values", "table", "explain", "show"})

_SPECIAL = re.compile(
    r"""(?P<line>--[^\n\r]*)
    |(?P<block>/\*)
    |(?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*+')
    |(?P<plain>'(?:[^']|'')*+'|"(?:[^"]|"")*+")
    |(?P<dollar>(?<![\w$])\$(?:[^\W\d]\w*)?\$)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)


_CASTS = {
    "numeric": "number",
    "boolean": "boolean",
    "timestamptz": "datetime",
    "json": "unknown(114)",
    "jsonb": "unknown(3802)",
    "geometry": "geometry",
}
"""Types of columns by the type of a cast; others are reported by the value."""
_ARRAY = re.compile(r"\barray\s*\[([^\[\]]*)\]", re.IGNORECASE)
_TYPED = re.compile(r"(?:::\s*(\w+)|\b(true|false)|\b(array)\s*\[[^\[\]]*\])\s+as\s+(\w+)\b", re.IGNORECASE)
READERS: dict[str, Callable[[Any], Any]] = {
    "boolean": bool,
    "number": float,
    **dict.fromkeys(("unknown(114)", "unknown(3802)", "unknown(1007)"), json.loads),
}
"""Functions from SQLite's values to those of JSON, by type of column."""


def statement_kind(sql: str) -> str:
    """Return ``select`` for all that reads, a word of :data:`WRITES`, else a statement's first word.

    A statement with a part that writes (``WITH d AS (DELETE ...)``) is of that part's kind.
    """
    bare = "".join(" " if is_literal else text for is_literal, text in pieces(sql)).lower()
    if inner := re.search(r"\bas\s*(?:(?:not\s+)?materialized\s*)?\(\s*(insert|update|delete)\b", bare):
        return inner[1]
    if bare.lstrip().startswith("("):
        return "select"
    while "(" in bare:
        shorter = re.sub(r"\([^()]*\)", " ", bare)
        if shorter == bare:
            break
        bare = shorter
    words = re.findall(r"[a-z_]+", bare)
    first = words[0] if words else ""
    if first == "with":
        main = re.search(r"\b(?:(insert)\s+into|(delete)\s+from|(update)\b.*\bset)\b", bare, re.DOTALL)
        return next(filter(None, main.groups())) if main else "select"
    if first == "explain" and "analyze" in words:
        return next((word for word in words if word in WRITES), "select")
    return "select" if first in READS else first


def pieces(sql: str) -> Iterator[tuple[bool, str]]:
    """Yield a statement's parts, and whether each is a literal or a quoted name; comments become blanks.

    Texts of PostgreSQL's other forms (``E'...'``, ``$$...$$``) become plain ones. Raise ``SqlError`` for one
    that is not closed.
    """
    at = 0
    for match in _SPECIAL.finditer(sql):
        if match.start() < at:
            continue
        yield False, sql[at : match.start()]
        kind, at = match.lastgroup, match.end()
        if kind == "block":
            at = _comment_end(sql, match.start())
        elif kind == "dollar":
            end = sql.find(match[0], at)
            if end < 0:
                raise SqlError(f"unterminated dollar-quoted string at {match[0]}")
            yield True, _quoted(sql[at:end])
            at = end + len(match[0])
            continue
        elif kind == "escaped":
            text = match[0][2:-1].replace("''", "'")
            yield True, _quoted(_ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text))
            continue
        elif kind == "plain":
            yield True, match[0]
            continue
        yield False, " "
    yield False, sql[at:]


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise SqlError("unterminated /* comment")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def translate(sql: str) -> str:
    """Translate for SQLite: remove casts (``::text``), replace ILIKE, format moments as they are stored."""
    out = []
    for is_literal, text in pieces(sql):
        if is_literal:
            out.append(_stored_moment(text) if _MOMENT.fullmatch(text) else text)
            continue
        uncast = re.sub(r"::\s*\w+(\s*\(\d+\))?", "", _ARRAY.sub(r"json_array(\1)", text))
        out.append(re.sub(r"\bilike\b", "LIKE", uncast, flags=re.IGNORECASE))
    whole = "".join(out).strip().rstrip("; \t\r\n")
    return re.sub(r"(^|\()\s*table\s+(?=[\w\"])", r"\1SELECT * FROM ", whole, flags=re.IGNORECASE)


def literal_types(sql: str) -> dict[str, str]:
    """Return the type of each column whose type a cast, a boolean or an array in the query tells, by name."""
    bare = "".join("''" if is_literal else text for is_literal, text in pieces(sql))
    found = {}
    for cast, boolean, array, name in _TYPED.findall(bare):
        kind = "boolean" if boolean else "unknown(1007)" if array else _CASTS.get(cast.lower())
        if kind:
            found[name] = kind
    return found


def report_of(sql: str) -> tuple[str, str] | None:
    """Return ``show`` or ``explain`` and what it is about; None for other statements."""
    bare = "".join(text for _, text in pieces(sql)).strip().rstrip("; \t\r\n")
    match = re.fullmatch(
        r"(show|explain)(?:\s*\([^()]*\)(?=\s*[a-z]))?((?:\s+(?:analyze|verbose))*)\s+(.+)",
        bare,
        re.IGNORECASE | re.DOTALL,
    )
    return (match[1].lower(), match[3]) if match else None


def stripped(sql: str) -> str:
    """Return a statement without its last semicolon, so that it can be part of another one.

    A comment at its end stays, after which another line must begin.
    """
    parts = list(pieces(sql))
    while parts and (parts[-1][0] is False and not parts[-1][1].strip("; \t\r\n")):
        parts.pop()
    if parts and not parts[-1][0]:
        parts[-1] = (False, parts[-1][1].rstrip("; \t\r\n"))
    return "".join(text for _, text in parts)


def error_text(text: str, sql: str) -> str:
    """Return SQLite's message; where PostgreSQL could do it, with the sentence that says so."""
    if found := re.fullmatch(r"no such function: (.+)", text):
        return f"function {found[1]}() does not exist. {_OTHER_ENGINE}"
    table = re.fullmatch(r"no such table: (\w+)", text)
    is_function = table and re.search(rf"\b{table[1]}\s*\(", sql, re.IGNORECASE)
    if table and is_function:
        return f"function {table[1]}() does not exist. {_OTHER_ENGINE}"
    if "syntax error" in text or text.startswith(("unrecognized token", "wrong number of arguments")):
        return f"{text}. {_OTHER_ENGINE}"
    if text == "user-defined function raised exception":
        return "permission denied for the catalog"
    if text == "interrupted":
        return TIMED_OUT
    return text


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


def add_catalog(db: sqlite3.Connection) -> None:
    """Create what clients ask PostgreSQL's catalog: the collation, and the indexes of datasets."""
    db.create_function("current_database", 0, lambda: "amigocloud", deterministic=True)
    db.execute(
        "CREATE TEMP VIEW pg_database AS"
        " SELECT 'amigocloud' AS datname, catalog_value('collation') AS datcollate"
    )
    db.execute(
        "CREATE TEMP VIEW pg_indexes AS"
        " SELECT 'public' AS schemaname, tbl_name AS tablename, name AS indexname,"
        " 'CREATE UNIQUE INDEX ' || name || ' ON ' || tbl_name || ' USING btree (amigo_id)' AS indexdef"
        " FROM main.sqlite_master"
        " WHERE type = 'index' AND tbl_name LIKE 'dataset%' AND catalog_value('index')"
    )
