"""A hook whose service is hostile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.retry import RetryLimits
from tests.support.hostile_host import HostileHost
from tests.unit.core.conftest import EchoHook

Serve = Callable[..., ApiHook]
Send = Callable[[ApiHook, Call[Any]], Any]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that starts a host with one response, and returns a hook connected to it."""
    hosts: list[HostileHost] = []

    def start(reply: bytes) -> ApiHook:
        hosts.append(HostileHost(reply))
        connection = {"conn_type": "echo", "host": hosts[-1].url, "password": "s3cr3t-token"}
        text = json.dumps({**connection, "extra": {"mode": "header"}})
        monkeypatch.setenv("AIRFLOW_CONN_ECHO_DEFAULT", text)
        hook = EchoHook()
        hook.retry_limits = RetryLimits(attempts=2, base=0.001)
        return hook

    yield start
    for host in hosts:
        host.close()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Return a function that sends a call on a worker, or in an event loop."""
    if request.param == "sync":
        return lambda hook, call: hook.send(call)
    return lambda hook, call: asyncio.run(hook.asend(call))
