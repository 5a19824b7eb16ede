"""The cluster's store, on a real Redis: the same answers as the pure planning, and every bad day by name."""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.limits import address
from airflow_provider.core.limits.plan import SECOND, Rate, State, just_used, merged, paused, plan
from airflow_provider.core.limits.redis_semaphore import RedisSemaphore
from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.limits.semaphore import Permit
from airflow_provider.core.limits.store import Reservation, StoreUnusableError, WouldBlockError
from airflow_provider.errors import InputError
from dev.redis_server import RedisServer, running

RATE = Rate(10, 30 * SECOND)
"""A window that no pause of the machine outlasts."""

RATES = [
    *(Rate.per_second(rate) for rate in (0.03, 1, 1.67, 10, 30)),
    *(Rate.per_second(rate, burst=2) for rate in (0.2, 1.5)),
]

KEY = "ab12" * 10
OTHER = "cd34" * 10
NAME = f"airflow-dt:{{budgets}}:{KEY}"


@pytest.fixture
def client(running_redis: RedisServer) -> Iterator[Any]:
    import redis

    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(client: Any, running_redis: RedisServer) -> RedisStore:
    return RedisStore(running_redis.url)


@pytest.fixture
def own_redis(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a server that the test may stop."""
    with running(tmp_path) as server:
        yield server


def waits(store: Any, count: int, key: str = KEY) -> list[float]:
    return [store.reserve(key, RATE, 60).wait for _ in range(count)]


# -- the same as the pure planning ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_redis_and_the_pure_planning_give_the_same_answers(
    client: Any, running_redis: RedisServer, seed: int
) -> None:
    chance = random.Random(seed)
    now = 1_764_000_000 * SECOND
    store = RedisStore(running_redis.url, now=lambda: now)
    states = {KEY: State(), OTHER: State()}
    for step in range(300):
        now += chance.choice([0, 0, 1, 1000, chance.randrange(3 * SECOND), -chance.randrange(SECOND)])
        key = chance.choice([KEY, OTHER])
        rate = chance.choice([None, *RATES])
        if step % 20 == 7:
            seconds = chance.choice([0.0, chance.uniform(0, 4), 1e9])
            store.pause(key, rate, seconds)
            states[key] = paused(states[key], now, seconds)
            now += chance.choice([0, 400 * SECOND])
        elif step % 50 == 33:
            client.set(f"airflow-dt:{{budgets}}:{key}", chance.choice([b"", b"junk", b"-1 2", b"\xff\x00"]))
            states[key] = follow(store, just_used(now, RATE), key, now, RATE, 60.0)
        elif step % 100 == 81 and key == KEY:
            store.join(KEY, OTHER, rate)
            states[OTHER] = merged(states[KEY], states[OTHER])
            client.delete(NAME)
            states[KEY] = State()
        else:
            states[key] = follow(store, states[key], key, now, rate, chance.choice([60.0, 1.0, 0.0]))


def follow(store: RedisStore, state: State, key: str, now: int, rate: Rate | None, longest: float) -> State:
    found, expected = store.reserve(key, rate, longest), plan(state, now, rate, int(longest * SECOND))
    assert found == Reservation(store, key, expected.slot, expected.wait / SECOND, expected.taken)
    assert store.paused_until(found) == expected.state.paused_until
    return expected.state


def test_all_clients_share_a_budget(client: Any, running_redis: RedisServer) -> None:
    stores = [RedisStore(running_redis.url) for _ in range(3)]
    found = [stores[number % 3].reserve(KEY, RATE, 60).wait for number in range(20)]
    assert found[:10] == [0.0] * 10
    assert all(0 < wait <= 30 for wait in found[10:])


def test_a_budget_is_kept_for_a_day_and_names_no_identity(client: Any, store: RedisStore) -> None:
    waits(store, 1)
    assert client.keys() == [NAME.encode()]
    assert 86_000_000 < client.pttl(NAME) <= 86_400_000


def test_an_alias_is_stored_for_all_machines(client: Any, running_redis: RedisServer) -> None:
    first, later = RedisStore(running_redis.url), RedisStore(running_redis.url)
    waits(first, 6)
    first.join(KEY, OTHER, RATE)
    assert [wait > 0 for wait in waits(later, 5)] == [False] * 4 + [True]
    later.pause(KEY, RATE, 30)
    assert waits(first, 1, OTHER)[0] > 29
    first.join(KEY, OTHER, RATE)
    first.join(OTHER, KEY, RATE)
    assert first.reserve(KEY, RATE, 60).key == OTHER


def test_a_circle_of_aliases_is_an_unusable_store(client: Any, store: RedisStore) -> None:
    for key, other in ((KEY, OTHER), (OTHER, KEY)):
        client.set(f"airflow-dt:{{budgets}}:{key}", f"alias {other}")
    with pytest.raises(StoreUnusableError, match="circle"):
        waits(store, 1)


@pytest.mark.parametrize("damaged", [KEY, OTHER])
def test_a_damaged_budget_that_is_paused_or_joined_counts_as_a_full_window(
    client: Any, store: RedisStore, damaged: str
) -> None:
    client.set(f"airflow-dt:{{budgets}}:{damaged}", "no budget")
    if damaged == KEY:
        store.pause(KEY, RATE, 0)
    store.join(KEY, OTHER, RATE)
    reservation = store.reserve(OTHER, RATE, 60)
    assert (reservation.wait > 29, reservation.taken) == (True, True)


def test_both_keys_of_a_join_are_on_one_node_of_a_cluster() -> None:
    """A hash tag, the part in braces, decides about the node."""
    assert "{budgets}" in NAME


def test_an_event_loop_never_waits_for_redis(store: RedisStore) -> None:
    with pytest.raises(WouldBlockError):
        store.reserve(KEY, RATE, 60, block=False)


def test_the_clocks_of_two_hosts_do_not_matter(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients, one of them with clocks that are 0.7 seconds off."""
    found = waits(store, 5)
    clock, monotonic = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: clock() + 0.7)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 0.7)
    found += waits(store, 6)
    assert [wait > 0 for wait in found] == [False] * 10 + [True]


