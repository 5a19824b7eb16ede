"""Values of a real PostgreSQL become values of rows, the same with both drivers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, read_source
from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql import streaming
from airflow_provider.core.sql.query import Query, read_timezone
from airflow_provider.core.sql.rows import read_query
from airflow_provider.core.sql.values import DatabaseValueReader
from airflow_provider.errors import InputError
from tests.support.postgres import Database
from tests.support.sql_sources import DRIVERS, use_driver

LOG = logging.getLogger(__name__)
Read = Callable[..., Any]


@pytest.fixture(params=DRIVERS)
def read(
    request: pytest.FixtureRequest, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Read]:
    """Return a function that reads the rows of a query, without their numbers."""
    use_driver(monkeypatch, request.param)
    with ExitStack() as stack:

        def read(
            sql: str, parameters: Any = None, timezone: str | None = None, options: RowOptions = NO_OPTIONS
        ) -> list[dict[str, Any]]:
            query = Query(sql, "warehouse", parameters, read_timezone(timezone))
            rows = stack.enter_context(read_query(query, LOG))
            return [row for _, row in read_source(rows, "rows", options, fields=("externalId",))]

        yield read


def value(read: Read, sql: str, timezone: str | None = None) -> Any:
    (row,) = read(f"SELECT {sql} AS v", timezone=timezone)
    return row["v"].problem if isinstance(row.get("v"), Unreadable) else row.get("v")


VALUES = {
    "1.5::numeric": 1.5,
    "12::numeric(10,0)": 12,
    "true": True,
    "7::bigint": 7,
    "0.25::real": 0.25,
    "''": "",
    "'ä'": "ä",
    "date '2026-03-01'": "2026-03-01",
    "timestamptz '2026-03-01 12:00:00+02'": "2026-03-01T10:00:00Z",
    "'6f1ac6a5-9b0d-4c43-9a3b-6b7f0bd0a2a1'::uuid": "6f1ac6a5-9b0d-4c43-9a3b-6b7f0bd0a2a1",
    "inet '10.0.0.1'": "10.0.0.1",
    '\'{"a": [1, null, "x"]}\'::jsonb': {"a": [1, None, "x"]},
    "'[1, 2]'::json": [1, 2],
    "ARRAY['a', NULL]": ["a", None],
    "ARRAY[1.5::numeric, 2]": [1.5, 2],
    "'\\x0102'::bytea": b"\x01\x02",
    "time '12:30'": "12:30:00",
}


@pytest.mark.parametrize("sql", VALUES)
def test_a_value_of_a_database_becomes_one_of_json(read: Read, sql: str) -> None:
    found = value(read, sql)
    assert found == VALUES[sql]
    assert type(found) is type(VALUES[sql])


def test_lists_and_scalars_of_numpy_are_those_of_python() -> None:
    """Databricks returns arrays so."""
    values = [np.array([1, 2]), np.array(["a", None], dtype=object), np.float64(1.5), np.int64(3)]
    assert DatabaseValueReader().read_row(values) == [[1, 2], ["a", None], 1.5, 3]


def test_an_enum_becomes_its_text(read: Read, database: Database) -> None:
    database.query("CREATE TYPE mood AS ENUM ('glad')")
    assert value(read, "'glad'::mood") == "glad"


def test_an_array_of_any_type_becomes_a_list(read: Read, database: Database) -> None:
    database.query("CREATE TYPE mood AS ENUM ('glad', 'so, so'); CREATE DOMAIN code AS text")
    assert value(read, "ARRAY['so, so', NULL]::mood[]") == ["so, so", None]
    assert value(read, "ARRAY['a']::code[]") == ["a"]
    uuid = "6f1ac6a5-9b0d-4c43-9a3b-6b7f0bd0a2a1"
    assert value(read, f"ARRAY['{uuid}']::uuid[]") == [uuid]


def test_an_array_of_a_domain_has_the_values_of_its_type(read: Read, database: Database) -> None:
    """The numbers of such an array were texts, those of the domain itself were numbers."""
    database.query("CREATE DOMAIN seats AS int; CREATE DOMAIN few AS seats; CREATE DOMAIN day AS date")
    assert value(read, "5::few") == 5
    assert value(read, "ARRAY[5, NULL]::seats[]") == [5, None]
    assert value(read, "ARRAY[5]::few[]") == [5]
    assert value(read, "ARRAY['2026-03-01']::day[]") == ["2026-03-01"]
    assert isinstance(read("SELECT ARRAY['infinity']::day[] AS v")[0]["v"], Unreadable)


def test_a_database_with_an_older_list_of_types_is_read(
    read: Read, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redshift has the columns of PostgreSQL 8.0: no query of a `postgres` connection to it worked."""
    columns = "typname, typnamespace, typlen, typtype, typelem, typbasetype"
    database.query(f"CREATE SCHEMA older; CREATE VIEW older.pg_type AS SELECT {columns} FROM pg_type")
    database.query("GRANT USAGE ON SCHEMA older TO loader; GRANT SELECT ON older.pg_type TO loader")
    extra = json.dumps({"options": "-c search_path=older,pg_catalog,public"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=extra))
    assert read("SELECT 1.5::numeric AS a, 'x' AS b, '{\"c\": 1}'::json AS d") == [
        {"a": 1.5, "b": "x", "d": {"c": 1}}
    ]
    assert read("SELECT typarray AS a FROM pg_catalog.pg_type WHERE typname = 'bool'") == [{"a": 1000}]


