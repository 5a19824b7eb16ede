"""Budgets: who waits, for how long, and what a refusal by the service means for the others."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.http import rate_limit
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.rate_limit import Budget, shared_budget
from airflow_provider.core.limits import address
from airflow_provider.core.limits.machine import MachineStore
from airflow_provider.core.limits.plan import SECOND, Rate
from airflow_provider.core.limits.process import ProcessStore
from airflow_provider.core.limits.store import Reservation
from airflow_provider.errors import InputError, RateLimitedError
from airflow_provider.sandbox.server import Sandbox
from tests.support.budgets import forget_process
from tests.support.fake_clock import set_in_module

Connect = Callable[..., Any]


class StoppedClock:
    """The clock of all stores, in microseconds: only who sleeps moves it."""

    def __init__(self) -> None:
        self.now = 5_000_000
        self._changed = threading.Condition()
        self._wakings: list[int] = []
        self._ended = 0

    def sleep(self, seconds: float) -> None:
        """Sleep in the test's thread: the clock moves on at once."""
        self.now += round(seconds * SECOND)

    def sleep_in_thread(self, seconds: float) -> None:
        """Sleep until the test's thread has moved the clock far enough."""
        with self._changed:
            waking = self.now + round(seconds * SECOND)
            self._wakings.append(waking)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.now >= waking)
            self._wakings.remove(waking)

    def end(self) -> None:
        """Count a thread that sleeps no more."""
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def settle(self, threads: int) -> list[int]:
        """Wait until each thread sleeps or has ended; returns the moments at which the sleeping ones wake."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended + len(self._wakings) == threads, 60)
            return list(self._wakings)

    def move_to(self, moment: int) -> None:
        """Move to a moment, and wake who sleeps until then."""
        with self._changed:
            self.now = moment
            self._changed.notify_all()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    clock = StoppedClock()
    for store in (ProcessStore, MachineStore):
        monkeypatch.setattr(store, "now", lambda self: clock.now)
    return clock


def acquire(budget: Budget, sleep: Callable[[float], None], longest: float = 60) -> float:
    return budget.acquire(sleep, lambda: longest, lambda: "GET x")


def test_a_request_says_how_long_it_has_waited(clock: StoppedClock) -> None:
    budget, slept = Budget(1), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += round(seconds * 1_000_000)

    assert acquire(budget, sleep) == 0.0
    assert acquire(budget, sleep) == sum(slept) == 1.05
    assert acquire(Budget(None), sleep) == 0.0


def test_users_of_one_identity_share_a_budget_over_processes() -> None:
    for _ in range(10):
        forget_process()
        assert shared_budget("", 10, "host", "solution").reserve().wait == 0
    forget_process()
    assert shared_budget("", 10, "host", "solution").reserve().wait == 1.05
    assert shared_budget("", 10, "host", "another").reserve().wait == 0


def test_a_budget_of_the_process_is_its_own() -> None:
    for _ in range(10):
        shared_budget("process", 10, "own", "solution").reserve()
    assert shared_budget("process", 10, "own", "solution").reserve().wait == 1.05
    assert shared_budget("", 10, "own", "solution").reserve().wait == 0


def test_a_named_folder_is_another_budget_than_the_machines(tmp_path: Path) -> None:
    for _ in range(10):
        shared_budget(str(tmp_path / "a"), 10, "host").reserve()
    assert shared_budget(str(tmp_path / "b"), 10, "host").reserve().wait == 0
    forget_process()
    assert shared_budget(str(tmp_path / "a"), 10, "host").reserve().wait == 1.05


def test_a_pause_applies_to_all_users_of_the_budget() -> None:
    shared_budget("", 10, "host", "solution").pause(30)
    forget_process()
    assert shared_budget("", 10, "host", "solution").reserve().wait == 30


def test_a_service_that_asks_for_days_pauses_the_others_for_five_minutes() -> None:
    shared_budget("", None, "host").pause(30 * 86400)
    assert shared_budget("", None, "host").reserve().wait == 300


def test_a_longer_wait_than_a_minute_is_an_error_and_takes_nothing(clock: StoppedClock) -> None:
    budget = shared_budget("", 10, "host")
    budget.pause(100)
    with pytest.raises(RateLimitedError) as caught:
        acquire(budget, clock.sleep)
    assert (caught.value.status, caught.value.code) == (429, RateLimitedError.OWN_BUDGET)
    assert caught.value.retry_after == 100
    assert "GET x was not sent" in str(caught.value)
    assert "HTTP" not in str(caught.value)


def test_a_wait_past_the_deadline_is_an_error_and_takes_nothing(clock: StoppedClock) -> None:
    budget = Budget(1)
    acquire(budget, clock.sleep)
    for longest in (0.5, 0, -10):
        with pytest.raises(RateLimitedError):
            acquire(budget, clock.sleep, longest)
    assert budget.reserve().wait == 1.05
    short = Budget(1)
    acquire(short, clock.sleep)
    clock.sleep(0.8)
    for longest in (0.2, 0, -10):
        with pytest.raises(RateLimitedError):
            acquire(short, clock.sleep, longest)


def test_a_free_moment_is_used_even_after_the_deadline(clock: StoppedClock) -> None:
    assert acquire(Budget(1), clock.sleep, longest=-5) == 0


def test_who_waits_checks_for_a_pause_after_waking(clock: StoppedClock) -> None:
    """Of many who wait, none is sent during a pause that began meanwhile."""
    budget, left, began = Budget(20), [], clock.now

    def work() -> None:
        acquire(budget, clock.sleep_in_thread)
        left.append((clock.now - began) / SECOND)
        clock.end()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    assert len(clock.settle(50)) == 30
    clock.move_to(began + SECOND // 2)
    budget.pause(2)
    while wakings := clock.settle(50):
        clock.move_to(min(wakings))
    assert len(left) == 50
    assert [moment for moment in left if moment < 2.5] == [0] * 20
    assert all(left[at + 20] - left[at] > 1 for at in range(30))


async def test_a_pause_that_ends_at_the_reserved_moment_is_over_by_then(clock: StoppedClock) -> None:
    budget, slept = Budget(1), []
    acquire(budget, clock.sleep)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        budget.pause(seconds)
        clock.sleep(seconds)

    assert acquire(budget, sleep) == sum(slept) == 1.05
    budget.pause(2)
    until = budget.store.paused_until(Reservation(budget.store, budget._key, 0, 1.0, True))
    for slot, paused in ((until - 1, True), (until, False)):
        reserved = Reservation(budget.store, budget._key, slot, 1.0, True)
        assert await budget._ais_paused_after(reserved) is paused


async def test_a_trigger_checks_for_a_pause_after_waking(
    clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, slept = shared_budget("", 1, "host"), []
    await budget.aacquire()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            budget.pause(2)
        clock.sleep(seconds)

    # The sandbox, in a thread of its own, sleeps with asyncio, too.
    monkeypatch.setattr(rate_limit, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    assert await budget.aacquire() == 2.1
    assert slept == [1.05, 1.05]


async def test_a_trigger_reserves_nothing_before_a_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = shared_budget("", 10, "host")
    await budget.apause(90)
    slept: list[float] = []

    real_sleep, own_thread = asyncio.sleep, threading.current_thread()

    async def sleep(seconds: float) -> None:
        if threading.current_thread() is not own_thread:
            await real_sleep(seconds)  # The sandbox serves in a thread of its own.
            return
        slept.append(seconds)
        taken = budget.reserve(1000)
        assert not taken.taken
        budget._key = "ab" * 20  # The pause is over.

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", sleep)
        assert await budget.aacquire() == 60
    assert slept == [60]


async def test_a_busy_store_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider.core.limits.store import WouldBlockError

    budget, threads = Budget(10), []
    reserve = budget.store.reserve

    def busy(*args: Any, block: bool = True) -> Any:
        if not block:
            raise WouldBlockError
        threads.append(threading.current_thread())
        time.sleep(0.3)
        return reserve(*args)

    monkeypatch.setattr(budget.store, "reserve", busy)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert (await budget.areserve()).taken
    ticking.cancel()
    assert ticks > 5
    assert threads[0] is not threading.main_thread()


def test_each_user_keeps_its_own_rate() -> None:
    for number in range(5):
        assert shared_budget("", 5, "host").reserve().wait == 0, number
    assert shared_budget("", 10, "host").reserve().wait == 0
    assert shared_budget("", 5, "host").reserve().wait == 1.05


@pytest.mark.parametrize("store", ["", "process", "folder"])
def test_two_names_of_one_limit_share_it_from_the_join_on(store: str, tmp_path: Path) -> None:
    where = str(tmp_path / "budgets") if store == "folder" else store
    key, solution = shared_budget(where, 10, "join", "key"), shared_budget(where, 10, "join", "id")
    for budget in (key, solution):
        for _ in range(4):
            assert budget.reserve().wait == 0
    key.join(solution)
    assert [shared_budget(where, 10, "join", "key").reserve().wait > 0 for _ in range(3)] == [False] * 2 + [
        True
    ]
    if store != "process":
        forget_process()  # The alias is stored: a later process shares at once.
        assert shared_budget(where, 10, "join", "key").reserve().wait > 0
    shared_budget(where, 10, "join", "id").pause(30)
    assert shared_budget(where, 10, "join", "key").reserve().wait == 30


async def test_a_join_in_a_trigger_is_the_same() -> None:
    key, solution = shared_budget("", 10, "ajoin", "key"), shared_budget("", 10, "ajoin", "id")
    await key.ajoin(solution)
    await solution.apause(30)
    assert (await key.areserve()).wait == 30
    forget_process()  # The alias is stored: a later process shares at once.
    assert (await shared_budget("", 10, "ajoin", "key").areserve()).wait == 30


def test_the_store_holds_no_identity_in_plain_text(budget_folder: Path) -> None:
    shared_budget("", 1, "host", "a-solution-key").reserve()
    (file,) = budget_folder.iterdir()
    assert b"a-solution-key" not in file.read_bytes() + file.name.encode()
    assert not any("a-solution-key" in str(key) for key in rate_limit._budgets)


def test_a_token_budget_starts_full() -> None:
    budget = shared_budget("", 1, "token", "client", burst=10)
    assert [budget.reserve().wait for _ in range(10)] == [0] * 10
    assert budget.reserve().wait > 10


def test_the_log_says_where_the_budget_is_and_how_long_a_wait_is(
    clock: StoppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    budget = shared_budget("", 1, "logged")
    acquire(budget, clock.sleep)
    budget.pause(6)
    acquire(budget, clock.sleep)
    first, second = (record.getMessage() for record in caplog.records)
    assert "1 requests a second, shared in this machine (/" in first
    assert "waiting 6.0 s" in second


# -- in a connection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["memcached://host", "redis://", "some/folder", "redis://host:port/0", "two words", 5, ["x"]]
)
def test_an_invalid_store_is_refused_without_its_value(connect: Connect, value: Any) -> None:
    with pytest.raises(InputError, match="extra 'rate_limit_store' must be 'process', the absolute path"):
        _ = connect({"rate_limit_store": value}).settings


@pytest.mark.parametrize("how", ["sync", "async"])
def test_an_unknown_connection_is_refused(connect: Connect, how: str) -> None:
    hook = connect({"rate_limit_store": "my_redis"})
    with pytest.raises(InputError, match="names the connection 'my_redis', which does not exist"):
        asyncio.run(hook.aload()) if how == "async" else hook.settings
    worked, sentence = hook.test_connection()
    assert (worked, "my_redis" in sentence) == (False, True)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_connection_of_another_type_is_refused(
    connect: Connect, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY_REDIS", json.dumps({"conn_type": "http", "host": "h"}))
    hook = connect({"rate_limit_store": "my_redis"})
    with pytest.raises(InputError, match="its type is 'http', not 'redis'"):
        asyncio.run(hook.aload()) if how == "async" else hook.settings


def test_a_redis_connection_is_read_with_all_its_fields(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {
        "conn_type": "redis",
        "host": "cache.example.com",
        "port": 6380,
        "login": "etl",
        "password": "p@ss/word",
        "extra": {"db": 3, "ssl": True, "ssl_cert_reqs": "none", "unrelated": 1},
    }
    monkeypatch.setenv("AIRFLOW_CONN_MY_REDIS", json.dumps(stored))
    settings = connect({"rate_limit_store": "my_redis"}).settings
    expected = "rediss://etl:p%40ss%2Fword@cache.example.com:6380/3?ssl_cert_reqs=none"
    assert settings.rate_limit_store == expected
    assert {expected, "p@ss/word", "p%40ss%2Fword"} <= set(settings.secrets)
    assert "p@ss" not in repr(settings)


def test_the_words_of_a_store_without_credentials_are_no_secrets(connect: Connect, tmp_path: Path) -> None:
    for value in ("process", str(tmp_path)):
        assert value not in connect({"rate_limit_store": value}).settings.secrets


def test_a_missing_package_is_an_error_and_no_silent_fallback(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"airflow-provider-digital-twin\[redis\]"):
        shared_budget("redis://localhost:1/0", 10, "host")


def test_a_429_costs_a_tenth_of_an_attempt_where_the_limit_is_per_second(
    connect: Connect, echo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect({"mode": "query"})
    hook.transport._sleep = lambda seconds: None
    refused = echo.faults.add("status", status=429, headers={"Retry-After": "1"}, times=40)
    hook.send(Call("GET", "open/x"))
    assert refused.hits == 40


def test_the_log_counts_refusals_apart_from_other_failures(
    connect: Connect, echo: Sandbox, logged: Callable[[], str]
) -> None:
    hook = connect({"mode": "query"})
    hook.transport._sleep = lambda seconds: None
    echo.faults.add("status", status=503, times=1)
    echo.faults.add("status", status=429, headers={"Retry-After": "1"}, times=2)
    hook.send(Call("GET", "open/x"))
    lines = [line for line in logged().splitlines() if "next attempt" in line]
    assert ["refused" in line for line in lines] == [False, True, True]
    assert ", 1 refused by a limit per second;" in lines[1]
    assert ", 2 refused by a limit per second;" in lines[2]


def test_a_429_with_a_longer_delay_costs_a_whole_attempt(connect: Connect, echo: Sandbox) -> None:
    hook = connect({"mode": "query"})
    hook.transport._sleep = lambda seconds: None
    refused = echo.faults.add("status", status=429, headers={"Retry-After": "3"}, times=None)
    with pytest.raises(RateLimitedError):
        hook.send(Call("GET", "open/x"))
    assert refused.hits == 6


def test_a_429_without_delay_depends_on_the_known_limit(
    connect: Connect, echo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect({"mode": "query"})
    refused = echo.faults.add("status", status=429, times=20)
    with pytest.raises(RateLimitedError):
        hook.send(Call("GET", "open/x"))
    assert refused.hits == 6
    monkeypatch.setattr(type(hook), "budget", lambda self, settings: Budget(1000))
    with hook:
        pass
    hook.send(Call("GET", "open/x"))
    assert refused.hits == 20


def test_one_attempt_stays_one_attempt(connect: Connect, echo: Sandbox) -> None:
    hook = connect({"mode": "query", "attempts": 1})
    refused = echo.faults.add("status", status=429, headers={"Retry-After": "0"}, times=None)
    with pytest.raises(RateLimitedError):
        hook.send(Call("GET", "open/x"))
    assert refused.hits == 1


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_429_that_is_raised_pauses_the_others_too(
    connect: Connect, echo: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hook = connect({"mode": "query"})
    monkeypatch.setattr(type(hook), "budget", lambda self, settings: shared_budget("", None, "paused"))
    echo.faults.add("status", status=429, headers={"Retry-After": str(30 * 86400)})
    with pytest.raises(RateLimitedError):
        asyncio.run(hook.asend(Call("GET", "open/x"))) if how == "async" else hook.send(Call("GET", "open/x"))
    with pytest.raises(RateLimitedError) as caught:
        connect({"mode": "query"}).send(Call("GET", "open/x"))
    assert caught.value.retry_after == 300


def test_the_wait_for_the_budget_keeps_the_deadline(connect: Connect, echo: Sandbox) -> None:
    hook = connect({"mode": "query"})
    hook.transport._sleep = lambda seconds: pytest.fail("it waited")
    hook.transport.endpoint.budget = Budget(0.1)
    hook.send(Call("GET", "open/x"))
    with pytest.raises(RateLimitedError), hook.until(time.time() + 2):
        hook.send(Call("GET", "open/x"))


def test_the_log_tells_the_total_wait(
    connect: Connect, echo: Sandbox, clock: StoppedClock, logged: Callable[[], str]
) -> None:
    with connect({"mode": "query"}) as hook:
        hook.transport._sleep = clock.sleep
        hook.transport.endpoint.budget = Budget(1)
        for _ in range(3):
            hook.send(Call("GET", "open/x"))
    assert "3 requests waited 2.1 s in total for their turn" in logged()


def test_token_requests_have_a_budget_of_their_own(connect: Connect, echo: Sandbox) -> None:
    hook = connect()
    endpoint = hook.transport.endpoint
    endpoint.budget, endpoint.token_budget = Budget(10), Budget(10)
    hook.send(Call("GET", "closed/x"))
    hook.send(Call("GET", "closed/y"))
    rate = Rate.per_second(10)
    used = [
        10 - sum(budget.store.reserve(budget._key, rate, 0).taken for _ in range(10))
        for budget in (endpoint.budget, endpoint.token_budget)
    ]
    assert used == [2, 1]


def test_an_alias_is_remembered_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    set_in_module(monkeypatch, "airflow_provider.core.http.rate_limit", "time", monotonic=lambda: now[0])
    budget, other = Budget(10, key="own"), Budget(10, key="other")
    assert budget._current_key() == "own"
    assert budget._must_join(other)
    budget._used = ("other", 1000.0)
    now[0] += 599.9
    assert budget._current_key() == "other"
    assert not budget._must_join(other)
    now[0] += 0.1
    assert budget._current_key() == "own"
    assert budget._must_join(other)
    assert not budget._must_join(Budget(10, key="own"))


def test_waits_of_more_than_five_seconds_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider.core.http.rate_limit")
    budget = Budget(10)
    for wait in (5.0, 5.1):
        budget._log_wait(Reservation(budget.store, "k", 0, wait, True))
    assert [record.getMessage() for record in caplog.records] == [
        "waiting 5.1 s for the request budget in this process"
    ]


async def test_a_joined_budget_is_used_from_the_join_on_in_this_process() -> None:
    for way in ("join", "ajoin"):
        own, other = shared_budget("", 10, way, "own"), shared_budget("", 10, way, "other")
        if way == "join":
            own.join(other)
        else:
            await own.ajoin(other)
        assert own._current_key() == other._key
        assert not own._must_join(other)


def test_the_error_of_a_used_up_budget_says_where_it_is_and_for_how_long() -> None:
    budget = Budget(10)
    budget.pause(100.4)
    with pytest.raises(RateLimitedError) as caught:
        acquire(budget, float)
    assert str(caught.value) == (
        "GET x was not sent: the request budget in this process is used up or paused for the next 100 s"
    )
    assert caught.value.retry_after == pytest.approx(100.4)


def test_a_budget_is_announced_once_and_one_without_a_rate_never(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "airflow_provider.core.http.rate_limit")
    for budget in (Budget(2.5), Budget(None)):
        budget.reserve()
        budget.reserve()
    assert caplog.messages == ["request budget: 2.5 requests a second, shared in this process"]


def test_budgets_of_other_rates_bursts_and_stores_are_others(tmp_path: Path) -> None:
    made = {
        id(shared_budget(store, rate, "host", burst=burst))
        for store in ("process", str(tmp_path))
        for rate in (1, None)
        for burst in (1, 2)
    }
    assert len(made) == 8
    assert shared_budget("process", 1, "host") is shared_budget("process", 1, "host")
    assert shared_budget("process", 1, "a", "b") is not shared_budget("process", 1, "ab")


class Recording(ProcessStore):
    """A store that keeps whether each call may block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[str, bool]] = []


