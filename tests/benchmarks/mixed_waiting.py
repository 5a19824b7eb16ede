"""Runs and watchers of all vendors in one triggerer: its event loop, requests a tick, and memory.

Run: ``python -m tests.benchmarks.mixed_waiting [runs watchers]``, 10,000 and 1,000 when nothing is given. The
sandbox is a process of its own. The measured process first waits for a tenth of them, then for all: what the
requests of an interval grow by is printed for each route. Watchers are triggers of each kind, in equal parts,
with a few conditions each, as in an installation with many DAGs on the same data.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import airflow.jobs.triggerer_job_runner  # noqa: F401 - a triggerer has it loaded
import anyio
from airflow.triggers.base import BaseEventTrigger, BaseTrigger
from airflow.triggers.shared_stream import SharedStreamManager

from airflow_provider.amigocloud import triggers as amigocloud
from airflow_provider.amigocloud.realtime.socket import load_client
from airflow_provider.iotstudio import triggers as iotstudio
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger
from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger
from tests.benchmarks.leanix_waiting import POLL_SECONDS, LoopMonitor, Server, fire, resident
from tests.support.state_store import FakeStateStore

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
CONDITIONS = 4
"""Different conditions of the watchers of one kind."""

WINDOW = 4 * POLL_SECONDS
"""Seconds in which requests are counted, after all triggers have started."""

MAX_GROWTH = 1.25
"""Maximum ratio of an interval's requests to those of a tenth of the triggers, actions apart."""

MAX_STOP = 50.0
"""Maximum milliseconds of processor time in which the event loop does not turn."""


def kinds(action_id: str) -> list[Callable[[int], BaseTrigger]]:
    """Return a function for each kind of trigger; it makes the one with the condition of a number.

    :param action_id: id of an action that stays pending.
    """
    wait: dict[str, Any] = {"deadline": time.time() + 3600, "poll_interval": POLL_SECONDS}
    iot = {"iotstudio_conn_id": "iotstudio_default", "space": None}
    fleet = {**iot, **wait, "thing_ids": [THING], "category": None, "filters": None}
    cloud = {"amigocloud_conn_id": "amigocloud_default"}
    return [
        lambda n: MapsIndoorsGeodataTrigger(
            mapsindoors_conn_id="mapsindoors_default",
            expected=[{"externalId": f"none {n}"}],
            match_on="externalId",
            **wait,
        ),
        lambda n: amigocloud.AmigoCloudTrigger(
            question="QueryIsTrue",
            about={"sql": f"SELECT count(*) > 100000 + {n} AS many FROM dataset_1"},
            **cloud,
            **wait,
        ),
        lambda n: amigocloud.AmigoCloudEventTrigger(
            events=[f"dataset:{n}_*"], dataset=(1, 2001, 2002)[n % 3], poll_interval=POLL_SECONDS
        ),
        lambda n: amigocloud.AmigoCloudDatasetTrigger(
            dataset=(1, 2001, 2002)[n % 3], poll_interval=POLL_SECONDS
        ),
        lambda n: LeanIXRunEndedTrigger(description=f"nightly {n}*", poll_interval=POLL_SECONDS),
        lambda n: iotstudio.IoTStudioActionTrigger(
            thing_id=THING,
            action="reboot",
            action_id=action_id,
            success_statuses=["completed"],
            failure_statuses=["failed"],
            **iot,
            **wait,
        ),
        lambda n: iotstudio.IoTStudioPropertyTrigger(
            filters={"temperature": f"gt:{5000 + n}"},
            category=None,
            thing_id=None,
            min_matches=1,
            **iot,
            **wait,
        ),
        lambda n: iotstudio.IoTStudioThingTrigger(
            filters={"temperature": f"gt:{6000 + n}"}, poll_interval=POLL_SECONDS
        ),
        lambda n: iotstudio.IoTStudioEventPollTrigger(
            event="highTemperature", since=f"2026-01-0{1 + n}T00:00:00+00:00", min_events=10**6, **fleet
        ),
        lambda n: iotstudio.IoTStudioSilenceTrigger(
            silent_for=10.0**9 + n, properties=None, min_matches=1, **fleet
        ),
        lambda n: iotstudio.IoTStudioEventTrigger(
            event="highTemperature", thing_ids=[THING], poll_interval=POLL_SECONDS
        ),
    ]


