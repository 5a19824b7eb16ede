"""Prints what many waiting runs cost, beside one process a run that polls on its own.

Run: ``python -m tests.benchmarks.leanix_waiting [runs]``. The sandbox is a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import httpx  # noqa: F401 - a triggerer has it loaded
import tenacity  # noqa: F401

from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.triggers import LeanIXRunTrigger

RUN_SECONDS, POLL_SECONDS = 20.0, 5.0
LDIF = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
}
SERVER = f"""
import json, sys
from airflow_provider.sandbox.server import Sandbox
with Sandbox() as sandbox:
    sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 0, {RUN_SECONDS}
    print(json.dumps(sandbox.connections), flush=True)
    for _ in sys.stdin:
        counters = sandbox.counters
        print(json.dumps([dict(counters.requests), sum(counters.tokens_issued.values())]), flush=True)
"""
# The script's way: a process a run, which asks for its status every five seconds.
SCRIPT = "import json, requests, time; time.sleep(2)"


def resident() -> float:
    """Give this process's memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def fire(run_id: str) -> str:
    trigger = LeanIXRunTrigger(
        leanix_conn_id="leanix_default",
        run_id=run_id,
        deadline=time.time() + 10 * RUN_SECONDS,
        poll_interval=POLL_SECONDS,
    )
    async for event in trigger.run():
        return str(event.payload["run_status"])
    raise AssertionError("no event")


class Turns:
    """What the event loop did between two of its turns, the worst of each kind, in milliseconds.

    ``wall`` is what a triggerer notices, on a machine that others use, too. ``cpu`` is the loop's own work
    in it, without garbage collections: these stop the whole process, whoever caused them.
    """

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.collections: list[float] = []
        self._began = 0.0

    def note(self, phase: str, _: dict[str, int]) -> None:
        """Measure a garbage collection."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.collections.append((time.thread_time() - self._began) * 1000)

    async def watch(self, waiting: asyncio.Future[Any]) -> None:
        """Measure until something is done."""
        gc.callbacks.append(self.note)
        wall, cpu, collected = time.perf_counter(), time.thread_time(), 0.0
        while not waiting.done():
            await asyncio.sleep(0.001)
            now, used, lost = time.perf_counter(), time.thread_time(), sum(self.collections)
            self.wall.append((now - wall) * 1000 - 1)
            self.cpu.append((used - cpu) * 1000 - (lost - collected))
            wall, cpu, collected = now, used, lost
        gc.callbacks.remove(self.note)


async def fire_all(ids: list[str]) -> list[str]:
    """Make the triggers as a triggerer does, with a turn of the loop between two of them."""
    tasks = []
    for run_id in ids:
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(fire(run_id)))
    return await asyncio.gather(*tasks)


def measure(count: int) -> tuple[float, Turns]:
    """Wait for so many runs in one event loop; gives the growth of memory in MB, and the loop's turns."""
    with LeanIXHook() as hook:
        ids = [hook.create_run(LDIF) for _ in range(count)]
        for run_id in ids:
            hook.start_run(run_id)
    turns = Turns()

    async def main() -> list[str]:
        with anyio.move_on_after(1):  # as a triggerer does all the time; loads what httpx needs, too
            await anyio.sleep(0)
        waiting = asyncio.create_task(fire_all(ids))
        await turns.watch(waiting)
        return await waiting

    before = resident()
    statuses = asyncio.run(main())
    if set(statuses) != {"FINISHED"}:
        raise AssertionError(set(statuses))
    return resident() - before, turns


def script_megabytes() -> float:
    """Give the memory of one process of the script's kind."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT])
    time.sleep(1.5)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    process.wait()
    return pages * 4096 / 1e6


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin
        assert server.stdout
        os.environ["AIRFLOW_CONN_LEANIX_DEFAULT"] = json.loads(server.stdout.readline())["leanix_default"]
        megabytes, turns = measure(count)
        server.stdin.write("\n")
        server.stdin.flush()
        requests, tokens = json.loads(server.stdout.readline())
        server.stdin.close()
    polls = sum(n for name, n in requests.items() if " GET " in name)
    theirs = {
        "MB": script_megabytes() * count,
        "polls": count * (1 + RUN_SECONDS / POLL_SECONDS),
        "tokens": count,
    }
    print(f"{count} runs of {RUN_SECONDS:g} s: ours, one process a run, ratio")
    for name, value in {"polls": polls, "tokens": tokens, "MB": megabytes}.items():
        print(f"{name:8} {value:8.0f} {theirs[name]:10.0f} {value / theirs[name]:8.4f}")
    usual = sorted(turns.wall)[-len(turns.wall) // 100]
    print(f"event loop busy at a time: 99 % below {usual:.0f} ms, worst {max(turns.wall):.0f} ms;")
    print(
        f"the provider's own work in it {max(turns.cpu):.0f} ms, the longest garbage collection of the whole"
    )
    print(f"process {max(turns.collections, default=0):.0f} ms (CPU time)")


if __name__ == "__main__":
    main()
