"""Scenarios of the system tests: all of them run in one Airflow, because starting it takes half a minute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider.sandbox import Sandbox
from dev.local_airflow import LocalAirflow
from dev.processes import Started

VENDORS = ("mapsindoors", "amigocloud", "iotstudio", "leanix")
PRELOADED = (
    *(
        f"airflow_provider.{vendor}.{kind}"
        for vendor in VENDORS
        for kind in ("hooks", "operators", "sensors")
    ),
    "airflow_provider.warehouse.operators",
    "airflow.providers.postgres.hooks.postgres",
    "requests",
)
"""What most tasks import."""

SETTINGS = {
    # Each task is a process, and small machines have two cores.
    "CORE__PARALLELISM": 6,
    # The files do not change: each is parsed once.
    "DAG_PROCESSOR__REFRESH_INTERVAL": 3600,
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 3600,
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
    # A worker that dies with its task cannot report it: the scheduler notices the missing heartbeats.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 20,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
}


QUICK_RETRIES = """
from datetime import timedelta

for task in dag.tasks:
    task.retry_delay = timedelta(seconds=2)
"""
"""End of the copy of an example DAG: no test waits a minute when a busy Airflow repeats a task."""


class Scenario:
    """DAGs, sandboxes and runs of one test module, which assigns an instance to ``SCENARIO``.

    :cvar last: whether it runs when the tasks of all others have ended, because it would disturb them.
    :cvar after: scenarios whose runs it shows, so that it runs after them; these have none.
    """

    last = False
    after: tuple[Scenario, ...] = ()

    def dags(self) -> Mapping[str, str]:
        """Return the DAG files: name to code."""
        raise NotImplementedError

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        """Start sandboxes, which the stack closes after Airflow; return the connections, id to JSON."""
        raise NotImplementedError

    def run(self, airflow: LocalAirflow) -> Any:
        """Run the DAGs, in a thread of its own beside other scenarios; return what the tests check."""
        raise NotImplementedError


@dataclass
class CompletedRun:
    """State after all scenarios have run and Airflow has stopped; the sandboxes still run."""

    home: Path
    output: Path
    started: Started
    connections: Mapping[str, str]
    results: dict[Scenario, Future[Any]] = field(default_factory=dict)

    def result(self, scenario: Scenario) -> Any:
        """Return the result of a scenario's ``run``, or raise its error."""
        return self.results[scenario].result()


def start_all(sandboxes: Collection[Sandbox], stack: ExitStack) -> None:
    """Start sandboxes at the same time; the stack stops them at the same time."""
    pool = stack.enter_context(ThreadPoolExecutor(len(sandboxes), thread_name_prefix="sandboxes"))
    stack.callback(lambda: list(pool.map(Sandbox.stop, sandboxes)))
    list(pool.map(Sandbox.start, sandboxes))


def run_all(scenarios: list[Scenario], folder: Path, stack: ExitStack) -> CompletedRun:
    """Start Airflow, run all scenarios at the same time, and stop it."""
    scenarios = list(dict.fromkeys([*(other for one in scenarios for other in one.after), *scenarios]))
    dags, output = folder / "dags", folder / "output"
    dags.mkdir()
    connections: dict[str, str] = {}
    for scenario in scenarios:
        connections |= scenario.open(stack)
        for name, code in scenario.dags().items():
            (dags / name).write_text(code)
    home = folder / "airflow"
    with LocalAirflow(
        home, connections=connections, output=output, dags=dags, settings=SETTINGS, preloaded=PRELOADED
    ) as airflow:
        assert airflow.started
        completed = CompletedRun(home, output, airflow.started, connections)
        _run(scenarios, airflow, completed)
    return completed


def _run(scenarios: list[Scenario], airflow: LocalAirflow, completed: CompletedRun) -> None:
    first = [scenario for scenario in scenarios if not scenario.last and not scenario.after]
    others = sorted((one for one in scenarios if one not in first), key=lambda one: one.last)
    with ThreadPoolExecutor(max(1, len(scenarios)), thread_name_prefix="scenario") as pool:
        for scenario in [*first, *others]:
            before = [completed.results[other] for other in (first if scenario.last else scenario.after)]
            completed.results[scenario] = pool.submit(_run_after, before, scenario, airflow)


def _run_after(before: list[Future[Any]], scenario: Scenario, airflow: LocalAirflow) -> Any:
    wait(before)
    return scenario.run(airflow)
