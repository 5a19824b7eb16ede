"""Fixtures of the sync's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator
from airflow_provider.amigocloud.sync import execute
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.task_runner import TaskRunner

DESKS = 4001
COLUMNS: list[dict[str, Any]] = [
    {"name": "amigo_id", "type": "string", "max_length": 32},
    {"name": "code", "type": "string", "max_length": 20},
    {"name": "label", "type": "string"},
    {"name": "seats", "type": "integer"},
    {"name": "price", "type": "float"},
    {"name": "free", "type": "boolean"},
    {"name": "bought_on", "type": "date"},
    {"name": "seen_at", "type": "datetime"},
    {"name": "place", "type": "geometry", "geometry_type": "POINT"},
]
POINT = "0101000020E6100000000000000000294000000000000049C0"
"""The point 12.5, -50.0."""

Sync = Callable[..., Any]


def desk(number: int) -> dict[str, Any]:
    """Return a desk of the dataset."""
    return {
        "amigo_id": f"{number:032x}",
        "code": f"D-{number}",
        "label": f"Desk {number}",
        "seats": number % 3,
        "price": number + 0.25,
        "free": number % 2 == 0,
        "bought_on": "2025-01-02",
        "seen_at": "2025-01-31 14:05:11+00:00",
        "place": POINT,
    }


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
