"""Problems of rows are listed with row, key and field; those of columns once, with their number of rows."""

from __future__ import annotations

import pytest

from airflow_provider.core.input import problems as module
from airflow_provider.core.input.problems import Problems, nearest, row_name
from airflow_provider.errors import InputError


def test_a_problem_names_row_key_and_field() -> None:
    problems = Problems("rows.csv")
    problems.add("is empty", 3, "R-12", "name")
    problems.add("is unknown", 4)
    problems.add("has no rows")
    assert problems.lines() == ["row 3 (R-12): name is empty", "row 4: is unknown", "has no rows"]
    assert problems.rows == {3, 4, 0}


def test_a_problem_of_a_column_is_one_line_before_those_of_rows() -> None:
    problems = Problems("rows.csv")
    problems.add("is empty", 1)
    for row in (1, 2, 3):
        problems.add_column("'colour' is no field", row)
    problems.add_column("'size' is no field", 2)
    for row in (5, 6, 7, 8):
        problems.add_column("'weight' is no field", row)
    assert problems.lines() == [
        "'colour' is no field (3 rows: 1, 2, 3)",
        "'size' is no field (row 2)",
        "'weight' is no field (4 rows: 5, 6, 7, …)",
        "row 1: is empty",
    ]
    assert problems.rows == {1, 2, 3, 5, 6, 7, 8}


def test_no_problem_is_raised_when_there_is_none_and_all_of_them_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems = Problems("rows.csv")
    problems.raise_if_any()
    assert not problems
    problems.add_column("'size' is no field", 2)
    assert problems
    with pytest.raises(InputError, match=r"^rows.csv: 'size' is no field \(row 2\)$"):
        problems.raise_if_any()


def test_problems_of_rows_and_columns_beyond_a_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KINDS", 2)
    problems = Problems("rows.csv")
    for row in range(1, 6):
        problems.add("is empty", row)
        problems.add_column(f"column {row}", row)
    problems.add_column("column 1", 6)
    assert problems.lines() == [
        "column 1 (2 rows: 1, 6)",
        "column 2 (row 2)",
        "row 1: is empty",
        "row 2: is empty",
        "6 further problems are not listed",
    ]


@pytest.mark.parametrize(
    ("row", "key", "name"),
    [
        (0, "R", ""),
        (1, None, "row 1: "),
        (1, "", "row 1: "),
        (1, 0, "row 1 (0): "),
        (2, "x" * 60, f"row 2 ({'x' * 60}): "),
        (2, "x" * 61, f"row 2 ({'x' * 59}…): "),
    ],
)
def test_a_row_is_named_with_its_key_cut_short(row: int, key: object, name: str) -> None:
    assert row_name(row, key) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("External-ID", "; did you mean 'externalId'?"),
        ("nmae", "; did you mean 'name'?"),
        ("nam@en", "; did you mean 'name@en'?"),
        ("e-x t_e.r:n/a+l*i?d", "; did you mean 'externalId'?"),
        ("exteabcdef", ""),
        ("@@@@@x", "; did you mean '@@@@@'?"),
        ("-----x", ""),
        ("colour", ""),
    ],
)
def test_an_unknown_name_has_a_hint_at_the_nearest_known_one(name: str, hint: str) -> None:
    assert nearest(name, ["externalId", "name", "name@en", "@@@@@"]) == hint
