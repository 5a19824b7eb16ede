"""Registry of watchers: what all of them need together, and who has unread observations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.amigocloud.watchers import registry
from airflow_provider.amigocloud.watchers.observations import StateObservation
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.core.state.identity import fingerprint
from tests.support.state_store import FakeStateStore


def observed(dataset: int | None = None, needs_list: bool = False, **jobs: Any) -> Any:
    return SimpleNamespace(dataset=dataset, needs_list=needs_list, jobs=jobs)


def test_the_registry_has_what_its_watchers_need_while_they_run() -> None:
    async def run() -> None:
        watchers = WatchRegistry()
        assert (watchers.interval, watchers.datasets, watchers.needs_list, watchers.jobs) == (
            *(60.0, set(), False, {}),
        )
        with watchers.register(observed(5, job1={"a": 1}), 30.0):
            assert watchers.poll_due.is_set()
            assert watchers.watcher_added.is_set()
            with watchers.register(observed(None, True, job2={"b": 2}), 10.0):
                assert (watchers.interval, watchers.datasets, watchers.needs_list) == (10.0, {5}, True)
                assert watchers.jobs == {"job1": {"a": 1}, "job2": {"b": 2}}
            assert (watchers.interval, watchers.needs_list, list(watchers.jobs)) == (30.0, False, ["job1"])
        assert watchers.datasets == set()

    asyncio.run(run())


def test_a_slow_watcher_is_waited_for_until_it_has_read_or_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_UNREAD", 2)

    async def run() -> None:
        watchers = WatchRegistry()
        with watchers.register(observed(), 1.0) as quick:
            with watchers.register(observed(), 1.0) as slow:
                for _ in range(3):
                    watchers.mark_sent()
                    watchers.mark_read(quick)
                assert (quick.unread, slow.unread) == (0, 3)
                watchers.mark_read(quick)
                assert quick.unread == 0
                waiting = asyncio.create_task(watchers.wait_for_slow_watchers())
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not waiting.done()
                watchers.mark_read(slow)
                await asyncio.wait_for(waiting, 10)
                watchers.mark_sent()
                waiting = asyncio.create_task(watchers.wait_for_slow_watchers())
                await asyncio.sleep(0)
            await asyncio.wait_for(waiting, 10)

    asyncio.run(run())


async def test_an_observation_that_is_older_than_the_known_state_makes_a_poll_due() -> None:
    watchers, due = WatchRegistry(), list[bool]()
    trigger: Any = AmigoCloudDatasetTrigger(dataset=5)
    trigger.asset_state_store = FakeStateStore()
    patterns, dataset = trigger.watched()
    trigger.asset_state_store[f"amigocloud {fingerprint([patterns, dataset])}"] = {"master": "m1"}

    async def observations() -> AsyncIterator[Any]:
        for observation in (StateObservation(5, "m0", asked=-1.0), StateObservation(5, "m1")):
            watchers.poll_due.clear()
            yield observation
            due.append(watchers.poll_due.is_set())

    assert [event async for event in trigger._events(observations(), watchers)] == []
    assert due == [True, False]


async def test_watchers_read_before_the_monitor_sends_more() -> None:
    read: list[int] = []
    asyncio.get_running_loop().call_soon(read.append, 1)
    await WatchRegistry().wait_for_slow_watchers()
    assert read == [1]


async def test_a_state_that_another_process_has_changed_makes_a_poll_due() -> None:
    watchers, due = WatchRegistry(), list[bool]()
    trigger: Any = AmigoCloudDatasetTrigger(dataset=5)
    trigger.asset_state_store = FakeStateStore()
    key = f"amigocloud {fingerprint([['dataset:changed'], 5])}"
    trigger.asset_state_store.set(key, {"master": "m1"})

    async def observations() -> AsyncIterator[Any]:
        for number, master in enumerate(("m1", "m2", "m2")):
            if number == 1:
                trigger.asset_state_store.set(key, {"master": "m2"})
            watchers.poll_due.clear()
            yield StateObservation(5, master)
            due.append(watchers.poll_due.is_set())

    assert [event async for event in trigger._events(observations(), watchers)] == []
    assert due == [False, True, False]


async def test_each_observation_that_a_watcher_has_read_counts() -> None:
    watchers, unread = WatchRegistry(), list[int]()
    trigger: Any = AmigoCloudDatasetTrigger(dataset=5, poll_interval=7.0)

    async def observations() -> AsyncIterator[Any]:
        for master in ("m1", "m2"):
            assert (watchers.interval, watchers.datasets) == (7.0, {5})
            (request,) = watchers._requests
            watchers.mark_sent()
            watchers.mark_sent()
            yield StateObservation(5, master)
            unread.append(request.unread)

    events = [event.payload async for event in trigger._events(observations(), watchers)]
    assert events == [{"event": "dataset:changed", "dataset_id": 5, "master": "m2", "source": "poll"}]
    assert unread == [1, 2]
    assert watchers._requests == set()


async def test_a_stored_watcher_that_can_never_fire_reads_all_and_registers_nothing() -> None:
    watchers, read = WatchRegistry(), list[int]()
    trigger: Any = AmigoCloudDatasetTrigger(dataset="x")

    async def observations() -> AsyncIterator[Any]:
        for number in range(3):
            yield StateObservation(5, f"m{number}")
            assert watchers._requests == set()
            read.append(number)

    assert [event async for event in trigger._events(observations(), watchers)] == []
    assert read == [0, 1, 2]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(trigger.run())


def test_watchers_of_one_kind_and_connection_share_a_stream() -> None:
    events: Any = AmigoCloudEventTrigger(events=["*"], amigocloud_conn_id="a")
    states: Any = AmigoCloudDatasetTrigger(dataset=5, amigocloud_conn_id="a")
    assert events.shared_stream_key() == ("amigocloud", "events", "a")
    assert states.shared_stream_key() == ("amigocloud", "states", "a")
