"""Prints what 200 watchers of one connection cost, beside 200 pollers that each ask on their own.

Run: ``python -m tests.benchmarks.amigocloud_events [watchers]``. The sandbox is a process of its own. Ours
run as the triggerer runs them; a poller is a coroutine with an HTTP client of its own, which asks for its
dataset's state every two seconds. Both are in this process, one after the other, in turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
from airflow.triggers.shared_stream import SharedStreamManager

from airflow_provider.amigocloud.realtime.socket import load_client
from airflow_provider.amigocloud.triggers import AmigoCloudEventTrigger

DATASETS = (1, 2001, 2002)
START_SECONDS, IDLE_SECONDS, POLL_SECONDS, CHANGES, ROUNDS = 5.0, 10.0, 2.0, 6, 2
PHASES = ("starting", "idle", "changes", "burst")
OBJECTS = 30_000
"""So many objects has the largest event: some 3 MB."""
SERVER = """
import json, sys, time
from airflow_provider.sandbox.server import Sandbox

with Sandbox() as sandbox:
    sockets, store = sandbox.amigocloud.sockets, sandbox.amigocloud.store
    told = {"connections": sandbox.connections, "url": sandbox.url}

    def change():
        at = time.monotonic()
        store.write("UPDATE dataset_1 SET name = name || '!'")
        return at

    def flood(objects):
        one = {"object_id": "c88c996b231746d096db5eaa01234567", "latitude": 57.05, "longitude": 9.92}
        sockets.emit("realtime", {"dataset_id": 1, "data": [one] * objects}, 1)
        for number in range(2000):
            sockets.emit("dataset:style_updated", {"dataset_id": number})

    acts = {
        "start": lambda: told,
        "change": change,
        "flood": flood,
        "count": lambda: [sandbox.counters.total("amigocloud"), sockets.opened],
        "listeners": lambda: sockets.listeners(1),
    }
    for line in sys.stdin:
        name, *given = json.loads(line)
        print(">", json.dumps(acts[name](*given)), flush=True)
