"""Semaphores in all three stores: the limit holds, every waiter gets its turn, and each bad day by name."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.limits import redis_semaphore
from airflow_provider.core.limits.address import open_semaphore
from airflow_provider.core.limits.machine import FOLDER_VARIABLE
from airflow_provider.core.limits.plan import SECOND
from airflow_provider.core.limits.redis_semaphore import RedisSemaphore
from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.limits.semaphore import Permit, ProcessSemaphore, Semaphore
from dev.redis_server import RedisServer, running
from tests.support.wait import until

pytestmark = pytest.mark.slow

KEY = "ab12" * 10

SHARED = ["machine", "folder", "redis"]


def address_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "redis":
        import redis

        server = request.getfixturevalue("running_redis")
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        return str(server.url)
    return {"process": "process", "machine": "", "folder": str(tmp_path / "permits")}[kind]


@pytest.fixture(params=["process", *SHARED])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return address_of(request.param, request, tmp_path)


@pytest.fixture(params=SHARED)
def shared_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return address_of(request.param, request, tmp_path)


def take(semaphore: Semaphore, count: int) -> list[Permit]:
    permits = [Permit() for _ in range(count)]
    assert [semaphore.try_enter(permit) for permit in permits] == [True] * count
    return permits


def test_at_most_the_limit_is_held_at_once(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 3)
    first, *_ = take(semaphore, 3)
    late = Permit()
    assert not semaphore.try_enter(late)
    semaphore.leave(first)
    assert semaphore.try_enter(late)


def test_connections_are_counted_apart(address: str) -> None:
    take(open_semaphore(address, KEY, 1), 1)
    take(open_semaphore(address, "cd34" * 10, 1), 1)


def test_who_gives_a_place_back_does_not_get_it_before_a_waiter(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 1)
    (held,) = take(semaphore, 1)
    waiter = Permit()
    assert not semaphore.try_enter(waiter)
    semaphore.leave(held)
    again = Permit()
    assert not semaphore.try_enter(again)
    assert semaphore.try_enter(waiter)
    semaphore.leave(waiter)
    assert semaphore.try_enter(again)


def test_a_waiter_that_gives_up_keeps_nobody_waiting(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 1)
    (held,) = take(semaphore, 1)
    waiter = Permit()
    assert not semaphore.try_enter(waiter)
    semaphore.leave(waiter)
    semaphore.leave(held)
    take(semaphore, 1)


def test_a_waiter_that_was_stopped_keeps_nobody_waiting_for_long(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 1)
    (held,) = take(semaphore, 1)
    assert not semaphore.try_enter(Permit())  # It never tries again.
    semaphore.leave(held)
    later = Permit()
    until(lambda: semaphore.try_enter(later), seconds=10)


def test_giving_back_twice_frees_one_place(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 2)
    first, _ = take(semaphore, 2)
    semaphore.leave(first)
    semaphore.leave(first)
    take(semaphore, 1)
    assert not semaphore.try_enter(Permit())


def test_threads_never_hold_more_than_the_limit_and_all_get_their_turn(address: str) -> None:
    semaphore = open_semaphore(address, KEY, 2)
    lock, held, most, done = threading.Lock(), 0, 0, 0

    def work() -> None:
        nonlocal held, most, done
        for _ in range(10):
            permit = Permit()
            while not semaphore.try_enter(permit):
                time.sleep(0.001)
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= 1
                done += 1
            semaphore.leave(permit)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (2, 60)


# -- processes that end, or stop --------------------------------------------------------------------

HOLDER = """
import sys, time
from airflow_provider.core.limits.address import open_semaphore
from airflow_provider.core.limits.semaphore import Permit
permit = Permit()
assert open_semaphore(sys.argv[1], sys.argv[2], 1).try_enter(permit)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(shared_address: str) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that holds the only place."""
    command = [sys.executable, "-c", HOLDER, shared_address, KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield process
        process.kill()


def test_another_process_holds_a_place(shared_address: str, holder: subprocess.Popen[str]) -> None:
    assert not open_semaphore(shared_address, KEY, 1).try_enter(Permit())


def test_a_killed_process_gives_its_place_back(
    shared_address: str, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    semaphore, permit = open_semaphore(shared_address, KEY, 1), Permit()
    until(lambda: semaphore.try_enter(permit), seconds=redis_semaphore.LEASE + 10)


@pytest.mark.parametrize("kind", ["process", "redis"])
def test_a_fork_has_none_of_the_places_that_its_parent_holds(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = address_of(kind, request, tmp_path)
    in_redis = kind == "redis"
    semaphore = RedisSemaphore(RedisStore(address), KEY, 2) if in_redis else ProcessSemaphore(2)
    held = take(semaphore, 2)
    if not (child := os.fork()):
        os._exit(len(semaphore._held))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {permit.id for permit in held} == semaphore._held
    for permit in held:
        semaphore.leave(permit)


def test_a_fork_does_not_keep_a_place(shared_address: str) -> None:
    semaphore = open_semaphore(shared_address, KEY, 1)
    (held,) = take(semaphore, 1)
    ready, go = os.pipe(), os.pipe()
    if not (child := os.fork()):
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    semaphore.leave(held)
    taken = semaphore.try_enter(Permit())
    os.write(go[1], b"x")
    os.waitpid(child, 0)
    for file in (*ready, *go):
        os.close(file)
    assert taken


def test_a_lease_in_redis_is_renewed_while_its_request_lasts(
    running_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import redis

    monkeypatch.setattr(redis_semaphore, "_RENEWAL", 0.01)
    semaphore = open_semaphore(running_redis.url, KEY, 1)
    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
        seconds, microseconds = client.time()
        whole_lease = seconds * SECOND + microseconds + redis_semaphore.LEASE * SECOND
        (held,) = take(semaphore, 1)
        name = f"airflow-dt:{{budgets}}:{KEY}:held"
        ends = {client.zscore(name, held.id)}

        def renewed() -> bool:
            ends.add(client.zscore(name, held.id))
            return len(ends) > 2

        until(renewed)
        assert min(ends) >= whole_lease
        semaphore.leave(held)
        assert not client.exists(name)


def test_leases_are_renewed_after_a_while_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_semaphore, "_RENEWAL", 2.0)
    store: Any = SimpleNamespace(run=lambda *_: None, place="here")
    semaphore = redis_semaphore.RedisSemaphore(store, "key", 1)
    semaphore._hold("permit")
    waiting = semaphore._renewer
    assert waiting
    semaphore.leave(Permit("permit"))
    waiting.join(0.05)
    assert waiting.is_alive()  # it finds no lease when its time has come


def test_a_lost_lease_is_not_taken_again_by_renewal(
    running_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped for long wakes: another one holds its place by now."""
    import redis

    monkeypatch.setattr(redis_semaphore, "_RENEWAL", 0.01)
    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
        first, second = (open_semaphore(running_redis.url, KEY, 1) for _ in range(2))
        (stopped,) = take(first, 1)
        client.zrem(f"airflow-dt:{{budgets}}:{KEY}:held", stopped.id)
        take(second, 1)
        renewed = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        until(lambda: client.info("commandstats")["cmdstat_evalsha"]["calls"] > renewed + 4)
        assert client.zcard(f"airflow-dt:{{budgets}}:{KEY}:held") == 1


