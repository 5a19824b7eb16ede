"""Drivers without a way of their own, and the one that does not stream."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing, suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql import rows, streaming
from airflow_provider.core.sql.query import Query, first_word, is_one_statement
from airflow_provider.core.sql.rows import read_query
from airflow_provider.errors import InputError, ProviderError
from tests.support.sql_sources import DuckDBHook, connect_file, register_hook

LOG = logging.getLogger(__name__)


class _Connection(sqlite3.Connection):
    """A connection of another driver, as far as its module tells."""


_Connection.__module__ = "redshift_connector.core"


class RedshiftHook(DbApiHook):
    """Hook whose connections can switch autocommit."""

    conn_name_attr = "redshift_conn_id"
    conn_type = "redshift"
    hook_name = "Redshift"
    supports_autocommit = True
    switched: ClassVar[list[bool]] = []

    def get_conn(self) -> Any:
        return sqlite3.connect(self.connection.host, factory=_Connection)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        self.switched.append(autocommit)


def test_a_driver_that_does_not_stream_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    register_hook(monkeypatch, RedshiftHook)
    monkeypatch.setattr(RedshiftHook, "switched", [])
    path = str(tmp_path / "rows")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "redshift", "host": path}))
    numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5000)"
    sql = f"{numbers} SELECT n, ? AS a FROM t"
    with caplog.at_level(logging.WARNING), read_query(Query(sql, "warehouse", ["x"]), LOG) as found:
        assert [row for _, row in zip(range(2), found, strict=False)] == [[1, "x"], [2, "x"]]
        assert found.count == 5000
    assert "redshift_connector holds all rows of a query in memory" in caplog.text
    assert RedshiftHook.switched == [False]


class _Statements(sqlite3.Cursor):
    """A cursor that remembers the statements it is given."""

    given: ClassVar[list[str]] = []
    query_id = "query-7"

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.given.append(sql)
        return super().execute(sql, parameters)


class _Strict(sqlite3.Connection):
    """A connection of a driver that refuses a semicolon, as far as its module tells."""

    ended: ClassVar[list[str]] = []

    def cursor(self, factory: Any = _Statements) -> Any:
        return super().cursor(factory)

    def rollback(self) -> None:
        self.ended.append("rollback")
        super().rollback()

    def close(self) -> None:
        self.ended.append("close")
        super().close()


_Strict.__module__ = "oracledb.connection"


class StrictHook(DbApiHook):
    """Hook of such a driver; it cannot switch autocommit."""

    conn_name_attr = "strict_conn_id"
    conn_type = "strict"
    hook_name = "Strict"

    def get_conn(self) -> Any:
        return sqlite3.connect(":memory:", factory=_Strict)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        raise AssertionError("not supported")


@pytest.mark.parametrize(
    ("strips", "given"), [(True, "SELECT 1 AS X"), (False, " SELECT 1 AS X; ")], ids=["refused", "kept"]
)
def test_a_last_semicolon_is_left_out_where_the_driver_refuses_it(
    monkeypatch: pytest.MonkeyPatch, strips: bool, given: str
) -> None:
    register_hook(monkeypatch, StrictHook)
    monkeypatch.setattr(StrictHook, "strip_semicolon", strips, raising=False)
    monkeypatch.setattr(_Statements, "given", [])
    monkeypatch.setattr(_Strict, "ended", [])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "strict"}))
    with read_query(Query(" SELECT 1 AS X; ", "warehouse"), LOG) as found:
        assert list(found) == [[1]]
    assert _Statements.given == [given]
    assert _Strict.ended == ["rollback", "close"]


def test_lineage_has_the_hook_and_the_id_of_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    lineage = pytest.importorskip("airflow.providers.common.sql.hooks.lineage")
    from airflow.lineage.hook import HookLineageCollector

    collector = HookLineageCollector()
    if not hasattr(collector, "add_extra"):
        pytest.skip("this version of Airflow collects assets only")
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    register_hook(monkeypatch, StrictHook)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "strict"}))
    with read_query(Query("SELECT 1", "warehouse"), LOG):
        (extra,) = collector.collected_assets.extra
    assert extra.value == {"sql": "SELECT 1", "job_id": "query-7", "row_count": 1}
    assert isinstance(extra.context, StrictHook)


def test_the_log_tells_of_rows_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    moments = count(100.0, 5.0)
    monkeypatch.setattr(rows, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    register_hook(monkeypatch, StrictHook)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "strict"}))
    sql = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 4500) SELECT n FROM t"
    with caplog.at_level(logging.INFO), read_query(Query(sql, "warehouse"), LOG):
        pass
    assert [line for line in caplog.messages if "read" in line.lower()] == [
        "2000 rows read",
        "Read 4500 rows with 1 columns from the connection 'warehouse' in 40.0 s",
    ]


def test_the_rows_of_a_query_are_gone_after_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    register_hook(monkeypatch, StrictHook)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "strict"}))
    for failure in (None, RuntimeError):
        with suppress(RuntimeError), read_query(Query("SELECT 1", "warehouse"), LOG) as found:
            assert list(found) == [[1]]
            if failure:
                raise failure
        with pytest.raises(ValueError, match="closed file"):
            list(found)


def test_a_query_that_fails_later_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[rows.SqlRows] = []

    class Remembered(rows.SqlRows):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            opened.append(self)

    monkeypatch.setattr(rows, "SqlRows", Remembered)
    register_hook(monkeypatch, StrictHook)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "strict"}))
    value = f"CASE n WHEN 3000 THEN abs({-(2**63)}) ELSE n END"
    sql = f"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT {value} FROM t"
    with pytest.raises(InputError, match="integer overflow"), read_query(Query(sql, "warehouse"), LOG):
        pass
    assert opened[0].count == 2000
    assert opened[0]._file.closed


@pytest.mark.parametrize(("wanted", "cuts"), [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_connection_is_cut_off_only_when_rows_are_left(wanted: int, cuts: int) -> None:
    cut: list[str] = []
    rows = streaming._cut_off((row for row in ([1], [2])), lambda: cut.append("off"))
    for _ in range(wanted):
        next(rows, None)
    rows.close()
    assert len(cut) == cuts


class OpenDuckDBHook(DuckDBHook):
    """Hook whose connections are in a transaction that has changed something."""

    def get_conn(self) -> Any:
        connection = super().get_conn()
        connection.execute("BEGIN; INSERT INTO t VALUES (2)")
        return connection


class OpenSqliteHook(DbApiHook):
    """Hook of SQLite with such connections, whose rows are objects."""

    conn_name_attr = "sqlite_conn_id"
    conn_type = "sqlite"
    hook_name = "SQLite"
    statements: ClassVar[list[str]] = []

    def get_conn(self) -> Any:
        connection = sqlite3.connect(self.connection.host)
        connection.row_factory = lambda *_: {"n": "an object"}
        connection.set_trace_callback(self.statements.append)
        connection.execute("INSERT INTO t VALUES (2)")
        return connection


@pytest.mark.parametrize("sql", ["FROM range(2)", "CALL pragma_version()", "EXPLAIN SELECT 1", "VALUES (1)"])
def test_each_statement_of_duckdb_that_reads_has_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sql: str
) -> None:
    register_hook(monkeypatch, DuckDBHook)
    connect_file(monkeypatch, "duckdb", tmp_path / "rows.duckdb")
    with read_query(Query(sql, "warehouse"), LOG) as found:
        assert found.count


def test_a_query_of_duckdb_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import duckdb

    register_hook(monkeypatch, DuckDBHook)
    connect_file(monkeypatch, "duckdb", tmp_path / "rows.duckdb")
    with duckdb.connect(str(tmp_path / "rows.duckdb")) as connection:
        connection.execute("CREATE SEQUENCE numbers")
    query = Query("SELECT nextval('numbers')", "warehouse")
    with pytest.raises(ProviderError, match="read-only"), read_query(query, LOG) as found:
        list(found)
    with duckdb.connect(str(tmp_path / "rows.duckdb")) as connection:
        assert connection.execute("SELECT nextval('numbers')").fetchone() == (1,)


@pytest.mark.parametrize("hook", [OpenDuckDBHook, OpenSqliteHook])
def test_a_transaction_that_a_hook_has_begun_is_rolled_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hook: type[DbApiHook]
) -> None:
    import duckdb

    register_hook(monkeypatch, hook)
    path, module = str(tmp_path / "rows"), duckdb if hook is OpenDuckDBHook else sqlite3
    connect_file(monkeypatch, hook.conn_type, Path(path))
    with closing(module.connect(path)) as connection:  # type: ignore[attr-defined]
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
    monkeypatch.setattr(OpenSqliteHook, "statements", [])
    with read_query(Query("SELECT n FROM t", "warehouse"), LOG) as found:
        assert list(found) == [[1]]
    if hook is OpenSqliteHook:
        ends = ["ROLLBACK", "PRAGMA query_only = ON", "BEGIN", "SELECT n FROM t", "ROLLBACK"]
        assert [text.strip() for text in OpenSqliteHook.statements if "INSERT" not in text] == [
            "BEGIN",
            *ends,
        ]


@pytest.mark.parametrize(
    ("long_decimals", "kind"), [("round", float), ("refuse", Unreadable), ("keep", Decimal)]
)
def test_long_decimals_are_read_as_the_query_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, long_decimals: str, kind: type
) -> None:
    register_hook(monkeypatch, DuckDBHook)
    connect_file(monkeypatch, "duckdb", tmp_path / "rows.duckdb")
    sql = "SELECT 0.12345678901234567891::DECIMAL(38, 22)"
    with read_query(Query(sql, "warehouse", long_decimals=long_decimals), LOG) as found:
        ((value,),) = found
    assert type(value) is kind


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT 1", "select"),
        (" -- a\n/* b */ (( WITH x", "with"),
        ("", ""),
        ("/* x */", ""),
        ("?", "?"),
        ("/* a /* b */ c */ SELECT 1", "select"),
        ("/* a /* b */ SELECT 1", "/"),
    ],
)
def test_the_first_word_of_a_statement_is_found(sql: str, word: str) -> None:
    assert first_word(sql) == word


@pytest.mark.parametrize(
    ("sql", "one"),
    [
        ("SELECT 1; -- end", True),
        ("SELECT ';', \";\", $$;$$, $a$;$$;$a$, E'\\';' /* ; */", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT 1;;", True),
        ("SELECT ''';'; COMMIT", False),
    ],
)
def test_statements_are_counted(sql: str, one: bool) -> None:
    assert is_one_statement(sql) is one
