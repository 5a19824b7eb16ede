"""LeanIX tasks whose process is killed for real, in a real Airflow: the next try finds the one run there is.

Each place to be killed at has a sandbox of its own, so that all of them are tried at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.leanix import LeanIXService
from dev.local_airflow import LocalAirflow
from tests.system.killing import Kill, Victim, play
from tests.system.parts import Part, Played

pytestmark = pytest.mark.system

LATE = 5.0
"""Seconds until a request of a dead process arrives: the next try is at work by then."""


@dataclass(frozen=True)
class Place:
    """Where a task is killed."""

    kill: Kill
    deferrable: bool = False


TOKEN = Kill(method="POST", path="/oauth2/token$")
CREATE = Kill(method="POST", path="/synchronizationRuns$", lands=LATE)
START = Kill(method="POST", path="/start$", lands=LATE)
STATS = Kill(method="GET", path="/stats$")
PLACES = {
    "at_first_request": Place(TOKEN),
    "create_under_way": Place(CREATE),
    "start_under_way": Place(START),
    "started": Place(Kill(method="GET", path="/status$")),
    "started_worker_too": Place(Kill(method="GET", path="/status$", with_worker=True)),
    "waiting": Place(Kill(method="GET", path="/status$", after=2)),
    "run_over": Place(STATS),
    "downloading": Place(Kill(method="GET", service="storage")),
    "create_under_way_deferred": Place(CREATE, deferrable=True),
    "start_under_way_deferred": Place(START, deferrable=True),
    "resumed_deferred": Place(STATS, deferrable=True),
}
EACH = pytest.mark.parametrize("name", list(PLACES))

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator

for name, deferrable in {places!r}.items():
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


class LeanIXCrashes(Part):
    """Kills a task at each of the places."""

    def __init__(self) -> None:
        self.victims: dict[str, Victim] = {}

    def dags(self) -> Mapping[str, str]:
        return {
            "leanix_crash.py": DAGS.format(places={name: place.deferrable for name, place in PLACES.items()})
        }

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        for name, place in PLACES.items():
            sandbox = stack.enter_context(Sandbox(kinds=[LeanIXService]))
            sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 0.5, 5.0
            self.victims[name] = Victim(name, sandbox, lambda _, kill=place.kill: [kill])
        return {
            f"leanix_{name}": one.sandbox.connections["leanix_default"] for name, one in self.victims.items()
        }

    def play(self, airflow: LocalAirflow) -> dict[str, Victim]:
        play(airflow, list(self.victims.values()), rounds=1)
        return self.victims


PART = LeanIXCrashes()


@pytest.fixture(scope="module")
def victims(played: Played) -> dict[str, Victim]:
    done: dict[str, Victim] = played.result(PART)
    return done


@EACH
def test_task_is_killed_and_its_next_try_succeeds(victims: dict[str, Victim], name: str) -> None:
    (outcome,) = victims[name].outcomes
    assert len(victims[name].killer.killed) == 1 + PLACES[name].kill.with_worker
    assert outcome.state == "success", outcome.log
    assert outcome.tries > 1


@EACH
def test_one_run_is_started_however_the_task_died(
    victims: dict[str, Victim], played: Played, name: str
) -> None:
    leanix, (outcome,) = victims[name].sandbox.leanix, victims[name].outcomes
    assert (leanix.starts, leanix.peak_live, leanix.live_runs) == (1, 1, [])
    (started,) = [run for run in leanix.runs if run.status != "CREATED"]
    assert outcome.returned["run_id"] == started.id
    path = played.output / "crash" / f"{name}.json"
    assert path.read_bytes() == started.result
    assert outcome.returned["results"]["bytes"] == path.stat().st_size
