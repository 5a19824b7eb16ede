"""Export beside a loop in the style of the vendor's client, plain threads, and peers.

Run: ``python -m tests.benchmarks.amigocloud_export [--rounds 5] [--long]``. The sandbox is a process of its
own and delays each reply by 50 ms. The contenders alternate in rounds, after one run to warm up; the results
are medians, so that other load on the machine has little effect. Peers have environments of their own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import structlog

from tests.benchmarks import peer_environments
from tests.support.state_store import FakeStateStore

DELAY, THREADS, PAGE = 0.05, 8, 1000
SMALL, LARGE, HUGE = 50_000, 500_000, 5_000_000
TABLE = {SMALL: 3001, LARGE: 3002, HUGE: 3003}
SERVER = f"""
import json, sys
from airflow_provider.sandbox.server import Sandbox
from tests.benchmarks.quick_service import QuickService, add_dataset

QuickService.cached = "{TABLE[SMALL]}"  # The replies of larger datasets would take too much memory.
with Sandbox(kinds=[QuickService]) as sandbox:
    for text in sys.argv[1:]:
        add_dataset(sandbox.amigocloud, *map(int, text.split(":")))
    sandbox.faults.add("delay", seconds={DELAY}, times=None)
    print(json.dumps([sandbox.url, sandbox.connections["amigocloud_default"]]), flush=True)
    sys.stdin.read()
"""
REPORT = "import json, sys; from tests.benchmarks.amigocloud_export import memory; memory(int(sys.argv[1]))"


@contextmanager
def served(sizes: list[int]) -> Iterator[str]:
    """Serve datasets of these sizes, and yield the URL of the project."""
    tables = [f"{TABLE[size]}:{size}" for size in sizes]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *tables], stdin=pipe, stdout=pipe, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        _, connection = json.loads(server.stdout.readline())
        os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = connection
        known = json.loads(connection)
        try:
            yield f"{known['host']}/{known['extra']['project_url']}"
        finally:
            server.stdin.close()


def ours(path: Path, size: int = SMALL, dataset: int | None = None) -> dict[str, Any]:
    """Export with the operator."""
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

    dataset = dataset or TABLE[size]
    task = AmigoCloudExportOperator(
        task_id="x", output_path=str(path), dataset=dataset, page_size=PAGE, concurrency=THREADS
    )
    context: Any = {"task_state_store": FakeStateStore()}
    manifest: dict[str, Any] = task.execute(context)
    if manifest["rows"] != size:
        raise AssertionError(manifest)
    return manifest


def one_by_one(project: str, token: str, path: Path) -> None:
    """Export as a loop over the cursor of the vendor's client does: one connection per page, stdlib json."""
    import requests

    url: str | None = f"{project}/sql"
    params: dict[str, Any] = {"query": f"SELECT * FROM dataset_{TABLE[SMALL]}", "limit": PAGE, "token": token}
    with path.open("w") as file:
        while url:
            page = json.loads(requests.get(url, params=params, timeout=60).content)
            for row in page["data"]:
                file.write(json.dumps(row) + "\n")
            url, params = page["next"], {}


def page_calls(folder: Path, dataset: int = TABLE[SMALL], rows: int = SMALL) -> list[Any]:
    """Export once, and return the calls of its pages."""
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.pagination import Page

    calls: list[Any] = []
    send = AmigoCloudHook.send

    def watch(self: AmigoCloudHook, call: Any) -> Any:
        found = send(self, call)
        if isinstance(found, Page) and len(found.rows) > 1:
            calls.append(call)
        return found

    AmigoCloudHook.send = watch  # type: ignore[method-assign, assignment]
    try:
        ours(folder / "recorded.jsonl", rows, dataset)
    finally:
        AmigoCloudHook.send = send  # type: ignore[method-assign]
    return calls


def discard(project: str, token: str, calls: list[Any]) -> None:
    """Fetch the same pages with pooled threads, and discard them."""
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session, ThreadPoolExecutor(THREADS) as pool:
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))

        def fetch(call: Any) -> int:
            reply = session.get(f"{project}/sql", params={**call.params, "token": token}, timeout=60)
            reply.raise_for_status()
            return len(reply.content)

        sum(pool.map(fetch, calls))


