"""Conformance checks against a sandbox, on a clock that both share and that takes no time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow_provider.conformance.meter import Clock
from airflow_provider.conformance.reports.report import Report
from airflow_provider.conformance.session import Choice, Session
from airflow_provider.sandbox import service
from airflow_provider.sandbox.amigocloud.seed import ASSETS, READ_PROJECT_TOKEN
from airflow_provider.sandbox.server import Sandbox


class SharedClock:
    """Time of a run and of the sandbox: sleeping advances both.

    :param sandbox: the sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.now = time.time()
        self.slept: list[float] = []

    @contextmanager
    def running(self) -> Iterator[Clock]:
        """Within the block, the sandbox's time passes only while the run sleeps."""
        with patch.object(service, "time", SimpleNamespace(time=lambda: self.now, monotonic=time.monotonic)):
            yield self.clock
        self.sandbox.clock.advance(max(0.0, self.now - time.time()))  # Its time never goes back.

    @property
    def clock(self) -> Clock:
        """The clock as a run takes it."""
        return Clock(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self.slept.append(seconds)
        self.now += seconds


def run_checks(sandbox: Sandbox, name: str, **choice: Any) -> Report:
    """Return the report of a run against a sandbox.

    :param sandbox: the sandbox, whose connections are in the environment.
    :param name: the service.
    :param choice: level, only, burst, parent.
    """
    with SharedClock(sandbox).running() as clock:
        session = Session(f"{name}_default", Choice(**choice), clock)
        try:
            return session.run()
        finally:
            session.close()


def outcomes(report: Report) -> dict[str, str]:
    """Return the outcomes of a report's checks by id."""
    return {result.check.id: result.outcome for result in report.results}


def finish_a_run(sandbox: Sandbox) -> None:
    """Add a finished outbound run with a description and results, and one that is running."""
    workspace = sandbox.leanix
    report = next(one for one in workspace.configurations.values() if "outbound" in one.values())
    for seconds in (60, 0):
        run = workspace.create({**report, "description": "nightly", "content": []}, report)
        run.queue_seconds = 0.0
        run.work_seconds = 10.0 if seconds else 1e9
        workspace.machine.start(run, workspace.now())
        sandbox.clock.advance(seconds)
    assert [run.status for run in workspace.runs] == ["FINISHED", "IN_PROGRESS"]


def add_key_with_capitals(sandbox: Sandbox) -> None:
    """Add a property whose key has a capital, as a service that does not change keys stores it."""
    campus = sandbox.mapsindoors.campus
    key, item = next((key, item) for key, item in campus.geodata.items() if item["baseType"] == "poi")
    changed = {**item, "properties": {**item["properties"], "roomColour@en": "red"}}
    campus.geodata = {**campus.geodata, key: changed}


def floor_of(sandbox: Sandbox) -> str:
    """Return the id of a floor of the campus."""
    geodata = sandbox.mapsindoors.campus.geodata
    return next(key for key, item in geodata.items() if item["baseType"] == "floor")


def use_project_token(sandbox: Sandbox) -> str:
    """Return the connection with a token of the project."""
    connection: Mapping[str, Any] = json.loads(sandbox.connections["amigocloud_default"])
    return json.dumps({**connection, "password": READ_PROJECT_TOKEN})


def with_preview(sandbox: Sandbox) -> str:
    """Return the connection that names a version of the API."""
    connection: dict[str, Any] = json.loads(sandbox.connections["iotstudio_default"])
    return json.dumps({**connection, "extra": {**connection["extra"], "api_preview": "2024.1"}})


def add_projects(sandbox: Sandbox) -> None:
    """Add projects, so that the list of them has more than one page of its maximum length."""
    projects = sandbox.amigocloud.projects
    first = max(projects) + 1
    for number in range(first, first + 100):
        projects[number] = {"id": number, "name": f"Further site {number}", "description": ""}


def add_state(sandbox: Sandbox) -> None:
    """Change a row of the largest dataset, so that it has two states."""
    table = f"dataset_{ASSETS}"
    first = f"(SELECT min(amigo_id) FROM {table})"
    sandbox.amigocloud.store.write(f"UPDATE {table} SET name = 'Renamed' WHERE amigo_id = {first}")


def slow_jobs(sandbox: Sandbox) -> None:
    """Prolong the jobs of AmigoCloud, so that their first statuses are seen."""
    sandbox.amigocloud.job_latency = 3.0


def limit_rate(name: str) -> Callable[[Sandbox], None]:
    """Return a function that limits the requests of a service to five a second."""

    def limit(sandbox: Sandbox) -> None:
        sandbox.switches.set(sandbox.switches.check({f"{name}.requests_per_second": 5.0}))

    return limit


def add_secret(sandbox: Sandbox) -> None:
    """Store a configuration with a connection string."""
    configurations = sandbox.leanix.configurations
    key, stored = next(iter(configurations.items()))
    consumer = {"type": "azureStorage", "connectionString": "DefaultEndpointsProtocol=https;AccountKey=x"}
    configurations[key] = {**stored, "dataConsumer": consumer}


ARRANGEMENTS: dict[str, Callable[[Sandbox], None]] = {"leanix": finish_a_run, "amigocloud": slow_jobs}
"""Data that the checks of a service need."""

CONDITIONS_MET: dict[str, Callable[[Sandbox], None]] = {
    "A3.list_maximum": add_projects,
    "A3.old_state": add_state,
    "A10.retry_after": limit_rate("amigocloud"),
    "I7.retry_after": limit_rate("iotstudio"),
    "L9.retry_after": limit_rate("leanix"),
    "L6.secrets": add_secret,
}
"""Functions that meet the conditions of checks, by id."""


def prepare(sandbox: Sandbox, name: str, *met: str) -> None:
    """Make what the checks of a service need.

    :param name: the service.
    :param met: ids of checks whose condition is met.
    """
    if name in ARRANGEMENTS:
        ARRANGEMENTS[name](sandbox)
    for id_ in met:
        if id_ in CONDITIONS_MET:
            CONDITIONS_MET[id_](sandbox)
