"""Reads of 200 values, one request each, with 50 ms a request: one by one, in threads, from an event loop.

The sandbox is a process of its own. Run ``python -m tests.benchmarks.async_reads [reads]``.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from airflow_provider.iotstudio.hooks import IoTStudioHook
from tests.benchmarks.iotstudio_process import SandboxProcess

THING, NAME = "01GQ2E9M2Y45BX9EW0F2BM032Q", "temperature"
LATENCY, ROUNDS, THREADS = 0.05, 3, (8, 32)


def one_by_one(reads: int) -> None:
    """Read with one connection."""
    with IoTStudioHook() as hook:
        for _ in range(reads):
            hook.get_property(THING, NAME)


def in_threads(reads: int, threads: int) -> None:
    """Read with a pool of threads."""
    with IoTStudioHook() as hook, ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: hook.get_property(THING, NAME), range(reads)))


def from_a_loop(reads: int) -> None:
    """Read with the twins, all at once."""

    async def read() -> None:
        async with IoTStudioHook() as hook:
            await asyncio.gather(*(hook.aget_property(THING, NAME) for _ in range(reads)))

    asyncio.run(read())


def seconds(way: Callable[[], None]) -> tuple[float, float]:
    """Return the median seconds of a way, and those of CPU, after a first round that loads its libraries."""
    way()
    measured = []
    for _ in range(ROUNDS):
        started, busy = time.perf_counter(), time.process_time()
        way()
        measured.append((time.perf_counter() - started, time.process_time() - busy))
    return statistics.median(one for one, _ in measured), statistics.median(one for _, one in measured)


def main(reads: int) -> None:
    """Measure all ways, and print them."""
    ways: dict[str, Callable[[], None]] = {
        "asyncio.gather of the twin": lambda: from_a_loop(reads),
        **{f"{count} threads": lambda count=count: in_threads(reads, count) for count in THREADS},  # type: ignore[misc]
        "one by one": lambda: one_by_one(reads),
    }
    with SandboxProcess() as sandbox:
        os.environ["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = sandbox.connection
        sandbox.ask("delay", LATENCY)
        found = {name: seconds(way) for name, way in ways.items()}
    (first, _), *_ = found.values()
    for name, (duration, busy) in found.items():
        print(f"{name:30} {duration:6.2f} s  {duration / first:5.1f}   {busy:6.2f} s of CPU")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