for _name in ("reserve", "pause", "join", "paused_until"):

    def _recorded(self: Recording, *args: Any, _name: str = _name, block: bool = True) -> Any:
        self.blocks.append((_name, block))
        return getattr(ProcessStore, _name)(self, *args, block=block)

    setattr(Recording, _name, _recorded)


async def test_a_trigger_asks_each_store_not_to_block_and_a_worker_does_not() -> None:
    store = Recording()
    budget, other = Budget(10, store, "a"), Budget(10, store, "b")
    reserved = budget.reserve()
    budget.pause(1)
    budget.join(other)
    assert store.blocks == [("reserve", True), ("pause", True), ("join", True)]
    store.blocks.clear()
    budget = Budget(10, store, "c")
    await budget.areserve()
    await budget.apause(1)
    await budget.ajoin(other)
    await budget._ais_paused_after(reserved)
    names = ("reserve", "pause", "join", "paused_until")
    assert store.blocks == [(name, False) for name in names]


async def test_a_wait_of_less_than_a_second_is_waited_for(
    clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        clock.sleep(seconds)

    budget = Budget(None)
    budget.pause(0.4)
    assert acquire(budget, lambda seconds: (slept.append(seconds), clock.sleep(seconds))[1]) == 0.4
    monkeypatch.setattr(rate_limit, "asyncio", SimpleNamespace(sleep=asleep, to_thread=asyncio.to_thread))
    budget.pause(0.4)
    assert await budget.aacquire() == 0.4
    assert slept == [0.4]