def test_a_fork_gets_a_connection_of_its_own(store: RedisStore) -> None:
    waits(store, 5)
    if not (child := os.fork()):
        os._exit(0 if waits(store, 3) == [0.0] * 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [wait > 0 for wait in waits(store, 3)] == [False, False, True]


# -- bad days --------------------------------------------------------------------------------------------


def test_flushed_scripts_are_sent_once_more(client: Any, store: RedisStore) -> None:
    waits(store, 5)
    client.script_flush()
    assert [wait > 0 for wait in waits(store, 6)] == [False] * 5 + [True]


def test_flushed_budgets_start_full(client: Any, store: RedisStore) -> None:
    waits(store, 10)
    client.flushall()
    assert waits(store, 10) == [0.0] * 10


def test_a_restart_without_persistence_starts_full_and_needs_no_fallback(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = address.open_store(own_redis.url)
    waits(store, 10)
    own_redis.stop()
    own_redis.start()
    assert [wait > 0 for wait in waits(store, 11)] == [False] * 10 + [True]
    assert caplog.records == []


def test_a_stopped_redis_leaves_the_machines_budget(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, budget_folder: Path, monkeypatch: Any
) -> None:
    caplog.set_level(logging.INFO)
    store = address.open_store(own_redis.url)
    before = store.reserve(KEY, RATE, 60)
    own_redis.stop()
    found = waits(store, 11)
    assert [wait > 0 for wait in found] == [False] * 10 + [True]
    assert len(list(budget_folder.iterdir())) == 1
    assert store.paused_until(before) == 0
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert f"Redis at 127.0.0.1:{own_redis.port} cannot be used" in warning.getMessage()
    assert "this machine (" in warning.getMessage()
    own_redis.start()
    waits(store, 1)
    assert "Redis" not in store.place
    monkeypatch.setattr(store._fallback, "_unusable_until", 0.0)
    assert waits(store, 1) == [0.0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_hung_redis_costs_a_second_and_then_nothing(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = address.open_store(own_redis.url)
    waits(store, 1)
    os.kill(own_redis.pid, signal.SIGSTOP)
    asked: list[float] = []
    evaluate = RedisStore._evaluate

    def timed(self: RedisStore, *args: Any) -> Any:
        began = time.monotonic()
        try:
            return evaluate(self, *args)
        finally:
            if self._url == own_redis.url:  # Threads of earlier tests may still ask their own server.
                asked.append(time.monotonic() - began)

    monkeypatch.setattr(RedisStore, "_evaluate", timed)
    waits(store, 1)
    waits(store, 5)
    os.kill(own_redis.pid, signal.SIGCONT)
    assert len(asked) == 1
    assert asked[0] > 0.9
    assert len(caplog.records) == 1


def test_a_redis_that_refuses_writes_leaves_the_machines_budget(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    import redis

    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
    store = address.open_store(own_redis.url)
    assert [wait > 0 for wait in waits(store, 11)][-1]
    (warning,) = caplog.records
    assert "OutOfMemory" in warning.getMessage()


def test_redis_and_the_machines_folder_unusable_leave_the_processs_budget(
    caplog: pytest.LogCaptureFixture, budget_folder: Path
) -> None:
    budget_folder.chmod(0o777)
    store = address.open_store("redis://127.0.0.1:1/0")
    # A key of its own: this process's budgets are those of all tests.
    assert [wait > 0 for wait in waits(store, 11, "ef56" * 10)] == [False] * 10 + [True]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize("scheme", ["redis", "unix"])
def test_a_password_is_used_and_never_logged(
    scheme: str, redis_program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, "--requirepass", "s3cret-word", "--unixsocket", str(tmp_path / "s")) as server:
        where = f"127.0.0.1:{server.port}/0" if scheme == "redis" else str(tmp_path / "s")
        waits(RedisStore(f"{scheme}://:s3cret-word@{where}"), 1)
        store = address.open_store(f"{scheme}://:wr0ng-word@{where}")
        waits(store, 1)
    (warning,) = caplog.records
    assert "AuthenticationError" in warning.getMessage()
    assert "word@" not in caplog.text
    assert "wr0ng" not in caplog.text + store.place


def test_an_invalid_option_of_the_url_is_refused_before_any_request() -> None:
    with pytest.raises(InputError, match="no valid URL of Redis"):
        RedisStore("redis://127.0.0.1:1/0?unheard_of=1")


def test_a_service_without_time_in_scripts_is_asked_for_it_apart(
    client: Any, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some hosted services refuse the command inside of a script; here a script is made to fail so."""
    from airflow_provider.core.limits import redis_store

    for name in ("_RESERVE", "_PAUSE"):
        script = getattr(redis_store, name)
        monkeypatch.setattr(redis_store, name, script.replace("redis.call('TIME')", "error('no TIME here')"))
    assert [wait > 0 for wait in waits(store, 11)] == [False] * 10 + [True]
    store.pause(KEY, RATE, 30)
    assert waits(store, 1)[0] > 29
    now, slot = client.time()[0], store.reserve("other", RATE, 60).slot
    assert now <= slot / SECOND < now + 30


def test_a_process_keeps_its_connection(store: RedisStore) -> None:
    assert store.open_client() is store.open_client()


def test_nothing_is_imported_before_redis_is_used() -> None:
    code = (
        "import sys; from airflow_provider.core.limits.address import open_store;"
        "open_store('').reserve('ab', None, 60); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_eight_aliases_are_followed_and_no_more(client: Any, store: RedisStore) -> None:
    names = [f"{number:x}" * 10 for number in range(1, 11)]
    for name, following in itertools.pairwise(names):
        client.set(f"airflow-dt:{{budgets}}:{name}", f"alias {following}")
    assert store.reserve(names[2], RATE, 60).key == names[9]
    with pytest.raises(StoreUnusableError, match="circle"):
        store.reserve(names[1], RATE, 60)
    with pytest.raises(StoreUnusableError, match="^the aliases of a budget lead in a circle$"):
        store.join(names[0], OTHER, RATE)


def test_a_semaphore_has_three_keys_of_one_node_and_forgets_a_waiter_that_leaves(
    client: Any, store: RedisStore
) -> None:
    semaphore = RedisSemaphore(store, KEY, 1)
    held, waiter = Permit(), Permit()
    assert semaphore.try_enter(held)
    assert not semaphore.try_enter(waiter)
    assert sorted(client.keys()) == [f"{NAME}:{part}".encode() for part in ("held", "order", "tried")]
    semaphore.leave(waiter)
    assert client.keys() == [f"{NAME}:held".encode()]
    semaphore.leave(held)
    assert client.keys() == []
