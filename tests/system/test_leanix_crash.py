"""LeanIX tasks whose process is killed for real, in a real Airflow: the next try finds the one run there is.

Each place to be killed at has a sandbox of its own, so that all of them are tried at once. The sandbox holds
the task at a request, the task's process gets a SIGKILL, and what was on its way still arrives.

``LEANIX_CRASH_ROUNDS=20`` goes on with further rounds, in which the kill comes at any moment near a request.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.faults import Fault
from dev.local_airflow import LocalAirflow

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("LEANIX_CRASH_ROUNDS", "1"))
HELD_SECONDS = 5.0
ROUND_SECONDS = 240.0

TOKEN = {"method": "POST", "path": "/oauth2/token$"}
CREATE = {"method": "POST", "path": "/synchronizationRuns$"}
START = {"method": "POST", "path": "/start$"}
STATUS = {"method": "GET", "path": "/status$"}
STATS = {"method": "GET", "path": "/stats$"}
DOWNLOAD = {"method": "GET", "service": "storage"}

SETTINGS = {
    "CORE__PARALLELISM": 16,
    "DAG_PROCESSOR__REFRESH_INTERVAL": 60,
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
    # A worker that dies with its task can tell nobody: the scheduler misses its heartbeats.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 15,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
}

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
            output_path="{{{{ var.value.twin_output }}}}/{{{{ run_id }}}}/" + name + ".json",
            poll_interval=1,
            timeout=300,
            retries=3,
            retry_delay=timedelta(seconds=1),
            deferrable=deferrable,
            leanix_conn_id="leanix_" + name,
        )
"""


@dataclass
class Place:
    """Where a task is killed: while this request is under way, what came before it has happened.

    :param with_worker: the worker above the task's process dies, too.
    :param fault: holds the request, and so the task.
    :param wait: seconds from then on until the kill.
    :param killed: what was killed so far.
    :param returned: what the task returned, round by round.
    """

    name: str
    request: dict[str, Any]
    deferrable: bool = False
    with_worker: bool = False
    sandbox: Sandbox = field(default_factory=Sandbox)
    killed: list[str] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)
    task: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    fault: Fault | None = None
    wait: float = 0.0
    kill_at: float | None = None
    shot: bool = False
    over: bool = False

    def begin(self, number: int) -> None:
        """Get ready for a round; after the first one the task goes on soon, and the kill comes any time."""
        held, self.wait = HELD_SECONDS, 0.0
        if number > 0:
            held, self.wait = random.uniform(0, 1), random.uniform(0, 1.5)
        self.sandbox.faults.clear()
        self.fault = self.sandbox.faults.add("delay", **self.request, seconds=held)
        self.run_id = f"round_{number}"
        self.kill_at, self.shot, self.over = None, False, False

    def is_due(self) -> bool:
        """Tell whether the moment of the kill has come."""
        if self.kill_at is None and self.fault and self.fault.hits:
            self.kill_at = time.monotonic() + self.wait
        return not self.shot and self.kill_at is not None and time.monotonic() >= self.kill_at


PLACES = [
    Place("at_first_request", TOKEN),
    Place("create_under_way", CREATE),
    Place("start_under_way", START),
    Place("started", STATUS),
    Place("started_worker_too", STATUS, with_worker=True),
    Place("waiting", {**STATUS, "after": 2}),
    Place("run_over", STATS),
    Place("downloading", DOWNLOAD),
    Place("create_under_way_deferred", CREATE, deferrable=True),
    Place("start_under_way_deferred", START, deferrable=True),
    Place("resumed_deferred", STATS, deferrable=True),
]
BY_NAME = {place.name: place for place in PLACES}
EACH = pytest.mark.parametrize("name", list(BY_NAME))


def task_process(airflow: LocalAirflow, ti_id: str) -> psutil.Process | None:
    """Find the process of a task instance among Airflow's descendants."""
    assert airflow.started
    for process in psutil.Process(airflow.started.pid).children(recursive=True):
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).strip() == f"airflow worker -- {ti_id}":
                return process
    return None


def kill(airflow: LocalAirflow, place: Place) -> None:
    """Kill the task's process by its id, and its worker first where that is wanted."""
    (task,) = airflow.api.tasks(place.name, place.run_id)
    process = task_process(airflow, task["id"])
    if process is None:  # in later rounds it may have ended before its moment came
        return
    victims = [process.parent(), process] if place.with_worker else [process]
    for victim in victims:
        assert victim
        title = " ".join(victim.cmdline())
        assert title.startswith("airflow worker -- ")
        place.killed.append(title)
        os.kill(victim.pid, 9)


def look_at(airflow: LocalAirflow, place: Place) -> None:
    """Kill the task when its moment has come; see whether it is over."""
    if place.is_due():
        kill(airflow, place)
        place.shot = True
    elif place.shot and airflow.api.run(place.name, place.run_id)["state"] in {"success", "failed"}:
        place.over = True
        (place.task,) = airflow.api.tasks(place.name, place.run_id)
        place.returned.append(airflow.api.returned(place.name, place.run_id, "run"))


def play(airflow: LocalAirflow, number: int) -> None:
    """Run every task once, and kill it once."""
    for place in PLACES:
        place.begin(number)
        airflow.api.trigger(place.name, place.run_id)
    deadline = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < deadline and not all(place.over for place in PLACES):
        time.sleep(0.2)
        for place in [place for place in PLACES if not place.over]:
            look_at(airflow, place)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("crash")
    dags, output = folder / "dags", folder / "output"
    dags.mkdir()
    (dags / "crash.py").write_text(DAGS.format(places={place.name: place.deferrable for place in PLACES}))
    with ExitStack() as stack:
        connections = {}
        for place in PLACES:
            stack.enter_context(place.sandbox)
            place.sandbox.leanix.queue_seconds = 0.5
            place.sandbox.leanix.run_seconds = 5.0
            connections[f"leanix_{place.name}"] = place.sandbox.connections["leanix_default"]
        airflow = stack.enter_context(
            LocalAirflow(
                folder / "airflow", connections=connections, output=output, dags=dags, settings=SETTINGS
            )
        )
        airflow.wait_for_dags(*BY_NAME)
        for place in PLACES:
            airflow.api.unpause(place.name)
        for number in range(ROUNDS):
            play(airflow, number)
        yield output


@EACH
def test_task_is_killed_and_its_next_try_succeeds(output: Path, name: str) -> None:
    place = BY_NAME[name]
    assert len(place.killed) >= 1 + place.with_worker
    assert place.task["state"] == "success"
    assert place.task["try_number"] > 1 or ROUNDS > 1
    assert len(place.returned) == ROUNDS


@EACH
def test_one_run_is_started_however_the_task_died(output: Path, name: str) -> None:
    place = BY_NAME[name]
    leanix = place.sandbox.leanix
    assert (leanix.starts, leanix.peak_live, leanix.live_runs) == (ROUNDS, 1, [])
    started = {run.id: run for run in leanix.runs if run.status != "CREATED"}
    assert [value["run_id"] for value in place.returned] == list(started)
    for number, value in enumerate(place.returned):
        path = output / f"round_{number}" / f"{name}.json"
        assert path.read_bytes() == started[value["run_id"]].result
        assert value["results"]["bytes"] == path.stat().st_size
