"""Order of the tests: each is there once, and each process begins with long ones."""

from __future__ import annotations

import pytest

from tests.support.long_first import long_first


def test_the_part_of_each_process_begins_with_long_tests() -> None:
    tests = ["a", "B", "c", "d", "e", "F", "G", "h"]
    are_long = [test.isupper() for test in tests]
    assert long_first(tests, are_long, 2) == ["B", "G", "a", "c", "F", "d", "e", "h"]
    assert long_first(tests, are_long, 1) == ["B", "F", "G", "a", "c", "d", "e", "h"]


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7, 40])
@pytest.mark.parametrize("long", [0, 1, 5, 20])
def test_each_test_runs_once_whatever_there_is(processes: int, long: int) -> None:
    tests = list(range(20))
    are_long = [number < long for number in tests]
    assert sorted(long_first(tests, are_long, processes)) == tests
