"""Patience: a read waits through a deploy of ten minutes, on a clock that the tests move."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.watchers.monitor import RETRY_LIMITS
from airflow_provider.core.hook import ApiHook
from airflow_provider.errors import AmbiguousWriteError, RateLimitedError, ServerError
from tests.support.fake_clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, budget_folder: Path) -> FakeClock:
    """Return the clock of the retry loops, with the limits that the hook has without a test's."""
    import tenacity

    monkeypatch.undo()  # the short delays of all other tests
    monkeypatch.setenv("DIGITAL_TWIN_STORE", str(budget_folder))
    clock = FakeClock()
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(asyncio, "sleep", clock.asleep)
    return clock


@pytest.fixture
def hook(clock: FakeClock, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> AmigoCloudHook:
    for name, text in sandbox.connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)
    hook = AmigoCloudHook()
    hook.transport._sleep = clock.sleep
    return hook


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_read_waits_up_to_ten_minutes(
    how: str, hook: AmigoCloudHook, clock: FakeClock, sandbox: Any
) -> None:
    down = sandbox.faults.add("html", status=502, times=None)
    with pytest.raises(ServerError):
        hook.send(api.me()) if how == "sync" else asyncio.run(hook.asend(api.me()))
    assert down.hits == 20
    assert all(2 <= pause <= 30 for pause in clock.slept)
    assert 200 < sum(clock.slept) <= 600


def test_a_read_succeeds_after_a_deploy(hook: AmigoCloudHook, clock: FakeClock, sandbox: Any) -> None:
    sandbox.faults.add("html", status=503, times=15)
    assert hook.send(api.me())["email"]
    assert sum(clock.slept) > 120


def test_a_write_that_could_act_twice_is_not_sent_again(
    hook: AmigoCloudHook, clock: FakeClock, sandbox: Any
) -> None:
    lost = sandbox.faults.add("html", method="POST", status=502, times=None)
    with pytest.raises(AmbiguousWriteError):
        hook.run("INSERT INTO dataset_2001 (name) VALUES ('x')")
    assert (lost.hits, clock.slept) == (1, [])


def test_a_delay_of_a_minute_is_waited_for_and_a_longer_one_is_an_error(
    hook: AmigoCloudHook, clock: FakeClock, sandbox: Any
) -> None:
    sandbox.faults.add("status", status=429, headers={"Retry-After": "55"})
    assert hook.send(api.me())
    assert 55 <= clock.slept[0] <= 56
    # The pause of all users of the token runs on the machine's clock, which did not move.
    assert 54 < clock.slept[1] <= 55
    clock.slept.clear()
    sandbox.faults.add("status", status=429, headers={"Retry-After": "61"})
    with pytest.raises(RateLimitedError):
        hook.send(api.me())
    assert all(seconds < 55 for seconds in clock.slept)


def test_the_connection_sets_attempts_and_patience(
    clock: FakeClock, sandbox: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = sandbox.faults.add("html", status=503, times=None)
    for extra, hits, longest in (({"attempts": 4}, 4, 600), ({"patience": 1200}, None, 1200)):
        hook = AmigoCloudHook(connect(extra=extra))
        hook.transport._sleep = clock.sleep
        down.hits = 0
        clock.slept.clear()
        with pytest.raises(ServerError):
            hook.send(api.me())
        assert hits is None or down.hits == hits
        assert sum(clock.slept) <= longest
    assert sum(clock.slept) > 1100


def test_watchers_keep_their_own_limits(hook: AmigoCloudHook, sandbox: Any) -> None:
    hook.close()
    hook.retry_limits = RETRY_LIMITS
    assert hook.transport.endpoint.retry_limits == RETRY_LIMITS
    assert ApiHook.service_retry_limits.attempts == 6
