"""Order of the tests: each is there once, and each process begins with long ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from _pytest import hookspec

from tests.support.long_first import LongFirst, long_first
from tests.support.selection import Selection


def test_the_part_of_each_process_begins_with_long_tests() -> None:
    tests = ["a", "B", "c", "d", "e", "F", "G", "h"]
    are_long = [test.isupper() for test in tests]
    assert long_first(tests, are_long, 2) == ["B", "G", "a", "c", "F", "d", "e", "h"]
    assert long_first(tests, are_long, 1) == ["B", "F", "G", "a", "c", "d", "e", "h"]


def test_long_tests_are_apart_in_the_first_half() -> None:
    tests = [*"LMabcdefghijklmnopqr", *"NOabcdefghijklmnopqr"]
    ordered = "".join(long_first(tests, [test.isupper() for test in tests], 2))
    assert ordered == "LabcdNefghijklmnopqrMabcdOefghijklmnopqr"


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7, 40])
@pytest.mark.parametrize("long", [0, 1, 5, 20])
def test_each_test_runs_once_whatever_there_is(processes: int, long: int) -> None:
    tests = list(range(20))
    are_long = [number < long for number in tests]
    assert sorted(long_first(tests, are_long, processes)) == tests


@pytest.mark.parametrize("plugins", [("order", "selection"), ("selection", "order")])
def test_the_parts_are_those_of_the_tests_that_run(
    plugins: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whichever order the plugins have come. Parts of all tests had their long ones at other ends."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspec)
    left_out = Selection("short", lambda items: ["case" if item.name == "x" else "" for item in items])
    for plugin in plugins:
        manager.register({"order": LongFirst(), "selection": left_out}[plugin])
    items: list[Any] = [
        SimpleNamespace(name=name, get_closest_marker=lambda _, name=name: True if name.isupper() else None)
        for name in "Axbcdxxxxxxxe F"
    ]
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: None))
    manager.hook.pytest_collection_modifyitems(session=None, config=config, items=items)
    assert "".join(item.name for item in items) == "AbcFde "
