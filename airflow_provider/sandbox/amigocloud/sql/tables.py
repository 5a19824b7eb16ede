"""SQLite tables of a dataset: current rows, replaced rows, and the version that wrote each row."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider.sandbox.amigocloud.sql.dialect import SqlError

DECLARED = {
    "string": "TEXT_STRING",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "number": "FLOAT_NUMBER",
    "boolean": "BOOLEAN",
    "date": "TEXT_DATE",
    "time": "TEXT_TIME",
    "datetime": "TEXT_DATETIME",
    "geometry": "TEXT_GEOMETRY",
    "uuid": "TEXT_UUID",
}
"""SQLite's declaration by type of field; parts of its name decide the affinity."""
_TYPES = {declared: name for name, declared in DECLARED.items()} | {"TEXT": "string", "REAL": "real"}
_REPORTED = {"uuid": "unknown(2950)"}
"""Types that the API has no name for, as it reports them: by PostgreSQL's number."""
_UUID = re.compile(r"'[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}'", re.IGNORECASE)
_NO_LEAST = frozenset({"uuid", "boolean"})
"""Types for which PostgreSQL has no min() and max()."""
_KEY = " PRIMARY KEY NOT NULL DEFAULT (generate_uuid())"
_TRIGGERS = ("ins", "upd", "del", "geo_ins", "geo_upd")
Columns = Sequence[Mapping[str, Any]]


def declare(column: Mapping[str, Any]) -> str:
    """Return the declaration of a column for SQLite."""
    key = _KEY if column["name"] == "amigo_id" else ""
    return f'"{column["name"]}" {DECLARED.get(column["type"], "TEXT")}{key}'


def create(db: sqlite3.Connection, n: int, columns: Columns) -> None:
    """Create the tables of dataset n."""
    listed = ", ".join(map(declare, columns))
    db.execute(f'CREATE TABLE "dataset_{n}" ({listed})')
    db.execute(f'CREATE TABLE "old_{n}" ({listed}, since INTEGER, until INTEGER)'.replace(_KEY, ""))
    db.execute(f'CREATE INDEX "old_{n}_key" ON "old_{n}" (amigo_id)')
    db.execute(f'CREATE TABLE "born_{n}" (rid INTEGER PRIMARY KEY, v INTEGER)')


def drop(db: sqlite3.Connection, n: int) -> None:
    """Drop the tables of dataset n, and the view of a gallery."""
    views = "SELECT name FROM main.sqlite_master WHERE type = 'view' AND instr(sql, ?)"
    for (name,) in db.execute(views, (f'"dataset_{n}"',)).fetchall():
        db.execute(f'DROP VIEW "{name}"')
    for prefix in ("dataset", "old", "born"):
        db.execute(f'DROP TABLE "{prefix}_{n}"')


def alter(db: sqlite3.Connection, n: int, clause: str) -> None:
    """Change the columns of dataset n; call :func:`track_versions` afterwards."""
    for name in _TRIGGERS:
        db.execute(f'DROP TRIGGER IF EXISTS "{name}_{n}"')
    for prefix in ("dataset", "old"):
        db.execute(f'ALTER TABLE "{prefix}_{n}" {clause}')


