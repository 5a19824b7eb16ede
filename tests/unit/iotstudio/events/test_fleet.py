"""Fleets: which arguments name their Things, and requests for many of them at the same time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.iotstudio.events import fleet
from airflow_provider.iotstudio.events.fleet import (
    Declared,
    Fleet,
    amap_concurrently,
    fleet_problems,
    map_concurrently,
)


def task(**given: Any) -> Any:
    names = ("thing_ids", "category", "filters", "space")
    return SimpleNamespace(**{**dict.fromkeys(names), **given})


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"thing_ids": ["a", "b", "a"]}, ("a", "b")),
        ({"thing_id": "a"}, ("a",)),
        ({"thing_id": None, "category": "Sensors", "filters": {"x": 1}}, None),
    ],
)
def test_a_fleet_is_named_by_ids_or_by_filters(given: dict[str, Any], ids: Any) -> None:
    assert fleet_problems(task(**given)) == []
    found = Fleet.of(task(**given))
    assert (found.thing_ids, found.category, found.filters) == (
        *(ids, given.get("category"), given.get("filters")),
    )


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"thing_ids": ["a", ".."]}, ["'thing_ids' is '..', which cannot be a name or an id"]),
        ({"thing_id": " "}, ["'thing_id' is empty"]),
        ({"category": 5, "space": ".."}, ["'category' must be a text", "'space' is '..'"]),
        ({"thing_id": "a", "thing_ids": ["b"]}, ["set 'thing_id' or 'thing_ids', not both"]),
        ({"thing_ids": ["b"], "category": "c"}, ["set 'thing_ids', or 'category' and 'filters', not both"]),
        ({"thing_id": "b", "filters": {"x": 1}}, ["set 'thing_id', or 'category' and 'filters', not both"]),
        ({"thing_ids": "b"}, ["'thing_ids' must be a list of texts"]),
        ({"filters": {}}, ["'filters' must have a condition"]),
    ],
)
def test_arguments_that_name_no_fleet_are_refused(given: dict[str, Any], problems: list[str]) -> None:
    found = fleet_problems(task(**given))
    assert len(found) == len(problems)
    assert all(one.startswith(expected) for one, expected in zip(found, problems, strict=True))


def test_fleets_differ_by_all_that_selects_their_things() -> None:
    fleets = [Fleet(), Fleet(("a",)), Fleet(category="a"), Fleet(filters={"a": 1}), Fleet(filters={"a": 2})]
    assert len({one.key() for one in fleets}) == 5
    assert Fleet(("a",)).key() == Fleet(("a",)).key()


def test_results_come_in_order_and_calls_run_at_the_same_time() -> None:
    together = threading.Barrier(3)

    names: set[str] = set()

    def double(number: int) -> int:
        together.wait(10)
        names.add(threading.current_thread().name.rpartition("_")[0])
        return 2 * number

    assert list(map_concurrently(double, range(6), concurrency=3)) == [0, 2, 4, 6, 8, 10]
    assert names == {"read-fleet"}
    assert list(map_concurrently(double, (), concurrency=3)) == []


def test_items_are_read_as_they_are_needed() -> None:
    read: list[int] = []
    results = map_concurrently(lambda number: number, (read.append(n) or n for n in range(99)), concurrency=2)
    assert next(results) == 0
    assert len(read) == 4
    assert [next(results), next(results)] == [1, 2]
    assert len(read) == 6


def test_an_error_is_raised_in_its_turn_and_drops_the_calls_that_have_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[int] = []
    release = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, *arguments: Any, **options: Any) -> None:
            release.set()
            super().shutdown(*arguments, **options)

    def fail(number: int) -> int:
        called.append(number)
        if number == 0:
            raise ValueError("first")
        release.wait(10)
        return number

    monkeypatch.setattr(fleet, "ThreadPoolExecutor", Pool)
    with pytest.raises(ValueError, match="first"):
        next(map_concurrently(fail, range(9), concurrency=2))
    assert 3 not in called


def test_coroutines_run_at_the_same_time_and_their_results_are_in_order() -> None:
    async def run() -> list[int]:
        together = asyncio.Barrier(3)

        async def double(number: int) -> int:
            await together.wait()
            return 2 * number

        async with asyncio.timeout(10):
            return await amap_concurrently(double, range(6), concurrency=3)

    assert asyncio.run(run()) == [0, 2, 4, 6, 8, 10]


def test_a_coroutine_that_fails_ends_the_others_with_its_own_error() -> None:
    ended: list[int] = []

    async def fail(number: int) -> None:
        try:
            if number == 1:
                raise ValueError("second")
            await asyncio.sleep(30)
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="second"):
        asyncio.run(amap_concurrently(fail, range(9), concurrency=3))
    assert sorted(ended) == [0, 1, 2]


def test_events_that_no_thing_declares_are_problems() -> None:
    declared = Declared(["alarm", "alrm"])
    assert declared.problems() == ["there is no Thing that could report an event"]
    things: list[dict[str, Any]] = [{"uid": "a"}, {"uid": "b", "events": {"alarm": {}, "x": {}}}]
    assert list(declared.ids(things)) == ["b"]
    assert declared.problems() == ["no Thing of 2 declares the event 'alrm'; did you mean 'alarm'?"]
    anything = Declared(None)
    assert (anything.problems(), list(anything.ids(things)), anything.problems()) == ([], ["b"], [])
