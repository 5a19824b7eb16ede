"""Speed of writing properties, and number of requests for lists, verification and tokens.

Run: ``python -m tests.benchmarks.iotstudio_writes``. The sandbox is a process of its own and delays every
reply by 50 ms, like a network. The vendor's client runs in an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.properties.requests import plan_writes
from airflow_provider.iotstudio.properties.writer import PropertyWriter
from airflow_provider.iotstudio.properties.writes import Write
from tests.benchmarks.iotstudio_process import SandboxProcess
from tests.contract import client_environments

THINGS, THREADS, LATENCY, ROUNDS = 100, 8, 0.05, 3
VALUES = {"setpoint": 20.5}
CLIENT = """
import json, sys, time
from iots import API
connection, uids = json.loads(sys.argv[1]), json.loads(sys.argv[2])
api = API(host=connection["host"]).set_credentials(connection["login"], connection["password"], ["thing"])
space = api.spaces(connection["extra"]["space"])
began = time.perf_counter()
for uid in uids:
    space.things(uid).properties().update({"setpoint": 20.5})
print(time.perf_counter() - began)
"""


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rows(uids: list[str]) -> list[Write]:
    return plan_writes(writes=[{"thing_id": uid, "properties": VALUES} for uid in uids])


def by_vendors_client(connection: str, uids: list[str]) -> float:
    """Return the seconds of the vendor's client; NaN when its environment cannot be built."""
    try:
        command = [
            str(client_environments.build(client_environments.REQUIREMENTS / "iots.txt")),
            "-c",
            CLIENT,
            connection,
            json.dumps(uids),
        ]
    except client_environments.UnavailableError as error:
        print(f"NOT MEASURED with the vendor's client: {error}")
        return float("nan")
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def speed(sandbox: SandboxProcess, hook: IoTStudioHook) -> dict[str, float]:
    """Return the seconds of each way to write."""
    connection = json.loads(sandbox.connection)
    uids = sandbox.ask("things")[:THINGS]
    base = f"{connection['host']}/spaces/{connection['extra']['space']}/things"
    urls = [f"{base}/{uid}/properties" for uid in uids]
    headers = {"Authorization": f"Bearer {hook.access_token()}"}
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
    session.headers.update(headers)
    bare = PropertyWriter(hook, concurrency=THREADS, verify=False)
    verified = PropertyWriter(hook, concurrency=THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        return {
            "one connection a call": timed(
                lambda: [requests.put(url, json=VALUES, headers=headers, timeout=60) for url in urls]
            ),
            "the vendor's client": by_vendors_client(sandbox.connection, uids),
            f"{THREADS} pooled threads": timed(
                lambda: list(pool.map(lambda url: session.put(url, json=VALUES), urls))
            ),
            "the operator": timed(lambda: bare.write(rows(uids))),
            "the operator, verified": timed(lambda: verified.write(rows(uids))),
        }


def counts(sandbox: SandboxProcess, hook: IoTStudioHook) -> dict[str, tuple[int, int]]:
    """Return the number of requests of each job, and its limit."""
    sandbox.ask("delay", 0)
    uids = sandbox.ask("things")
    found = {}
    for count in (200, 1000):
        sandbox.requests()
        PropertyWriter(hook, concurrency=THREADS).write(rows(uids[:count]))
        found[f"reading back {count} of {len(uids)} Things"] = (sandbox.requests("/things"), 3)
    listed = sum(1 for _ in hook.list_things())
    found[f"listing {listed} Things"] = (sandbox.requests("/things"), 5)
    sandbox.requests()
    tokens = """
from concurrent.futures import ThreadPoolExecutor
from airflow_provider.iotstudio.hooks import IoTStudioHook
def task(_):
    with IoTStudioHook() as hook:
        hook.get_properties("01GQ2E9M2Y45BX9EW0F2BM032Q")
with ThreadPoolExecutor(16) as pool:
    list(pool.map(task, range(60)))
"""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", tokens], check=True, cwd=Path(__file__).parents[2])
    return {**found, "tokens of 2 processes, 16 threads, 60 tasks": (sandbox.ask("count")["tokens"], 2)}


def main() -> None:
    """Print one line per way to write, and one per counted job."""
    with SandboxProcess(things=5000) as sandbox:
        os.environ["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = sandbox.connection
        with IoTStudioHook() as hook:
            hook.list_categories()
            sandbox.ask("delay", LATENCY)
            rounds = [speed(sandbox, hook) for _ in range(ROUNDS)]
            counted = counts(sandbox, hook)
    seconds = {name: min(found[name] for found in rounds) for name in rounds[0]}
    ours = seconds["the operator"]
    print(f"{THINGS} writes, {LATENCY * 1000:.0f} ms a request, the best of {ROUNDS} rounds")
    for name, value in seconds.items():
        print(f"{name:26} {value:7.2f} s   {value / ours:5.2f} x")
    for name, (count, most) in counted.items():
        print(f"{name:46} {count:3} (limit {most})")
    good = seconds["one connection a call"] >= 6 * ours and ours <= 1.5 * seconds[f"{THREADS} pooled threads"]
    sys.exit(0 if good and all(count <= most for count, most in counted.values()) else "a target was missed")


if __name__ == "__main__":
    main()