def fill(db: sqlite3.Connection, n: int, columns: Columns, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the first rows of dataset n."""
    names = [column["name"] for column in columns]
    marks = ", ".join("coalesce(?, generate_uuid())" if name == "amigo_id" else "?" for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    db.execute("BEGIN")
    db.executemany(
        f'INSERT INTO "dataset_{n}" ({listed}) VALUES ({marks})',
        ([row.get(name) for name in names] for row in rows),
    )
    db.execute("COMMIT")


def fill_from(db: sqlite3.Connection, n: int, columns: Columns, query: str) -> None:
    """Insert the rows of a query, which has the columns of dataset n in order."""
    listed = ", ".join(f'"{column["name"]}"' for column in columns)
    db.execute(f'INSERT INTO "dataset_{n}" ({listed}) {query}')


def track_versions(db: sqlite3.Connection, n: int, columns: Columns, geometry: str | None) -> None:
    """Create the triggers that copy replaced rows, and that convert geometries written as text.

    :param geometry: name of the geometry column, if there is one.
    """
    listed = ", ".join(f'"{column["name"]}"' for column in columns)
    before = ", ".join(f'old."{column["name"]}"' for column in columns)
    keep = (
        f'INSERT INTO "old_{n}" ({listed}, since, until) SELECT {before}, '
        f'coalesce((SELECT v FROM "born_{n}" WHERE rid = old.rowid), 0), next_version({n});'
    )
    # Not "OR REPLACE": inside a trigger the conflict clause of the outer statement applies.
    mark = (
        f'DELETE FROM "born_{n}" WHERE rid = new.rowid;'
        f'INSERT INTO "born_{n}" VALUES (new.rowid, next_version({n}));'
    )
    forget = f'DELETE FROM "born_{n}" WHERE rid = old.rowid;'
    on = f'ON "dataset_{n}"'
    db.execute(f'CREATE TRIGGER "ins_{n}" AFTER INSERT {on} BEGIN {mark} END')
    db.execute(f'CREATE TRIGGER "upd_{n}" AFTER UPDATE {on} BEGIN {keep} {mark} END')
    db.execute(f'CREATE TRIGGER "del_{n}" AFTER DELETE {on} BEGIN {keep} {forget} END')
    if geometry:
        convert = (
            f'UPDATE "dataset_{n}" SET "{geometry}" = to_ewkb(new."{geometry}") WHERE rowid = new.rowid;'
        )
        for event in ("INSERT", f'UPDATE OF "{geometry}"'):
            db.execute(
                f'CREATE TRIGGER "geo_{event[:3].lower()}_{n}" AFTER {event} {on} '
                f"WHEN new.\"{geometry}\" LIKE '%(%' BEGIN {convert} END"
            )


def as_of(n: int, columns: Columns, version: int) -> str:
    """Return the query for dataset n as of a version."""
    names = ", ".join(f'"{column["name"]}"' for column in columns)
    return (
        f'SELECT {names} FROM main."dataset_{n}" t WHERE NOT EXISTS '
        f'(SELECT 1 FROM "born_{n}" b WHERE b.rid = t.rowid AND b.v > {version}) '
        f'UNION ALL SELECT {names} FROM "old_{n}" WHERE since <= {version} AND until > {version}'
    )


def describe(name: str, declared: str, at: int, values: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return name and type of a result's column: by its declaration, else by its first value."""
    known = _TYPES.get(declared.upper())
    if known is None:
        value = next((row[at] for row in values if row[at] is not None), None)
        known = {int: "bigint", float: "number"}.get(type(value), "string")
    column: dict[str, Any] = {"name": name, "type": _REPORTED.get(known, known)}
    if name == "amigo_id":
        column["max_length"] = 32
    return column


def result_names(names: Sequence[str]) -> list[str]:
    """Return the names of a result's columns; SQLite numbers those that occur twice in a subquery."""
    plain = [re.sub(r":\d+$", "", name) for name in names]
    return [bare if bare in names else name for bare, name in zip(plain, names, strict=True)]


def check_types(sql: str, datasets: Iterable[Any]) -> None:
    """Refuse what PostgreSQL refuses for a column's type, and SQLite does not, as it has few types.

    :param sql: a statement for SQLite.
    :param datasets: the datasets whose columns it may name.
    """
    kinds = {column["name"]: column["type"] for dataset in datasets for column in dataset.columns}
    for function, name in re.findall(r"\b(min|max)\s*\(\s*\"?(\w+)\"?\s*\)", sql, re.IGNORECASE):
        if kinds.get(name) in _NO_LEAST:
            raise SqlError(f"function {function}({kinds[name]}) does not exist")
    for name, literal in re.findall(r"\"?(\w+)\"?\s*(?:[<>]=?|=|<>)\s*('(?:[^']|'')*')", sql):
        if kinds.get(name) == "uuid" and not _UUID.fullmatch(literal):
            raise SqlError(f"invalid input syntax for type uuid: {literal}")