def watchers(count: int) -> Iterator[BaseTrigger]:
    """Yield triggers of all kinds in turn."""
    with IoTStudioHook() as hook:
        action_id = hook.invoke_action(THING, "reboot", {})["id"]
    makers = kinds(action_id)
    for number in range(count):
        turn, kind = divmod(number, len(makers))
        yield makers[kind](turn % CONDITIONS)


async def watch(number: int, trigger: Any, manager: SharedStreamManager) -> None:
    """Run a trigger as a triggerer does, until it is cancelled."""
    trigger.asset_state_store = FakeStateStore()
    key = trigger.shared_stream_key() if isinstance(trigger, BaseEventTrigger) else None
    if key is None:
        events = trigger.run()
    else:
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        events = trigger.filter_shared_stream(stream)
    async with aclosing(events):
        async for event in events:
            raise AssertionError(f"{type(trigger).__name__} has fired: {event}")


async def wait_for_all(server: Server, triggers: list[BaseTrigger]) -> dict[str, float]:
    """Wait for all runs, with the watchers beside them; return the requests of an interval by route."""
    manager, tasks = SharedStreamManager(), []
    runs = []
    for run_id in server.ids:
        await asyncio.sleep(0)
        runs.append(asyncio.create_task(fire(run_id)))
    for number, trigger in enumerate(triggers):
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(watch(number, trigger, manager)))
    await asyncio.sleep(2 * POLL_SECONDS)
    before, _ = await asyncio.to_thread(server.counts)
    await asyncio.sleep(WINDOW)
    after, _ = await asyncio.to_thread(server.counts)
    for done in await asyncio.gather(*runs):
        if done != "FINISHED":
            raise AssertionError(done)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await manager.stop_all()
    return {route: count / WINDOW * POLL_SECONDS for route, count in (after - before).items()}


def measure(runs: int, count: int, seconds: float) -> tuple[dict[str, float], LoopMonitor]:
    """Wait in one event loop; return the requests of an interval, and the loop's times."""
    monitor = LoopMonitor()

    async def main(server: Server) -> dict[str, float]:
        await load_client()
        with anyio.move_on_after(1):
            await anyio.sleep(0)
        return await monitor.watch(wait_for_all(server, triggers))

    with Server(runs, seconds) as server:
        triggers = list(watchers(count))
        before = resident()
        requests = asyncio.run(main(server))
        grown = (resident() - before) * 1000 / (runs + count)
    print(
        f"{runs} runs, {count} watchers: {sum(requests.values()):.0f} requests every {POLL_SECONDS:g} s,"
        f" {grown:.1f} kB for each of them; event loop: {monitor.summary()}",
        flush=True,
    )
    return requests, monitor


def main() -> None:
    """Print one line for a tenth and one for all, and the routes whose requests have grown."""
    runs, count = (int(one) for one in sys.argv[1:3] or (10_000, 1_000))
    few, _ = measure(runs // 10, count // 10, 45.0)
    many, monitor = measure(runs, count, 45.0 + runs / 1000)
    for route in sorted(many):
        print(f"  {route:60} {few.get(route, 0):7.1f} {many[route]:7.1f}")
    # An action that a task waits for is a resource of its own, which costs a request of its own.
    shared = [sum(count for route, count in all_.items() if "/actions/" not in route) for all_ in (few, many)]
    growth = shared[1] / shared[0]
    print(f"requests of an interval, actions apart: {growth:.2f} times (limit {MAX_GROWTH})")
    good = growth <= MAX_GROWTH and max(monitor.own) <= MAX_STOP
    sys.exit(0 if good else "a target was missed")


if __name__ == "__main__":
    main()
