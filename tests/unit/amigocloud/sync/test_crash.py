"""Crash: attempts that are killed at any request end in the desired state, and double nothing.

``CRASH_ROUNDS=100`` kills in a hundred rounds instead of a few.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import COLUMNS, desk

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "2"))
OF_ONE_TEST = 2
"""Rounds of a test: from a source, and from a plan. Every other test has no state store."""

KILLS = 2
"""Attempts of a round that are killed."""

LIMITS = {"max_deletes": 9, "max_delete_ratio": 1.0, "batch_size": 4, "poll_interval": 0.02, "key": "code"}
SERVER = """
import json, os, sys
from pathlib import Path
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator
from tests.support.state_store import FakeStateStore

AmigoCloudSyncDatasetOperator(task_id="t", dataset=1, key="name", source=[{"name": "Bohr"}]).execute({})
print("ready", flush=True)
for line in sys.stdin:
    given, store = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            context = {"task_state_store": FakeStateStore(Path(store))} if store else {}
            AmigoCloudSyncDatasetOperator(task_id="t", **given).execute(context)
        finally:
            os._exit(0)
    print("child", child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Runs each attempt in a fork, so that it starts with everything imported."""


@pytest.fixture
def server(sandbox: Any) -> Iterator[Any]:
    """Start the process that runs attempts."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        _read_until(process, "ready")
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("first", range(0, ROUNDS, OF_ONE_TEST))
@pytest.mark.long
def test_after_kills_the_next_attempt_reaches_the_desired_state(
    sandbox: Any, service: Any, sync: Any, server: Any, tmp_path: Path, first: int
) -> None:
    for number in range(first, first + OF_ONE_TEST):
        print(f"round {number}")
        folder = tmp_path / str(number)
        folder.mkdir()
        dataset = 5000 + number
        columns = [dict(one) for one in COLUMNS]
        service.store.add(Dataset(dataset, 1234, f"round {number}", columns), map(desk, range(30)))
        run_round(sandbox, service, sync, server, dataset, folder, random.Random(number))


def run_round(
    sandbox: Any, service: Any, sync: Any, server: Any, dataset: int, folder: Path, chance: random.Random
) -> None:
    """Kill some attempts to sync a dataset, from a plan or a source, with a state store or without one."""
    rows = [{**desk(n), "label": "Changed"} for n in range(21)] + [{"code": f"N-{n}"} for n in range(9)]
    source = {"source": str(folder / "rows.json"), "missing": "delete"}
    Path(source["source"]).write_text(json.dumps(rows))
    given: dict[str, Any] = {**source, **LIMITS, "dataset": dataset}
    service.job_latency = 0.0
    if dataset % 2:
        sync(mode="plan", plan_output=str(folder / "plan.json"), **given)
        given = {"plan": str(folder / "plan.json"), **LIMITS, "dataset": dataset}
    store = str(folder / "state.json") if dataset % 4 < 2 else ""
    service.job_latency = 0.02
    for _ in range(KILLS):
        sandbox.faults.add("delay", path="/", seconds=0.005, times=None)
        kill_attempt(sandbox, server, json.dumps([given, store]), chance.randrange(2, 40))
        sandbox.faults.clear()
    result = sync(**given)
    print(result)
    found = service.store.select(f"SELECT * FROM dataset_{dataset}", -1, 0).rows
    by_code = {row["code"]: row for row in found}
    assert sorted(row["code"] for row in found) == sorted(row["code"] for row in rows)
    assert all(by_code[f"D-{n}"] == {**desk(n), "label": "Changed"} for n in range(21))
    assert sync(**{**source, **LIMITS, "dataset": dataset})["unchanged"] == len(rows)


def kill_attempt(sandbox: Any, server: Any, line: str, requests: int) -> None:
    """Start an attempt, and kill it when it has sent some requests, unless it has ended before."""
    sandbox.counters.reset()
    server.stdin.write(f"{line}\n")
    server.stdin.flush()
    child = int(_read_until(server, "child").split()[1])
    deadline = time.monotonic() + 60
    while sandbox.counters.total("amigocloud") < requests and Path(f"/proc/{child}/stat").exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    print(f"killed after {sandbox.counters.total('amigocloud')} requests")
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _read_until(server, "ended")


def _read_until(process: Any, word: str) -> str:
    """Return the next line that begins with a word; log lines are skipped."""
    while not (line := process.stdout.readline()).startswith(word):
        assert process.poll() is None
    return str(line)
