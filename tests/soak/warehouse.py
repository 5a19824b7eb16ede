"""Warehouse: the tables that the nights read and write, and what Airflow keeps in its own database."""

from __future__ import annotations

from typing import Any

from tests.soak.nights import Night, moment_of
from tests.soak.outsider import plain_time
from tests.support.postgres import Database

TABLES = """
CREATE SCHEMA soak AUTHORIZATION loader;
CREATE TABLE soak.desks (external_id text PRIMARY KEY, title text, seats integer);
CREATE TABLE soak.assets (number integer PRIMARY KEY, name text, floor integer, updated_at timestamptz);
CREATE TABLE soak.set_points (thing_id text PRIMARY KEY, setpoint numeric(4, 1));
CREATE TABLE soak.components (id text PRIMARY KEY, label text);
CREATE TABLE soak.assets_copy (number integer PRIMARY KEY, name text, floor integer, updated_at timestamptz);
CREATE TABLE soak.components_copy (id text PRIMARY KEY, label text);
ALTER TABLE soak.assets_copy OWNER TO loader;
ALTER TABLE soak.components_copy OWNER TO loader;
GRANT SELECT ON ALL TABLES IN SCHEMA soak TO loader;
"""
STATE_TABLES = ("xcom", "variable", "task_state_store", "asset_state_store", "trigger")


def create_tables(database: Database) -> None:
    """Create the tables of the warehouse."""
    database.query(TABLES)


def write_night(database: Database, night: Night) -> None:
    """Replace the rows by those of a night, in one transaction."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        "desks": [(key, *row) for key, row in night.desks.items()],
        "assets": [(number, row[0], row[1], moment_of(row[2])) for number, row in night.assets.items()],
        "set_points": list(night.set_points.items()),
        "components": list(night.components.items()),
    }
    with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for table, values in rows.items():
            cursor.execute(f"DELETE FROM soak.{table}")
            marks = ", ".join(["%s"] * len(values[0]))
            cursor.executemany(f"INSERT INTO soak.{table} VALUES ({marks})", values)


def copies(database: Database) -> dict[str, dict[Any, Any]]:
    """Return the rows that the nights have loaded, by system and key."""
    assets = database.query("SELECT number, name, floor, updated_at FROM soak.assets_copy")
    components = database.query("SELECT id, label FROM soak.components_copy")
    return {
        "warehouse, copy of AmigoCloud": {
            number: (name, floor, plain_time(at)) for number, name, floor, at in assets
        },
        "warehouse, copy of LeanIX": dict(components),
    }


def staging_tables(database: Database) -> list[str]:
    """Return tables that a load has left behind."""
    found = database.query("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'soak'")
    known = {"desks", "assets", "set_points", "components", "assets_copy", "components_copy", "_twin_loads"}
    return sorted(name for (name,) in found if name.partition(".")[2] not in known)


def state_rows(metadata: Database) -> dict[str, int]:
    """Return the rows of Airflow's state by table, and the bytes of the state stores.

    :param metadata: Airflow's own database.
    """
    found = {table: int(metadata.query(f"SELECT count(*) FROM {table}")[0][0]) for table in STATE_TABLES}
    for table in ("task_state_store", "asset_state_store"):
        (row,) = metadata.query(f"SELECT coalesce(sum(length(value::text)), 0) FROM {table}")
        found[f"{table}, bytes"] = int(row[0])
    (row,) = metadata.query("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
    return {**found, "connections to PostgreSQL": int(row[0])}


def watched_events(metadata: Database) -> list[dict[str, Any]]:
    """Return the payloads of the watchers' events."""
    rows = metadata.query(
        "SELECT e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.uri LIKE 'x-soak://%'"
    )
    return [(extra or {}).get("payload") or {} for (extra,) in rows]
