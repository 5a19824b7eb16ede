"""Export of one dataset by several processes, in parts of one state, beside one process.

Run: ``python -m tests.benchmarks.sharded_export [rows] [--slots 4] [--delay 0.2] [--servers 1]``. A process
is what a worker's slot runs. The sandbox is a process of its own and delays each reply, as a distant service
does. ``--servers`` starts several sandboxes with equal datasets, between which the slots are divided: on a
machine with enough cores, the sandbox is then no bottleneck. The rows of both exports are checked one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

DATASET = 3001
ROWS = 1_000_000
CONCURRENCY = 4
PIPE = subprocess.PIPE
SERVER = """
import sys
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from airflow_provider.sandbox.server import Sandbox
from tests.benchmarks.quick_service import add_dataset

number, count, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with Sandbox(kinds=[AmigoCloudService]) as sandbox:
    add_dataset(sandbox.amigocloud, number, count)
    sandbox.faults.add("delay", seconds=delay, times=None)
    print(sandbox.connections["amigocloud_default"], flush=True)
    sys.stdin.read()
"""
SLOT = "from tests.benchmarks.sharded_export import work; work()"


@contextmanager
def process(code: str, *arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run code in a process of its own, which ends when its input is closed."""
    command = [sys.executable, "-c", code, *arguments]
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, stdin=PIPE, stdout=PIPE, text=True, env={**os.environ, **quiet, **env}
    ) as found:
        try:
            yield found
        finally:
            assert found.stdin
            found.stdin.close()


def read_line(running: subprocess.Popen[str]) -> str:
    """Return the next line of a process; the others of its output are logs of Airflow."""
    assert running.stdout
    while line := running.stdout.readline():
        if line.startswith(("{", "ready")):
            return line
    raise RuntimeError(f"a process ended with {running.wait()}")


def work() -> None:
    """Export what a line of the input says, again and again, and print the results; runs in a slot."""
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
    from tests.support.state_store import FakeStateStore

    print("ready", flush=True)
    for line in sys.stdin:
        task = AmigoCloudExportOperator(task_id="export", concurrency=CONCURRENCY, **json.loads(line))
        context: Any = {"task_state_store": FakeStateStore()}
        print(json.dumps(task.execute(context)), flush=True)


def run(slots: Sequence[subprocess.Popen[str]], tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run a task in each slot, and return the results."""
    for slot, task in zip(slots, tasks, strict=True):
        assert slot.stdin
        print(json.dumps(task), file=slot.stdin, flush=True)
    return [json.loads(read_line(slot)) for slot in slots]


def check_rows(files: Sequence[str], rows: int) -> None:
    """Compare the rows of files to those of the dataset: each number once, beside its key."""
    import hashlib

    found = bytearray(rows)
    for file in files:
        with Path(file).open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                key = hashlib.md5(str(row["number"]).encode()).hexdigest()
                if found[row["number"]] or row["amigo_id"] != key:
                    raise AssertionError(row)
                found[row["number"]] = 1
    if sum(found) != rows:
        raise AssertionError(f"{rows - sum(found)} rows are missing")


def main() -> None:
    """Measure both exports, and print their times and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--servers", type=int, default=1)
    given = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        served = [str(DATASET), str(given.rows), str(given.delay)]
        servers = [stack.enter_context(process(SERVER, *served)) for _ in range(given.servers)]
        urls = [read_line(server) for server in servers]
        os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = urls[0]
        slots = [
            stack.enter_context(process(SLOT, AIRFLOW_CONN_AMIGOCLOUD_DEFAULT=urls[n % len(urls)]))
            for n in range(given.slots)
        ]
        for slot in slots:
            read_line(slot)
        measure(slots, Path(folder), given.rows)


def measure(slots: Sequence[subprocess.Popen[str]], folder: Path, rows: int) -> None:
    """Export with one slot and with all of them, and print the times."""
    from airflow_provider.amigocloud.operators import AmigoCloudPlanExportOperator
    from airflow_provider.warehouse.operators import CommitManifestOperator

    began = time.perf_counter()
    (whole,) = run(slots[:1], [{"dataset": DATASET, "output_path": str(folder / "whole.jsonl")}])
    one = time.perf_counter() - began
    print(f"{rows:,} rows with 1 process of {CONCURRENCY} requests at once: {one:.1f} s", flush=True)

    began = time.perf_counter()
    plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=DATASET, parts=len(slots))
    parts = plan.execute({})
    planned = time.perf_counter()
    results = run(slots, [{"part": part, "output_path": str(folder / "part.jsonl")} for part in parts])
    exported = time.perf_counter()
    commit = CommitManifestOperator(task_id="commit", parts=results, output_path=str(folder / "m.json"))
    manifest = commit.execute({})
    several = time.perf_counter() - began
    print(
        f"with {len(slots)} processes: {several:.1f} s (plan {planned - began:.1f} s, parts"
        f" {exported - planned:.1f} s, manifest {began + several - exported:.1f} s)"
    )
    check_rows([whole["uri"]], rows)
    check_rows([file["uri"] for file in manifest["files"]], rows)
    if manifest["state"] != whole["state"]:
        raise AssertionError(manifest["state"])
    met = "met" if one / several >= 2.5 else "MISSED"
    print(f"one process / {len(slots)} processes {one / several:8.2f}  >= 2.5  {met}; rows exact, one state")


if __name__ == "__main__":
    main()
