"""The extra ``max_concurrency``: at most so many requests of a connection at once, over all of its tasks."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.http import concurrency
from airflow_provider.core.http.call import Call
from airflow_provider.core.limits.semaphore import Permit, ProcessSemaphore
from airflow_provider.errors import InputError, RateLimitedError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.server import Sandbox
from tests.support.counted_tasks import run_processes
from tests.support.fake_clock import set_in_module
from tests.support.wait import until


class SlowService(ThreadingHTTPServer):
    """Takes a moment for each request, and counts how many are being served at once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.now = self.most = self.total = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowService

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.now += 1
            self.server.total += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(0.01)
        with self.server.lock:
            self.server.now -= 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "11")
        self.end_headers()
        self.wfile.write(b'{"data":[]}')

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[SlowService]:
    with SlowService() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connection(service: SlowService, **extra: Any) -> str:
    value = {"conn_type": "amigocloud", "host": service.url, "password": "a+b%c", "extra": extra}
    return json.dumps(value)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["machine", "redis"])
def test_all_tasks_of_a_connection_share_its_places(
    service: SlowService, store: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Three tasks of four threads each, and a trigger with twelve watchers."""
    extra = {} if store == "machine" else {"rate_limit_store": request.getfixturevalue("running_redis").url}
    monkeypatch.setenv("AIRFLOW_CONN_COUNTED", connection(service, max_concurrency=2, **extra))
    assert run_processes(["task", "task", "task", "trigger"]) == [0] * 4
    assert (service.total, service.most) == (48, 2)


def test_without_the_extra_requests_are_not_counted(
    service: SlowService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COUNTED", connection(service))
    with AmigoCloudHook("counted") as hook, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook.get("me"), range(40)))
        assert hook.transport.endpoint.concurrency is None
        assert hook.max_concurrency == 4
    assert service.most > 2


@pytest.mark.parametrize("hook", [AmigoCloudHook, IoTStudioHook, LeanIXHook, MapsIndoorsHook])
def test_every_connection_type_has_the_extra(
    hook: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{hook.conn_type}_default"
    value = json.loads(sandbox.connections[name])
    extra = value.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    monkeypatch.setenv(
        "AIRFLOW_CONN_LIMITED", json.dumps({**value, "extra": {**extra, "max_concurrency": "1"}})
    )
    assert hook("limited").test_connection()[0]


@pytest.mark.parametrize("value", [0, -1, 1.5, "two", True, [2]])
def test_the_extra_is_a_whole_number_above_0(
    value: Any, service: SlowService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COUNTED", connection(service, max_concurrency=value))
    with pytest.raises(InputError, match=r"'max_concurrency' must be a whole number"):
        AmigoCloudHook("counted").get("me")
    assert service.total == 0


# -- waits ------------------------------------------------------------------------------------------


@pytest.fixture
def full(service: SlowService, monkeypatch: pytest.MonkeyPatch) -> Iterator[AmigoCloudHook]:
    """Yield a hook whose only place another task holds."""
    monkeypatch.setenv("AIRFLOW_CONN_COUNTED", connection(service, max_concurrency=1))
    with AmigoCloudHook("counted") as hook:
        limit = hook.transport.endpoint.concurrency
        assert limit
        other = Permit()
        assert limit._semaphore.try_enter(other)
        yield hook
        limit._semaphore.leave(other)


def test_places_and_long_waits_are_logged_once_and_pauses_grow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(concurrency.random, "uniform", lambda least, most: most)
    now = [100.0]
    monkeypatch.setattr(concurrency.time, "monotonic", lambda: now[0])
    semaphore = ProcessSemaphore(1)
    limit, other = concurrency.ConcurrencyLimit(1, semaphore), Permit()
    monkeypatch.setattr(limit, "_new_permit", lambda: Permit(since=now[0]))
    for _ in range(2):
        assert semaphore.try_enter(other)
        slept: list[float] = []

        def sleep(seconds: float, slept: list[float] = slept) -> None:
            slept.append(seconds)
            now[0] += 1.0
            if len(slept) == 10:
                semaphore.leave(other)

        with limit.entered(sleep, lambda: 60.0, lambda: "GET /x") as waited:
            assert waited == 10.0
        assert slept == pytest.approx([min(0.025, 0.001 * 1.5**step) for step in range(10)])
    assert caplog.messages == [
        f"at most 1 requests at once, shared in {semaphore.place}",
        *[f"waiting for one of the 1 requests at once in {semaphore.place}"] * 2,
    ]


def test_a_wait_of_more_than_a_minute_becomes_the_tasks_next_retry(
    full: AmigoCloudHook, service: SlowService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.1)
    with pytest.raises(RateLimitedError, match="other tasks have held all 1 places") as caught:
        full.get("me")
    assert caught.value.retry_after == 30
    assert "me was not sent" in str(caught.value)
    assert service.total == 0


def test_the_wait_for_a_place_keeps_the_deadline(full: AmigoCloudHook, service: SlowService) -> None:
    with pytest.raises(RateLimitedError), full.until(time.time() + 0.2):
        full.get("me")
    assert service.total == 0


def test_a_trigger_waits_on_without_blocking_its_event_loop(
    full: AmigoCloudHook, service: SlowService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    limit = full.transport.endpoint.concurrency
    assert limit

    async def run() -> int:
        waiting = asyncio.create_task(AmigoCloudHook("counted").asend(Call("GET", "me")))
        turns = 0
        while turns < 200:
            await asyncio.sleep(0.001)
            turns += 1
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return turns

    assert asyncio.run(run()) == 200
    assert service.total == 0


def test_a_cancelled_trigger_gives_its_place_back(
    service: SlowService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COUNTED", connection(service, max_concurrency=1))

    async def run(turns: int) -> None:
        hook = AmigoCloudHook("counted")
        sending = asyncio.create_task(hook.asend(Call("GET", "me")))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    for turns in range(0, 60, 3):
        asyncio.run(run(turns))
    with AmigoCloudHook("counted") as hook:
        limit = hook.transport.endpoint.concurrency
        assert limit
        permit = Permit()
        until(lambda: limit._semaphore.try_enter(permit), seconds=5)
        limit._semaphore.leave(permit)


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@pytest.mark.parametrize("during", ["try_enter", "leave"])
async def test_a_call_that_is_cancelled_more_than_once_gives_its_place_back(
    full: AmigoCloudHook, during: str, cancellations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nested deadlines that end together cancel a call while its first cancellation is being handled."""
    limit = full.transport.endpoint.concurrency
    assert limit
    monkeypatch.setattr(limit, "_semaphore", ProcessSemaphore(1))
    operation, entered, go_on = getattr(limit._semaphore, during), threading.Event(), threading.Event()

    def slow(permit: Permit) -> Any:
        entered.set()
        go_on.wait(10)
        return operation(permit)

    async def use() -> None:
        async with limit.aentered():
            pass

    monkeypatch.setattr(limit._semaphore, during, slow)
    using = asyncio.create_task(use())
    await asyncio.to_thread(entered.wait, 10)
    for _ in range(cancellations):
        using.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    monkeypatch.setattr(limit._semaphore, during, operation)
    assert limit._semaphore.try_enter(Permit())


def test_the_log_names_the_places_and_a_long_wait(
    full: AmigoCloudHook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.2)
    monkeypatch.setattr(concurrency, "_LOGGED_WAIT", 0.05)
    with pytest.raises(RateLimitedError):
        full.get("me")
    assert caplog.text.count("at most 1 requests at once, shared in this machine") == 1
    assert caplog.text.count("waiting for one of the 1 requests at once in this machine") == 1


def test_a_reader_of_a_streamed_reply_may_send_further_requests(
    connect: Callable[..., Any], echo: Sandbox
) -> None:
    hook = connect({"mode": "query", "max_concurrency": 1})
    with hook.stream(Call("GET", "open/x")) as stream:
        assert hook.send(Call("GET", "open/y"))
        assert b"".join(stream.chunks())


def test_a_token_is_fetched_within_the_only_place(connect: Callable[..., Any], echo: Sandbox) -> None:
    hook = connect({"max_concurrency": 1})
    hook.send(Call("GET", "closed/x"))
    hook.forget_access_token(hook.cached_access_token())
    hook.send(Call("GET", "closed/x"))
    assert echo.counters.tokens_issued["echo"] == 2


async def test_a_waiter_in_an_event_loop_sleeps_between_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    semaphore, other, slept = ProcessSemaphore(1), Permit(), list[float]()
    later = Permit()
    assert semaphore.try_enter(other)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            semaphore.leave(other)

    set_in_module(monkeypatch, concurrency, "asyncio", sleep=sleep)
    limit = concurrency.ConcurrencyLimit(1, semaphore)
    async with limit.aentered():
        assert not semaphore.try_enter(later)
    assert len(slept) == 3
    assert all(0 < seconds < 0.01 for seconds in slept)
    assert semaphore.try_enter(later)


def test_the_error_of_a_full_limit_says_what_others_hold() -> None:
    semaphore, other = ProcessSemaphore(2), Permit()
    assert semaphore.try_enter(other)
    assert semaphore.try_enter(Permit())
    limit = concurrency.ConcurrencyLimit(2, semaphore)
    with pytest.raises(RateLimitedError) as caught, limit.entered(float, lambda: 0.0, lambda: "GET x"):
        pass
    assert str(caught.value) == (
        "GET x was not sent: for 0 s other tasks have held all 2 places that 'max_concurrency' allows in"
        f" {semaphore.place}"
    )
    assert (caught.value.status, caught.value.code) == (429, RateLimitedError.OWN_BUDGET)
    semaphore.leave(other)
    with limit.entered(float, lambda: 0.0, lambda: "GET x") as waited:
        assert waited < 1


def test_waiters_that_came_together_part(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        bounds.append((least, most))
        return least

    set_in_module(monkeypatch, concurrency, "random", uniform=uniform)
    semaphore = ProcessSemaphore(1)
    assert semaphore.try_enter(Permit())
    pauses = concurrency.ConcurrencyLimit(1, semaphore)._pauses(Permit())
    assert [next(pauses), next(pauses)] == pytest.approx([0.0005, 0.00075])
    assert bounds == [(0.5, 1.0)] * 2
