"""Fixtures of the sync's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator
from airflow_provider.amigocloud.sync import execute
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import COLUMNS, DESKS, desk
from tests.support.task_runner import TaskRunner

Sync = Callable[..., Any]


@pytest.fixture
def service(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> AmigoCloudService:
    """Return the emulated account, with a dataset of 30 desks; its jobs end at once."""
    monkeypatch.setattr(execute, "wait", lambda _: None)
    found: AmigoCloudService = sandbox.amigocloud
    found.job_latency = 0.0
    found.store.add(Dataset(DESKS, 1234, "desks", [dict(one) for one in COLUMNS]), map(desk, range(30)))
    return found


@pytest.fixture
def sync(service: AmigoCloudService) -> Sync:
    """Return a function that syncs the desks once, by their codes, and returns the result."""

    def run(source: Any = None, *, runner: TaskRunner | None = None, **arguments: Any) -> Any:
        given = {"dataset": DESKS, "key": "code", "source": source, **arguments}
        return (runner or TaskRunner()).run(AmigoCloudSyncDatasetOperator(task_id="task", **given))

    return run


@pytest.fixture
def desks(service: AmigoCloudService) -> Callable[[], dict[str, dict[str, Any]]]:
    """Return a function that returns the dataset's rows by code."""

    def read() -> dict[str, dict[str, Any]]:
        rows = service.store.select(f"SELECT * FROM dataset_{DESKS}", -1, 0).rows
        assert len({row["code"] for row in rows}) == len(rows)
        return {row["code"]: row for row in rows}

    return read
