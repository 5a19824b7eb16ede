"""Fixtures of the tests of uploads of rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import COLUMNS, DESKS
from tests.support.sql_sources import connect_file
from tests.support.task_runner import TaskRunner

Upload = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _desks(sandbox: Any) -> None:
    """Serve a dataset of one desk; jobs take no time."""
    sandbox.amigocloud.job_latency = 0.0
    old = [{"amigo_id": "old", "code": "old"}]
    sandbox.amigocloud.store.add(Dataset(DESKS, 1234, "desks", [dict(one) for one in COLUMNS]), old)


@pytest.fixture
def upload() -> Upload:
    """Return a function that runs an upload, in a task of its own or in a given one."""

    def run(task: TaskRunner | None = None, **arguments: Any) -> dict[str, Any]:
        arguments = {"deferrable": False, "poll_interval": 0.05, **arguments}
        operator = AmigoCloudUploadOperator(task_id="assets", **arguments)
        result: dict[str, Any] = (task or TaskRunner()).run(operator)
        return result

    return run


@pytest.fixture
def read() -> Callable[[int, str], list[dict[str, Any]]]:
    """Return a function that reads columns of a dataset, in order of the first one."""

    def rows(dataset: int, columns: str) -> list[dict[str, Any]]:
        with AmigoCloudHook() as hook:
            return hook.get_records(f"SELECT {columns} FROM dataset_{dataset} ORDER BY 1")

    return rows


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that runs statements in a SQLite that the connection ``warehouse`` leads to."""
    connect_file(monkeypatch, "sqlite", tmp_path / "warehouse.db")

    def run(script: str) -> None:
        with sqlite3.connect(tmp_path / "warehouse.db") as database:
            database.executescript(script)

    return run
