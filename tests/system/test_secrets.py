"""Credentials and a real Airflow: none is stored in its files, logs or database, decoded.

The state of all scenarios is searched, the demo's among them. The scenario of this module adds the most
critical cases: tasks that wait in the triggerer, and services that quote all known credentials in each reply.
Every encoding changes its credentials.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.amigocloud import seed
from dev.demo import Job, failures
from dev.local_airflow import LocalAirflow
from tests.support import every_task
from tests.support.canary_secrets import break_everything, search, secrets_of
from tests.support.text_layers import decryption, layers, rows
from tests.system.scenarios import CompletedRun, Scenario

pytestmark = pytest.mark.system

SECONDS = 240.0
WAITING, QUOTING = "secrets_waiting", "secrets_quoting"
TABLES = {"xcom.value", "rendered_task_instance_fields.rendered_fields", "serialized_dag.data", "log.extra"}
"""Columns of the database that are most likely to hold a credential, and must have been searched."""

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudSqlOperator
from airflow_provider.amigocloud.sensors import AmigoCloudSqlSensor
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.iotstudio.sensors import IoTStudioPropertySensor
from airflow_provider.leanix.operators import LeanIXRunOperator, LeanIXStartRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.mapsindoors.sensors import MapsIndoorsGeodataSensor

LATER = dict(deferrable=True, poke_interval=1, timeout=200)
CONNECTIONS = lambda dag_id: {{f"{{v}}_conn_id": f"{{dag_id}}_{{v}}" for v in {vendors!r}}}

# A busy scheduler repeats a task whose trigger fires before it has read the end of the task's first part.
REPEATED = dict(retries=5, retry_delay=timedelta(seconds=2))

with DAG({waiting!r}, schedule=None, default_args={{**REPEATED, **CONNECTIONS({waiting!r})}}):
    MapsIndoorsGeodataSensor(task_id="mapsindoors", expected={expected!r}, **LATER)
    AmigoCloudSqlSensor(task_id="amigocloud", sql={sql!r}, **LATER)
    IoTStudioPropertySensor(task_id="iotstudio", filters={filters!r}, **LATER)
    LeanIXRunOperator(task_id="leanix", deferrable=True, poll_interval=1, **{report!r})

with DAG({quoting!r}, schedule=None, default_args={{"retries": 0, **CONNECTIONS({quoting!r})}}):
    MapsIndoorsUpdateGeodataOperator(task_id="mapsindoors", geodata={geodata!r})
    AmigoCloudSqlOperator(task_id="amigocloud", sql="DELETE FROM dataset_1")
    IoTStudioWritePropertiesOperator(task_id="iotstudio", thing_id={thing!r}, properties={{"setpoint": 20.5}})
    LeanIXStartRunOperator(task_id="leanix", **{report!r})
"""


@dataclass
class Observed:
    """Observations of the scenario during its run.

    :param states: states of the tasks by DAG and task.
    :param triggers: stored values of triggers while tasks waited; Airflow deletes them when they fire.
    :param failures: last log lines of the waiting tasks that failed.
    """

    states: dict[str, dict[str, str]] = field(default_factory=dict)
    triggers: list[bytes] = field(default_factory=list)
    failures: str = ""


