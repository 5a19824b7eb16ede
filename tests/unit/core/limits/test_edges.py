"""The edges of budgets and permits: exact bounds, what is left open or behind, and what is read only."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.limits import address, machine, redis_semaphore, redis_store
from airflow_provider.core.limits.fallback import FallbackStore
from airflow_provider.core.limits.machine import MachineStore
from airflow_provider.core.limits.machine_semaphore import MachineSemaphore
from airflow_provider.core.limits.plan import LONGEST_PAUSE, SECOND, Rate, State, pause_length, plan
from airflow_provider.core.limits.process import ProcessStore
from airflow_provider.core.limits.redis_semaphore import RedisSemaphore
from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.limits.semaphore import Permit, ProcessSemaphore
from airflow_provider.core.limits.store import LocalStore, Record, StoreUnusableError
from dev.redis_server import RedisServer
from tests.support.fake_clock import FakeClock, set_in_module
from tests.support.wait import until

pytestmark = pytest.mark.slow  # nothing of it depends on versions

RATE = Rate.per_second(10)
KEY, OTHER = "ab12" * 10, "cd34" * 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "budgets"


@pytest.fixture
def store(folder: Path) -> MachineStore:
    return MachineStore(str(folder))


def open_files(folder: Path) -> list[str]:
    """Return the open files of a folder; other threads of the process have files of their own."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [path for path in found if path.startswith(str(folder))]


# -- planning -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "length"),
    [(-3, 0), (0, 0), (1e-7, 1), (0.25, 250_000), (300, LONGEST_PAUSE), (300.001, LONGEST_PAUSE)],
)
def test_a_pause_has_whole_microseconds_and_no_more_than_five_minutes(seconds: float, length: int) -> None:
    assert pause_length(seconds) == length


def test_a_rate_of_one_request_keeps_the_last_reservation_only() -> None:
    now = 1000 * SECOND
    state = plan(State([now - 50 * SECOND]), now, Rate(1, 60 * SECOND)).state
    assert list(state.slots) == [now + 10 * SECOND]


# -- the machine's files ------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [MachineStore, ProcessStore])
def test_the_clock_counts_whole_microseconds(made: Any) -> None:
    before = time.monotonic_ns()
    now = made().now()
    assert isinstance(now, int)
    assert before // 1000 <= now <= time.monotonic_ns() // 1000


def test_files_of_a_folder_without_a_group_are_the_owners_alone(store: MachineStore, folder: Path) -> None:
    store.reserve(KEY, RATE, 60)
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_reading_writes_nothing(store: MachineStore, folder: Path) -> None:
    reservation = store.reserve(KEY, None, 60)
    assert store.paused_until(reservation) == 0
    (file,) = folder.iterdir()
    assert file.stat().st_size == 0
    file.write_bytes(b"damaged")
    assert store.paused_until(reservation) == 0
    assert file.read_bytes() == b"damaged"
    assert not Record().is_changed


@pytest.mark.parametrize(
    ("named", "kind", "says"),
    [
        (True, "folder", "into the folder or read it; name a folder in it"),
        (True, "file", "into the file or read it"),
        (False, "folder", "into the folder or read it"),
        (False, "file", "into the file or read it"),
    ],
)
def test_what_others_may_write_to_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, named: bool, kind: str, says: str
) -> None:
    monkeypatch.delenv(machine.FOLDER_VARIABLE)
    monkeypatch.setattr(machine, "default_folder", lambda: str(folder))
    store = MachineStore(str(folder) if named else "")
    os.close(store.open_file("a.token", create=True))
    (folder if kind == "folder" else folder / "a.token").chmod(0o707)
    for opened in (
        lambda: store.open_file("a.token", create=False),
        lambda: store.open_locked("a.token", block=False),
    ):
        with pytest.raises(StoreUnusableError, match=f"^other users may write {says}$"):
            opened()


