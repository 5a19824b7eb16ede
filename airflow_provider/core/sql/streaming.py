"""Streaming: rows of a query in constant memory, by the means of each driver.

Each driver has one function that opens the query in a transaction that only reads, and never commits it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.core.sql.arrays import read_types_with_psycopg, read_types_with_psycopg2
from airflow_provider.core.sql.dates import tolerate_dates_of_psycopg, tolerate_dates_of_psycopg2
from airflow_provider.core.sql.json_columns import read_json_with_psycopg, read_json_with_psycopg2
from airflow_provider.core.sql.query import SUBJECT, Query, first_word, is_one_statement
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

FETCH_ROWS = 2000
"""Rows of one fetch."""

STREAM_ROWS = 100
"""Rows that psycopg 3 gets at a time."""

_DECLARABLE = ("select", "with", "values", "table")
"""First words of the statements that PostgreSQL opens a cursor for."""

_STATEMENTS = "has more than one statement; give one query"

_READ_ONLY = "25006"
"""SQLSTATE of a statement that writes, in a transaction that only reads."""

_NO_ENCODING = "SQL_ASCII"
"""Encoding of PostgreSQL that means bytes of any encoding."""

_NO_ROWS = "returns no rows; give a query that reads, such as SELECT"

_ALL_DIGITS = "SET LOCAL extra_float_digits = 2"
"""Makes PostgreSQL send the digits of floats that a role or a server may leave out."""

Row = Sequence[Any]


class Result(NamedTuple):
    """Rows of a running query.

    :param names: names of the columns.
    :param rows: the rows, from the database as they are read.
    :param cursor: the driver's cursor.
    """

    names: list[str]
    rows: Generator[Row, None, None]
    cursor: Any


def open_result(connection: Any, hook: Any, query: Query, log: Logger) -> Result:
    """Run a query, and return its rows as a stream.

    :param connection: an unused connection of the driver.
    :param hook: the hook that it is from.
    :param query: the query.
    :param log: receives a warning about a driver that does not stream.
    :raises InputError: for a statement that is no query.
    """
    if hook.strip_semicolon:
        query = query._replace(sql=query.sql.strip().rstrip(";"))
    driver = type(connection).__module__.partition(".")[0].removeprefix("_")
    if driver == "redshift_connector":
        log.warning(
            "The driver redshift_connector holds all rows of a query in memory; a connection of the type"
            " 'postgres' to the same cluster streams them"
        )
    if driver in _DRIVERS:
        return _DRIVERS[driver](connection, query)
    if hook.supports_autocommit:
        hook.set_autocommit(connection, False)
    return _execute(connection.cursor(), query)


def _execute(cursor: Any, query: Query) -> Result:
    cursor.execute(*query.arguments)
    return Result(_names(cursor), _fetched(cursor), cursor)


def _names(cursor: Any) -> list[str]:
    if not cursor.description:
        raise InputError(_NO_ROWS, SUBJECT)
    return [str(column[0]) for column in cursor.description]


def _fetched(cursor: Any) -> Generator[Row, None, None]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield from rows
    if _has_another_result(cursor):
        raise InputError(_STATEMENTS, SUBJECT)


def _has_another_result(cursor: Any) -> bool:
    """Return whether a second statement has a result, which some drivers run without a word."""
    try:
        return bool(cursor.nextset() and cursor.description)
    except Exception as error:  # Drivers without this method, or with an empty statement at the end, raise.
        return getattr(error, "sqlstate", None) == _READ_ONLY


def read_texts(connection: Any) -> None:
    """Have PostgreSQL send texts as UTF-8 where it would send bytes of no known encoding.

    :param connection: one of psycopg 2 or 3 that has no transaction.
    """
    if type(connection).__module__.partition(".")[0] == "psycopg":
        if connection.info.parameter_status("client_encoding") == _NO_ENCODING:
            connection.execute("SET client_encoding = 'UTF8'")
            connection.commit()
    elif connection.get_parameter_status("client_encoding") == _NO_ENCODING:
        connection.set_client_encoding("UTF8")


def _open_psycopg(connection: Any, query: Query) -> Result:
    from psycopg.rows import tuple_row

    connection.rollback()
    read_texts(connection)
    connection.autocommit = False
    connection.read_only = True
    if not (connection.info.parameter_status("DateStyle") or "ISO").startswith("ISO"):
        # The driver reads no other style. The order of day and month stays as it is, for texts of the query.
        connection.execute("SET LOCAL DateStyle = 'ISO'")
    connection.execute(_ALL_DIGITS)
    cursor = connection.cursor(row_factory=tuple_row)
    tolerate_dates_of_psycopg(cursor)
    read_json_with_psycopg(cursor)
    read_types_with_psycopg(cursor)
    rows = cursor.stream(*query.arguments, **_chunks())
    try:
        first = [next(rows)]
    except StopIteration:
        return Result(_declared_names(connection, query), _chained((), rows), cursor)
    except connection.ProgrammingError as error:
        # ``stream`` has no type of its own for a statement such as SET.
        if error.sqlstate is None and "result" in str(error):
            raise InputError(_NO_ROWS, SUBJECT) from None
        raise
    if not cursor.description:
        rows.close()  # Until then the connection cannot even be rolled back.
    return Result(_names(cursor), _chained(first, rows), cursor)


def _chunks() -> dict[str, int]:
    """Return the argument that gets several rows at a time, where the driver can do that."""
    try:
        from psycopg import capabilities
    except ImportError:  # psycopg 3.1
        return {}
    return {"size": STREAM_ROWS} if capabilities.has_stream_chunked() else {}


def _chained(first: Iterable[Row], rows: Iterable[Row]) -> Generator[Row, None, None]:
    yield from first
    # Closing this, other than itertools.chain, closes the driver's generator, which cancels the query.
    yield from rows


def _declared_names(connection: Any, query: Query) -> list[str]:
    """Return the columns of a query without rows; nothing for a statement that has no cursor."""
    if first_word(query.sql) not in _DECLARABLE:
        return []
    with connection.cursor(name="columns") as cursor:
        cursor.execute(*query.arguments)
        return _names(cursor)


def _open_psycopg2(connection: Any, query: Query) -> Result:
    from psycopg2.extensions import cursor as cursor_type

    if not is_one_statement(query.sql):
        raise InputError(_STATEMENTS, SUBJECT)
    connection.rollback()
    read_texts(connection)
    connection.set_session(readonly=True, autocommit=False)
    with connection.cursor(cursor_factory=cursor_type) as setting:
        setting.execute(_ALL_DIGITS)
    if first_word(query.sql) not in _DECLARABLE:
        return _execute(connection.cursor(cursor_factory=cursor_type), query)
    cursor = connection.cursor(name="rows", cursor_factory=cursor_type)
    tolerate_dates_of_psycopg2(cursor)
    read_json_with_psycopg2(cursor)
    read_types_with_psycopg2(connection, cursor)
    cursor.execute(*query.arguments)
    first = cursor.fetchmany(FETCH_ROWS)  # The driver knows the columns from here on only.
    return Result(_names(cursor), _chained(first, _fetched(cursor)), cursor)


def _open_mysqldb(connection: Any, query: Query) -> Result:
    """Open a query with MySQLdb, or with PyMySQL, which has the same interface."""
    cursors = import_module(f"{type(connection).__module__.partition('.')[0]}.cursors")
    connection.rollback()
    connection.autocommit(False)
    connection.query("START TRANSACTION READ ONLY")
    result = _execute(connection.cursor(cursors.SSCursor), query)
    return result._replace(rows=_cut_off(result.rows, connection.close))


def _open_mysql_connector(connection: Any, query: Query) -> Result:
    connection.rollback()
    connection.autocommit = False
    cursor = connection.cursor(buffered=False, raw=False)
    # The driver's own method believes that MariaDB is an old MySQL.
    cursor.execute("START TRANSACTION READ ONLY")
    result = _execute(cursor, query)
    return result._replace(rows=_cut_off(result.rows, connection.shutdown))


def _cut_off(rows: Generator[Row, None, None], close: Callable[[], object]) -> Generator[Row, None, None]:
    """Yield the rows; when their reader stops early, close the connection, as a rollback reads all others."""
    complete = False
    try:
        yield from rows
        complete = True
    finally:
        if not complete:
            close()


def _open_sqlite(connection: Any, query: Query) -> Result:
    connection.rollback()
    connection.row_factory = None
    connection.execute("PRAGMA query_only = ON")
    # Python's module itself begins no transaction for a query: two of its reads could be of two states.
    connection.execute("BEGIN")
    return _execute(connection.cursor(), query)


def _open_duckdb(connection: Any, query: Query) -> Result:
    statements = connection.extract_statements(query.sql)
    if len(statements) != 1:
        raise InputError(f"has {len(statements)} statements; give one query", SUBJECT)
    kind = statements[0].type.name
    if kind not in ("SELECT", "EXPLAIN", "CALL"):
        raise InputError(f"is a statement {kind}, which {_NO_ROWS}", SUBJECT)
    with suppress(Exception):  # Without a transaction, the driver has nothing to roll back.
        connection.rollback()
    connection.execute("BEGIN TRANSACTION READ ONLY")
    # A cursor of this driver is a connection of its own, outside of the transaction.
    return _execute(connection, query)


_DRIVERS: dict[str, Callable[[Any, Query], Result]] = {
    "psycopg": _open_psycopg,
    "psycopg2": _open_psycopg2,
    "MySQLdb": _open_mysqldb,
    "pymysql": _open_mysqldb,
    "mysql": _open_mysql_connector,
    "sqlite3": _open_sqlite,
    "duckdb": _open_duckdb,
}
"""How a query is opened, by the top-level module of the driver's connection."""
