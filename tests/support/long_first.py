"""Order of the tests: the long ones come in the first half, so that at the end no process waits for another.

A process of xdist begins with its part of the list, and leaves its last tests to no other process. Long tests
wait for most of their time: in a row, they would leave the processors idle.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from itertools import islice
from typing import TypeVar

import pytest

Test = TypeVar("Test")


class LongFirst:
    """Order the tests when all others have chosen among them: the parts are those of the tests that run."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Order the tests that run."""
        yield
        are_long = [item.get_closest_marker("long") is not None for item in items]
        items[:] = long_first(items, are_long, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def long_first(tests: Sequence[Test], are_long: Sequence[bool], processes: int) -> list[Test]:
    """Return tests in an order in which the first half of each process's part has some of the long ones.

    :param tests: the tests.
    :param are_long: whether each of them is long.
    :param processes: number of processes, each of which gets an equal part of the list.
    """
    long = [test for test, is_long in zip(tests, are_long, strict=True) if is_long]
    short = iter([test for test, is_long in zip(tests, are_long, strict=True) if not is_long])
    ordered: list[Test] = []
    for process in range(processes):
        begin, end = (len(tests) * number // processes for number in (process, process + 1))
        mine = long[process::processes]
        room = max(0, end - begin - len(mine))
        between = room // (2 * len(mine)) if mine else 0
        for test in mine:
            ordered += [test, *islice(short, between)]
        ordered += islice(short, room - between * len(mine))
    return [*ordered, *short]
