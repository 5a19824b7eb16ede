"""Every operator and sensor runs in Airflow, well and badly, and then all that is left is searched."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG

from airflow_provider.amigocloud import operators as amigocloud
from airflow_provider.amigocloud import sensors as amigocloud_sensors
from airflow_provider.core import auth, limits, polling
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.policy import Patience
from airflow_provider.core.redaction import spellings
from airflow_provider.iotstudio import export_operators as iotstudio_exports
from airflow_provider.iotstudio import operators as iotstudio
from airflow_provider.iotstudio import sensors as iotstudio_sensors
from airflow_provider.leanix import operators as leanix
from airflow_provider.leanix import sensors as leanix_sensors
from airflow_provider.mapsindoors import operators as mapsindoors
from airflow_provider.mapsindoors import sensors as mapsindoors_sensors
from airflow_provider.sandbox.amigocloud import world
from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.slow

MODULES = [
    mapsindoors,
    mapsindoors_sensors,
    amigocloud,
    amigocloud_sensors,
    iotstudio,
    iotstudio_exports,
    iotstudio_sensors,
    leanix,
    leanix_sensors,
]
ABSTRACT = {"AmigoCloudSensor"}
THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
REPORT = {
    "connector_type": "report",
    "connector_id": "landscape",
    "connector_version": "1.0.0",
    "processing_direction": "outbound",
}
LDIF = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
    "content": [],
}
QUICK = {"poke_interval": 0.05, "timeout": 5.0, "deferrable": True}


def tasks(sandbox: Sandbox, folder: Path) -> dict[str, Callable[[str], Any]]:
    """Give a task of each public class, by the name of the class."""
    room = next(one for one in sandbox.mapsindoors.campus.geodata.values() if one["baseType"] == "room")
    rows = folder / "rows.csv"
    rows.write_text("name,lat,lon\na,55.1,12.1\n")
    configuration = next(
        one for one in sandbox.leanix.configurations.values() if one["connectorType"] == "report"
    )
    run = _finished_run(sandbox)
    new = {"externalId": "N-1", "baseType": "poi", "parentId": room["id"], "displayTypeId": "x"}
    new |= {key: room[key] for key in ("geometry", "anchor", "displayTypeId", "datasetId") if key in room}
    new["geometry"] = {"type": "Point", "coordinates": room["anchor"]["coordinates"]}
    new["properties"] = {"name@en": "New", "name@da": "Ny"}
    sync = {"externalId": room["externalId"], "properties": {**room["properties"], "name@en": "Other"}}
    return {
        "MapsIndoorsUpdateGeodataOperator": lambda i: mapsindoors.MapsIndoorsUpdateGeodataOperator(
            task_id=i, geodata=[{"id": room["id"], "properties": {"name@en": "Room"}}]
        ),
        "MapsIndoorsSyncGeodataOperator": lambda i: mapsindoors.MapsIndoorsSyncGeodataOperator(
            task_id=i, source=[sync], plan_output=str(folder / f"{i}.json")
        ),
        "MapsIndoorsExportGeodataOperator": lambda i: mapsindoors.MapsIndoorsExportGeodataOperator(
            task_id=i, output_path=str(folder / f"{i}.jsonl")
        ),
        "MapsIndoorsDeleteGeodataOperator": lambda i: mapsindoors.MapsIndoorsDeleteGeodataOperator(
            task_id=i, ids=["no-such-id"]
        ),
        "MapsIndoorsCreateGeodataOperator": lambda i: mapsindoors.MapsIndoorsCreateGeodataOperator(
            task_id=i, geodata=[new]
        ),
        "MapsIndoorsGeodataSensor": lambda i: mapsindoors_sensors.MapsIndoorsGeodataSensor(
            task_id=i, expected=[{"id": room["id"], "baseType": "room"}], **QUICK
        ),
        "AmigoCloudExportOperator": lambda i: amigocloud.AmigoCloudExportOperator(
            task_id=i, sql="SELECT * FROM dataset_1 LIMIT 9", output_path=str(folder / f"{i}.jsonl")
        ),
        "AmigoCloudSqlOperator": lambda i: amigocloud.AmigoCloudSqlOperator(
            task_id=i, sql="DELETE FROM dataset_1 WHERE amigo_id = 'none'"
        ),
        "AmigoCloudUploadOperator": lambda i: amigocloud.AmigoCloudUploadOperator(
            task_id=i, source=str(rows), deferrable=True, poll_interval=0.1
        ),
        "AmigoCloudJobSensor": lambda i: amigocloud_sensors.AmigoCloudJobSensor(
            task_id=i, job_id=sandbox.amigocloud.jobs.start("x", dict, 0.1).id, **QUICK
        ),
        "AmigoCloudDatasetSensor": lambda i: amigocloud_sensors.AmigoCloudDatasetSensor(
            task_id=i, dataset=1, since="another", **QUICK
        ),
        "AmigoCloudSqlSensor": lambda i: amigocloud_sensors.AmigoCloudSqlSensor(
            task_id=i, sql="SELECT 1 AS one", **QUICK
        ),
        "IoTStudioWritePropertiesOperator": lambda i: iotstudio.IoTStudioWritePropertiesOperator(
            task_id=i, thing_id=THING, properties={"setpoint": 22.5}, verify=False
        ),
        "IoTStudioInvokeActionOperator": lambda i: iotstudio.IoTStudioInvokeActionOperator(
            task_id=i,
            thing_id=THING,
            action="updateFirmware",
            input="2.0",
            poll_interval=0.2,
            deferrable=True,
        ),
        "IoTStudioExportThingsOperator": lambda i: iotstudio_exports.IoTStudioExportThingsOperator(
            task_id=i, output_path=str(folder / f"{i}.csv")
        ),
        "IoTStudioExportHistoryOperator": lambda i: iotstudio_exports.IoTStudioExportHistoryOperator(
            task_id=i, thing_ids=[THING], output_path=str(folder / f"{i}.jsonl")
        ),
        "IoTStudioPropertySensor": lambda i: iotstudio_sensors.IoTStudioPropertySensor(
            task_id=i, filters={"temperature": "gt:-1000"}, **QUICK
        ),
        "LeanIXStartRunOperator": lambda i: leanix.LeanIXStartRunOperator(task_id=i, **REPORT),
        "LeanIXRunOperator": lambda i: leanix.LeanIXRunOperator(
            task_id=i,
            output_path=str(folder / f"{i}.json"),
            poll_interval=0.2,
            deferrable=True,
            max_shrink=None,
            **REPORT,
        ),
        "LeanIXFetchResultsOperator": lambda i: leanix.LeanIXFetchResultsOperator(
            task_id=i, run_id=run, output_path=str(folder / f"{i}.json")
        ),
        "LeanIXPutConfigurationOperator": lambda i: leanix.LeanIXPutConfigurationOperator(
            task_id=i, configuration={**configuration, "processors": []}
        ),
        "LeanIXRunSensor": lambda i: leanix_sensors.LeanIXRunSensor(task_id=i, run_id=run, **QUICK),
    }


def _finished_run(sandbox: Sandbox) -> str:
    from airflow_provider.leanix.hooks import LeanIXHook

    with LeanIXHook() as hook:
        run_id = hook.create_run(LDIF)
        hook.start_run(run_id)
        sandbox.clock.advance(3600)
        assert hook.get_run_status(run_id) == "FINISHED"
    return run_id


def secrets_of(sandbox: Sandbox) -> dict[str, list[str]]:
    """Give all credentials in play by service: the connection's, and every token made since."""
    issued: dict[str, Any] = {
        "mapsindoors": sandbox.mapsindoors.auth._tokens,
        "amigocloud": sandbox.amigocloud.websocket_sessions,
        "iotstudio": sandbox.iotstudio.tokens,
        "leanix": sandbox.leanix._tokens,
    }
    found = {
        name: [*tokens, sandbox.services[name].connection()["password"]] for name, tokens in issued.items()
    }
    found["mapsindoors"].append(sandbox.mapsindoors.connection()["extra"]["api_key"])
    found["amigocloud"] = [*issued["amigocloud"], world.AWKWARD_TOKEN]
    return found


