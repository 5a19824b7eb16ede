"""Fixtures: a fresh space, its hook, and hooks for connections that differ from the seeded connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider.core.http import auth
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.iotstudio import hooks_base
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
PUT = "iotstudio PUT /spaces/{space}/things/{thing}/properties"
LIST = "iotstudio GET /spaces/{space}/things"
READ = "iotstudio GET /spaces/{space}/things/{thing}/properties"


@pytest.fixture
def service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> IoTStudioService:
    """Return the emulated service, without tokens of other tests and with short waits."""
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(IoTStudioHook, "retry_limits", RetryLimits(base=0.005))
    monkeypatch.setattr(hooks_base, "MISSING_RECHECK_SECONDS", 0.0)
    found: IoTStudioService = sandbox.iotstudio
    return found


@pytest.fixture
def connect(service: IoTStudioService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a hook for a connection with other fields or extras."""
    hooks: list[IoTStudioHook] = []

    def make(
        *, extra: dict[str, Any] | None = None, space: str | None = None, **fields: Any
    ) -> IoTStudioHook:
        base = service.connection()
        merged = {k: value for k, value in {**base["extra"], **(extra or {})}.items() if value is not None}
        text = json.dumps({**base, **fields, "extra": merged})
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", text)
        hooks.append(IoTStudioHook(space=space))
        return hooks[-1]

    yield make
    for hook in hooks:
        hook.close()


@pytest.fixture
def hook(service: IoTStudioService) -> Iterator[IoTStudioHook]:
    """Return a hook for the seeded connection."""
    with IoTStudioHook() as hook:
        yield hook
