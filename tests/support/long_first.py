"""Order of the tests: the long ones begin first, so that at the end no process waits for another one.

A process of xdist begins with its part of the list, and leaves its last tests to no other process.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

Test = TypeVar("Test")


def long_first(tests: Sequence[Test], are_long: Sequence[bool], processes: int) -> list[Test]:
    """Return tests in an order in which the part of each process begins with some of the long ones.

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
        ordered += [*mine, *islice(short, max(0, end - begin - len(mine)))]
    return [*ordered, *short]
