"""Fixtures of loads: each driver of PostgreSQL, and a function that runs the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.warehouse.operators import SqlLoadOperator
from tests.support.task_runner import TaskRunner


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make Airflow's hook use one of the two drivers."""
    monkeypatch.setattr("airflow.providers.postgres.hooks.postgres.USE_PSYCOPG3", request.param == "psycopg")
    return str(request.param)


@pytest.fixture
def load() -> Callable[..., Any]:
    """Return a function that runs the operator as the first attempt of a task."""

    def run(source: Any, table: str = "t", **arguments: Any) -> Any:
        runner = arguments.pop("runner", None) or TaskRunner(task_id=arguments.pop("task_id", "load"))
        task = {"task_id": "load", "sql_conn_id": "warehouse", "source": str(source), "table": table}
        return runner.run(SqlLoadOperator(**{**task, **arguments}))

    return run
