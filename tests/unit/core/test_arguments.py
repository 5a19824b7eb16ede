from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core import arguments


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        (arguments.check_choice("n", "a", ("a", "b")), []),
        (arguments.check_choice("n", "c", ("a", "b")), ["'n' must be one of a, b, not 'c'"]),
        (
            arguments.check_choice("n", "plann", ("plan", "apply")),
            ["'n' must be one of plan, apply, not 'plann'; did you mean 'plan'?"],
        ),
        (arguments.check_choice("n", None, ("a", "b")), ["'n' must be one of a, b, not None"]),
        (arguments.check_not_empty("n", "a"), []),
        (arguments.check_not_empty("n", ()), ["'n' is empty"]),
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