def test_others_may_list_a_named_folder_and_read_nothing_of_the_own_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    assert MachineStore(str(folder)).reserve(KEY, RATE, 60).taken
    monkeypatch.delenv(machine.FOLDER_VARIABLE)
    monkeypatch.setattr(machine, "default_folder", lambda: str(folder))
    for mode in (0o701, 0o710, 0o704, 0o740):
        folder.chmod(mode)
        with pytest.raises(StoreUnusableError, match="^other users may"):
            MachineStore().reserve(KEY, RATE, 60)


def test_idle_files_are_looked_for_once_an_hour(
    store: MachineStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    set_in_module(monkeypatch, machine, "time", monotonic=clock)
    os.close(store.open_file("a.token", create=True))
    idle = folder / "b.token"
    for number, (seconds, stays) in enumerate([(0, True), (3599, True), (1, False), (3599, True)]):
        idle.touch(0o600)
        os.utime(idle, (0, time.time() - machine.IDLE - 10))
        clock.now += seconds
        os.close(store.open_file(f"c{number}.token", create=True))
        assert idle.exists() is stays


def test_a_file_that_is_used_while_it_is_swept_stays(
    store: MachineStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = machine._lock
    os.close(store.open_file("a.token", create=True))
    for name in ("a.token", "b.token"):
        (folder / name).touch(0o600)
        os.utime(folder / name, (0, time.time() - machine.IDLE - 10))

    def used_meanwhile(file: int, block: bool) -> None:
        lock(file, block)
        if os.path.samestat(os.fstat(file), (folder / "a.token").stat()):
            os.utime(file)

    monkeypatch.setattr(machine, "_lock", used_meanwhile)
    store._swept_at = float("-inf")
    os.close(store.open_file("c.token", create=True))
    assert sorted(path.name for path in folder.iterdir()) == ["a.token", "c.token"]
    assert open_files(folder) == []


def test_a_file_that_is_swept_while_it_is_opened_is_closed(
    store: MachineStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = machine._lock
    os.close(store.open_locked("a.permit", block=False)[0])

    def swept(file: int, block: bool) -> None:
        monkeypatch.setattr(machine, "_lock", lock)
        (folder / "a.permit").unlink()
        lock(file, block)

    monkeypatch.setattr(machine, "_lock", swept)
    file, _ = store.open_locked("a.permit", block=False)
    os.close(file)
    assert (folder / "a.permit").exists()
    assert open_files(folder) == []


def test_a_lock_is_waited_for_until_the_bound_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()
    holder, waiter = (os.open(tmp_path / "lock", os.O_RDWR) for _ in range(2))
    machine._lock(holder, block=False)
    pauses: list[float] = []
    monkeypatch.setattr(
        machine, "time", SimpleNamespace(monotonic=lambda: float(len(pauses)), sleep=pauses.append)
    )
    monkeypatch.setattr(machine, "LONGEST_LOCK", 3)
    with pytest.raises(StoreUnusableError, match="^a process has held its lock for more than 3 s$"):
        machine._lock(waiter, block=True)
    assert len(pauses) == 4
    os.close(holder)
    os.close(waiter)


def test_an_error_without_a_number_has_a_text_all_the_same() -> None:
    assert str(machine.unusable(OSError("path"))) == f"OSError: {os.strerror(0)}"


def test_a_body_takes_the_place_before_the_last_one_where_it_just_fits(tmp_path: Path) -> None:
    file, used, size = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR), slice(0, 0), machine._HEAD.size
    starts = []
    for count in (4, 1, 4, 1, 5):
        machine._write(file, os.fstat(file).st_size, used, Record(State(list(range(count)), 7)))
        _, used = machine._read(file, os.fstat(file).st_size)
        starts.append(used.start)
    os.close(file)
    assert starts == [size, size + 32, size, size + 32, size + 40]


@pytest.mark.parametrize(("more", "is_cut"), [(0, False), (1, True)])
def test_a_file_is_cut_from_the_exact_size_on(tmp_path: Path, more: int, is_cut: bool) -> None:
    file = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR)
    end = machine._HEAD.size + 8
    size = 3 * end + 512 + more
    os.truncate(file, size)
    machine._write(file, size, slice(0, 0), Record(State([1], 7)))
    assert os.fstat(file).st_size == (end if is_cut else size)
    os.close(file)


def test_a_record_of_another_kind_or_magic_is_damaged(tmp_path: Path) -> None:
    file = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR)
    machine._write(file, 0, slice(0, 0), Record(State([1, 2], 7)))
    data = os.pread(file, 1000, 0)
    os.pwrite(file, b"adt1", 0)
    assert machine._read(file, 1000)[0].is_damaged
    os.pwrite(file, data, 0)
    assert not machine._read(file, 1000)[0].is_damaged
    os.close(file)


