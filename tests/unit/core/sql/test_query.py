"""The arguments of a query: what reads, what is lost by a template, and where a statement ends."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.sql.query import (
    Query,
    first_word,
    is_one_statement,
    query_problems,
    read_timezone,
)
from airflow_provider.errors import InputError

LOST = "; a template lost the query"


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ((None, None, None, None), []),
        (("SELECT 1", "w", None, None), []),
        (("SELECT 1", "w", [1], "UTC"), []),
        (("SELECT 1", "w", {"a": 1}, "None"), []),
        (
            (None, "w", [1], "UTC"),
            [f"'{name}' is given without 'sql'" for name in ("sql_conn_id", "parameters", "sql_timezone")],
        ),
        ((["SELECT 1"], "w", None, None), ["'sql' must be the text of one query, not list"]),
        ((" ", "w", None, None), [f"'sql' is empty{LOST}"]),
        (("-- nothing", "w", None, None), [f"'sql' is empty{LOST}"]),
        ((" None ", "w", None, None), [f"'sql' is the text None{LOST}"]),
        (
            ("/* x */ delete FROM t", "w", None, None),
            [
                "'sql' is a statement DELETE, which returns no rows or changes them; give a query that reads,"
                " such as SELECT"
            ],
        ),
        (
            ("SELECT 1", None, None, None),
            ["'sql' is given without 'sql_conn_id', the id of the connection to the database"],
        ),
        (("SELECT 1", " None", None, None), ["'sql_conn_id' must be the id of a connection, not ' None'"]),
        (("SELECT 1", 5, None, None), ["'sql_conn_id' must be the id of a connection, not 5"]),
        (("SELECT 1", "w", "secret", None), ["'parameters' must be a list or an object, not a text"]),
        (("SELECT 1", "w", 5, None), ["'parameters' must be a list or an object, not int"]),
        (
            ("SELECT 1", "w", "[1]", None),
            [
                "'parameters' must be a list or an object, not a text that a template made: pass the task's"
                " .output, or set render_template_as_native_obj=True on the DAG"
            ],
        ),
        (
            ("SELECT 1", "w", None, "Mars/Base"),
            ["'sql_timezone' 'Mars/Base' is not known; it is a name such as 'UTC' or 'Europe/Copenhagen'"],
        ),
    ],
    ids=str,
)
def test_arguments_of_a_query_are_valid_or_say_why_not(arguments: Any, problems: list[str]) -> None:
    assert query_problems(*arguments) == problems


@pytest.mark.parametrize(
    "word",
    [
        *("insert", "update", "delete", "merge", "replace", "upsert", "truncate", "create", "alter", "drop"),
        *("grant", "revoke", "copy", "commit", "rollback", "savepoint", "vacuum", "lock"),
    ],
)
def test_a_statement_that_writes_is_refused_by_its_first_word(word: str) -> None:
    (problem,) = query_problems(f"-- x\n{word} x", "w", None, None)
    assert problem.startswith(f"'sql' is a statement {word.upper()}, which returns no rows or changes them")


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT 1", "select"),
        ("\n -- x\n# y\n/* a /* b */ c */ ((WITH x", "with"),
        ("/* open SELECT", "/"),
        ("", ""),
        ("  ", ""),
        ("5", "5"),
        ("(select 1)", "select"),
        ("/**/delete", "delete"),
        ("*/ x", "*"),
    ],
)
def test_the_first_word_is_found_behind_comments_and_brackets(sql: str, word: str) -> None:
    assert first_word(sql) == word


@pytest.mark.parametrize(
    ("sql", "one"),
    [
        ("SELECT 1", True),
        ("SELECT 1;", True),
        ("SELECT 1; -- end\n/* more; */ ", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT 1;;", True),
        ("SELECT ';x'; ", True),
        ("SELECT 'it''s;'; x", False),
        ('SELECT "a;b"', True),
        ("SELECT E'\\';x'; ", True),
        ("SELECT $a$;x$a$;", True),
        ("SELECT $$;$$; y", False),
        ("SELECT 1 -- ; x\n", True),
    ],
)
def test_a_statement_ends_at_its_first_semicolon(sql: str, one: bool) -> None:
    assert is_one_statement(sql) is one


def test_parameters_are_passed_only_when_there_are_any() -> None:
    assert Query("SELECT '%'", "w").arguments == ("SELECT '%'",)
    assert Query("SELECT '%'", "w", []).arguments == ("SELECT '%'",)
    assert Query("SELECT %s", "w", [1]).arguments == ("SELECT %s", [1])
    assert Query("", "w") == Query("", "w", None, None, "round")


def test_a_time_zone_is_read_by_its_name() -> None:
    assert str(read_timezone(" Europe/Copenhagen ")) == "Europe/Copenhagen"
    assert [read_timezone(value) for value in (None, "None", "")] == [None] * 3
    for value in (5, "Europe", "../x", "nowhere"):
        with pytest.raises(InputError, match="is not known; it is a name such as 'UTC'"):
            read_timezone(value)
