"""Cost of 200 watchers of one connection, beside 200 independent pollers.

Run: ``python -m tests.benchmarks.amigocloud_events [watchers]``. The sandbox is a process of its own. The
watchers run as in the triggerer. A poller is a coroutine with an HTTP client of its own, which reads its
dataset's state every two seconds. Both kinds run in this process, alternating in rounds.
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
from tests.support.state_store import FakeStateStore

DATASETS = (1, 2001, 2002)
START_SECONDS, IDLE_SECONDS, POLL_SECONDS, CHANGES, ROUNDS = 5.0, 10.0, 2.0, 6, 2
PHASES = ("starting", "idle", "changes", "burst")
OBJECTS = 30_000
"""Objects in the largest event, about 3 MB."""
SERVER = """
import json, sys, time
from airflow_provider.sandbox.server import Sandbox

with Sandbox() as sandbox:
    sockets, store = sandbox.amigocloud.sockets, sandbox.amigocloud.store
    settings = {"connections": sandbox.connections, "url": sandbox.url}

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
        "start": lambda: settings,
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
    """Sandbox in a process of its own; both processes read the same clock."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", SERVER]
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, *words: Any) -> Any:
        """Send a command, and return the reply."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        while not (line := self._process.stdout.readline()).startswith(">"):
            if not line:
                raise RuntimeError("the sandbox has ended")
        return json.loads(line[1:])

    async def aask(self, *words: Any) -> Any:
        """Send a command without blocking the measured event loop."""
        return await asyncio.to_thread(self.ask, *words)

    def stop(self) -> None:
        """Stop the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


class LoopMonitor:
    """Longest time per phase, in milliseconds, that the event loop is busy between two iterations.

    ``wall`` is the delay that a triggerer notices, including the effect of other processes. ``cpu`` is the
    work of the loop itself, without garbage collections, which stop the whole process.
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


class Firings:
    """Times at which the watchers have fired, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.fired: list[float] = []

    def record(self) -> None:
        """Record an event."""
        self.fired.append(time.monotonic())


async def watch(number: int, firings: Firings, manager: SharedStreamManager) -> None:
    """Watch as the triggerer does."""
    trigger = AmigoCloudEventTrigger(events=["realtime"], dataset=DATASETS[number % len(DATASETS)])
    trigger.asset_state_store = FakeStateStore()  # type: ignore[assignment]
    stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
    async for _ in trigger.filter_shared_stream(stream):
        firings.record()


async def poll(number: int, firings: Firings, url: str, token: str, context: ssl.SSLContext) -> None:
    """Poll a dataset with a client of its own."""
    dataset, seen = DATASETS[number % len(DATASETS)], None
    async with httpx.AsyncClient(verify=context) as client:
        while True:
            reply = await client.get(f"{url}/datasets/{dataset}/master", params={"token": token})
            state = reply.json()["master"]
            if seen not in {None, state}:
                firings.record()
            seen = state
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running(make: Callable[[int], Any], count: int) -> AsyncIterator[None]:
    """Run this many watchers, started in separate iterations of the loop, as in a triggerer."""
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


async def measure(
    server: Server, firings: Firings, make: Callable[[int], Any], count: int
) -> dict[str, float]:
    """Run watchers idle, change a dataset several times, and return the measurements."""
    monitor, opened = LoopMonitor(), (await server.aask("count"))[1]
    watching = asyncio.create_task(monitor.watch())
    async with running(make, count):
        await asyncio.sleep(START_SECONDS)
        monitor.phase, before = "idle", await server.aask("count")
        await asyncio.sleep(IDLE_SECONDS)
        monitor.phase, after = "changes", await server.aask("count")
        waits = [wait for _ in range(CHANGES) for wait in await latencies(server, firings, count)]
        if await server.aask("listeners"):
            monitor.phase = "burst"
            await server.aask("flood", OBJECTS)
            await asyncio.sleep(START_SECONDS)
    watching.cancel()
    return {
        "requests a minute, idle": (after[0] - before[0]) * 60 / IDLE_SECONDS,
        "sockets opened": after[1] - opened,
        "change to event, median, ms": statistics.median(waits) * 1000,
        "change to event, worst, ms": max(waits) * 1000,
        **{f"loop busy at a time, {phase}, ms": monitor.wall[phase] for phase in PHASES},
        **{f"own work in it (CPU), {phase}, ms": monitor.cpu[phase] for phase in PHASES},
        **{f"longest collection, {phase}, ms": monitor.collection[phase] for phase in PHASES},
    }


async def latencies(server: Server, firings: Firings, count: int) -> list[float]:
    """Change a dataset, and return the seconds until each of its watchers has fired."""
    watching = len(range(0, count, len(DATASETS)))
    firings.fired.clear()
    began = float(await server.aask("change"))
    while len(firings.fired) < watching:
        await asyncio.sleep(0.001)
    return [at - began for at in firings.fired]


async def compare(server: Server, count: int) -> None:
    """Measure watchers and pollers in alternating rounds, and print the results."""
    connection = json.loads(os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"])
    url = f"{connection['host'].rstrip('/')}/{connection['extra']['project_url']}"
    rows: list[tuple[dict[str, float], dict[str, float]]] = []
    await warm_up()
    context = ssl.create_default_context()
    for _ in range(ROUNDS):
        manager, firings = SharedStreamManager(), Firings()
        watchers = await measure(server, firings, partial(watch, firings=firings, manager=manager), count)
        await manager.stop_all()
        firings = Firings()
        poller = partial(poll, firings=firings, url=url, token=connection["password"], context=context)
        pollers = await measure(server, firings, poller, count)
        rows.append((watchers, pollers))
    print(
        f"{count} watchers of {len(DATASETS)} datasets, the better of {ROUNDS} rounds:"
        " watchers, pollers, ratio"
    )
    for name in rows[0][0]:
        a, b = (min(found[name] for found in kind) for kind in zip(*rows, strict=True))
        print(f"{name:40} {a:10.1f} {b:10.1f} {a / b if b else float('nan'):8.3f}")
    print(f"The watchers also received an event of {OBJECTS} objects and 2,000 small events at once.")


async def warm_up() -> None:
    """Import what a running triggerer has imported."""
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
        settings = server.ask("start")
        os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = settings["connections"]["amigocloud_default"]
        asyncio.run(compare(server, count))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
