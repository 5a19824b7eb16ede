"""What a real Airflow keeps of its runs holds no credential: files, logs, and all of its database, decoded.

All parts of the system tests are searched, the demo's among them. This one adds what tempts most: tasks that
wait in the triggerer, and services that quote every credential they know in each answer. Its credentials
are such that every encoding changes them.
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
from airflow_provider.sandbox.amigocloud import world
from dev.local_airflow import LocalAirflow
from tests.support import every_task
from tests.support.canary_secrets import break_everything, search, secrets_of
from tests.support.text_layers import decryption, layers, rows
from tests.system.parts import Part, Played

pytestmark = pytest.mark.system

SECONDS = 240.0
WAITING, QUOTING = "secrets_waiting", "secrets_quoting"
TABLES = {"xcom.value", "rendered_task_instance_fields.rendered_fields", "serialized_dag.data", "log.extra"}
"""Columns of the database that must have been searched, as this is where a credential would be."""

DAGS = """
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

with DAG({waiting!r}, schedule=None, default_args=CONNECTIONS({waiting!r})):
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
class Left:
    """What this part saw while it played.

    :param triggers: what Airflow stored of triggers while tasks waited; it is deleted when they fire.
    """

    states: dict[str, dict[str, str]] = field(default_factory=dict)
    triggers: list[bytes] = field(default_factory=list)


class Secrets(Part):
    """Waits in the triggerer, and has services quote credentials."""

    waiting: Sandbox
    quoting: Sandbox

    def dags(self) -> Mapping[str, str]:
        rooms = [one for one in self.waiting.mapsindoors.campus.geodata.values() if one["baseType"] == "room"]
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

    def play(self, airflow: LocalAirflow) -> Left:
        left = Left()
        break_everything(self.quoting, {"kind": "status", "status": 400})
        airflow.wait_for_dags(WAITING, QUOTING)
        for dag_id in (WAITING, QUOTING):
            airflow.api.unpause(dag_id)
            airflow.api.trigger(dag_id, "once")
        self._until(airflow, lambda states: set(states[WAITING].values()) == {"deferred"})
        kept = {"trigger.encrypted_kwargs", "trigger.classpath"}
        left.triggers = [data for where, data in rows(airflow.home / "airflow.db") if where in kept]
        for vendor in self.waiting.services:
            every_task.fulfil_sensors(self.waiting, vendor)
        left.states = self._until(
            airflow,
            lambda states: (
                {one for some in states.values() for one in some.values()} <= {"success", "failed"}
            ),
        )
        return left

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
    """Give a connection with a credential of which every encoding changes something."""
    if connection["conn_type"] == "amigocloud":
        connection["password"] = world.AWKWARD_TOKEN
    return connection


PART = Secrets()


@pytest.fixture(scope="module")
def left(played: Played) -> Left:
    done: Left = played.result(PART)
    return done


@pytest.fixture(scope="module")
def secrets(played: Played) -> set[str]:
    """Give every credential of all connections, and every token that a sandbox has issued."""
    found = {json.loads(text)["password"] for text in played.connections.values()}
    for part in played.results:
        for sandbox in vars(part).values():
            if isinstance(sandbox, Sandbox):
                found |= {one for some in secrets_of(sandbox).values() for one in some}
    return found


def stored(played: Played, left: Left) -> Iterator[tuple[str, str]]:
    """Give all that Airflow keeps, as it is and decoded."""
    decrypt = decryption(played.home)
    for where, data in rows(played.home / "airflow.db"):
        yield from ((where, text) for text in layers(data, decrypt))
    for data in left.triggers:
        yield from (("trigger while it waited", text) for text in layers(data, decrypt))
    for path in played.home.rglob("*"):
        if path.is_file():
            yield from (
                (str(path.relative_to(played.home)), text) for text in layers(path.read_bytes(), depth=1)
            )


def test_tasks_waited_in_the_triggerer_and_services_quoted_what_they_were_told(left: Left) -> None:
    vendors = ["mapsindoors", "amigocloud", "iotstudio", "leanix"]
    assert left.states == {
        WAITING: dict.fromkeys(vendors, "success"),
        QUOTING: dict.fromkeys(vendors, "failed"),
    }
    assert len([data for data in left.triggers if b"airflow_provider." in data]) >= len(vendors)


def test_credentials_of_all_four_connections_change_in_every_encoding(played: Played) -> None:
    for vendor in ("mapsindoors", "amigocloud", "iotstudio", "leanix"):
        password = json.loads(played.connections[f"{WAITING}_{vendor}"])["password"]
        assert {"+", "/", "%"} & set(password)
        assert quote(password, safe="") != password


def test_no_credential_is_in_anything_that_airflow_keeps(
    played: Played, left: Left, secrets: set[str]
) -> None:
    seen: set[str] = set()

    def noted() -> Iterator[tuple[str, str]]:
        for where, text in stored(played, left):
            seen.add(where)
            yield where, text

    assert sorted(set(search(noted(), secrets))) == []
    assert TABLES - seen == set()
    assert "trigger while it waited" in seen
    assert any(where.endswith(".log") and WAITING in where for where in seen)
    assert any(where.endswith(".trigger.log") or ".trigger." in where for where in seen)
