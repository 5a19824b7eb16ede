"""Fixtures of AmigoCloud's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.retry import RetryLimits

Connect = Callable[..., str]


@pytest.fixture(autouse=True)
def _fast_retries(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the sandbox for every test, with short delays between attempts."""
    monkeypatch.setattr(ApiHook, "retry_limits", RetryLimits(base=0.01, cap=2.0))


@pytest.fixture
def connect(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return a function that makes a connection like the sandbox's with other values, and returns its id."""

    def make(*, extra: dict[str, Any] | None = None, **values: Any) -> str:
        connection = dict(sandbox.amigocloud.connection())
        extras = {**connection["extra"], **(extra or {})}
        given = {name: value for name, value in extras.items() if value is not None}
        text = json.dumps({**connection, **values, "extra": given})
        monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_OTHER", text)
        return "amigocloud_other"

    return make
