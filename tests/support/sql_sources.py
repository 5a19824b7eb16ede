"""Databases of the tests of queries, as Airflow connections: PostgreSQL, SQLite and DuckDB."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

DRIVERS = ["psycopg", "psycopg2"]
"""Drivers of PostgreSQL."""


def use_driver(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    """Make Airflow's PostgreSQL hook use one of its drivers, as what is installed decides elsewhere.

    :param driver: one of :data:`DRIVERS`.
    """
    from airflow.providers.postgres.hooks import postgres

    if driver == "psycopg" and not postgres.USE_PSYCOPG3:
        pytest.skip("this version of the provider uses psycopg 2 only")
    monkeypatch.setattr(postgres, "USE_PSYCOPG3", driver == "psycopg")


class DuckDBHook(DbApiHook):
    """Hook of DuckDB: the connection's host is the path of the file."""

    conn_name_attr = "duckdb_conn_id"
    conn_type = "duckdb"
    hook_name = "DuckDB"
    placeholder = "?"

    def get_conn(self) -> Any:
        """Connect."""
        import duckdb

        return duckdb.connect(self.connection.host)


def register_hook(monkeypatch: pytest.MonkeyPatch, kind: type[DbApiHook]) -> None:
    """Make a hook that of its connection type, as a provider does that is installed.

    :param kind: the hook; its module is loaded.
    """
    from airflow.sdk.definitions import connection

    manager = getattr(connection, "ProvidersManagerTaskRuntime", None)  # Not before Airflow 3.2.
    if manager is None:
        from airflow import providers_manager

        manager = providers_manager.ProvidersManager
    hooks = manager().hooks
    info = SimpleNamespace(
        hook_class_name=f"{kind.__module__}.{kind.__qualname__}",
        connection_id_attribute_name=kind.conn_name_attr,
        hook_name=kind.hook_name,
        package_name="tests",
    )
    assert kind.__module__ in sys.modules
    known = {**dict(hooks.items()), kind.conn_type: info}
    monkeypatch.setattr(type(manager()), "hooks", property(lambda _: known))


def connect_file(monkeypatch: pytest.MonkeyPatch, conn_type: str, path: Path) -> None:
    """Set the connection ``warehouse`` to a database in a file.

    :param conn_type: ``sqlite`` or ``duckdb``.
    :param path: the file.
    """
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": conn_type, "host": str(path)}))
