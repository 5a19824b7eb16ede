"""Runs the sides of a comparison in turns, each in a process of its own, and lays out what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIDE_SECONDS = 300


@dataclass(frozen=True)
class Side:
    """One way to do a job.

    :param title: how the table calls it.
    :param file: of ``sides/``, without suffix.
    :param given: arguments of its ``run``, beside those that all sides get.
    :param python: the interpreter it needs.
    :param often: so many times in each round; more for what is quick.
    """

    title: str
    file: str
    given: Mapping[str, Any] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    often: int = 1


@dataclass(frozen=True)
class Row:
    """A line of the table: medians of all rounds.

    :param ratio: time by the time of our side; None where time is not what is compared.
    """

    title: str
    seconds: float
    ratio: float | None
    megabytes: float
    requests: int | None = None
    note: str = ""

    def cells(self) -> list[str]:
        """Give the line's cells."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        requests = "" if self.requests is None else f"{self.requests:,}"
        megabytes = f"{self.megabytes:,.{0 if self.megabytes >= 10 else 1}f}"
        return [self.title, f"{self.seconds:.2f}", ratio, megabytes, requests, self.note]


@dataclass(frozen=True)
class Job:
    """A job that was done in several ways; the first one is ours."""

    title: str
    rows: Sequence[Row]


class Running:
    """A side's process.

    :param connections: Airflow's connections, id to JSON.
    """

    def __init__(self, side: Side, connections: Mapping[str, str]) -> None:
        self.title = side.title
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        env |= {f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in connections.items()}
        env |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}
        env |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        command = [str(side.python), str(HERE / "measured.py"), str(HERE / "sides" / f"{side.file}.py")]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(command, env=env, stdin=-1, stdout=-1, stderr=self._errors, text=True)

    def ready(self) -> None:
        """Wait until it has loaded what it needs."""
        assert self.process.stdout
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise self._failed("cannot start")

    def begin(self, given: Mapping[str, Any]) -> None:
        """Let it begin, once it is ready."""
        assert self.process.stdin
        print(json.dumps(given), file=self.process.stdin, flush=True)

    def ended(self) -> dict[str, Any]:
        """Wait for it; gives what it reported."""
        timer = threading.Timer(SIDE_SECONDS, self.process.kill)
        timer.start()
        try:
            said, _ = self.process.communicate()
        finally:
            timer.cancel()
        if self.process.returncode:
            raise self._failed(f"ended with {self.process.returncode}")
        self._errors.close()
        reported: dict[str, Any] = json.loads(said.splitlines()[-1])
        return reported

    def _failed(self, how: str) -> RuntimeError:
        self._errors.seek(0)
        return RuntimeError(f"{self.title} {how}: {self._errors.read()[-3000:]}")


def requests_so_far(origin: str) -> int:
    """Ask a sandbox how many requests it has had; 0 without one."""
    if not origin:
        return 0
    with urllib.request.urlopen(f"{origin}/_sandbox/counters") as reply:
        return sum(json.load(reply)["requests"].values())


@dataclass(frozen=True)
class World:
    """What all sides of a comparison meet.

    :param given: arguments for all.
    :param connections: Airflow's connections, id to JSON.
    :param origin: of the sandbox, which counts the requests.
    :param wanted: what a side must report, where it reports it, to have done the job.
    :param prepare: called before each run.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    wanted: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None

    def run(self, side: Side) -> dict[str, Any]:
        """Run a side once."""
        self.prepare()
        running = Running(side, self.connections)
        running.ready()
        before = requests_so_far(self.origin)
        running.begin({**self.given, **side.given})
        reported = running.ended()
        for name, value in self.wanted.items():
            if reported.get(name, value) != value:
                raise AssertionError(f"{side.title}: {name} is {reported[name]}, not {value}")
        return {**reported, "requests": requests_so_far(self.origin) - before}


def in_turns(sides: Sequence[Side], world: World, rounds: int, *, warm: bool = True) -> list[Row]:
    """Run all sides in turns; the first one is what the others are compared with.

    :param warm: one more round first, which does not count.
    """
    found: dict[str, list[dict[str, Any]]] = {side.title: [] for side in sides}
    if warm:
        for side in sides:
            world.run(side)
    for _ in range(rounds):
        for side in sides:
            found[side.title] += [world.run(side) for _ in range(side.often)]
    ours = middle(found[sides[0].title], "seconds")
    return [row(title, reports, ours) for title, reports in found.items()]


def row(title: str, reports: Sequence[Mapping[str, Any]], ours: float) -> Row:
    """Make a line of several reports."""
    seconds = middle(reports, "seconds")
    requests = round(middle(reports, "requests")) or None
    return Row(title, seconds, seconds / ours, middle(reports, "mb"), requests)


def middle(reports: Sequence[Mapping[str, Any]], name: str) -> float:
    """Give the median of a figure."""
    return float(median(report[name] for report in reports))


def markdown(jobs: Sequence[Job]) -> str:
    """Lay out the table."""
    lines = [
        "| Job | Way | Seconds | Time by ours | MB | Requests | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for job in jobs:
        for at, one in enumerate(job.rows):
            cells = [job.title if at == 0 else "", *one.cells()]
            lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"