@pytest.mark.parametrize(("is_folder", "usable"), [(True, True), (True, False), (False, True)])
def test_the_machines_folder_is_in_memory_where_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool, usable: bool
) -> None:
    asked: list[tuple[str, int]] = []
    memory = str(tmp_path) if is_folder else str(tmp_path / "missing")
    monkeypatch.setattr(machine, "_IN_MEMORY", memory)

    def access(path: str, mode: int) -> bool:
        asked.append((path, mode))
        return usable

    monkeypatch.setattr(os, "access", access)
    root = memory if is_folder and usable else tempfile.gettempdir()
    assert machine.default_folder() == f"{root}/airflow-dt-{os.geteuid()}"
    assert asked == [(memory, os.W_OK | os.X_OK)] * is_folder


# -- fallbacks and addresses --------------------------------------------------------------------------


class Failing(ProcessStore):
    def locked(self, key: str, block: bool) -> Any:
        raise StoreUnusableError("gone")


def test_a_store_that_fails_when_it_is_asked_about_a_pause_is_given_up() -> None:
    first, second = Failing(), ProcessStore()
    store = FallbackStore(first, second)
    reservation = second.reserve(KEY, RATE, 60)
    assert store.paused_until(reservation._replace(store=first)) == 0
    assert store._fallback.current is second


def test_a_store_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_stores", {})
    found = address.open_store("/srv/budgets")
    monkeypatch.setattr(address, "_new_store", lambda _: pytest.fail("made again"))
    assert address.open_store("/srv/budgets") is found


@pytest.mark.parametrize("no", ["none", "null", " NULL ", "None"])
def test_words_for_nothing_switch_tls_off(no: str) -> None:
    connection: Any = SimpleNamespace(
        conn_id="c",
        conn_type="redis",
        host="h",
        port=None,
        login=None,
        password=None,
        extra=f'{{"ssl": "{no}", "db": ""}}',
    )
    assert address.address_of(connection) == "redis://h:6379/0"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (" process ", "process"),
        ("/srv//budgets/../b/", "/srv/b"),
        (" redis://h ", "redis://h"),
        ("a.b-c", "a.b-c"),
    ],
)
def test_an_address_has_one_form(given: str, found: str) -> None:
    assert address.read_address(given) == found


@pytest.mark.parametrize(
    "given",
    [
        "bücher",
        "a b",
        5,
        None,
        "redis://h:99999",
        "unix://host",
        "redis://h/abc",
        "redis://h/1/2",
        "rediss://h/-1",
    ],
)
def test_what_is_no_address_is_refused_without_the_value(given: Any) -> None:
    with pytest.raises(ValueError, match="^'process', the absolute path") as caught:
        address.read_address(given)
    assert str(given) not in str(caught.value)


# -- permits of a process and of a machine ------------------------------------------------------------


def test_an_id_of_a_permit_is_random_and_has_64_bits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", Permit().id)
    assert Permit().id != Permit().id


def test_a_waiter_that_keeps_asking_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    set_in_module(monkeypatch, "airflow_provider.core.limits.semaphore", "time", monotonic=clock)
    semaphore, held, first, second = ProcessSemaphore(1), Permit(), Permit(), Permit()
    assert semaphore.try_enter(held)
    for _ in range(4):
        assert not semaphore.try_enter(first)
        clock.now += 0.9
    semaphore.leave(held)
    assert not semaphore.try_enter(second)
    assert semaphore.try_enter(first)


