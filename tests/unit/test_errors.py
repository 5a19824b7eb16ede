from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider import errors

PACKAGE = Path(errors.__file__).parent


@pytest.mark.parametrize(
    ("seconds", "delay"), [(0.2, "0.2 s"), (1.0, "1 s"), (9.96, "10 s"), (59.6, "60 s"), (3600.0, "3600 s")]
)
def test_an_error_names_the_delay_that_the_service_asks_for(seconds: float, delay: str) -> None:
    assert f"asks to wait {delay}" in str(errors.RateLimitedError(429, retry_after=seconds))


def test_a_long_list_of_problems_is_shortened() -> None:
    problems = [f"row {number} has no id" for number in range(1, 26)]
    lines = str(errors.InputError(problems, "the rows")).splitlines()
    assert lines[0] == "25 problems in the rows:"
    assert lines[1] == "  - row 1 has no id"
    assert lines[-1] == "  - and 5 more"
    assert len(lines) == 22


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, ["0", "1"]), (3, ["0", "1", "and 1 more"])])
def test_a_list_is_shortened_beyond_its_limit(count: int, expected: list[str]) -> None:
    assert errors.shorten([str(number) for number in range(count)], 2) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["Not found.", "check the id"], "Not found; check the id"),
        (["Not found", "check the id."], "Not found; check the id."),
        (["", "check the id"], "check the id"),
        (["Not found.", " ", ""], "Not found."),
        (["Wait...", "Again. ", "done"], "Wait...; Again; done"),
        ([], ""),
    ],
)
def test_a_sentence_goes_on_without_a_full_stop(parts: list[str], expected: str) -> None:
    assert errors.clauses(*parts) == expected


def test_advice_follows_no_full_stop() -> None:
    error = errors.AuthenticationError(401, message="Invalid token.", request="GET /x")
    assert str(error) == "GET /x answered 401: Invalid token (check login and password of the connection)"
    assert error.message == "Invalid token."


def test_no_message_cuts_a_list_without_saying_so() -> None:
    cut = re.compile(r"join\((?:\w+\([\w.]+\)|[\w.]+)\[:\w+\]\)")
    found = {
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts
        for line in path.read_text().splitlines()
        if cut.search(line)
    }
    assert found == set()
