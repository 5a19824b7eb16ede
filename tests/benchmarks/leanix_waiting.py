"""Prints what many waiting runs cost, beside one process a run that polls on its own.

Run: ``python -m tests.benchmarks.leanix_waiting [runs]``. The sandbox is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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


async def gaps_of(waiting: asyncio.Future[Any]) -> list[float]:
    """Give how long the event loop was busy at a time, until something is done."""
    gaps, last = [], time.perf_counter()
    while not waiting.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        gaps.append(now - last - 0.005)
        last = now
    return sorted(gaps)


def measure(count: int) -> dict[str, float]:
    """Wait for so many runs in one event loop."""
    with LeanIXHook() as hook:
        ids = [hook.create_run(LDIF) for _ in range(count)]
        for run_id in ids:
            hook.start_run(run_id)

    async def main() -> tuple[list[str], list[float]]:
        waiting = asyncio.gather(*(fire(run_id) for run_id in ids))
        gaps = await gaps_of(waiting)
        return await waiting, gaps

    before = resident()
    statuses, gaps = asyncio.run(main())
    if set(statuses) != {"FINISHED"}:
        raise AssertionError(set(statuses))
    return {
        "MB": resident() - before,
        "worst gap ms": gaps[-1] * 1000,
        "gap 99 % ms": gaps[-len(gaps) // 100] * 1000,
    }


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
        ours = measure(count)
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
    for name, value in {"polls": polls, "tokens": tokens, "MB": ours["MB"]}.items():
        print(f"{name:8} {value:8.0f} {theirs[name]:10.0f} {value / theirs[name]:8.4f}")
    usual, worst = ours["gap 99 % ms"], ours["worst gap ms"]
    print(f"event loop busy at a time: 99 % below {usual:.0f} ms, worst {worst:.0f} ms")


if __name__ == "__main__":
    main()
