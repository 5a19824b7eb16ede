"""Credentials in logs, database, triggers and files after every operator and sensor ran in Airflow."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseSensorOperator

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import rate_limit
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.triggers import PollTrigger
from airflow_provider.sandbox.server import Sandbox
from tests.support import every_task
from tests.support.canary_secrets import break_everything, leaks, plant
from tests.support.text_layers import layers, rows

# All tasks run in one test: minutes on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def triggers(planted: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the serialised triggers; the awaited changes happen once a sensor defers."""
    found: list[str] = []
    serialize = PollTrigger.serialize

    def serialize_and_change(self: PollTrigger) -> tuple[str, dict[str, Any]]:
        path, arguments = serialize(self)
        found.append(json.dumps([path, arguments]))
        if "Action" not in path:
            every_task.fulfil_sensors(planted, path.split(".")[1], path.rpartition(".")[2])
        return path, arguments

    monkeypatch.setattr(PollTrigger, "serialize", serialize_and_change)
    return found


WAYS: dict[str, dict[str, Any] | None] = {
    "well": None,
    "refused": {"kind": "status", "status": 400},
    "failing": {"kind": "status", "status": 503},
}
DATABASE = Path(os.environ["AIRFLOW_HOME"], "airflow.db")
DEFERRED = {
    "MapsIndoorsGeodataTrigger",
    "AmigoCloudTrigger",
    "IoTStudioActionTrigger",
    "IoTStudioEventPollTrigger",
    "IoTStudioPropertyTrigger",
    "IoTStudioSilenceTrigger",
    "LeanIXRunTrigger",
}


@pytest.fixture
def planted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, with credentials in all connections that every encoding changes."""
    plant(sandbox, monkeypatch)
    monkeypatch.setattr(ApiHook, "retry_limits", RetryLimits(base=0.01))  # As many attempts as usual.
    monkeypatch.setattr(rate_limit, "TOKENS_PER_SECOND", 1000.0)
    return sandbox


@pytest.mark.parametrize("way", ["well", pytest.param("refused", marks=pytest.mark.nightly), "failing"])
def test_a_run_leaves_no_credential_behind(
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
            task = make(task_id=name, **({"deferrable": True} if waits else {}))
            if way == "failing" and isinstance(task, BaseSensorOperator):
                task.timeout = 2.0  # it passes in full
    if fault := WAYS[way]:
        break_everything(planted, fault)
    run = run_dag(dag)
    ended = {one.task_id: str(one.state) for one in run.get_task_instances()}
    expected = "success" if way == "well" else "failed"
    assert {name for name, state in ended.items() if state != expected} == set()
    assert way != "well" or {kind for kind in DEFERRED if f".{kind}" in str(triggers)} == DEFERRED

    left = {
        "logs": f"{caplog.text}{''.join(capfd.readouterr())}",
        "database": "\n".join(f"{where}: {text}" for where, data in rows(DATABASE) for text in layers(data)),
        "triggers": "\n".join(triggers),
        "files": "\n".join(
            f"{file} {file.read_bytes().decode('latin-1')}" for file in tmp_path.rglob("*") if file.is_file()
        ),
    }
    assert leaks(left, planted) == []
