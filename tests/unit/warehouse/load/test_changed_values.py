"""Values that PostgreSQL or MariaDB would cut, complete or replace without an error are refused."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError
from tests.support import mariadb
from tests.support.sql_sources import register_hook

pytestmark = pytest.mark.slow  # what a database changes does not depend on versions


@pytest.fixture(params=["postgres", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture
def query(kind, request, monkeypatch):
    """Return a function that runs statements in a database of this kind, which ``warehouse`` leads to."""
    if kind == "postgres":
        database = request.getfixturevalue("database")

        def run(sql):
            return database.query(f"SET ROLE loader; {sql}" if sql.startswith("CREATE") else sql)

        yield run
        return
    register_hook(monkeypatch, mariadb.HOOKS[mariadb.DRIVERS[0]])
    with mariadb.new_database(request.getfixturevalue("running_mariadb")) as database:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
        yield database.query


CUT = "is too long for its column, which takes 3 characters"
YEAR = "has a year of fewer than four digits"
CHANGED = {
    "blanks behind a text": ("both", "varchar(3)", '"ab    "', CUT),
    "letters of Unicode are counted": ("both", "varchar(3)", '"éé  "', CUT),
    "letters behind one": ("postgres", '"char"', '"ab"', "takes 1 characters"),
    "letters behind a name": ("postgres", "name", f'"{"x" * 64}"', "takes 63 characters"),
    "blanks of a domain": ("postgres", "short", '"ab    "', CUT),
    "a short year": ("both", "date", '"24-01-05"', YEAR),
    "a short year behind the day": ("postgres", "date", '"05-Jan-24"', YEAR),
    "a short year behind the month": ("postgres", "date", '"Jan 5, 24"', YEAR),
    "any of three": ("postgres", "date", '"01/02/03"', YEAR),
    "a short year of a number": ("both", "date", "240105", YEAR),
    "a short year of a moment": ("both", "timestamp", '"24-01-05T10:00:00Z"', YEAR),
    "a key twice": ("postgres", "jsonb", '"{\\"a\\": 1, \\"a\\": 2}"', "has a key twice"),
    "a key twice below": ("postgres", "jsonb", '"[{\\"b\\": {\\"a\\": 1, \\"a\\": 2}}]"', "has a key twice"),
    "another case": ("mariadb", "enum('a','B')", '"A"', "none of the values"),
    "a blank behind a value": ("mariadb", "enum('a','B')", '"a "', "none of the values"),
    "another case in a set": ("mariadb", "set('a','B')", '"a,b"', "none of the values"),
    "a year of two digits": ("mariadb", "year", "99", YEAR),
    "a year of a text": ("mariadb", "year", '"05"', YEAR),
    "a day in a time": ("mariadb", "time", '"2024-01-01 10:00:00"', "has a date or a zone"),
    "a time without colons": ("mariadb", "time", '"1112"', "10:00:00"),
    "a number for a time": ("mariadb", "time", "1112", "10:00:00"),
    "decimals of a float": ("mariadb", "float(7,2)", "1.239", "has more than 2 decimals"),
    "decimals of a double": ("mariadb", "double(7,2)", "1.239", "has more than 2 decimals"),
    "null for the present": ("mariadb", "timestamp NOT NULL DEFAULT now()", "null", "NULL"),
}


def in_each(cases):
    """Return the cases with the databases that they are about."""
    kinds = {"both": ["postgres", "mariadb"]}
    return [
        pytest.param(kind, *case, id=f"{kind}: {name}")
        for name, (where, *case) in cases.items()
        for kind in kinds.get(where, [where])
    ]


@pytest.mark.parametrize(("kind", "declared", "text", "said"), in_each(CHANGED), indirect=["kind"])
def test_a_value_that_the_column_would_change_is_refused(query, load, tmp_path, declared, text, said):
    if declared == "short":
        query("CREATE DOMAIN short AS varchar(3)")
    query(f"CREATE TABLE t (v {declared})")
    (tmp_path / "a.jsonl").write_text(f'{{"v": {text}}}\n')
    with pytest.raises(InputError, match=f"row 1: the column 'v' .*{said}"):
        load(tmp_path / "a.jsonl")
    assert query("SELECT * FROM t") == []


FITTING = {
    "as many letters as fit": ("both", "varchar(3)", '"éé "', "éé "),
    "blanks that belong to a char": ("mariadb", "char(3)", '"ab"', "ab"),
    "a bit": ("mariadb", "bit(16)", '"5"', b"\0\5"),
    "no year": ("mariadb", "year", '"0"', 0),
    "a year": ("mariadb", "year", '"2024"', 2024),
    "no members": ("mariadb", "set('a','B')", '""', ""),
    "members": ("mariadb", "set('a','B')", '"B,a"', "a,B"),
    "keys of two objects": ("postgres", "jsonb", '"[{\\"a\\": 1}, {\\"a\\": 2}]"', [{"a": 1}, {"a": 2}]),
    "a text with a brace": ("postgres", "jsonb", '"{a"', "{a"),
}


@pytest.mark.parametrize(("kind", "declared", "text", "expected"), in_each(FITTING), indirect=["kind"])
def test_a_value_that_fits_is_kept(query, load, tmp_path, declared, text, expected):
    query(f"CREATE TABLE t (v {declared})")
    (tmp_path / "a.jsonl").write_text(f'{{"v": {text}}}\n')
    load(tmp_path / "a.jsonl")
    ((found,),) = query("SELECT v FROM t")
    assert found == expected


@pytest.mark.parametrize("text", ["2024-01-05", "20240105", "2024-1-5"])
def test_a_date_with_a_whole_year_is_read(query, load, tmp_path, text):
    query("CREATE TABLE t (v date)")
    (tmp_path / "a.csv").write_text(f"v\n{text}\n")
    load(tmp_path / "a.csv")
    assert query("SELECT v FROM t") == [(date(2024, 1, 5),)]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_names_of_months_are_read(query, load, tmp_path):
    query("CREATE TABLE t (v timestamp)")
    texts = ["January 5, 2024", "5-Jan-2024 00:00", "Jan 5 2024", "2024 Jan 05"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"v": text}) + "\n" for text in texts))
    load(tmp_path / "a.jsonl")
    assert query("SELECT DISTINCT v FROM t") == [(datetime(2024, 1, 5),)]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_decimals_within_objects_keep_their_digits(query, load, tmp_path):
    query("CREATE TABLE t (v jsonb, w numeric[])")
    digits = Decimal("12345678901234567890.12345678901234567890")
    column = pa.array([{"a": digits, "b": [digits]}])
    parquet.write_table(pa.table({"v": column, "w": pa.array([[digits]])}), tmp_path / "a.parquet")
    load(tmp_path / "a.parquet")
    assert query("SELECT v->>'a', v->'b'->>0, w[1] FROM t") == [(str(digits), str(digits), digits)]


@pytest.mark.parametrize("kind", ["mariadb"], indirect=True)
def test_a_column_without_a_default_that_the_source_lacks_is_named(query, load, tmp_path):
    query("CREATE TABLE t (i int NOT NULL, j int)")
    (tmp_path / "a.jsonl").write_text('{"j": 1}\n')
    with pytest.raises(InputError, match="the column 'i' has no default, and the source lacks it"):
        load(tmp_path / "a.jsonl")


def test_rows_without_any_field_are_not_taken_for_a_trigger(query, load, tmp_path):
    query("CREATE TABLE t (v int)")
    (tmp_path / "a.jsonl").write_text("{}\n{}\n")
    with pytest.raises(InputError, match="has 2 rows without any field"):
        load(tmp_path / "a.jsonl")
