from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core import arguments
from airflow_provider.errors import InputError


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        (arguments.check_whole_number("n", 1, 1), []),
        (arguments.check_whole_number("n", 0, 1), ["'n' must be a whole number of at least 1, not 0"]),
        (arguments.check_whole_number("n", "1"), ["'n' must be a whole number of at least 0, not '1'"]),
        (arguments.check_whole_number("n", True), ["'n' must be a whole number of at least 0, not True"]),
        (arguments.check_range("n", 0.5, 0, 1), []),
        (arguments.check_range("n", 2, 0, 1), ["'n' must be from 0 to 1, not 2"]),
        (arguments.check_range("n", "all", 0, 1), ["'n' must be from 0 to 1, not 'all'"]),
        (arguments.check_positive("n", 0.1), []),
        (arguments.check_positive("n", 0), ["'n' must be above 0, not 0"]),
        (arguments.check_choice("n", "a", ("a", "b")), []),
        (arguments.check_choice("n", "c", ("a", "b")), ["'n' must be one of a, b, not 'c'"]),
        (arguments.check_not_empty("n", "a"), []),
        (arguments.check_not_empty("n", ()), ["'n' is empty"]),
        (arguments.check_texts("n", None), []),
        (arguments.check_texts("n", ["a"]), []),
        (arguments.check_texts("n", "a"), ["'n' must be a list of texts"]),
        (arguments.check_texts("n", ["a", None]), ["'n' must be a list of texts"]),
        (arguments.check_file_path("n", "a/b.csv"), []),
        (arguments.check_file_path("n", "a/"), ["'n' names no file: 'a/'"]),
    ],
)
def test_a_check_returns_the_problem_with_its_argument(problems: list[str], expected: list[str]) -> None:
    assert problems == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"a": 0}, None),
        ({}, "give exactly one of 'a', 'b' and 'c'; none is given"),
        ({"a": 1, "c": 2}, "give exactly one of 'a', 'b' and 'c'; not a and c"),
    ],
)
def test_exactly_one_argument_is_required(given: dict[str, Any], problem: str | None) -> None:
    found = arguments.check_exactly_one(dict.fromkeys("abc") | given)
    assert found == ([problem] if problem else [])


def test_all_problems_are_raised_at_once() -> None:
    arguments.raise_problems([])
    with pytest.raises(InputError, match="2 problems in the task's arguments"):
        arguments.raise_problems(["one", "two"])


@pytest.mark.parametrize("value", [7, "7", " 7 "])
def test_a_whole_number_may_be_a_text(value: Any) -> None:
    assert arguments.whole_number(value, "n", 7) == 7


@pytest.mark.parametrize("value", ["", "x", -1, "1.5", None, 6])
def test_an_invalid_whole_number_is_named(value: Any) -> None:
    with pytest.raises(InputError, match="task's arguments: 'n' must be a whole number of at least 7, not"):
        arguments.whole_number(value, "n", 7)
