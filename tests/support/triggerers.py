"""Triggerers in virtual time: processes that can be paused, continued and killed at any moment.

Each triggerer is an event loop of its own. Time passes for all loops together; a paused loop does not run,
and its clock runs on, as in a process that got a SIGSTOP. Like Airflow, a triggerer passes the events of its
watcher on once a second, gives a sign of life, loses its watcher when it gave none for some time, and hears
of that after the next sign.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

SYNC_SECONDS, LATENCY, TAKEOVER_SECONDS = 1.0, 0.01, 30.0


@dataclass
class Cluster:
    """The things that all triggerers share: the time, the database, and the watched service.

    :param now: the time.
    :param stored: values of the asset's state, as JSON.
    :param events: payloads that Airflow has stored.
    :param items: items of the watched service.
    :param owner: the triggerer to which Airflow has given the watcher.
    """

    now: float = 0.0
    stored: dict[str, str] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    owner: Triggerer | None = None


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop whose time is that of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        super().__init__()

    def time(self) -> float:
        return self._cluster.now

    def step(self) -> None:
        """Run what is due, until nothing is."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self.is_due():
                return

    def is_due(self) -> bool:
        """Return whether there is something to run."""
        return bool(self._ready) or self.next_time() <= self.time()  # type: ignore[attr-defined]

    def next_time(self) -> float:
        """Return the time at which something is due next."""
        scheduled = self._scheduled  # type: ignore[attr-defined]
        return scheduled[0]._when if scheduled else math.inf


class Store:
    """Asset state store of one triggerer: each operation takes a way there and a way back."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        await asyncio.sleep(LATENCY)
        text = self._cluster.stored.get(key)
        await asyncio.sleep(LATENCY)
        return default if text is None else json.loads(text)

    async def aset(self, key: str, value: Any) -> None:
        """Store a value."""
        await asyncio.sleep(LATENCY)
        self._cluster.stored[key] = json.dumps(value)
        await asyncio.sleep(LATENCY)


class Triggerer:
    """A triggerer with one watcher, when it has it.

    :param cluster: what it shares with others.
    :param make: makes the watcher.
    :param phase: seconds until its first sign of life.
    :param always: whether it runs the watcher without asking whose it is.
    """

    def __init__(
        self, cluster: Cluster, make: Callable[[], Any], *, phase: float = 0.0, always: bool = False
    ) -> None:
        self.loop = VirtualLoop(cluster)
        self.alive_at = -1000.0
        self.paused = self.killed = False
        self._cluster, self._make, self._phase, self._always = cluster, make, phase, always
        self._watching: asyncio.Task[None] | None = None
        self._queue: list[Any] = []
        self._main = self.loop.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(self._phase)
        while True:
            await self._pass_on()
            self.alive_at = self._cluster.now
            owner = self._cluster.owner
            if owner is None or self._cluster.now - owner.alive_at > TAKEOVER_SECONDS:
                self._cluster.owner = self
            mine = self._always or self._cluster.owner is self
            if mine and self._watching is None:
                self._watching = asyncio.create_task(self._watch())
            elif self._watching and not mine:
                self._watching.cancel()
                self._watching = None
            await asyncio.sleep(SYNC_SECONDS)

    async def _pass_on(self) -> None:
        events, self._queue = self._queue, []
        for event in events:
            getattr(event, "task_instance_state", None)  # Airflow asks each event for it when it packs them
        await asyncio.sleep(LATENCY)
        self._cluster.events += [json.loads(json.dumps(event.payload)) for event in events]
        await asyncio.sleep(LATENCY)

    async def _watch(self) -> None:
        trigger = self._make()
        trigger.trigger_id, trigger.asset_state_store = 1, Store(self._cluster)
        with suppress(asyncio.CancelledError):
            async for event in trigger.run():
                await asyncio.sleep(LATENCY)  # it is logged
                self._queue.append(event)

    def close(self) -> None:
        """End all its coroutines."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.step()
        self.loop.close()


def let_pass(cluster: Cluster, triggerers: Sequence[Triggerer], until: float) -> None:
    """Advance the time for all of them."""
    while True:
        running = [triggerer for triggerer in triggerers if not (triggerer.paused or triggerer.killed)]
        for triggerer in running:
            if triggerer.loop.is_due():
                triggerer.loop.step()
        if cluster.now >= until:
            return
        cluster.now = min(until, *(triggerer.loop.next_time() for triggerer in running))


async def asked(cluster: Cluster) -> list[str]:
    """Return the items of the service: the request takes a way there and a way back."""
    await asyncio.sleep(LATENCY)
    items = list(cluster.items)
    await asyncio.sleep(LATENCY)
    return items


async def observed(cluster: Cluster, seconds: float) -> AsyncIterator[tuple[float, list[str]]]:
    """Yield when the service was asked for its items, and the items, without end."""
    while True:
        moment = asyncio.get_running_loop().time()
        yield moment, await asked(cluster)
        await asyncio.sleep(seconds)
