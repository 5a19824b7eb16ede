"""Tests that a run leaves out: which cases run, and what is printed."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from dev.changed import UNIT
from tests.support.selection import CASES, Selection, spread, spread_cases


def cases(path: str, name: str, number: int) -> list[Any]:
    """Return what the rule takes of the cases of a test."""
    return [
        SimpleNamespace(path=UNIT / path, nodeid=f"{path}::{name}[{case} of [{number}]]")
        for case in range(number)
    ]


@pytest.mark.parametrize(
    ("number", "most", "chosen"),
    [
        (1, 3, [0]),
        (3, 3, [0, 1, 2]),
        (4, 3, [0, 1, 3]),
        (10, 3, [0, 4, 9]),
        (10, 4, [0, 3, 6, 9]),
        (10, 1, [0]),
        (2, 1, [0]),
    ],
)
def test_the_cases_that_run_are_spread_over_all_with_the_first_and_the_last(
    number: int, most: int, chosen: list[int]
) -> None:
    assert list(spread(range(number), most)) == chosen


def test_each_test_runs_with_so_many_cases_at_most_wherever_they_are() -> None:
    many, few = cases("core/test_keys.py", "test_many", 5), cases("core/test_keys.py", "test_few", 2)
    same_name = cases("core/test_names.py", "test_many", 1)
    mixed = [many[0], few[0], *many[1:], *same_name, few[1]]
    assert spread_cases(mixed, 2) == ["", "", CASES, CASES, CASES, "", "", ""]


def test_all_cases_run_in_a_module_about_the_whole_project() -> None:
    assert set(spread_cases(cases("test_language.py", "test_each", 9), 2)) == {""}


def test_what_is_left_out_is_printed_with_its_reason_and_adds_up() -> None:
    plugin, lines = Selection("floor", lambda items: []), list[str]()
    plugin.counts = Counter({"": 1200, CASES: 30, "marked slow": 4})
    plugin.pytest_terminal_summary(SimpleNamespace(write_line=lines.append))  # type: ignore[arg-type]
    assert lines == ["floor: 1,200 of 1,234 tests run; left out:", f"  30 {CASES}", "  4 marked slow"]


def test_the_processes_of_xdist_pass_the_counts_on() -> None:
    worker, controller = (Selection("floor", lambda items: []) for _ in range(2))
    worker.counts = Counter({"": 2, CASES: 1})
    node = SimpleNamespace(workeroutput={})
    worker.pytest_sessionfinish(SimpleNamespace(config=node))  # type: ignore[arg-type]
    controller.pytest_testnodedown(node)
    assert controller.counts == worker.counts