def memory(size: int) -> None:
    """Export in this process, and print its peak memory in MB and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        ours(Path(folder, "a.parquet"), size)
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    print(int(peak.split()[1]) / 1000, time.perf_counter() - started)


def memory_of(size: int) -> tuple[float, float]:
    """Export in a process of its own, and return its peak memory in MB and the seconds."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(size)], capture_output=True, text=True, check=True
    )
    megabytes, seconds = map(float, done.stdout.split()[-2:])
    return megabytes, seconds


class Spent(NamedTuple):
    """Time of several runs.

    :param seconds: median wall time.
    :param cpu: median CPU seconds of this process.
    :param least: wall seconds of the fastest run.
    """

    seconds: float
    cpu: float
    least: float


def timed(contenders: dict[str, tuple[Callable[[], Any], int]], rounds: int) -> dict[str, Spent]:
    """Run all contenders in alternating rounds, and return the medians.

    :param contenders: function and number of runs per round, by name.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    most = max(often for _, often in contenders.values())
    for turn in range(-1, rounds * most):
        for name, (run, often) in contenders.items():
            if turn % most >= often and turn >= 0:
                continue
            seconds, cpu = time.perf_counter(), time.process_time()
            run()
            if turn >= 0:
                spent[name].append((time.perf_counter() - seconds, time.process_time() - cpu))
    found = {}
    for name, runs in spent.items():
        clock, cpus = zip(*runs, strict=True)
        found[name] = Spent(median(clock), median(cpus), min(clock))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help=f"{HUGE:,} rows too: minutes, and 3 GB of memory")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sizes = [SMALL, LARGE, *([HUGE] if arguments.long else [])]
    with tempfile.TemporaryDirectory() as name, served(sizes) as project:
        compare(project, Path(name), arguments.rounds, peered=not arguments.no_peers)
        grow(sizes)


def compare(project: str, folder: Path, rounds: int, *, peered: bool) -> None:
    """Print the speed of the export beside the others."""
    token = json.loads(os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"])["password"]
    calls = page_calls(folder)
    spent = timed(
        {
            "jsonl": (lambda: ours(folder / "a.jsonl"), 3),
            "threads": (lambda: discard(project, token, calls), 3),
            "parquet": (lambda: ours(folder / "a.parquet"), 3),
            "loop": (lambda: one_by_one(project, token, folder / "loop.jsonl"), 1),
        },
        rounds,
    )
    print(f"{SMALL:,} rows x 10 columns in {len(calls)} pages, {DELAY * 1000:.0f} ms a request,")
    print(f"{THREADS} requests at once; seconds: median, least, and of CPU")
    for key, values in spent.items():
        print(f"  {key:10} {values.seconds:7.2f} {values.least:7.2f} {values.cpu:7.2f}")
    jsonl = spent["jsonl"].seconds
    report("a loop in the vendor client's style / jsonl", spent["loop"].seconds / jsonl, ">= 6")
    report("jsonl / threads that discard the pages", jsonl / spent["threads"].seconds, "<= 1.4")
    report("parquet / jsonl", spent["parquet"].seconds / jsonl, "<= 1.5")
    for title, measure in peer_environments.available() if peered else ():
        report(f"{title} / jsonl", measure(project, token, TABLE[SMALL], folder) / jsonl, "> 1")


def grow(sizes: list[int]) -> None:
    """Print the growth of memory with the number of rows."""
    few, _ = memory_of(sizes[0])
    for size in sizes[1:]:
        more, seconds = memory_of(size)
        report(f"MB more for {size:,} rows ({seconds:.0f} s)", more - few, "<= 100")


def report(title: str, value: float, target: str) -> None:
    """Print a value and its target."""
    sign, limit = target.split()
    met = value <= float(limit) if sign == "<=" else value >= float(limit)
    print(f"{title:55} {value:7.2f}  {target:7} {'met' if met else 'MISSED'}", flush=True)


if __name__ == "__main__":
    main()
