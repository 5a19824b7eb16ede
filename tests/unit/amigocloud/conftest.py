"""What the tests of AmigoCloud share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.retry import RetryLimits

Connect = Callable[..., str]


@pytest.fixture(autouse=True)
def _quick(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test talk to the sandbox, and not wait long between tries."""
    monkeypatch.setattr(ApiHook, "retry_limits", RetryLimits(base=0.01, cap=2.0))


@pytest.fixture
def connect(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a connection like the sandbox's with other values; gives its id."""

    def make(*, extra: dict[str, Any] | None = None, **values: Any) -> str:
        connection = dict(sandbox.amigocloud.connection())
        extras = {**connection["extra"], **(extra or {})}
        kept = {name: value for name, value in extras.items() if value is not None}
        text = json.dumps({**connection, **values, "extra": kept})
        monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_OTHER", text)
        return "amigocloud_other"

    return make