"""


class Server:
    """The sandbox in its own process; both read the same clock."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", SERVER]
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, *words: Any) -> Any:
        """Have something done there; gives its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        while not (line := self._process.stdout.readline()).startswith(">"):
            if not line:
                raise RuntimeError("the sandbox has ended")
        return json.loads(line[1:])

    async def aask(self, *words: Any) -> Any:
        """Do the same without blocking the loop that is measured."""
        return await asyncio.to_thread(self.ask, *words)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


class Blocks:
    """How long the event loop is busy between two turns, in milliseconds; the worst of each phase.

    ``wall`` is what a triggerer notices, on a machine that others use, too. ``cpu`` is the loop's own work in
    it, without garbage collections: these stop the whole process, whoever caused them.
    """

    def __init__(self) -> None:
        self.wall, self.cpu, self.collection = Counter[str](), Counter[str](), Counter[str]()
        self.phase = "starting"
        self._began = self._collected = 0.0

    def _note(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = (time.thread_time() - self._began) * 1000
            self._collected += took
            self._raise(self.collection, took)

    def _raise(self, worst: Counter[str], milliseconds: float) -> None:
        worst[self.phase] = max(worst[self.phase], milliseconds)  # type: ignore[assignment]

    async def watch(self) -> None:
        """Measure until cancelled."""
        gc.callbacks.append(self._note)
        try:
            while True:
                wall, cpu, collected = time.perf_counter(), time.thread_time(), self._collected
                await asyncio.sleep(0.001)
                self._raise(self.wall, (time.perf_counter() - wall) * 1000 - 1)
                self._raise(self.cpu, (time.thread_time() - cpu) * 1000 - (self._collected - collected))
        finally:
            gc.callbacks.remove(self._note)


class Side:
    """One way to watch: when its watchers have fired, in seconds of the clock."""

    def __init__(self) -> None:
        self.fired: list[float] = []

    def note(self) -> None:
        """Remember that an event came."""
        self.fired.append(time.monotonic())


class State(dict[str, Any]):
    """An asset's state store, as the triggerer lends it."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Give a value."""
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Keep a value."""
        self[key] = value


async def ours(number: int, side: Side, manager: SharedStreamManager) -> None:
    """Watch as the triggerer does."""
    trigger = AmigoCloudEventTrigger(events=["realtime"], dataset=DATASETS[number % len(DATASETS)])
    trigger.asset_state_store = State()  # type: ignore[assignment]
    stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
    async for _ in trigger.filter_shared_stream(stream):
        side.note()


async def theirs(number: int, side: Side, url: str, token: str, context: ssl.SSLContext) -> None:
    """Poll, each on its own."""
    dataset, seen = DATASETS[number % len(DATASETS)], None
    async with httpx.AsyncClient(verify=context) as client:
        while True:
            reply = await client.get(f"{url}/datasets/{dataset}/master", params={"token": token})
            state = reply.json()["master"]
            if seen not in {None, state}:
                side.note()
            seen = state
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running(make: Callable[[int], Any], count: int) -> AsyncIterator[None]:
    """Run so many watchers, with a turn of the loop between two of them, as a triggerer makes triggers."""
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(make(number)))
        await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(server: Server, side: Side, make: Callable[[int], Any], count: int) -> dict[str, float]:
    """Let watchers idle, then change a dataset some times; gives the figures."""
    blocks, opened = Blocks(), (await server.aask("count"))[1]
    watching = asyncio.create_task(blocks.watch())
    async with running(make, count):
        await asyncio.sleep(START_SECONDS)
        blocks.phase, before = "idle", await server.aask("count")
        await asyncio.sleep(IDLE_SECONDS)
        blocks.phase, after = "changes", await server.aask("count")
        waits = [wait for _ in range(CHANGES) for wait in await latencies(server, side, count)]
        if await server.aask("listeners"):
            blocks.phase = "burst"
            await server.aask("flood", OBJECTS)
            await asyncio.sleep(START_SECONDS)
    watching.cancel()
    return {
        "requests a minute, idle": (after[0] - before[0]) * 60 / IDLE_SECONDS,
        "sockets opened": after[1] - opened,
        "change to event, median, ms": statistics.median(waits) * 1000,
        "change to event, worst, ms": max(waits) * 1000,
        **{f"loop busy at a time, {phase}, ms": blocks.wall[phase] for phase in PHASES},
        **{f"own work in it (CPU), {phase}, ms": blocks.cpu[phase] for phase in PHASES},
        **{f"longest collection, {phase}, ms": blocks.collection[phase] for phase in PHASES},
    }


async def latencies(server: Server, side: Side, count: int) -> list[float]:
    """Change a dataset; gives the seconds until each of its watchers has fired."""
    watching = len(range(0, count, len(DATASETS)))
    side.fired.clear()
    began = float(await server.aask("change"))
    while len(side.fired) < watching:
        await asyncio.sleep(0.001)
    return [at - began for at in side.fired]


async def compare(server: Server, count: int) -> None:
    """Measure both ways in turns, and print them."""
    connection = json.loads(os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"])
    url = f"{connection['host'].rstrip('/')}/{connection['extra']['project_url']}"
    rows: list[tuple[dict[str, float], dict[str, float]]] = []
    await warm_up()
    context = ssl.create_default_context()
    for _ in range(ROUNDS):
        manager, side = SharedStreamManager(), Side()
        mine = await measure(server, side, partial(ours, side=side, manager=manager), count)
        await manager.stop_all()
        side = Side()
        poll = partial(theirs, side=side, url=url, token=connection["password"], context=context)
        peers = await measure(server, side, poll, count)
        rows.append((mine, peers))
    print(
        f"{count} watchers of {len(DATASETS)} datasets, the better of {ROUNDS} rounds: ours, pollers, ratio"
    )
    for name in rows[0][0]:
        a, b = (min(side[name] for side in sides) for sides in zip(*rows, strict=True))
        print(f"{name:40} {a:10.1f} {b:10.1f} {a / b if b else float('nan'):8.3f}")
    print(
        f"Ours also took an event of {OBJECTS} objects and 2,000 small ones at once, which pollers never see."
    )


async def warm_up() -> None:
    """Import what a triggerer has imported long ago."""
    await load_client()
    with anyio.move_on_after(1):
        await anyio.sleep(0)
    async with httpx.AsyncClient() as client:
        with contextlib.suppress(httpx.HTTPError):
            await client.get("http://127.0.0.1:9/")


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    server = Server()
    try:
        told = server.ask("start")
        os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = told["connections"]["amigocloud_default"]
        asyncio.run(compare(server, count))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
