"""Runs under both settings of the switches of a strict workspace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import AuthenticationError, PermissionDeniedError, RequestRejectedError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXPutConfigurationOperator, LeanIXRunOperator
from tests.support.task_runner import TaskRunner

from .conftest import INBOUND, OUTBOUND

EXPORT = {
    "connectorType": "export",
    "connectorId": "campus",
    "connectorVersion": "1.0.0",
    "processingDirection": "inbound",
    "processingMode": "partial",
    "processors": [
        {
            "processorType": "writeToLdif",
            "processorName": "Applications",
            "updates": [
                {"key": {"expr": "content.id"}, "values": [{"expr": "${lx.factsheet.id}"}]},
                {"key": {"expr": "content.type"}, "values": [{"expr": "App"}]},
                {"key": {"expr": "title"}, "values": [{"expr": "${lx.factsheet.name}"}]},
            ],
        }
    ],
    "targetLdif": {"ldifKeys": [{"key": "connectorType", "value": "twin"}]},
}
HEADER = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_a_writer_writes_is_fetched(
    leanix: Any, task: TaskRunner, tmp_path: Path, strict: bool, deferrable: bool
) -> None:
    leanix.strict, leanix.results_lag_seconds = strict, 0.1
    TaskRunner(task_id="put").run(LeanIXPutConfigurationOperator(task_id="put", configuration=EXPORT))
    target = tmp_path / "export.jsonl"
    run = LeanIXRunOperator(
        task_id="run",
        **{**INBOUND, "connector_type": "export"},
        content=[{"type": "", "id": "", "data": {}}],
        output_path=str(target),
        poll_interval=0.02,
        deferrable=deferrable,
    )
    assert task.run(run)["results"]["rows"] == 65
    last = json.loads(target.read_text().splitlines()[-1])
    assert last == {"type": "App", "id": "28db27b1-fc55-4e44", "data": {"title": "Campus Website"}}


def test_a_refused_configuration_fails_the_task_with_the_path(leanix: Any) -> None:
    wrong = {**EXPORT, "processors": [{**EXPORT["processors"][0], "run": -1}]}  # type: ignore[index,dict-item]
    with pytest.raises(RequestRejectedError, match=r"processors\[0\]\.run"):
        TaskRunner().run(LeanIXPutConfigurationOperator(task_id="put", configuration=wrong))


@pytest.mark.parametrize("in_loop", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_token_is_renewed_whatever_its_status(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, status: int, in_loop: bool
) -> None:
    from airflow_provider.core.http import auth

    clock = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: clock[0])
    leanix.expired_token_status = status
    with LeanIXHook() as hook:
        run_id = hook.create_run(HEADER)
        clock[0] += 61
        leanix.expire_tokens()
        found = asyncio.run(hook.aget_run_status(run_id)) if in_loop else hook.get_run_status(run_id)
    assert found == "CREATED"
    assert sandbox.counters.tokens_issued["leanix"] == 2


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (403, PermissionDeniedError)])
def test_a_token_that_is_never_accepted_fails_for_good(
    leanix: Any, sandbox: Any, status: int, error: type[Exception]
) -> None:
    sandbox.faults.add("status", service="leanix", status=status, path="integration-api", times=None)
    with LeanIXHook() as hook, pytest.raises(error):
        hook.list_runs()


@pytest.mark.parametrize("named", [True, False])
def test_a_429_is_waited_for_with_and_without_retry_after(leanix: Any, sandbox: Any, named: bool) -> None:
    headers = {"Retry-After": "0"} if named else {}
    body = "USER_INTERVAL_REQUEST_LIMIT_EXCEEDED"
    sandbox.faults.add("status", service="leanix", status=429, headers=headers, body=body, path="Runs")
    with LeanIXHook() as hook:
        assert hook.list_runs() == []


@pytest.mark.parametrize("lag", [0.0, 0.2])
def test_an_outbound_run_is_fetched_with_and_without_a_lag(
    leanix: Any, task: TaskRunner, tmp_path: Path, lag: float
) -> None:
    leanix.results_lag_seconds = lag
    run = LeanIXRunOperator(
        task_id="run", **OUTBOUND, output_path=str(tmp_path / "out.json"), poll_interval=0.02, timeout=20
    )
    assert task.run(run)["results"]["rows"] == 65
