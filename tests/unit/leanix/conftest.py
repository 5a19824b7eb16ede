"""Fixtures of the LeanIX tests: a workspace whose runs end at once, and short waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.task_runner import TaskRunner

INBOUND = {
    "connector_type": "cmdb",
    "connector_id": "campus",
    "connector_version": "1.0.0",
    "processing_direction": "inbound",
}
OUTBOUND = {
    "connector_type": "report",
    "connector_id": "landscape",
    "connector_version": "1.0.0",
    "processing_direction": "outbound",
}


@pytest.fixture
def task() -> TaskRunner:
    return TaskRunner()


@pytest.fixture
def leanix(sandbox: Any) -> Any:
    """Return the emulated workspace, whose runs end at once."""
    sandbox.leanix.queue_seconds = 0.0
    sandbox.leanix.run_seconds = 0.0
    sandbox.leanix.seconds_per_item = 0.0
    return sandbox.leanix


@pytest.fixture(autouse=True)
def no_waiting_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the wait between the attempts of a request."""
    from airflow_provider.core.http import retry

    monkeypatch.setattr(retry, "backoff_seconds", lambda *_: 0.001)


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    """Drop the tokens of other tests."""
    from airflow_provider.core.http import auth

    auth._slots.clear()
