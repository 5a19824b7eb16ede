"""Prints how fast properties are written, beside one connection a call and beside plain pooled threads.

Run: ``python -m tests.benchmarks.iotstudio_writes``. Every request takes 50 ms longer than it must, as over a
network.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.writer import PropertyWriter
from airflow_provider.iotstudio.writes import plan_writes
from airflow_provider.sandbox.server import Sandbox

THINGS, THREADS, LATENCY = 100, 8, 0.05
VALUES = {"setpoint": 20.5}


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(sandbox: Sandbox) -> dict[str, float]:
    """Give the seconds of each way to write."""
    os.environ["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = sandbox.connections["iotstudio_default"]
    space = sandbox.iotstudio.space
    uids = [uid for uid, thing in space.things.items() if "Sensors" in thing.categories][:THINGS]
    urls = [f"{sandbox.url}/iotstudio/spaces/{space.name}/things/{uid}/properties" for uid in uids]
    writes = plan_writes(writes=[{"thing_id": uid, "properties": VALUES} for uid in uids])
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
    with IoTStudioHook() as hook, ThreadPoolExecutor(THREADS) as pool:
        hook.list_categories()
        headers = {"Authorization": f"Bearer {next(iter(sandbox.iotstudio.tokens))}"}
        sandbox.faults.add("delay", times=None, seconds=LATENCY)
        bare = PropertyWriter(hook, concurrency=THREADS, verify=False)
        verified = PropertyWriter(hook, concurrency=THREADS)
        return {
            "one connection a call": timed(
                lambda: [requests.put(url, json=VALUES, headers=headers, timeout=60) for url in urls]
            ),
            f"{THREADS} pooled threads": timed(
                lambda: list(pool.map(lambda url: session.put(url, json=VALUES, headers=headers), urls))
            ),
            "the operator": timed(lambda: bare.write(writes)),
            "the operator, verified": timed(lambda: verified.write(writes)),
        }


def main() -> None:
    """Print one line for each way."""
    with Sandbox() as sandbox:
        seconds = compare(sandbox)
    ours = seconds["the operator"]
    print(f"{THINGS} writes, {LATENCY * 1000:.0f} ms a request")
    for name, value in seconds.items():
        print(f"{name:26} {value:7.2f} s   {value / ours:5.2f} x")


if __name__ == "__main__":
    main()
