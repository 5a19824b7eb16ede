"""Database hook: that of an Airflow connection, or what is wrong with the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def open_hook(conn_id: str) -> Any:
    """Return the database hook of an Airflow connection.

    :param conn_id: id of the connection.
    :raises InputError: when there is no such connection, it is none to a database, or a package is missing.
    """
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        text = "needs Airflow's common SQL provider: install the extra 'sql'"
        raise InputError(text, "sql_conn_id") from None
    connection = _connection(conn_id)
    where = f"connection '{conn_id}'"
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except ImportError as error:
        missing = f" ({error.name} is missing)" if error.name else ""
        text = f"is of type '{connection.conn_type}', whose provider is not installed completely{missing}"
        raise InputError(text, where) from None
    except Exception as error:
        if type(error).__name__ != "AirflowException":
            raise
        text = f"is of type '{connection.conn_type}', which no installed provider has"
        raise InputError(text, where) from None
    if not isinstance(hook, DbApiHook):
        text = f"is of type '{connection.conn_type}' ({type(hook).__name__}), which is no SQL database"
        raise InputError(f"{text}; 'sql_conn_id' needs one", where)
    return hook


def _connection(conn_id: str) -> Connection:
    from airflow.sdk import BaseHook

    from airflow_provider.core.compat import connection_not_found

    try:
        return BaseHook.get_connection(conn_id)
    except connection_not_found():
        raise InputError("does not exist ('sql_conn_id')", f"connection '{conn_id}'") from None
