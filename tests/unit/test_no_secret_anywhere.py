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

from airflow_provider.core import auth, limits, polling
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.policy import Patience
from airflow_provider.core.redaction import spellings
from airflow_provider.sandbox.amigocloud import world
from airflow_provider.sandbox.server import Sandbox
from tests import every_task

pytestmark = pytest.mark.slow


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
def triggers(planted: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what every trigger gives Airflow to store; what sensors wait for happens once they defer."""
    found: list[str] = []
    serialize = polling.PollTrigger.serialize

    def watched(self: polling.PollTrigger) -> tuple[str, dict[str, Any]]:
        path, arguments = serialize(self)
        found.append(json.dumps([path, arguments]))
        if "Action" not in path:
            every_task.happen(planted, path.split(".")[1])
        return path, arguments

    monkeypatch.setattr(polling.PollTrigger, "serialize", watched)
    return found


WAYS: dict[str, dict[str, Any] | None] = {
    "well": None,
    "refused": {"kind": "status", "status": 400},
    "failing": {"kind": "status", "status": 503},
}
DEFERRED = {
    "MapsIndoorsGeodataTrigger",
    "AmigoCloudTrigger",
    "IoTStudioActionTrigger",
    "IoTStudioPropertyTrigger",
    "LeanIXRunTrigger",
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
    made = every_task.tasks(planted, tmp_path)
    with DAG(f"secrets_{way}") as dag:
        for name, make in made.items():
            waits = every_task.can_defer(every_task.public_classes()[name])
            make(task_id=name, **({"deferrable": True} if waits else {}))
    if fault := WAYS[way]:
        break_everything(planted, fault)
    run = run_dag(dag)
    ended = {one.task_id: str(one.state) for one in run.get_task_instances()}
    expected = "success" if way == "well" else "failed"
    assert {name for name, state in ended.items() if state != expected} == set()
    assert way != "well" or {kind for kind in DEFERRED if f".{kind}" in str(triggers)} == DEFERRED

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
