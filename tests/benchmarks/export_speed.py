"""Export of 500,000 rows beside bare threads, the vendor's client and dlt, at 50, 5 and 0 ms a request.

Run: ``python -m tests.benchmarks.export_speed [--rows 500000] [--rounds 3] [--no-peers]``. The service is a
process of its own, which holds the replies ready. Each contender is a process of its own; all take turns in
rounds. ``--quick`` takes 5,000 rows and one round, to see that everything runs. Of each figure the table has
the median; of processor time that of the contender alone, which other load on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import amigocloud_export, peer_environments, runner
from tests.benchmarks.runner import Contender, Setup

ROWS, QUICK = 500_000, 5_000
DATASET, PAGE, THREADS = 3002, 1000, 8
FAR, NEAR, LOCAL = 0.05, 0.005, 0.0
"""Seconds that the service waits before each reply: another continent, the same city, the same machine."""

JSONL, PARQUET, BARE = "JSON Lines", "Parquet", f"{THREADS} threads that discard the pages"
LIMITS: dict[float, list[tuple[str, str, str, str]]] = {
    FAR: [
        ("seconds", JSONL, BARE, "<= 1.2"),
        ("cpu", JSONL, BARE, "<= 2"),
        ("cpu", PARQUET, BARE, "<= 2.5"),
        ("seconds", PARQUET, JSONL, "<= 1.2"),
    ],
    NEAR: [("seconds", peer, JSONL, ">= 3") for peer in ("the vendor's client", "dlt")],
    LOCAL: [("seconds", peer, JSONL, ">= 3") for peer in ("the vendor's client", "dlt")],
}
"""Ratios to reach, by delay: the measure, the two contenders, and the bound."""

SERVER = """
import json, os, sys
from airflow_provider.sandbox.server import Sandbox
from tests.benchmarks.quick_service import QuickService, add_dataset

number, count = map(int, sys.argv[1:])
with Sandbox(kinds=[QuickService]) as sandbox:
    add_dataset(sandbox.amigocloud, number, count)
    print(json.dumps(sandbox.connections["amigocloud_default"]), flush=True)
    for line in sys.stdin:
        sandbox.faults.clear()
        if seconds := float(line):
            sandbox.faults.add("delay", seconds=seconds, times=None)
        times = os.times()
        print(json.dumps(times.user + times.system), flush=True)
"""


class Service:
    """The service in a process of its own.

    :param process: the process.
    :param connection: Airflow's connection to it, as JSON.
    """

    def __init__(self, process: subprocess.Popen[str], connection: str) -> None:
        self._process = process
        self.connection = connection
        self.delay = 0.0

    def set_delay(self, seconds: float) -> float:
        """Wait so long before each reply; returns the service's seconds of processor time so far."""
        assert self._process.stdin
        assert self._process.stdout
        self.delay = seconds
        print(seconds, file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline()))

    def spent(self) -> float:
        """Return the service's seconds of processor time so far."""
        return self.set_delay(self.delay)


@contextmanager
def served(rows: int) -> Iterator[Service]:
    """Serve a dataset of so many rows."""
    command = [sys.executable, "-c", SERVER, str(DATASET), str(rows)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=runner.ROOT) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Service(process, json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def contenders(pages: Sequence[Any], *, peers: bool) -> list[Contender]:
    """Return the ways to export, this provider's first."""
    ours = [
        Contender(JSONL, "export_ours", {"name": "ours.jsonl"}),
        Contender(PARQUET, "export_ours_parquet", {"name": "ours.parquet"}),
        Contender(BARE, "export_threads", {"pages": pages}),
    ]
    if not peers:
        return ours
    return [
        *ours,
        *peer_environments.contender("the vendor's client", "export_vendor", "amigocloud"),
        *peer_environments.contender("dlt", "export_dlt", "dlt"),
    ]


def prepared(service: Service, rows: int, folder: str) -> tuple[Setup, list[Any]]:
    """Return the setup of all contenders, and the parameters of the export's pages."""
    os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"] = service.connection
    known = json.loads(service.connection)
    calls = amigocloud_export.page_calls(Path(folder), DATASET, rows)
    given = {
        "folder": folder,
        "dataset": DATASET,
        "threads": THREADS,
        "page": PAGE,
        "host": known["host"],
        "project": known["extra"]["project_url"],
        "token": known["password"],
    }
    setup = Setup(given, {"amigocloud_default": service.connection}, expected={"rows": rows})
    return setup, [dict(call.params) for call in calls]


def measure(
    service: Service, setup: Setup, ways: Sequence[Contender], delay: float, rounds: int
) -> dict[str, dict[str, float]]:
    """Run all ways in turns, and print and return their medians by title."""
    service.set_delay(delay)
    found: dict[str, list[dict[str, Any]]] = {way.title: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            before = service.spent()
            report = setup.run(way)
            found[way.title].append({**report, "service": service.spent() - before})
    print(f"\n{delay * 1000:g} ms a request: seconds, of CPU, of the service's CPU, MB, rows a second")
    medians = {}
    for title, reports in found.items():
        names = ("seconds", "cpu", "service", "mb")
        line = medians[title] = {name: runner.median_of(reports, name) for name in names}
        rate = setup.expected["rows"] / line["seconds"]
        numbers = f"{line['seconds']:7.2f} {line['cpu']:7.2f} {line['service']:7.2f} {line['mb']:5.0f}"
        print(f"  {title:32} {numbers} {rate:9,.0f}", flush=True)
    return medians


def check(medians: dict[str, dict[str, float]], limits: Sequence[tuple[str, str, str, str]]) -> bool:
    """Print each ratio with its bound; returns whether all bounds are met."""
    good = True
    for name, one, other, bound in limits:
        if one not in medians:
            continue
        ratio = medians[one][name] / medians[other][name]
        sign, limit = bound.split()
        met = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
        good = good and met
        print(f"  {name:8} {one} / {other}: {ratio:.2f}  {bound}  {'met' if met else 'MISSED'}", flush=True)
    return good


def run(rows: int, rounds: int, delays: Sequence[float], *, peers: bool) -> bool:
    """Measure at each delay; returns whether all bounds are met."""
    good = True
    with served(rows) as service, tempfile.TemporaryDirectory() as folder:
        setup, pages = prepared(service, rows, folder)
        ways = contenders(pages, peers=peers)
        for way in ways:
            setup.run(way)  # The service has all replies ready after it.
        print(f"{rows:,} rows x 10 columns in {len(pages)} pages, {THREADS} requests at once")
        for delay in delays:
            # A peer takes minutes, always for the same reason: one round shows it.
            good = check(measure(service, setup, ways, delay, rounds), LIMITS.get(delay, ())) and good
    return good


def main() -> int:
    """Print the tables; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--delays", type=float, nargs="*", default=[FAR, NEAR, LOCAL], help="in seconds")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    rows, rounds = (QUICK, 1) if given.quick else (given.rows, given.rounds)
    peers = not (given.no_peers or given.quick)
    return int(not run(rows, rounds, given.delays, peers=peers) and not given.quick)


if __name__ == "__main__":
    sys.exit(main())
