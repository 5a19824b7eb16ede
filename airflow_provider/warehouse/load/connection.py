"""Connection of a load: the Airflow connection's hook, and the database behind it."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.sql.database_hook import open_hook
from airflow_provider.warehouse.load.databases.base import Database


def open_database(conn_id: str) -> Database:
    """Return the database of an Airflow connection, not connected yet.

    :param conn_id: id of a connection whose hook is a ``DbApiHook``.
    :raises InputError: when its hook is another one, or a package is missing.
    """
    hook = open_hook(conn_id)
    name = str(getattr(hook, "conn_type", "") or "")
    dialect = str(getattr(hook, "dialect_name", "") or "")
    if "postgres" in (name, dialect) or dialect == "postgresql":
        from airflow_provider.warehouse.load.databases.postgres import Postgres

        return Postgres(hook)
    if "duckdb" in (name, dialect) or "duckdb" in type(hook).__name__.lower():
        from airflow_provider.warehouse.load.databases.duckdb import DuckDb

        return DuckDb(hook)
    return _open_other(hook, name or dialect)


def _open_other(hook: Any, name: str) -> Database:
    if "sqlite" in name:
        from airflow_provider.warehouse.load.databases.sqlite import SQLite

        return SQLite(hook)
    if "mysql" in name or "mariadb" in name:
        from airflow_provider.warehouse.load.databases.mariadb import MariaDb

        return MariaDb(hook)
    from airflow_provider.warehouse.load.databases.generic import Generic, SqlServer

    return SqlServer(hook) if "mssql" in name or "odbc" in name else Generic(hook)
