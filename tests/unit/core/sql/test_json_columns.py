"""JSON columns of PostgreSQL: read as they are, or unreadable by row and column."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import read_query
from tests.support.postgres import Database
from tests.support.sql_sources import DRIVERS, use_driver


@pytest.fixture(params=DRIVERS)
def read(request: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that returns the only value of a query."""
    use_driver(monkeypatch, request.param)
    log: Any = logging.getLogger()

    def value(sql: str) -> Any:
        with read_query(Query(f"SELECT {sql} AS v", "warehouse"), log) as rows:
            ((found,),) = rows
        return found

    return value


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("""'{"a": [{"b": 1, "b": 2}]}'::json""", "has a key twice in one object"),
        ("""ARRAY['{"b": 1, "b": 2}'::json]""", "has a key twice in one object"),
        ("""('{"a": ' || repeat('9', 5000) || '}')::jsonb""", "thousands of digits"),
        ("""repeat('9', 5000)::json""", "thousands of digits"),
    ],
)
def test_json_that_python_drops_or_does_not_hold_is_unreadable(read: Any, sql: str, problem: str) -> None:
    found = read(sql)
    assert isinstance(found, Unreadable)
    assert problem in found.problem


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_other_json_is_read(read: Any, kind: str) -> None:
    assert read(f"""'{{"a": [{{"b": 1.5}}, {{"b": null}}], "c": "é"}}'::{kind}""") == {
        "a": [{"b": 1.5}, {"b": None}],
        "c": "é",
    }
