"""Fixtures: a new solution, hooks for it, and variations of its connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider.core.http import auth, rate_limit
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.sync import verify
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox


@pytest.fixture
def service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> MapsIndoorsService:
    """Return the emulated service, without state of other tests, and with short retry delays."""
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(rate_limit, "_budgets", {})
    monkeypatch.setattr(MapsIndoorsHook, "retry_limits", RetryLimits(base=0.005))
    found: MapsIndoorsService = sandbox.mapsindoors
    return found


@pytest.fixture
def departures(service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the times at which requests leave; their arrival depends on the load of the machine."""
    moments: list[float] = []
    reserve = rate_limit.Budget.reserve

    def noted(budget: rate_limit.Budget, longest: float) -> Any:
        reservation = reserve(budget, longest)
        if budget.per_second == 10:  # Requests for tokens have a budget of their own.
            moments.append(reservation.slot / 1e6)
        return reservation

    monkeypatch.setattr(rate_limit.Budget, "reserve", noted)
    return moments


@pytest.fixture
def connect(service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a factory of hooks whose connection differs from the seed in some fields or extras."""
    hooks: list[MapsIndoorsHook] = []

    def make(*, client: bool = False, extra: dict[str, Any] | None = None, **fields: Any) -> MapsIndoorsHook:
        base = service.client_connection() if client else service.connection()
        merged = {
            key: value for key, value in {**base["extra"], **(extra or {})}.items() if value is not None
        }
        connection = {**base, **fields, "extra": merged}
        monkeypatch.setenv("AIRFLOW_CONN_MAPSINDOORS_DEFAULT", json.dumps(connection))
        hooks.append(MapsIndoorsHook())
        return hooks[-1]

    yield make
    for hook in hooks:
        hook.close()


@pytest.fixture
def hook(service: MapsIndoorsService) -> Iterator[MapsIndoorsHook]:
    with MapsIndoorsHook() as hook:
        yield hook


@pytest.fixture
def unlimited_service(
    service: MapsIndoorsService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> MapsIndoorsService:
    """Return the service without its rate limit; delays of reads move the sandbox's clock instead."""
    service.rate_limit = None
    connection = dict(service.connection())
    connection["extra"] = {**connection["extra"], "requests_per_second": 10_000}
    monkeypatch.setenv("AIRFLOW_CONN_MAPSINDOORS_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(verify, "wait", sandbox.clock.advance)
    return service
