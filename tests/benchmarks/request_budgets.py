"""Cost of a reservation in each store, and the rate that many tasks reach together.

Run: ``python -m tests.benchmarks.request_budgets [requests of each task]``
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from airflow_provider.core.limits.machine import FOLDER_VARIABLE, MachineStore
from airflow_provider.core.limits.plan import Rate
from airflow_provider.core.limits.process import ProcessStore
from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.limits.store import Store
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from dev.redis_server import running
from tests.support.many_processes import fairness, run_processes

ROUNDS = 5000
BUDGETS = 250
"""Budgets that are used in turn, so that none of them is used up."""
TASKS = 8
REQUESTS = 60


def cost(store: Store) -> str:
    """Return the median and the slowest hundredth of a reservation, of budgets that are used as in life."""
    rate, durations = Rate.per_second(30), []
    for number in range(ROUNDS):
        began = time.perf_counter()
        store.reserve(f"{number % BUDGETS:04x}", rate, 60)
        durations.append(time.perf_counter() - began)
    return f"median {median(durations) * 1e6:.0f} µs, p99 {quantiles(durations, n=100)[98] * 1e6:.0f} µs"


def together(store: str, requests_each: int) -> str:
    """Return rate, refusals and fairness of tasks in processes of their own.

    :param store: value of the connection's extra.
    """
    with Sandbox(kinds=[MapsIndoorsService]) as sandbox:
        connection = dict(sandbox.mapsindoors.connection())
        connection["extra"] = {**connection["extra"], "rate_limit_store": store}
        env = {"AIRFLOW_CONN_MAPSINDOORS_DEFAULT": json.dumps(connection)}
        done = run_processes(TASKS, requests_each, env, seconds=600)
        refused = sandbox.counters.replies("mapsindoors")[429]
    moments = sorted(moment for one in done for moment in one.answered)
    rate = (len(moments) - 10) / (moments[-1] - moments[0])  # The last ten begin a further second.
    failed = sum(bool(one.error) for one in done)
    return (
        f"{rate:.2f} a second ({rate * 10:.0f} % of 10), {refused} of {len(moments)} refused,"
        f" {failed} failed, fairness {fairness(done):.3f}"
    )


def main() -> None:
    """Measure, and print one line for each."""
    requests_each = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, running(Path(folder)) as server:
        os.environ[FOLDER_VARIABLE] = f"{folder}/budgets"
        for name, store in (
            ("process", ProcessStore()),
            ("machine", MachineStore()),
            ("redis", RedisStore(server.url)),
        ):
            print(f"{name:8} {cost(store)}", flush=True)
        for name, value in (("machine", ""), ("redis", server.url), ("process", "process")):
            print(f"{name:8} {TASKS} tasks: {together(value, requests_each)}", flush=True)


if __name__ == "__main__":
    main()
