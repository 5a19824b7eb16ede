"""Example DAGs that events start: the demo causes the events, and waits for the runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.iotstudio.records import Entry
from dev.demo import JOB_SECONDS, Job, follow
from dev.local_airflow import AirflowFailedError, LocalAirflow

EVENTS = {
    "amigocloud_dataset_changed": "AmigoCloud, MapsIndoors",
    "iotstudio_limit_passed": "Altair IoT Studio, LeanIX",
    "iotstudio_events": "Altair IoT Studio",
    "iotstudio_pushed_values": "Altair IoT Studio",
}
"""Systems by DAG id."""

DATASET = 2001
SPACE = "my-iot-project"
SENSOR = "01GQ2E9M2Y45BX9EW0F2BM032Q"
EVENT_ROUTE = "iotstudio GET /spaces/{space}/things/{thing}/events/{name}"
LISTENING_SECONDS = 180
"""Maximum seconds until the triggerer listens."""


def run_events(airflow: LocalAirflow, sandbox: Sandbox, say: Callable[[str], None] = print) -> list[Job]:
    """Change a dataset and some values, report an event, and wait for the runs that these start.

    :param airflow: the running Airflow.
    :param sandbox: the sandbox that its connections lead to.
    :param say: receives a line of text about the progress.
    """
    airflow.wait_for_dags(*EVENTS)
    sandbox.iotstudio.space.things[SENSOR].status["temperature"] = 75.0
    for dag_id in EVENTS:
        airflow.api.unpause(dag_id)
        airflow.api.parse_now(dag_id)
    listeners = sandbox.amigocloud.sockets.listeners
    _wait(airflow, lambda: listeners(DATASET) > 0, "the triggerer listens to AmigoCloud")
    say(f"Changing dataset {DATASET}, which starts amigocloud_dataset_changed")
    sandbox.amigocloud.store.write(f"UPDATE dataset_{DATASET} SET name = name || ' *' WHERE number < 100")
    _wait(airflow, lambda: sandbox.counters.requests[EVENT_ROUTE] > 0, "the triggerer reads events")
    _report_heat(sandbox)
    _turn_humid(airflow, sandbox)
    jobs = [Job(dag_id, system, _run_of(airflow, dag_id)) for dag_id, system in EVENTS.items()]
    follow(airflow, jobs, say)
    return jobs


def _report_heat(sandbox: Sandbox) -> None:
    """Report an event of the sensor, as its device does."""
    service = sandbox.iotstudio
    entry = Entry(service.new_id(), "highTemperature", service.around.clock.now(), {"data": 75.0})
    service.space.things[SENSOR].events.append(entry)


def _turn_humid(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    """Change a value, which the broker pushes where the sandbox has one."""
    service = sandbox.iotstudio
    if service.link:
        logs = airflow.home.rglob
        pushed = "values are pushed by the broker"
        _wait(airflow, lambda: any(pushed in path.read_text() for path in logs("*.log")), "values are pushed")
    service.space.things[SENSOR].status["humidity"] = 95.0
    if service.link:
        service.link.publish(SPACE, SENSOR, {"humidity": 95.0})


def _run_of(airflow: LocalAirflow, dag_id: str) -> str:
    """Wait for the run that an event starts; return its id."""
    found: list[str] = []

    def find() -> bool:
        runs = airflow.api.get(f"/dags/{dag_id}/dagRuns", run_type="asset_triggered")["dag_runs"]
        found.extend(run["dag_run_id"] for run in runs)
        return bool(found)

    _wait(airflow, find, f"an event starts {dag_id}", JOB_SECONDS)
    return found[0]


def _wait(
    airflow: LocalAirflow, condition: Callable[[], bool], event: str, seconds: float = LISTENING_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        airflow.fail_if_a_part_ended()
        if time.monotonic() > deadline:
            raise AirflowFailedError(f"Timeout after {seconds:.0f} s: waited until {event}")
        time.sleep(0.5)
