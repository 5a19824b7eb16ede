"""LeanIX tasks that are killed in a real Airflow: the next attempt resumes the only run.

Each kill point has a sandbox of its own, so that all of them are tested at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.leanix import LeanIXService
from dev.local_airflow import LocalAirflow
from tests.system.process_killer import KilledDag, KillPoint, run_rounds
from tests.system.scenarios import CompletedRun, Scenario, start_all

pytestmark = pytest.mark.system

LATE = 5.0
"""Seconds until a request of a killed process takes effect: the next attempt has started by then."""


@dataclass(frozen=True)
class Case:
    """Kill point of a task, and whether the task defers."""

    point: KillPoint
    deferrable: bool = False


TOKEN = KillPoint(method="POST", path="/oauth2/token$")
CREATE = KillPoint(method="POST", path="/synchronizationRuns$", acts_after=LATE)
START = KillPoint(method="POST", path="/start$", acts_after=LATE)
STATS = KillPoint(method="GET", path="/stats$")
CASES = {
    "at_first_request": Case(TOKEN),
    "create_under_way": Case(CREATE),
    "start_under_way": Case(START),
    "started": Case(KillPoint(method="GET", path="/status$")),
    "started_worker_too": Case(KillPoint(method="GET", path="/status$", with_worker=True)),
    "waiting": Case(KillPoint(method="GET", path="/status$", after=2)),
    "run_over": Case(STATS),
    "downloading": Case(KillPoint(method="GET", service="storage")),
    "create_under_way_deferred": Case(CREATE, deferrable=True),
    "start_under_way_deferred": Case(START, deferrable=True),
    "resumed_deferred": Case(STATS, deferrable=True),
}
EACH = pytest.mark.parametrize("name", list(CASES))

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator

for name, deferrable in {cases!r}.items():
    with DAG(name, schedule=None):
        LeanIXRunOperator(
            task_id="run",
            connector_type="report",
            connector_id="landscape",
            connector_version="1.0.0",
            processing_direction="outbound",
            output_path="{{{{ var.value.twin_output }}}}/crash/" + name + ".json",
            poll_interval=1,
            timeout=300,
            retries=3,
            retry_delay=timedelta(seconds=1),
            deferrable=deferrable,
            leanix_conn_id="leanix_" + name,
        )
"""


class LeanIXCrashes(Scenario):
    """Kill one task at each kill point."""

    def __init__(self) -> None:
        self.killed: dict[str, KilledDag] = {}

    def dags(self) -> Mapping[str, str]:
        return {"leanix_crash.py": DAGS.format(cases={name: case.deferrable for name, case in CASES.items()})}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        sandboxes = {name: Sandbox(kinds=[LeanIXService]) for name in CASES}
        start_all(sandboxes.values(), stack)
        for name, case in CASES.items():
            sandbox = sandboxes[name]
            sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 0.5, 5.0
            self.killed[name] = KilledDag(name, sandbox, lambda _, point=case.point: [point])
        return {
            f"leanix_{name}": dag.sandbox.connections["leanix_default"] for name, dag in self.killed.items()
        }

    def run(self, airflow: LocalAirflow) -> dict[str, KilledDag]:
        run_rounds(airflow, list(self.killed.values()), rounds=1)
        return self.killed


SCENARIO = LeanIXCrashes()


@pytest.fixture(scope="module")
def killed_dags(completed: CompletedRun) -> dict[str, KilledDag]:
    killed: dict[str, KilledDag] = completed.result(SCENARIO)
    return killed


@EACH
def test_task_is_killed_and_its_next_try_succeeds(killed_dags: dict[str, KilledDag], name: str) -> None:
    (outcome,) = killed_dags[name].outcomes
    assert len(killed_dags[name].killer.killed) == 1 + CASES[name].point.with_worker
    assert outcome.state == "success", outcome.log
    assert outcome.attempts > 1


@EACH
def test_one_run_is_started_however_the_task_died(
    killed_dags: dict[str, KilledDag], completed: CompletedRun, name: str
) -> None:
    leanix, (outcome,) = killed_dags[name].sandbox.leanix, killed_dags[name].outcomes
    assert (leanix.starts, leanix.peak_live, leanix.live_runs) == (1, 1, [])
    (started,) = [run for run in leanix.runs if run.status != "CREATED"]
    assert outcome.returned["run_id"] == started.id
    path = completed.output / "crash" / f"{name}.json"
    assert path.read_bytes() == started.result
    assert outcome.returned["results"]["bytes"] == path.stat().st_size
