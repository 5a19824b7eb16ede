"""Connection of a load: the Airflow connection's hook, and the database behind it."""

from __future__ import annotations

from typing import Any

from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.databases.base import Database

_SUBJECT = "sql_conn_id"


def open_database(conn_id: str) -> Database:
    """Return the database of an Airflow connection, not connected yet.

    :param conn_id: id of a connection whose hook is a ``DbApiHook``.
    :raises InputError: when its hook is another one, or a package is missing.
    """
    hook = _hook_of(conn_id)
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
    from airflow_provider.warehouse.load.databases.generic import Generic, MySql, SqlServer

    if "mysql" in name or "mariadb" in name:
        return MySql(hook)
    return SqlServer(hook) if "mssql" in name or "odbc" in name else Generic(hook)


def _hook_of(conn_id: str) -> Any:
    from airflow.sdk import BaseHook

    from airflow_provider.core.compat import connection_not_found

    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        raise InputError(
            "needs apache-airflow-providers-common-sql: install the extra 'sql'", _SUBJECT
        ) from None
    try:
        connection = BaseHook.get_connection(conn_id)
    except connection_not_found():
        raise InputError(f"there is no connection '{conn_id}'", _SUBJECT) from None
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except Exception as error:  # Airflow raises errors of several classes, some with the connection's fields.
        raise InputError(
            f"the connection '{conn_id}' of type {connection.conn_type!r} has no hook that can be loaded"
            f" ({type(error).__name__}): install its provider",
            _SUBJECT,
        ) from None
    if not isinstance(hook, DbApiHook):
        raise InputError(
            f"the connection '{conn_id}' is of type {connection.conn_type!r}, whose hook"
            f" {type(hook).__name__} is none of a database",
            _SUBJECT,
        )
    return hook