def test_files_of_a_permit_that_is_given_back_are_closed(folder: Path) -> None:
    semaphore, permit = MachineSemaphore(MachineStore(str(folder)), KEY, 1), Permit()
    assert semaphore.try_enter(permit)
    (file,) = permit.files.values()
    semaphore.leave(permit)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_an_unreachable_redis_leaves_the_permits_of_the_machines_folder(budget_folder: Path) -> None:
    semaphore, permit = address.open_semaphore("redis://127.0.0.1:1/0", KEY, 1), Permit()
    assert semaphore.try_enter(permit)
    assert sorted(path.name.split("-")[1] for path in budget_folder.iterdir()) == ["0", "queue"]
    semaphore.leave(permit)


def test_a_fork_replaces_the_lock_of_a_processs_budgets() -> None:
    store = ProcessStore()
    lock = store._lock
    store._after_fork()
    assert store._lock is not lock
    assert store.reserve("a", RATE, 60).taken


# -- leases of a process ------------------------------------------------------------------------------


def test_leases_are_renewed_as_long_as_one_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_semaphore, "_RENEWAL", 0.001)
    renewed: list[tuple[Any, ...]] = []

    def run(script: str, keys: Any, values: tuple[Any, ...]) -> Any:
        if script == redis_semaphore._RENEW:
            renewed.append((*keys, *values))
        return [1]

    semaphore = RedisSemaphore(SimpleNamespace(run=run, place="here"), "key", 2)  # type: ignore[arg-type]
    for _ in range(2):  # a process that held none for a while starts another thread
        permits = [Permit("a"), Permit("b")]
        assert all(semaphore.try_enter(permit) for permit in permits)
        thread = semaphore._renewer
        assert thread
        assert thread.daemon, "a process that ends does not wait for it"
        until(lambda: ("key:held", "a", "b") in renewed, pause=0.001)
        for permit in permits:
            semaphore.leave(permit)
        thread.join(10)
        assert not thread.is_alive()
        assert semaphore._renewer is None
        renewed.clear()


# -- Redis --------------------------------------------------------------------------------------------


@pytest.fixture
def client(running_redis: RedisServer) -> Iterator[Any]:
    import redis

    with redis.Redis.from_url(running_redis.url) as client:
        client.flushall()
        yield client


def test_the_place_of_a_redis_names_no_secret() -> None:
    urls = ("redis://:word@host", "rediss://host:6380/2", "unix://:word@/run/redis.sock?db=1")
    assert [RedisStore(url).place for url in urls] == [
        *("Redis at host:6379", "Redis at host:6380", "Redis at /run/redis.sock")
    ]


def test_a_damaged_budget_without_a_rate_is_empty(client: Any, running_redis: RedisServer) -> None:
    store = RedisStore(running_redis.url)
    one = Rate(1, 30 * SECOND)
    names = [f"airflow-dt:{{budgets}}:{key}" for key in (KEY, OTHER)]
    client.set(names[0], "damaged")
    store.pause(KEY, None, 0)
    assert store.reserve(KEY, one, 60).wait == 0
    client.set(names[0], "damaged")
    client.delete(names[1])
    store.join(KEY, OTHER, None)
    assert store.reserve(OTHER, one, 60).wait == 0
    client.set(names[1], "damaged")
    assert store.reserve(KEY, None, 60).wait == 0


def test_a_join_that_was_made_before_changes_nothing(client: Any, running_redis: RedisServer) -> None:
    store = RedisStore(running_redis.url)
    store.reserve(OTHER, RATE, 60)
    store.join(KEY, OTHER, RATE)
    names = [f"airflow-dt:{{budgets}}:{key}" for key in (KEY, OTHER)]
    before = client.mget(names)
    assert before[0] == f"alias {OTHER}".encode()
    for pair in ((KEY, OTHER), (OTHER, KEY), (KEY, KEY)):
        store.join(*pair, RATE)
        assert client.mget(names) == before


