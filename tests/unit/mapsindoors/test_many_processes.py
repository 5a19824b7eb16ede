"""Many tasks at one solution, each in a process of its own: none fails, few are refused, shares are equal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from dev.redis_server import RedisServer
from tests.support.many_processes import Done, fairness, run_processes

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def refused(service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list that grows with each request that the service refuses."""
    take, found = service.limit.take, []

    def noted(*args: Any) -> float:
        if early := take(*args):
            found.append(early)
        return early

    monkeypatch.setattr(service.limit, "take", noted)
    return found


@pytest.fixture(params=["machine", "redis"])
def store(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a value of the extra for a shared store."""
    if request.param == "machine":
        return ""
    server: RedisServer = request.getfixturevalue("running_redis")
    stored = {"conn_type": "redis", "host": "127.0.0.1", "port": server.port}
    monkeypatch.setenv("AIRFLOW_CONN_BUDGETS", json.dumps(stored))
    return "budgets"


def errors(done: list[Done]) -> list[str]:
    return [one.error for one in done if one.error]


def test_sixteen_tasks_without_retries_all_succeed(
    connect: Callable[..., Any], service: MapsIndoorsService, refused: list[float]
) -> None:
    service.rate_limit = 40
    connect(extra={"requests_per_second": 40})
    done = run_processes(16, 30)
    assert errors(done) == []
    assert sum(len(one.answered) for one in done) == 480
    assert len(refused) <= 480 / 20  # The arrival of 40 requests a second depends on the load of the machine.


def test_eight_tasks_keep_the_limit_and_get_equal_shares(
    connect: Callable[..., Any], service: MapsIndoorsService, refused: list[float], store: str
) -> None:
    # The figures themselves depend on the load of the machine: python -m tests.benchmarks.request_budgets.
    connect(extra={"rate_limit_store": "process"})
    run_processes(8, 4)
    alone = len(refused)
    refused.clear()
    connect(extra={"rate_limit_store": store})
    done = run_processes(8, 16)
    assert errors(done) == []
    assert alone / (8 * 4) > 4 * len(refused) / (8 * 16)
    assert fairness(done) > 0.9


def test_two_keys_of_one_solution_share_the_limit_over_processes(
    connect: Callable[..., Any], service: MapsIndoorsService, refused: list[float]
) -> None:
    connect(extra={"api_key": seed.API_KEY})
    assert errors(run_processes(1, 1)) == []
    env = {}
    for name, key in (("A", seed.API_KEY), ("B", seed.CAMPUS_ID)):
        hook = connect(extra={"api_key": key})
        assert hook.get_dataset()
        env[name] = json.dumps(
            {**service.connection(), "extra": {**service.connection()["extra"], "api_key": key}}
        )
    refused.clear()
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(run_processes, 3, 12, {"AIRFLOW_CONN_MAPSINDOORS_DEFAULT": text})
            for text in env.values()
        ]
    assert [errors(run.result()) for run in runs] == [[], []]
    # A service that stood still gets one of each of the six at once; without sharing 12 to 15 are refused.
    assert len(refused) <= 6


def test_without_a_shared_store_tasks_are_refused_and_still_succeed(
    connect: Callable[..., Any], refused: list[float]
) -> None:
    """Containers that share nothing: a refusal by a limit per second costs a tenth of an attempt."""
    connect(extra={"rate_limit_store": "process"})
    done = run_processes(6, 12)
    assert errors(done) == []
    assert len(refused) > 5


async def test_a_trigger_and_tasks_share_the_limit(
    connect: Callable[..., Any], service: MapsIndoorsService, refused: list[float]
) -> None:
    hook = connect()
    tasks = asyncio.create_task(asyncio.to_thread(run_processes, 3, 12))
    answered = []
    while not tasks.done():
        await hook.alist_geodata(base_types="venue")
        answered.append(time.monotonic())
    done = await tasks
    assert errors(done) == []
    assert len(refused) <= 48 / 10  # Arrivals bunch on a busy machine.
    began, ended = min(one.answered[0] for one in done), max(one.answered[-1] for one in done)
    assert 4 <= sum(began < moment < ended for moment in answered) <= 24  # A quarter of 48 is the trigger's.
