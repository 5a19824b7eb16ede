"""Cost of many waiting runs, beside one polling process per run.

Run: ``python -m tests.benchmarks.leanix_waiting [runs]``. The sandbox is a process of its own, and creates
the runs. The measured process only waits, as a triggerer does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import airflow.jobs.triggerer_job_runner  # noqa: F401 - a triggerer has it loaded
import anyio

from airflow_provider.leanix.triggers import LeanIXRunTrigger

T = TypeVar("T")

RUN_SECONDS, POLL_SECONDS = 30.0, 5.0
SERVER = """
import json, sys
from airflow_provider.sandbox.server import Sandbox
with Sandbox() as sandbox:
    leanix, sandbox.iotstudio.device_seconds = sandbox.leanix, None
    leanix.queue_seconds, leanix.run_seconds = 0, float(sys.argv[2])
    configuration = next(one for one in leanix.configurations.values() if one["connectorType"] == "report")
    ldif = {"connectorType": "report", "connectorId": "landscape", "connectorVersion": "1.0.0",
            "processingDirection": "outbound"}
    runs = [leanix.create(ldif, configuration) for _ in range(int(sys.argv[1]))]
    now = leanix.now()
    for run in runs:  # together: the machine's own start looks through all live runs for each of them
        run.enter("PENDING", now)
    leanix.machine.live.extend(runs)
    print(json.dumps([sandbox.connections, [run.id for run in runs]]), flush=True)
    for _ in sys.stdin:
        counters = sandbox.counters
        print(json.dumps([dict(counters.requests), sum(counters.tokens_issued.values())]), flush=True)
"""
# The script: one process per run, which polls its status every five seconds.
SCRIPT = "import json, requests, time; time.sleep(2)"


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class Server:
    """Sandbox in a process of its own, in which runs have been started.

    :param runs: number of the runs.
    :param seconds: time that they take.
    :ivar ids: ids of the runs.
    """

    def __init__(self, runs: int, seconds: float) -> None:
        command = [sys.executable, "-c", SERVER, str(runs), str(seconds)]
        self._process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
        connections, self.ids = self._answer()
        os.environ.update({f"AIRFLOW_CONN_{name.upper()}": text for name, text in connections.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def counts(self) -> tuple[Counter[str], int]:
        """Return the number of requests by route, and that of issued tokens."""
        assert self._process.stdin
        print(file=self._process.stdin, flush=True)
        requests, tokens = self._answer()
        return Counter(requests), tokens

    def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


class LoopMonitor:
    """Times between two iterations of an event loop, in milliseconds.

    ``wall`` is the delay that a triggerer notices, including the effect of other processes. ``cpu`` is the
    time of this thread. Both include garbage collections: a full collection stops the process while it
    traverses all objects of Airflow. ``full`` counts them, and ``own`` is ``cpu`` without them.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.own: list[float] = []
        self.full = 0
        self._collecting = self._collected = 0.0

    def record(self, phase: str, info: dict[str, int]) -> None:
        """Count a garbage collection, and its time."""
        if phase == "start":
            self._collecting = time.thread_time()
            return
        self._collected += time.thread_time() - self._collecting
        self.full += info["generation"] == 2

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Measure while a coroutine runs, and return its result."""
        gc.collect()  # of the imports; a running triggerer has done that before
        gc.callbacks.append(self.record)
        task = asyncio.create_task(work)
        wall, cpu = time.perf_counter(), time.thread_time()
        while not task.done():
            await asyncio.sleep(0.001)
            now, used = time.perf_counter(), time.thread_time()
            self.wall.append((now - wall) * 1000 - 1)
            self.cpu.append((used - cpu) * 1000)
            self.own.append(self.cpu[-1] - self._collected * 1000)
            self._collected = 0.0
            wall, cpu = now, used
        gc.callbacks.remove(self.record)
        return await task

    def summary(self) -> str:
        """Return the measurements as a sentence."""
        usual = sorted(self.wall)[-len(self.wall) // 100]
        return (
            f"99 % of all gaps below {usual:.0f} ms, the longest {max(self.wall):.0f} ms"
            f" ({max(self.cpu):.0f} ms of CPU, {max(self.own):.0f} ms without garbage collections);"
            f" {self.full} full garbage collections"
        )


async def fire(run_id: str) -> str:
    trigger = LeanIXRunTrigger(
        leanix_conn_id="leanix_default",
        run_id=run_id,
        deadline=time.time() + 10 * RUN_SECONDS,
        poll_interval=POLL_SECONDS,
    )
    (status,) = [str(event.payload["run_status"]) async for event in trigger.run()]
    return status


async def fire_all(ids: list[str]) -> list[str]:
    """Start the triggers in separate iterations of the loop, as a triggerer does."""
    tasks = []
    for run_id in ids:
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(fire(run_id)))
    return await asyncio.gather(*tasks)


async def sleep_all(count: int) -> None:
    """Sleep in this many tasks, the minimum of waiting."""
    tasks = []
    for _ in range(count):
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(asyncio.sleep(RUN_SECONDS)))
    await asyncio.gather(*tasks)


def measure(ids: list[str]) -> tuple[float, LoopMonitor, LoopMonitor]:
    """Wait for runs in one event loop.

    :returns: growth of memory in MB, and the loop's times with the triggers and with as many sleepers.
    """
    ours, sleepers = LoopMonitor(), LoopMonitor()

    async def main() -> float:
        with anyio.move_on_after(1):  # as in a triggerer; also imports what httpx needs
            await anyio.sleep(0)
        before = resident()
        statuses = await ours.watch(fire_all(ids))
        grown = resident() - before
        if set(statuses) != {"FINISHED"}:
            raise AssertionError(set(statuses))
        await sleepers.watch(sleep_all(len(ids)))
        return grown

    return asyncio.run(main()), ours, sleepers


def script_megabytes() -> float:
    """Return the memory of one process of the script in MB."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT])
    time.sleep(1.5)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    process.wait()
    return pages * 4096 / 1e6


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with Server(count, RUN_SECONDS) as server:
        megabytes, ours, sleepers = measure(server.ids)
        requests, tokens = server.counts()
    theirs = {
        "polls": count * (1 + RUN_SECONDS / POLL_SECONDS),
        "tokens": count,
        "MB": script_megabytes() * count,
    }
    polls = sum(n for name, n in requests.items() if " GET " in name)
    print(f"{count} runs of {RUN_SECONDS:g} s: triggers, one process per run, ratio")
    for name, value in {"polls": polls, "tokens": tokens, "MB": megabytes}.items():
        print(f"{name:8} {value:8.0f} {theirs[name]:10.0f} {value / theirs[name]:8.4f}")
    print(f"event loop, {count} triggers: {ours.summary()}")
    print(f"event loop, {count} sleepers: {sleepers.summary()}")


if __name__ == "__main__":
    main()