# -- stores that cannot be used ---------------------------------------------------------------------


def test_a_clock_of_redis_that_is_set_back_keeps_no_place_and_no_turn(running_redis: RedisServer) -> None:
    """As after a failover to another machine; a holder and a waiter were killed before."""
    now = 10_000 * SECOND
    store = RedisStore(running_redis.url, lambda: now)
    semaphore = redis_semaphore.RedisSemaphore(store, "set back", 1)
    killed, waiting, next_one = Permit("killed"), Permit("waiting"), Permit("next")
    assert semaphore.try_enter(killed)
    assert not semaphore.try_enter(waiting)
    now -= 3600 * SECOND
    assert semaphore.try_enter(next_one)


def test_a_stopped_redis_leaves_the_machines_permits(
    redis_program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with running(tmp_path) as server:
        semaphore = open_semaphore(server.url, KEY, 1)
        (held,) = take(semaphore, 1)
    semaphore.leave(held)
    take(semaphore, 1)
    assert not semaphore.try_enter(Permit())
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith(f"the request permits in Redis at 127.0.0.1:{server.port} cannot be used (Conn")
    assert "the permits of this machine" in line


def test_a_folder_that_cannot_be_used_leaves_the_processs_own_permits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    semaphore = open_semaphore("", KEY, 2)
    first, _ = take(semaphore, 2)
    assert not semaphore.try_enter(Permit())
    semaphore.leave(first)
    assert "the request permits in this machine" in caplog.text
    assert "NotADirectoryError" in caplog.text


def test_a_permit_that_moves_to_another_store_waits_in_one_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is lost while a task waits in its queue."""
    folder = tmp_path / "permits"
    semaphore = open_semaphore(str(folder), KEY, 1)
    take(semaphore, 1)
    waiter = Permit()
    assert not semaphore.try_enter(waiter)
    assert waiter.files
    folder.chmod(0o777)
    assert semaphore.try_enter(waiter)
    assert not waiter.files


def test_no_file_and_no_key_holds_what_names_a_connection(shared_address: str, tmp_path: Path) -> None:
    from airflow_provider.core.http.concurrency import shared_concurrency

    with shared_concurrency(shared_address, 1, "crm_prod", "https://host.example", "me", "s3cr+t").entered(
        time.sleep, lambda: 60.0, lambda: "GET x"
    ):
        folders = [Path(os.environ[FOLDER_VARIABLE]), tmp_path / "permits"]
        names = [file.name for folder in folders if folder.exists() for file in folder.iterdir()]
        assert all(name.endswith(".permit") for name in names)
        if "://" in shared_address:
            import redis

            with redis.Redis.from_url(shared_address) as client:
                names = [name.decode() for name in client.keys("*")]
    assert names
    assert not any(part in name for name in names for part in ("crm", "host", "s3cr", "me:"))