def test_a_url_may_decode_what_redis_returns(client: Any, running_redis: RedisServer) -> None:
    store = RedisStore(f"{running_redis.url}?decode_responses=true")
    store.join(KEY, OTHER, RATE)
    assert store.reserve(KEY, RATE, 60).key == OTHER


def test_an_error_of_redis_is_cut(running_redis: RedisServer) -> None:
    import redis

    def fail() -> Any:
        raise redis.RedisError("x" * 500)

    with pytest.raises(StoreUnusableError) as caught:
        RedisStore(running_redis.url).use(fail)
    assert str(caught.value) == f"RedisError: {'x' * 187}…"


def test_a_fork_has_a_client_of_its_own(running_redis: RedisServer) -> None:
    store = RedisStore(running_redis.url)
    mine = store.open_client()
    if not (child := os.fork()):
        os._exit(0 if store.open_client() is not mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.open_client() is mine


@pytest.mark.parametrize(("answers", "connections"), [(True, 2), (False, 1)])
def test_a_redis_that_ends_connections_is_asked_once_more_and_a_hung_one_is_not(
    monkeypatch: pytest.MonkeyPatch, answers: bool, connections: int
) -> None:
    monkeypatch.setattr(redis_store, "TIMEOUT", 30 if answers else 0.05)
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                if connection.recv(4) == b"stop":
                    break
                opened.append(connection)
                if answers:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = server.getsockname()
        with pytest.raises(StoreUnusableError, match="^(Connection|Timeout)Error: "):
            RedisStore(f"redis://{host}:{port}").reserve(KEY, RATE, 60)
        with socket.create_connection((host, port)) as last:
            last.sendall(b"stop")
            thread.join(10)
    assert len(opened) == connections
    for one in opened:
        one.close()


@pytest.mark.parametrize(("back", "is_free"), [(15 * SECOND, False), (15 * SECOND + 1, True)])
def test_a_lease_that_ends_in_more_than_two_leases_is_that_of_another_clock(
    client: Any, running_redis: RedisServer, back: int, is_free: bool
) -> None:
    now = 10_000 * SECOND
    semaphore = RedisSemaphore(RedisStore(running_redis.url, lambda: now), "set back a bit", 1)
    assert semaphore.try_enter(Permit("killed"))
    now -= back
    assert semaphore.try_enter(Permit("next")) is is_free


@pytest.mark.parametrize(("later", "is_free"), [(SECOND - 1, False), (SECOND, True)])
def test_a_waiter_counts_in_redis_until_it_has_not_asked_for_a_second(
    client: Any, running_redis: RedisServer, later: int, is_free: bool
) -> None:
    now = 10_000 * SECOND
    semaphore = RedisSemaphore(RedisStore(running_redis.url, lambda: now), "waiters", 1)
    held = Permit("held")
    assert semaphore.try_enter(held)
    assert not semaphore.try_enter(Permit("waiter"))
    semaphore.leave(held)
    now += later
    assert semaphore.try_enter(Permit("next")) is is_free


@pytest.mark.parametrize(("later", "is_free"), [(15 * SECOND - 1, False), (15 * SECOND, True)])
def test_a_lease_ends_after_fifteen_seconds(
    client: Any, running_redis: RedisServer, later: int, is_free: bool
) -> None:
    now = 10_000 * SECOND
    semaphore = RedisSemaphore(RedisStore(running_redis.url, lambda: now), "leases", 1)
    assert semaphore.try_enter(Permit("killed"))
    now += later
    assert semaphore.try_enter(Permit("next")) is is_free


def test_a_local_store_may_wait_for_a_minute_and_no_longer() -> None:
    store: LocalStore = ProcessStore()
    slow = Rate(1, 61 * SECOND)
    assert store.reserve("minute", slow, 1e9).taken
    refused = store.reserve("minute", slow, 1e9)
    assert (refused.taken, round(refused.wait)) == (False, 61)