def break_everything(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """Let every answer of a service fail, and say again all that the service was ever told."""
    for service, told in secrets_of(sandbox).items():
        said = {"body": {"error": " ".join(told), "detail": told}, "headers": {"X-Said": quote(told[0])}}
        more = said if fault["kind"] == "status" else {}
        sandbox.faults.add(service=service, times=None, **fault, **more)


def database() -> Iterator[str]:
    """Give every row of every table of Airflow's metadata database, as text."""
    from airflow.utils.session import create_session
    from sqlalchemy import MetaData, text

    with create_session() as session:
        bind = session.get_bind()
        known = MetaData()
        known.reflect(bind)
        for name in known.tables:
            for row in session.execute(text(f'SELECT * FROM "{name}"')):
                yield f"{name}: {tuple(row)}"


@pytest.fixture
def planted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Lend the sandbox with credentials in all connections that every encoding changes."""
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(limits, "_budgets", {})
    monkeypatch.setattr(ApiHook, "patience", Patience(attempts=2, base=0.001, cap=0.01))
    connection = {**sandbox.amigocloud.connection(), "password": world.AWKWARD_TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", json.dumps(connection))
    sandbox.mapsindoors.rate_limit = None
    sandbox.amigocloud.job_latency = 0.05
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 0.05
    sandbox.iotstudio.device_seconds = 0.05
    return sandbox


@pytest.fixture
def triggers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what every trigger gives Airflow to store."""
    found: list[str] = []
    serialize = polling.PollTrigger.serialize

    def watched(self: polling.PollTrigger) -> tuple[str, dict[str, Any]]:
        found.append(json.dumps(serialize(self)))
        return serialize(self)

    monkeypatch.setattr(polling.PollTrigger, "serialize", watched)
    return found


def test_every_public_operator_and_sensor_is_among_those_that_are_searched(
    planted: Sandbox, tmp_path: Path
) -> None:
    public = {
        name
        for module in MODULES
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__ and hasattr(one, "execute")
    }
    assert public - ABSTRACT == set(tasks(planted, tmp_path))


WAYS: dict[str, dict[str, Any] | None] = {
    "well": None,
    "refused": {"kind": "status", "status": 400},
    "failing": {"kind": "status", "status": 503},
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_a_run_leaves_holds_a_credential(
    way: str,
    planted: Sandbox,
    run_dag: Callable[..., Any],
    tmp_path: Path,
    triggers: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, name)
    made = tasks(planted, tmp_path)
    with DAG(f"secrets_{way}") as dag:
        for name, make in made.items():
            make(name)
    if fault := WAYS[way]:
        break_everything(planted, fault)
    run = run_dag(dag)
    ended = {one.task_id: str(one.state) for one in run.get_task_instances()}
    expected = "success" if way == "well" else "failed"
    assert {name for name, state in ended.items() if state != expected} == set()

    left = {
        "logs": f"{caplog.text}{''.join(capfd.readouterr())}",
        "database": "\n".join(database()),
        "triggers": "\n".join(triggers),
        "files": "\n".join(
            f"{file} {file.read_bytes().decode('latin-1')}" for file in tmp_path.rglob("*") if file.is_file()
        ),
    }
    found = [
        f"{where}: ...{text[max(0, at - 150) : at + 20]}"
        for secret in {one for told in secrets_of(planted).values() for one in told}
        for spelled in spellings(secret)
        for where, text in left.items()
        if (at := text.find(spelled)) >= 0
    ]
    assert found == []
