"""Checks of AmigoCloud's SQL that change nothing: the JSON of values, and the database behind it."""

from __future__ import annotations

from typing import Any

from airflow_provider.conformance.check import ANY_STATUS, SUCCESS, Check, Observed, OpenQuestionError, Step
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader

CLIENT = "amigocloud/export/parquet.py"


def _query(query: str, accepts: frozenset[int] = SUCCESS) -> Step:
    return Step("GET", "sql", "project", {"query": query, "limit": "1"}, accepts=accepts)


def _value(answers: Answers) -> Any:
    return answers[0].json()["data"][0]["value"]


def _number_form(answers: Answers, _: Facts) -> str:
    return "text" if isinstance(_value(answers), str) else "number"


def _boolean_form(answers: Answers, _: Facts) -> str:
    return "boolean" if _value(answers) is True else "text"


def _time_form(answers: Answers, _: Facts) -> str:
    return {" ": "blank", "T": "T"}[_value(answers)[10]]


def _json_form(answers: Answers, _: Facts) -> str:
    return "text" if isinstance(_value(answers), str) else "value"


def _array_form(answers: Answers, _: Facts) -> str:
    return "list" if isinstance(_value(answers), list) else "text"


def _empty_geometry(answers: Answers, _: Facts) -> str:
    if _value(answers) not in {None, ""}:
        raise OpenQuestionError("a missing geometry is neither null nor an empty text")
    return "null" if _value(answers) is None else "text"


def _collation(answers: Answers, _: Facts) -> str:
    if answers[0].status not in SUCCESS:
        return "hidden"
    name = str(_value(answers)).upper()
    return "bytes" if name.partition(".")[0] in {"C", "POSIX"} else "language"


def _key_index(answers: Answers, _: Facts) -> Observed:
    if answers[0].status not in SUCCESS:
        return Observed(None, "found a refusal to tell")
    has = int(_value(answers)) > 0
    return Observed(has, "found one" if has else "found none")


def _literal(name: str, question: str, query: str, switch: str, assumed: str, words: str, read: Any) -> Check:
    return Check(
        f"A4.{name}",
        "read",
        question,
        (_query(f"SELECT {query} AS value"),),
        switch,
        assumed,
        words,
        CLIENT,
        read,
    )


READ = (
    _literal(
        "numeric",
        "Is a value of the type numeric a number of JSON?",
        "1.5::numeric",
        "number_form",
        "number",
        "a numeric value is a number",
        choice_reader(_number_form, {"number": "a number", "text": "a text"}),
    ),
    _literal(
        "boolean",
        "Is a boolean one of JSON?",
        "true",
        "boolean_form",
        "boolean",
        "a boolean is one of JSON",
        choice_reader(_boolean_form, {"boolean": "one of JSON", "text": "another value"}),
    ),
    _literal(
        "time",
        "Is there a blank or a T between date and time?",
        "'2025-01-31 14:05:11+00'::timestamptz",
        "time_form",
        "blank",
        "a blank is between date and time",
        choice_reader(_time_form, {"blank": "a blank", "T": "a T"}),
    ),
    _literal(
        "json",
        "Is a value of the type json JSON, or a text with it?",
        "'{\"a\": 1}'::json",
        "json_form",
        "value",
        "a json value is a value of JSON",
        choice_reader(_json_form, {"value": "a value of JSON", "text": "a text"}),
    ),
    _literal(
        "array",
        "Is an array a list of JSON?",
        "ARRAY[1, 2]",
        "array_form",
        "list",
        "an array is a list",
        choice_reader(_array_form, {"list": "a list", "text": "another value"}),
    ),
    _literal(
        "geometry",
        "Is a missing geometry null?",
        "NULL::geometry",
        "empty_geometry",
        "null",
        "a missing geometry is null",
        choice_reader(_empty_geometry, {"null": "null", "text": "an empty text"}),
    ),
    Check(
        "A5.collation",
        "read",
        "Does the database sort texts by their bytes, or by the rules of a language?",
        (
            _query(
                "SELECT datcollate AS value FROM pg_database WHERE datname = current_database()", ANY_STATUS
            ),
        ),
        "collation",
        "bytes",
        "texts are sorted by their bytes",
        "amigocloud/export/key_order.py",
        choice_reader(
            _collation,
            {"bytes": "an order by bytes", "language": "that of a language", "hidden": "a refusal to tell"},
        ),
    ),
    Check(
        "A5.index",
        "read",
        "Is there an index on amigo_id, by which large exports are read?",
        (
            _query(
                "SELECT count(*) AS value FROM pg_indexes WHERE tablename = 'dataset_{dataset}'"
                " AND indexdef LIKE '%(amigo_id)%'",
                ANY_STATUS,
            ),
        ),
        "key_index",
        True,
        "amigo_id has an index",
        "amigocloud/export/keyset.py",
        _key_index,
    ),
)
"""Checks of values and of the database."""
