"""A DAG that starts when a run ends: once for each, whoever started it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow_provider.leanix import triggers
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger

from .test_triggers import OUTBOUND

LIST = "leanix GET /services/integration-api/v1/synchronizationRuns"


class State(dict[str, Any]):
    """An asset's state store, as Airflow 3.3 lends it to a trigger."""

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self[key]) if key in self else default

    async def aset(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)


def run(description: str) -> str:
    with LeanIXHook() as hook:
        run_id = hook.create_run({**OUTBOUND, "description": description})
        hook.start_run(run_id)
        return run_id


async def started(description: str) -> str:
    return await asyncio.to_thread(run, description)


def watcher(state: State | None = None, **arguments: Any) -> LeanIXRunEndedTrigger:
    """Make a trigger the way the triggerer does."""
    path, kwargs = LeanIXRunEndedTrigger(**{"poll_interval": 0.05, **arguments}).serialize()
    module, name = path.rsplit(".", 1)
    assert module == triggers.__name__
    made: LeanIXRunEndedTrigger = getattr(triggers, name)(**json.loads(json.dumps(kwargs)))
    made.asset_state_store = state  # type: ignore[assignment]
    return made


@asynccontextmanager
async def running(*made: LeanIXRunEndedTrigger) -> AsyncIterator[list[list[dict[str, Any]]]]:
    async def collect(trigger: LeanIXRunEndedTrigger, fired: list[dict[str, Any]]) -> None:
        async for event in trigger.run():
            fired += [event.payload]

    lists: list[list[dict[str, Any]]] = [[] for _ in made]
    tasks = [asyncio.create_task(collect(*pair)) for pair in zip(made, lists, strict=True)]
    await asyncio.sleep(0.3)
    try:
        yield lists
        assert not [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()


async def settled(fired: list[Any], count: int) -> list[Any]:
    for _ in range(100):
        if len(fired) >= count:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert len(fired) == count
    return fired


async def test_each_run_that_ends_fires_once(leanix: Any) -> None:
    leanix.run_seconds = 0.1
    async with running(watcher()) as (fired,):
        ids = [await started("cmdb nightly 1"), await started("cmdb nightly 2")]
        events = await settled(fired, 2)
    assert {event["run_id"] for event in events} == set(ids)
    assert {event["run_status"] for event in events} == {"FINISHED"}
    assert {event["description"] for event in events} == {"cmdb nightly 1", "cmdb nightly 2"}


async def test_runs_that_were_over_before_do_not_fire(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    await started("old")
    async with running(watcher()) as (fired,):
        new = await started("new")
        assert [event["run_id"] for event in await settled(fired, 1)] == [new]


async def test_description_and_status_choose_the_runs(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    async with running(watcher(description="cmdb *"), watcher(statuses=["failed"])) as (named, failed):
        wanted = await started("cmdb nightly")
        await started("inventory nightly")
        assert [event["run_id"] for event in await settled(named, 1)] == [wanted]
        await settled(failed, 0)


async def test_a_restart_loses_no_run_and_repeats_none(leanix: Any) -> None:
    leanix.run_seconds = 0.0
    state = State()
    async with running(watcher(state)) as (fired,):
        await started("one")
        await settled(fired, 1)
    missed = await started("two")
    async with running(watcher(state)) as (fired,):
        assert [event["run_id"] for event in await settled(fired, 1)] == [missed]


async def test_watchers_of_one_workspace_share_its_list(leanix: Any, sandbox: Any) -> None:
    made = [watcher(description=f"{n} *", poll_interval=0.4) for n in range(50)]
    async with running(*made):
        await asyncio.sleep(0.6)
    assert 1 <= sandbox.counters.requests[LIST] <= 5


async def test_a_bad_moment_does_not_end_the_watch(leanix: Any, sandbox: Any) -> None:
    leanix.run_seconds = 0.0
    async with running(watcher()) as (fired,):
        sandbox.faults.add("status", path="/synchronizationRuns$", method="GET", status=403, times=3)
        await started("one")
        await settled(fired, 1)
