"""Benchmark runner: run the contenders of a job in rounds, in separate processes, and format the table."""

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
CONTENDER_SECONDS = 300
"""Maximum seconds of a contender."""


@dataclass(frozen=True)
class Contender:
    """One way to do a job.

    :param title: name in the table.
    :param file: module in ``contenders/``, without suffix.
    :param given: arguments of its ``run``, besides those that all contenders get.
    :param python: path of its interpreter.
    :param often: runs per round; several for a fast contender.
    :param code: checkout whose package it imports.
    """

    title: str
    file: str
    given: Mapping[str, Any] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    often: int = 1
    code: Path = ROOT


@dataclass(frozen=True)
class Row:
    """Line of the table: medians of all rounds.

    :param ratio: time divided by the time of this provider; None where time is not compared.
    """

    title: str
    seconds: float
    ratio: float | None
    megabytes: float
    requests: int | None = None
    note: str = ""

    def cells(self) -> list[str]:
        """Return the cells of the line."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        requests = "" if self.requests is None else f"{self.requests:,}"
        megabytes = f"{self.megabytes:,.{0 if self.megabytes >= 10 else 1}f}"
        return [self.title, f"{self.seconds:.2f}", ratio, megabytes, requests, self.note]


@dataclass(frozen=True)
class Job:
    """Job done by several contenders; the first is this provider."""

    title: str
    rows: Sequence[Row]


class ContenderProcess:
    """Process of a contender.

    :param connections: Airflow's connections, id to JSON.
    """

    def __init__(self, contender: Contender, connections: Mapping[str, str]) -> None:
        self.title = contender.title
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        env |= {f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in connections.items()}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # An installation has its modules compiled.
        env |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}
        env |= {"PYTHONPATH": str(contender.code), "PYTHONWARNINGS": "ignore"}
        command = [
            str(contender.python),
            str(HERE / "measured_process.py"),
            str(HERE / "contenders" / f"{contender.file}.py"),
        ]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(command, env=env, stdin=-1, stdout=-1, stderr=self._errors, text=True)

    def ready(self) -> None:
        """Wait until the process has imported its modules."""
        assert self.process.stdout
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise self._failed("cannot start")

    def start(self, given: Mapping[str, Any]) -> None:
        """Start the measured run; the process must be ready."""
        assert self.process.stdin
        print(json.dumps(given), file=self.process.stdin, flush=True)

    def report(self) -> dict[str, Any]:
        """Wait for the end of the process, and return its report."""
        timer = threading.Timer(CONTENDER_SECONDS, self.process.kill)
        timer.start()
        try:
            output, _ = self.process.communicate()
        finally:
            timer.cancel()
        if self.process.returncode:
            raise self._failed(f"ended with {self.process.returncode}")
        self._errors.close()
        reported: dict[str, Any] = json.loads(output.splitlines()[-1])
        return reported

    def _failed(self, how: str) -> RuntimeError:
        self._errors.seek(0)
        return RuntimeError(f"{self.title} {how}: {self._errors.read()[-3000:]}")


def request_count(origin: str) -> int:
    """Return the number of requests that a sandbox has received; 0 without a sandbox."""
    if not origin:
        return 0
    with urllib.request.urlopen(f"{origin}/_sandbox/counters") as reply:
        return sum(json.load(reply)["requests"].values())


@dataclass(frozen=True)
class Setup:
    """Common conditions of all contenders of a job.

    :param given: arguments for all contenders.
    :param connections: Airflow's connections, id to JSON.
    :param origin: URL of the sandbox, which counts the requests.
    :param expected: values of the report that show that the job is done.
    :param prepare: called before each run.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None

    def run(self, contender: Contender) -> dict[str, Any]:
        """Run a contender once, and return its report."""
        self.prepare()
        process = ContenderProcess(contender, self.connections)
        process.ready()
        before = request_count(self.origin)
        process.start({**self.given, **contender.given})
        reported = process.report()
        for name, value in self.expected.items():
            if reported.get(name, value) != value:
                raise AssertionError(f"{contender.title}: {name} is {reported[name]}, not {value}")
        return {**reported, "requests": request_count(self.origin) - before}


def run_rounds(contenders: Sequence[Contender], setup: Setup, rounds: int, *, warm: bool = True) -> list[Row]:
    """Run all contenders in rounds, and compare them with the first.

    :param warm: whether to run one more round before, which does not count.
    """
    found: dict[str, list[dict[str, Any]]] = {contender.title: [] for contender in contenders}
    if warm:
        for contender in contenders:
            setup.run(contender)
    for _ in range(rounds):
        for contender in contenders:
            found[contender.title] += [setup.run(contender) for _ in range(contender.often)]
    ours = median_of(found[contenders[0].title], "seconds")
    return [row(title, reports, ours) for title, reports in found.items()]


def row(title: str, reports: Sequence[Mapping[str, Any]], ours: float) -> Row:
    """Return the line of the table for several reports."""
    seconds = median_of(reports, "seconds")
    requests = round(median_of(reports, "requests")) or None
    return Row(title, seconds, seconds / ours, median_of(reports, "mb"), requests)


def median_of(reports: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the median of a value."""
    return float(median(report[name] for report in reports))


def markdown(jobs: Sequence[Job]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| Job | Way | Seconds | Time by ours | MB | Requests | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for job in jobs:
        for index, line in enumerate(job.rows):
            cells = [job.title if index == 0 else "", *line.cells()]
            lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"
