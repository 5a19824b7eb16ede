"""Columns of a result become fields: renamed, left out, and in the case of the fields that are known."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.sql.names import field_names
from airflow_provider.errors import InputError


@pytest.mark.parametrize(
    ("names", "options", "fields"),
    [
        (["a", "B"], {}, ["a", "B"]),
        (["a", "B", " c "], {"columns": {"a": "x"}, "ignore": ["B"]}, ["x", None, " c "]),
        (["EXTERNALID", "name"], {"known": ["externalId", "Name"]}, ["externalId", "Name"]),
        (["externalid", "EXTERNALID"], {"known": ["externalId"]}, ["externalid", "EXTERNALID"]),
        (["externalid", "externalId"], {"known": ["externalId"]}, ["externalid", "externalId"]),
        (["NAME"], {"known": ["name", "Name"]}, ["NAME"]),
        (["key"], {"columns": {"key": "EXTERNALID"}, "known": ["externalId"]}, ["EXTERNALID"]),
        (["id", "key"], {"columns": {"key": "ID"}, "known": ["Id"]}, ["Id", "ID"]),
        (["Cafe\u0301"], {"columns": {"Caf\u00e9": "cafe"}}, ["cafe"]),
        (["a", "b"], {"ignore": ["a"], "known": ["A"]}, [None, "b"]),
    ],
    ids=str,
)
def test_a_column_has_the_name_of_its_field(names: list[str], options: dict[str, Any], fields: Any) -> None:
    given = {"columns": None, "ignore": None, **options}
    assert field_names(names, **given) == fields


@pytest.mark.parametrize(
    ("names", "columns", "ignore", "problems"),
    [
        (
            ["a", "b", "a", "b "],
            None,
            None,
            ["has two columns 'a'; name them with AS", "has two columns 'b'; name them with AS"],
        ),
        (
            ["name"],
            {"nam": "x"},
            ["colour"],
            [
                "'colour' of columns or ignore is not a column of the result",
                "'nam' of columns or ignore is not a column of the result; did you mean 'name'?",
            ],
        ),
        (["a", "b"], {"a": "b"}, None, ["has the field 'b' twice, by columns"]),
        (["a", "a"], {"a": "b"}, None, ["has two columns 'a'; name them with AS"]),
    ],
)
def test_names_that_do_not_fit_are_problems(
    names: list[str], columns: dict[str, str] | None, ignore: list[str] | None, problems: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        field_names(names, columns, ignore)
    assert (caught.value.problems, caught.value.subject) == (problems, "sql")
