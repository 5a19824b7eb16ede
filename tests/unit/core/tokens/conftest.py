"""Fixtures of the tests of shared tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.server import Sandbox
from dev.redis_server import RedisServer, running
from tests.support.budgets import forget_process
from tests.support.token_tasks import Forker


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin and end as a new process."""
    forget_process()
    yield
    forget_process()


@pytest.fixture(scope="session")
def tasks() -> Iterator[Forker]:
    """Run tasks, each in a process of its own."""
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture
def change(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that changes a service's connection, and returns it as a text."""

    def changed(kind: str, extra: dict[str, Any] | None = None, **fields: Any) -> str:
        before = sandbox.services[kind].connection()
        connection = {**before, **fields, "extra": {**(before.get("extra") or {}), **(extra or {})}}
        text = json.dumps(connection)
        monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", text)
        return text

    return changed


@pytest.fixture
def redis_client(running_redis: RedisServer) -> Iterator[Any]:
    import redis

    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def own_redis(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a server that the test may stop."""
    with running(tmp_path) as server:
        yield server