RANGES = ["'[1,2]'::floats", "'{[1,2]}'::multifloats", "int4multirange(int4range(1, 5))"]


@pytest.mark.parametrize("sql", [*RANGES, *(f"ARRAY[{sql}]" for sql in [*RANGES, "int4range(1, 5)"])])
def test_a_range_of_any_type_is_a_problem(read: Read, database: Database, sql: str) -> None:
    """The text `[1,2]` of a range was taken for a list."""
    database.query("CREATE TYPE floats AS RANGE (subtype = float8, multirange_type_name = multifloats)")
    assert value(read, sql).startswith("is a range; select its bounds")


def test_a_range_without_a_value_is_none(read: Read, database: Database) -> None:
    database.query("CREATE TYPE floats AS RANGE (subtype = float8)")
    assert value(read, "NULL::floats") is None
    assert value(read, "ARRAY[NULL::floats]") == [None]


def test_no_role_takes_digits_from_floats(
    read: Read, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of a role rounded them without a word."""
    extra = json.dumps({"options": "-c extra_float_digits=-15"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=extra))
    assert value(read, "0.1::float8 + 0.2::float8") == 0.1 + 0.2
    assert value(read, "ARRAY[0.1::float8 + 0.2::float8]") == [0.1 + 0.2]


PROBLEMS = {
    "'NaN'::float8": "is NaN; select NULL",
    "'NaN'::numeric": "is NaN; select NULL",
    "'-Infinity'::float8": "is -inf, which is no JSON number",
    "'Infinity'::numeric": "which is no JSON number",
    "1e30::numeric": "is a number of more than 64 bits",
    "timestamp '2026-03-01 12:00:00'": "is a time without a time zone; state its zone (for a query: sql_",
    "ARRAY[timestamp '2026-03-01 12:00:00']": "without a time zone",
    "time '24:00'": "",
    "timetz '24:00+00'": "",
    "interval '1 day'": "is an interval; select a number",
    "interval '3000000 years'": "",
    "int4range(1, 3)": "is a range; select its bounds",
    "tstzrange(now(), NULL)": "is a range; select its bounds",
    "timestamptz 'infinity'": "is infinity",
    "timestamp '-infinity'": "is infinity",
    "date 'infinity'": "is infinity",
    "date '-infinity'": "is infinity",
    "date '0044-03-15 BC'": "outside the years 1 to 9999",
    "timestamp '0044-03-15 12:00:00.5 BC'": "outside the years 1 to 9999",
    "timestamptz '0044-03-15 12:00:00.5Z BC'": "outside the years 1 to 9999",
    "date '0001-03-15 BC'": "outside the years 1 to 9999",
    "timestamptz '20000-01-01 00:00:00Z'": "outside the years 1 to 9999",
    "timestamp '20000-01-01 00:00:00'": "outside the years 1 to 9999",
    "date '20000-01-01'": "outside the years 1 to 9999",
    "ARRAY[timestamptz 'infinity']": "",
}


@pytest.mark.parametrize("sql", PROBLEMS)
def test_a_value_without_a_json_form_is_a_problem_of_its_row(read: Read, sql: str) -> None:
    (row,) = read(f"SELECT 'R-1' AS id, {sql} AS v")
    assert isinstance(row["v"], Unreadable)
    assert PROBLEMS[sql] in row["v"].problem


@pytest.mark.parametrize("sql", ["SELECT * FROM t", "WITH x AS (SELECT * FROM t) SELECT * FROM x", "TABLE t"])
def test_a_result_without_rows_has_names(read: Read, database: Database, sql: str) -> None:
    database.query("CREATE TABLE t (a int, b text)")
    database.query("GRANT SELECT ON t TO loader")
    with read_query(Query(sql, "warehouse"), LOG) as rows:
        assert (rows.names, list(rows)) == (["a", "b"], [])


def test_a_transaction_that_a_hook_has_begun_is_rolled_back(
    read: Read, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    database.query("CREATE TABLE t (n int); GRANT SELECT ON t TO loader")
    real = PostgresHook.get_conn

    def begun(hook: PostgresHook) -> Any:
        connection = real(hook)
        connection.cursor().execute("SELECT count(*) FROM t")
        return connection

    monkeypatch.setattr(PostgresHook, "get_conn", begun)
    assert read("SELECT 7 AS n") == [{"n": 7}]


@pytest.mark.parametrize("sql", ["SELECT 7 AS n", "SHOW server_encoding"])
def test_a_connection_that_commits_by_itself_is_one_that_only_reads(
    read: Read, database: Database, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    real, opened = PostgresHook.get_conn, list[Any]()

    def committing(hook: PostgresHook) -> Any:
        opened.append(real(hook))
        opened[0].autocommit = True
        return opened[0]

    monkeypatch.setattr(PostgresHook, "get_conn", committing)
    assert len(read(sql)) == 1
    assert opened[0].autocommit is False


def test_rows_come_through_a_cursor_of_the_server(
    request: pytest.FixtureRequest, read: Read, database: Database
) -> None:
    """Without one, psycopg 2 would hold all of them in memory; the other driver has a way of its own."""
    name = "rows" if request.node.callspec.params["read"] == "psycopg2" else ""
    assert read("SELECT name FROM pg_cursors") == [{"name": name}]


def test_rows_come_in_chunks_where_the_driver_can_do_that(monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = pytest.importorskip("psycopg").capabilities
    for can, expected in ((True, {"size": 100}), (False, {})):
        monkeypatch.setattr(type(capabilities), "has_stream_chunked", lambda *_, can=can: can)
        assert streaming._chunks() == expected


def test_only_statements_with_a_cursor_are_asked_for_their_columns() -> None:
    """Databases with PostgreSQL's protocol may have a list of their own that is empty."""
    connection: Any = None
    assert streaming._declared_names(connection, Query("SHOW JOBS", "warehouse")) == []


def test_a_parameter_too_few_is_said_to_be_one(read: Read) -> None:
    with pytest.raises(InputError, match="placeholders"):
        read("SELECT %s::int, %s::int", parameters=[1])


@pytest.mark.parametrize("sql", ["VALUES (1), (2)", "(SELECT 1)", "EXPLAIN SELECT 1", "SHOW server_version"])
def test_each_statement_that_reads_has_rows(read: Read, sql: str) -> None:
    assert read(sql)


def test_a_list_with_such_a_value_is_a_problem_of_its_row(read: Read) -> None:
    sql = ", ".join(
        f"ARRAY[{value}] AS v{number}"
        for number, value in enumerate(
            [
                *("time '24:00'", "timetz '24:00+00'", "date 'infinity'", "timestamp 'infinity'"),
                *("timestamptz '20000-01-01 00:00:00Z'", "interval '3000000 years'"),
            ]
        )
    )
    (row,) = read(f"SELECT {sql}")
    assert [type(row[f"v{number}"]) for number in range(6)] == [Unreadable] * 6


def test_a_value_that_is_left_out_is_no_problem(read: Read) -> None:
    options = RowOptions(ignore=["period"])
    assert read("SELECT 1 AS a, interval '1 day' AS period", options=options) == [{"a": 1}]


@pytest.mark.parametrize(("zone", "utc"), [("UTC", "12:00"), ("Europe/Copenhagen", "10:00")])
def test_sql_timezone_is_the_zone_of_times_without_one(read: Read, zone: str, utc: str) -> None:
    assert value(read, "timestamp '2026-07-01 12:00'", zone) == f"2026-07-01T{utc}:00Z"
    assert value(read, "timestamptz '2026-07-01 12:00Z'", zone) == "2026-07-01T12:00:00Z"
    assert value(read, "date '2026-07-01'", zone) == "2026-07-01"


def test_null_is_no_value_and_an_empty_text_is_one(read: Read) -> None:
    assert read("SELECT NULL AS a, '' AS b, 'null'::jsonb AS c, '{\"x\": null}'::jsonb AS d") == [
        {"b": "", "d": {"x": None}}
    ]


def test_percent_signs_need_no_escape_without_parameters(read: Read) -> None:
    assert read("SELECT '50%' AS a WHERE 'abc' LIKE 'a%'") == [{"a": "50%"}]
    assert read("SELECT '50%' AS a", parameters=[]) == [{"a": "50%"}]
    assert read("SELECT 7 % 4 AS a", parameters={}) == [{"a": 3}]


def test_parameters_are_passed_to_the_driver(read: Read) -> None:
    assert read("SELECT %s::text AS a, '%%' AS b", parameters=["x'y"]) == [{"a": "x'y", "b": "%"}]
    assert read("SELECT %(site)s::text AS a", parameters={"site": "A"}) == [{"a": "A"}]


def test_a_semicolon_and_comments_may_surround_a_query(read: Read) -> None:
    assert read("-- rooms; all of them\n/* ; */ SELECT ';' AS a; -- end") == [{"a": ";"}]
    assert read("(SELECT 1 AS a)") == [{"a": 1}]
    assert read("VALUES (1), (2)") == [{"column1": 1}, {"column1": 2}]
    assert read("WITH x AS (SELECT 1 AS a) SELECT * FROM x") == [{"a": 1}]


def test_a_statement_that_shows_rows_is_a_query(read: Read) -> None:
    assert read("SHOW server_encoding") == [{"server_encoding": "UTF8"}]


@pytest.mark.parametrize("sql", ["SELECT", "SELECT FROM generate_series(1, 3)", "SELECT WHERE false"])
def test_a_query_without_columns_is_refused(read: Read, sql: str) -> None:
    with pytest.raises(InputError, match="returns no rows"):
        read(sql)


def test_a_setting_is_no_query(read: Read) -> None:
    with pytest.raises(InputError, match="returns no rows"):
        read("SET work_mem = '4MB'")


def test_two_columns_of_one_name_are_refused(read: Read) -> None:
    with pytest.raises(InputError, match="^sql: has two columns 'id'; name them with AS"):
        read("SELECT 1 AS id, 2 AS id, 3 AS x")
    with pytest.raises(InputError, match="'id'"):
        read("SELECT 1 AS id, 2 AS id WHERE false")


@pytest.mark.parametrize("where", ["true", "false"], ids=["rows", "no rows"])
def test_a_name_that_the_result_does_not_have_is_refused(read: Read, where: str) -> None:
    options = RowOptions(columns={"Etage": "parentFloor"}, ignore=["lodaed_at"])
    with pytest.raises(InputError) as caught:
        read(f"SELECT 1 AS etage, now() AS loaded_at WHERE {where}", options=options)
    assert caught.value.problems == [
        "'Etage' of columns or ignore is not a column of the result; did you mean 'etage'?",
        "'lodaed_at' of columns or ignore is not a column of the result; did you mean 'loaded_at'?",
    ]


def test_columns_are_renamed_and_left_out(read: Read) -> None:
    options = RowOptions(columns={"etage": "parentFloor"}, ignore=["loaded_at"])
    assert read("SELECT 1 AS etage, now() AS loaded_at", options=options) == [{"parentFloor": 1}]
    with pytest.raises(InputError, match="has the field 'b' twice"):
        read("SELECT 1 AS a, 2 AS b", options=RowOptions(columns={"a": "b"}))


def test_a_field_is_found_in_any_case_when_that_is_unambiguous(read: Read) -> None:
    assert read("SELECT 1 AS externalid") == [{"externalId": 1}]
    assert read('SELECT 1 AS "EXTERNALID"') == [{"externalId": 1}]
    assert read('SELECT 1 AS "EXTERNALID", 2 AS "externalId"') == [{"EXTERNALID": 1, "externalId": 2}]
    assert read('SELECT 1 AS "EXTERNALID", 2 AS externalid') == [{"EXTERNALID": 1, "externalid": 2}]
    options = RowOptions(columns={"code": "externalId"})
    assert read("SELECT 1 AS externalid, 2 AS code", options=options) == [{"externalid": 1, "externalId": 2}]


def test_min_rows_counts_the_rows_of_a_query(read: Read) -> None:
    assert len(read("SELECT generate_series(1, 3) AS a", options=RowOptions(min_rows=3))) == 3
    with pytest.raises(InputError, match="^sql: has 0 rows, fewer than min_rows 1"):
        read("SELECT 1 AS a WHERE false", options=RowOptions(min_rows=1))


@pytest.mark.parametrize("kind", ["dictcursor", "realdictcursor", "namedtuplecursor"])
def test_a_cursor_of_dictionaries_changes_nothing(
    request: pytest.FixtureRequest, read: Read, database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "realdictcursor" and request.node.callspec.params["read"] == "psycopg":
        pytest.skip("the driver has no such cursor")
    connection = database.airflow_connection(extra=json.dumps({"cursor": kind}))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection)
    database.query("CREATE TYPE mood AS ENUM ('glad')")
    assert read("SELECT 1 AS a, ARRAY['glad']::mood[] AS b") == [{"a": 1, "b": ["glad"]}]
    assert read("SHOW server_encoding") == [{"server_encoding": "UTF8"}]
