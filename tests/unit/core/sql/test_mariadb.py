"""Queries of MariaDB: streamed, of one state, and without any change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql import rows as sql_rows
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import read_query
from airflow_provider.errors import DatabaseError, InputError
from dev.mariadb_server import MariaDbServer
from tests.support import mariadb
from tests.support.mariadb import Database
from tests.support.sql_sources import register_hook
from tests.support.wait import until

LOG = logging.getLogger(__name__)
Read = Callable[..., list[Any]]


@pytest.fixture(params=mariadb.DRIVERS)
def store(
    request: pytest.FixtureRequest, running_mariadb: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    register_hook(monkeypatch, mariadb.HOOKS[request.param])
    with mariadb.new_database(running_mariadb) as database:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
        database.query("CREATE TABLE t (id int PRIMARY KEY, name varchar(20)) CHARSET utf8mb4")
        database.query("INSERT INTO t VALUES (1, 'a'), (2, 'Grüße 50%'), (3, NULL)")
        yield database


@pytest.fixture
def read(store: Database) -> Read:
    def read(sql: str, parameters: Any = None) -> list[Any]:
        with read_query(Query(sql, "warehouse", parameters), LOG) as rows:
            return [rows.names, *rows]

    return read


def test_rows_are_read_with_their_names(read: Read) -> None:
    assert read("SELECT * FROM t ORDER BY id") == [["id", "name"], [1, "a"], [2, "Grüße 50%"], [3, None]]
    assert read("SELECT id FROM t WHERE id > 9") == [["id"]]


def test_parameters_are_passed_to_the_driver_and_percent_signs_need_no_escape_without(read: Read) -> None:
    assert read("SELECT id FROM t WHERE name = %s", ["a"]) == [["id"], [1]]
    assert read("SELECT id FROM t WHERE name LIKE '%50%'") == [["id"], [2]]


def test_settings_of_a_connection_change_no_value(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    import mysql.connector

    if mysql.connector.__version_info__ < (26,):
        pytest.skip("older drivers take a connection's setting 'raw' for that of all its cursors")

    def get_conn(hook: Any) -> Any:
        return mysql.connector.connect(**hook._access, raw=True, buffered=True)

    monkeypatch.setattr(mariadb.MySqlConnectorHook, "get_conn", get_conn)
    assert read("SELECT id, name FROM t WHERE id = 1") == [["id", "name"], [1, "a"]]


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("CAST(1.25 AS DECIMAL(30,2))", 1.25),
        ("CAST('2026-03-29' AS DATE)", "2026-03-29"),
        ("TRUE", 1),
        ("1.5e0", 1.5),
        ("JSON_OBJECT('a', 1)", '{"a": 1}'),
        ("X'00FF'", b"\0\xff"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_value_becomes_one_of_json(read: Read, sql: str, value: Any) -> None:
    found = read(f"SELECT {sql} AS v")[1][0]
    assert str(found) == str(value)


@pytest.mark.parametrize("sql", ["CAST('2026-03-29 01:00:00' AS DATETIME)", "CAST('01:00:00' AS TIME)"])
def test_a_value_without_a_json_form_is_a_problem_of_its_row(read: Read, sql: str) -> None:
    assert isinstance(read(f"SELECT {sql} AS v")[1][0], Unreadable)


@pytest.mark.parametrize("sql", ["CALL spare(1)", "CALL commits()", "SELECT id FROM t FOR UPDATE"])
def test_a_query_changes_nothing(store: Database, read: Read, sql: str) -> None:
    store.query("CREATE PROCEDURE spare(n int) BEGIN DELETE FROM t; SELECT 1; END")
    store.query("CREATE PROCEDURE commits() BEGIN COMMIT; DELETE FROM t; SELECT 1; END")
    with suppress(InputError, DatabaseError):
        read(sql)
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_a_transaction_that_a_hook_has_begun_is_rolled_back(
    store: Database, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beginning(connect: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def get_conn(hook: Any) -> Any:
            connection = connect(hook)
            connection.cursor().execute("INSERT INTO t VALUES (7, 'x')")
            return connection

        return get_conn

    for kind in mariadb.HOOKS.values():
        monkeypatch.setattr(kind, "get_conn", beginning(kind.get_conn))
    assert read("SELECT id FROM t WHERE id = 7") == [["id"]]
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_a_connection_that_commits_by_itself_changes_nothing(
    store: Database, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.query("CREATE PROCEDURE spare(n int) BEGIN DELETE FROM t; SELECT 1; END")
    store.query("CREATE PROCEDURE commits() BEGIN COMMIT; DELETE FROM t; SELECT 1; END")

    def committing(connect: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def get_conn(hook: Any) -> Any:
            connection = connect(hook)
            hook.set_autocommit(connection, True)
            return connection

        return get_conn

    for kind in mariadb.HOOKS.values():
        monkeypatch.setattr(kind, "get_conn", committing(kind.get_conn))
    with pytest.raises((InputError, DatabaseError), match="READ ONLY transaction"):
        read("CALL spare(1)")
    with suppress(InputError, DatabaseError):
        read("CALL commits()")
    assert store.query("SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize("sql", ["SELECT id FROM t; SELECT name FROM t", "SELECT 1 AS a; DELETE FROM t"])
def test_a_second_statement_is_refused(read: Read, store: Database, sql: str) -> None:
    with pytest.raises(InputError, match="more than one statement; give one query|near '(SELECT|DELETE)"):
        read(sql)
    assert len(store.query("SELECT * FROM t")) == 3
    assert read("SELECT 'a;b' AS a; -- the end") == [["a"], ["a;b"]]


def test_a_wrong_statement_names_the_mistake(read: Read) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read("SELECT 1 FROM nowhere")
    with pytest.raises(InputError, match="returns no rows"):
        read("SET @a = 1")


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # PyMySQL's, when it is cut off
def test_a_reader_that_stops_early_ends_the_query(
    store: Database, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(sql_rows.SqlRows):
        def add(self, rows: Any) -> None:
            next(iter(rows))
            raise OverflowError

    monkeypatch.setattr(sql_rows, "SqlRows", Full)
    with pytest.raises(DatabaseError):
        read("SELECT seq, REPEAT('x', 1000) AS text FROM seq_1_to_100000000")
    running = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT seq, %'"
    until(lambda: store.query(running) == [(0,)], 30)


@pytest.mark.nightly
@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(read: Read, store: Database) -> None:
    import psutil

    process, most = psutil.Process(), 0
    before = process.memory_info().rss
    sql = "SELECT seq, REPEAT('x', 500) AS text FROM seq_1_to_200000"
    with read_query(Query(sql, "warehouse"), LOG) as rows:
        most = process.memory_info().rss - before
        assert rows.count == 200_000
    assert most < 50_000_000