class Secrets(Scenario):
    """Wait in the triggerer, and make services quote credentials."""

    waiting: Sandbox
    quoting: Sandbox

    def dags(self) -> Mapping[str, str]:
        geodata = self.waiting.mapsindoors.campus.geodata.values()
        rooms = [item for item in geodata if item["baseType"] == "room"]
        code = DAGS.format(
            vendors=list(self.waiting.services),
            waiting=WAITING,
            quoting=QUOTING,
            expected=[{"id": rooms[2]["id"], "properties": {"name@en": every_task.LATER}}],
            sql=f"SELECT count(*) AS n FROM dataset_1 WHERE name = '{every_task.LATER}'",
            filters={"temperature": f"gt:{every_task.HOT - 1}"},
            report=every_task.REPORT,
            geodata=[{"id": rooms[0]["id"], "properties": {"name@en": "Room"}}],
            thing=every_task.THING,
        )
        return {"secrets.py": code}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        self.waiting, self.quoting = stack.enter_context(Sandbox()), stack.enter_context(Sandbox())
        self.waiting.leanix.queue_seconds = every_task.NEVER
        return {
            f"{dag_id}_{name}": json.dumps(_awkward(dict(service.connection())))
            for dag_id, sandbox in ((WAITING, self.waiting), (QUOTING, self.quoting))
            for name, service in sandbox.services.items()
        }

    def run(self, airflow: LocalAirflow) -> Observed:
        observed = Observed()
        break_everything(self.quoting, {"kind": "status", "status": 400})
        airflow.wait_for_dags(WAITING, QUOTING)
        for dag_id in (WAITING, QUOTING):
            airflow.api.unpause(dag_id)
            airflow.api.trigger(dag_id, "once")
        self._until(airflow, lambda states: set(states[WAITING].values()) == {"deferred"})
        columns = {"trigger.encrypted_kwargs", "trigger.classpath"}
        database = rows(airflow.home / "airflow.db")
        observed.triggers = [data for column, data in database if column in columns]
        for vendor in self.waiting.services:
            every_task.fulfil_sensors(self.waiting, vendor)
        observed.states = self._until(
            airflow,
            lambda states: (
                {state for tasks in states.values() for state in tasks.values()} <= {"success", "failed"}
            ),
        )
        observed.failures = failures(airflow.api, [Job(WAITING, "all", "once")])
        return observed

    def _until(self, airflow: LocalAirflow, done: Any) -> dict[str, dict[str, str]]:
        deadline = time.monotonic() + SECONDS
        while True:
            states = {
                dag_id: {task["task_id"]: str(task["state"]) for task in airflow.api.tasks(dag_id, "once")}
                for dag_id in (WAITING, QUOTING)
            }
            if done(states) or time.monotonic() > deadline:
                return states
            time.sleep(0.5)


def _awkward(connection: dict[str, Any]) -> dict[str, Any]:
    """Return the connection with a credential that every encoding changes."""
    if connection["conn_type"] == "amigocloud":
        connection["password"] = seed.AWKWARD_TOKEN
    return connection


SCENARIO = Secrets()


@pytest.fixture(scope="module")
def observed(completed: CompletedRun) -> Observed:
    result: Observed = completed.result(SCENARIO)
    return result


@pytest.fixture(scope="module")
def secrets(completed: CompletedRun) -> set[str]:
    """Return all credentials of all connections, and all tokens that a sandbox has issued."""
    found = {json.loads(text)["password"] for text in completed.connections.values()}
    for scenario in completed.results:
        for sandbox in vars(scenario).values():
            if isinstance(sandbox, Sandbox):
                found |= {secret for secrets in secrets_of(sandbox).values() for secret in secrets}
    return found


def stored(completed: CompletedRun, observed: Observed) -> Iterator[tuple[str, str]]:
    """Yield everything that Airflow stores, raw and decoded, with its location."""
    decrypt = decryption(completed.home)
    for where, data in rows(completed.home / "airflow.db"):
        yield from ((where, text) for text in layers(data, decrypt))
    for data in observed.triggers:
        yield from (("trigger while it waited", text) for text in layers(data, decrypt))
    for path in completed.home.rglob("*"):
        if path.is_file():
            yield from (
                (str(path.relative_to(completed.home)), text) for text in layers(path.read_bytes(), depth=1)
            )


def test_tasks_waited_in_the_triggerer_and_services_quoted_what_they_were_told(observed: Observed) -> None:
    vendors = ["mapsindoors", "amigocloud", "iotstudio", "leanix"]
    assert observed.states == {
        WAITING: dict.fromkeys(vendors, "success"),
        QUOTING: dict.fromkeys(vendors, "failed"),
    }, observed.failures
    assert len([data for data in observed.triggers if b"airflow_provider." in data]) >= len(vendors)


def test_credentials_of_all_four_connections_change_in_every_encoding(completed: CompletedRun) -> None:
    for vendor in ("mapsindoors", "amigocloud", "iotstudio", "leanix"):
        password = json.loads(completed.connections[f"{WAITING}_{vendor}"])["password"]
        assert {"+", "/", "%"} & set(password)
        assert quote(password, safe="") != password


def test_no_credential_is_in_anything_that_airflow_keeps(
    completed: CompletedRun, observed: Observed, secrets: set[str]
) -> None:
    seen: set[str] = set()

    def recorded() -> Iterator[tuple[str, str]]:
        for location, text in stored(completed, observed):
            seen.add(location)
            yield location, text

    assert sorted(set(search(recorded(), secrets))) == []
    assert TABLES - seen == set()
    assert "trigger while it waited" in seen
    assert any(where.endswith(".log") and WAITING in where for where in seen)
    assert any(where.endswith(".trigger.log") or ".trigger." in where for where in seen)
