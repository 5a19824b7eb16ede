"""The machine's store: files of any content, killed and stopped processes, and folders that are not safe."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider.core.limits import address, fallback, machine
from airflow_provider.core.limits.machine import MachineStore
from airflow_provider.core.limits.plan import Rate, State
from airflow_provider.core.limits.store import Record, Store, StoreUnusableError, WouldBlockError
from tests.support.fake_clock import FakeClock

RATE = Rate.per_second(10)
KEY = "ab12" * 10
OTHER = "cd34" * 10


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of this process's stores, so that waits are exact."""
    now = time.monotonic_ns() // 1000
    monkeypatch.setattr(MachineStore, "now", lambda self: now)


@pytest.fixture
def store(tmp_path: Path, stopped_clock: None) -> MachineStore:
    return MachineStore(str(tmp_path / "budgets"))


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for the machine's own one, which only its owner may use."""
    monkeypatch.delenv(machine.FOLDER_VARIABLE)
    monkeypatch.setattr(machine, "default_folder", lambda: str(tmp_path / "own"))
    monkeypatch.setattr(address, "_stores", {})
    return tmp_path / "own"


def file_of(folder: Path) -> Path:
    (found,) = folder.glob("*.budget")
    return found


def waits(store: Store, count: int) -> list[float]:
    return [store.reserve(KEY, RATE, 60).wait for _ in range(count)]


def test_all_processes_of_a_machine_share_a_budget(tmp_path: Path, stopped_clock: None) -> None:
    stores = [MachineStore(str(tmp_path / "budgets")) for _ in range(3)]
    found = [stores[number % 3].reserve(KEY, RATE, 60).wait for number in range(30)]
    assert found == [0.0] * 10 + [1.05] * 10 + [2.1] * 10


def test_folder_and_files_are_the_owners_alone(own_folder: Path) -> None:
    waits(MachineStore(), 1)
    assert (own_folder.stat().st_mode & 0o777, file_of(own_folder).stat().st_mode & 0o777) == (0o700, 0o600)


def test_members_of_a_group_share_a_folder_that_is_the_groups(tmp_path: Path) -> None:
    folder = tmp_path / "group"
    folder.mkdir()
    folder.chmod(0o2770)
    waits(MachineStore(str(folder)), 1)
    assert file_of(folder).stat().st_mode & 0o777 == 0o660


def test_the_file_holds_no_identity_and_is_small(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 10)
    file = file_of(tmp_path / "budgets")
    assert file.name == f"{KEY}-{machine.boot_id()}.budget"
    assert file.stat().st_size < 300


# -- contents ---------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(min_size=1, max_size=300), st.just(b"adt2" + bytes(30))))
def test_random_bytes_count_as_a_full_window(store: MachineStore, tmp_path: Path, data: bytes) -> None:
    waits(store, 1)
    file = file_of(tmp_path / "budgets")
    file.write_bytes(data)
    reservation = store.reserve(KEY, RATE, 60)
    assert reservation.wait == 1.05
    assert store.paused_until(reservation) == 0
    assert store.reserve(KEY, RATE, 60).wait > 0.9
    file.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(store: MachineStore, tmp_path: Path, at: int, bit: int) -> None:
    waits(store, 3)
    file = file_of(tmp_path / "budgets")
    data = bytearray(file.read_bytes())
    body, *_ = machine._layout(bytes(data))
    read = [*range(machine._HEAD.size), *range(len(data))[body]]  # The rest was the place of older bodies.
    data[read[at % len(read)]] ^= 1 << bit
    file.write_bytes(data)
    found = store.reserve(KEY, RATE, 60)
    # Bytes that fill the head up to a word are not read, but are part of the checksum.
    assert found.wait > 0.9
    file.unlink()


def test_a_truncated_file_counts_as_a_full_window(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 3)
    file = file_of(tmp_path / "budgets")
    file.write_bytes(file.read_bytes()[:-1])
    assert store.reserve(KEY, RATE, 60).wait > 0.9


def test_a_pause_in_a_damaged_file_keeps_the_full_window(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 1)
    file_of(tmp_path / "budgets").write_bytes(b"junk")
    store.pause(KEY, RATE, 0)
    assert store.reserve(KEY, RATE, 60).wait > 0.9


def test_a_huge_file_is_not_read_whole_and_shrinks(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 1)
    file = file_of(tmp_path / "budgets")
    os.truncate(file, 1 << 40)
    assert store.reserve(KEY, RATE, 60).wait == 0.0  # What follows the checked part does not matter.
    assert file.stat().st_size < 10_000


def test_a_file_of_another_boot_does_not_count(
    store: MachineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(store, 10)
    monkeypatch.setattr(machine, "boot_id", lambda: "another")
    assert store.reserve(KEY, RATE, 60).wait == 0.0
    assert len(list((tmp_path / "budgets").iterdir())) == 2


def test_moments_of_another_boot_block_nothing_where_boots_have_no_id(store: MachineStore) -> None:
    with store.locked(KEY, True) as record:
        record.set(State([store.now() + 10**12] * 10, store.now() + 10**13))
    assert store.reserve(KEY, RATE, 600).wait == pytest.approx(300, abs=1)
    with store.locked(KEY, True) as record:
        record.set(State([store.now() + 10**12] * 10))
    assert 0.9 < store.reserve(KEY, RATE, 60).wait <= 1.05


def test_files_that_were_idle_for_a_day_are_removed(store: MachineStore, tmp_path: Path) -> None:
    folder = tmp_path / "budgets"
    waits(store, 1)
    idle = folder / f"{OTHER}-oldboot.budget"
    idle.write_bytes(b"x")
    foreign = folder / "notes.txt"
    foreign.write_bytes(b"x")
    for path in (idle, foreign):
        os.utime(path, (0, time.time() - 2 * 86400))
    MachineStore(str(folder)).reserve("ee56" * 10, RATE, 60)
    assert not idle.exists()
    assert foreign.exists()
    assert (folder / f"{KEY}-{machine.boot_id()}.budget").exists()


def test_a_file_that_is_swept_while_it_is_opened_is_made_again(
    store: MachineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(store, 1)
    lock, file = machine._lock, file_of(tmp_path / "budgets")

    def swept(opened: int, block: bool) -> None:
        monkeypatch.setattr(machine, "_lock", lock)
        file.unlink()
        lock(opened, block)

    monkeypatch.setattr(machine, "_lock", swept)
    waits(store, 9)
    assert file.exists()
    assert waits(store, 2)[1] > 0


def test_the_wait_for_a_lock_gets_longer_up_to_five_milliseconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()
    holder, waiter = (os.open(tmp_path / "lock", os.O_RDWR) for _ in range(2))
    fcntl.flock(holder, fcntl.LOCK_EX)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            fcntl.flock(holder, fcntl.LOCK_UN)

    monkeypatch.setattr(machine, "time", SimpleNamespace(monotonic=lambda: float(len(pauses)), sleep=sleep))
    monkeypatch.setattr(machine, "LONGEST_LOCK", 100)
    machine._lock(waiter, block=True)
    assert pauses == [50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 5e-3, 5e-3, 5e-3]
    with pytest.raises(BlockingIOError):
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(holder)
    os.close(waiter)


# -- aliases ----------------------------------------------------------------------------------------


def test_an_alias_is_stored_for_later_processes(tmp_path: Path) -> None:
    first, later = MachineStore(str(tmp_path / "b")), MachineStore(str(tmp_path / "b"))
    waits(first, 6)
    first.join(KEY, OTHER, RATE)
    found = later.reserve(KEY, RATE, 60)
    assert (found.key, found.wait) == (OTHER, 0.0)
    assert [later.reserve(OTHER, RATE, 60).wait > 0 for _ in range(4)] == [False] * 3 + [True]
    later.pause(KEY, RATE, 30)
    assert first.reserve(OTHER, RATE, 60).wait > 29


def test_a_second_join_and_a_circle_change_nothing(store: MachineStore) -> None:
    store.join(KEY, OTHER, RATE)
    store.join(KEY, OTHER, RATE)
    store.join(OTHER, KEY, RATE)
    assert store.reserve(OTHER, RATE, 60).key == store.reserve(KEY, RATE, 60).key == OTHER


def test_a_circle_of_aliases_in_damaged_files_is_an_unusable_store(store: MachineStore) -> None:
    for key, other in ((KEY, OTHER), (OTHER, KEY)):
        with store.locked(key, True) as record:
            record.set(State(), alias=other)
    with pytest.raises(StoreUnusableError, match="circle"):
        waits(store, 1)


# -- other processes ----------------------------------------------------------------------------------

HOLDER = """
import fcntl, os, sys, time
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""

TAKER = """
import sys
from airflow_provider.core.limits.machine import MachineStore
from airflow_provider.core.limits.plan import Rate
store = MachineStore(sys.argv[1])
print("ready", flush=True)
while True:
    store.reserve(sys.argv[2], Rate.per_second(1000), 60)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


@pytest.fixture
def holder(store: MachineStore, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that holds the lock of the budget."""
    waits(store, 1)
    process = start(HOLDER, str(file_of(tmp_path / "budgets")))
    yield process
    end(process)


def test_a_killed_holder_frees_its_lock(store: MachineStore, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert len(waits(store, 10)) == 10


def test_a_body_never_lies_where_the_last_one_is(tmp_path: Path) -> None:
    file, used, sizes = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR), slice(0, 0), []
    for count in (0, 1, 2, 0, 3, 50, 2, 60, 61, 1, 1, 500, 1, 1):
        slots = list(range(count))
        machine._write(file, os.fstat(file).st_size, used, Record(State(slots, 7)))
        sizes.append(os.fstat(file).st_size)
        read, body = machine._read(file, sizes[-1])
        assert (list(read.state.slots), read.state.paused_until) == (slots, 7)
        assert body.start >= used.stop or body.stop <= used.start
        used = body
    os.close(file)
    assert sizes[3] == sizes[2]  # a short file is not cut
    assert sizes[-1] < 1000 < max(sizes)


@pytest.mark.parametrize("pages", [0, 1])
def test_a_process_killed_between_two_pages_of_a_write_changes_nothing(
    store: MachineStore, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    """The kernel looks for signals after each page of 4096 bytes."""
    fast = Rate.per_second(100)
    for _ in range(700):
        store.reserve(KEY, fast, 60)
    with store.locked(KEY, True) as record:
        before = record.state
    pwrite = os.pwrite

    def write_some_pages(file: int, data: bytes, offset: int) -> int:
        pwrite(file, data[: pages * 4096], offset)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", write_some_pages)
    with pytest.raises(KeyboardInterrupt):
        store.reserve(KEY, fast, 60)
    monkeypatch.undo()
    with store.locked(KEY, True) as record:
        assert (record.is_damaged, record.state) == (False, before)
    assert store.reserve(KEY, fast, 60).taken


@pytest.mark.slow
def test_processes_killed_at_any_moment_damage_nothing(store: MachineStore, tmp_path: Path) -> None:
    for number in range(15):
        taker = start(TAKER, str(tmp_path / "budgets"), KEY)
        time.sleep(0.01 * (number % 5))
        os.kill(taker.pid, signal.SIGKILL)
        end(taker)
        with store.locked(KEY, True) as record:
            assert not record.is_damaged
            assert list(record.state.slots) == sorted(record.state.slots)


def test_a_stopped_holder_is_waited_for_a_second(
    store: MachineStore, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(StoreUnusableError, match="lock"):
        waits(store, 1)
    assert time.monotonic() - began >= 1
    os.kill(holder.pid, signal.SIGCONT)


def test_an_event_loop_does_not_wait_for_a_holder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MachineStore()
    assert store.reserve(KEY, RATE, 60, block=False).taken
    file = os.open(file_of(own_folder), os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    with pytest.raises(WouldBlockError):
        store.reserve(KEY, RATE, 60, block=False)
    os.close(file)
    assert store.reserve(KEY, RATE, 60, block=False).taken


def test_an_event_loop_does_not_touch_a_named_folder(store: MachineStore) -> None:
    """It may be on another machine."""
    with pytest.raises(WouldBlockError):
        store.reserve(KEY, RATE, 60, block=False)


def test_a_fork_inside_of_a_reservation_does_not_keep_the_lock(store: MachineStore) -> None:
    read, write = os.pipe()
    with store.locked(KEY, True):
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        assert len(waits(store, 1)) == 1
    finally:
        os.close(write)
        os.waitpid(child, 0)
        os.close(read)


# -- places that are not safe, and those that cannot be used --------------------------------------------


def hostile(kind: str, folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "link to a folder":
        folder.symlink_to(elsewhere)
    elif kind == "file":
        folder.write_bytes(b"")
    elif kind == "open folder":
        folder.mkdir()
        folder.chmod(0o750)
    elif kind == "foreign folder":
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
    else:
        folder.mkdir(mode=0o700)
        hostile_file(kind, folder / f"{KEY}-{machine.boot_id()}.budget", elsewhere / "target")


def hostile_file(kind: str, file: Path, target: Path) -> None:
    target.write_bytes(b"precious")
    target.chmod(0o600)
    if kind == "link to a file":
        file.symlink_to(target)
    elif kind == "second name of a file":
        file.hardlink_to(target)
    elif kind == "pipe":
        os.mkfifo(file, 0o600)
    elif kind == "folder in the file's place":
        file.mkdir()
    elif kind == "open file":
        file.write_bytes(b"")
        file.chmod(0o640)
    elif kind == "foreign file":
        file.write_bytes(b"")
        file.chmod(0o600)
        os.chown(file, 12345, 12345)


HOSTILE = [
    *("link to a folder", "file", "open folder", "foreign folder", "link to a file", "second name of a file"),
    *("pipe", "folder in the file's place", "open file", "foreign file"),
]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_place_is_refused_and_not_followed(
    kind: str, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if "foreign" in kind and os.geteuid():
        pytest.skip("only root can give a file away")
    hostile(kind, own_folder)
    store = address.open_store("")
    assert [store.reserve(KEY, RATE, 60).wait > 0 for _ in range(11)][-1]
    (warning,) = caplog.records
    assert (warning.levelname, "this process" in warning.getMessage()) == ("WARNING", True)
    target = own_folder.parent / "elsewhere" / "target"
    assert not target.exists() or target.read_bytes() == b"precious"
    assert list((own_folder.parent / "elsewhere").iterdir()) == ([target] if target.exists() else [])


def test_a_named_folder_that_all_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(StoreUnusableError, match="name a folder in it"):
        waits(MachineStore(str(folder)), 1)
    assert len(waits(MachineStore(str(folder / "budgets")), 1)) == 1


def test_a_refused_folder_or_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with pytest.raises(StoreUnusableError):
            waits(MachineStore(str(folder)), 1)
    folder.chmod(0o700)
    waits(MachineStore(str(folder)), 1)
    file_of(folder).chmod(0o666)
    for _ in range(50):
        with pytest.raises(StoreUnusableError):
            MachineStore(str(folder)).open_file(file_of(folder).name, create=False)
        with pytest.raises(StoreUnusableError):
            waits(MachineStore(str(folder)), 1)
    assert len(os.listdir("/proc/self/fd")) < before + 25


def test_a_file_of_the_same_name_in_the_present_folder_is_not_opened(
    store: MachineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(store, 1)
    theirs = tmp_path / "elsewhere" / file_of(tmp_path / "budgets").name
    theirs.parent.mkdir()
    theirs.write_bytes(b"precious")
    theirs.chmod(0o600)
    monkeypatch.chdir(theirs.parent)
    waits(store, 1)
    assert theirs.read_bytes() == b"precious"


def test_a_file_that_another_process_creates_meanwhile_is_shared(
    store: MachineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MachineStore(str(tmp_path / "budgets"))
    monkeypatch.setattr(store, "_sweep", lambda folder: waits(other, 10))
    assert waits(store, 1)[0] > 0


def test_a_boot_has_the_same_short_name_for_all_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("/proc/sys/kernel/random/boot_id")
    machine.boot_id.cache_clear()
    assert machine.boot_id() == (path.read_text().replace("-", "")[:12] if path.exists() else "boot")

    def refuse(*args: Any, **options: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(machine, "open", refuse, raising=False)
    machine.boot_id.cache_clear()
    assert machine.boot_id() == "boot"
    machine.boot_id.cache_clear()


def become_ordinary() -> None:
    if not os.geteuid():
        os.setuid(65534)


def in_child(prepare: Callable[[], None], folder: Path) -> str:
    """Return what a forked process logs that reserves in a folder, after it took something from itself."""
    read, write = os.pipe()
    if not (child := os.fork()):
        status = 1
        with contextlib.suppress(BaseException):
            prepare()
            logging.getLogger().handlers = [logging.StreamHandler(os.fdopen(write, "w"))]
            store = address.open_store(str(folder))
            found = [store.reserve(KEY, RATE, 60).wait for _ in range(11)]
            status = 0 if found[:10] == [0.0] * 10 and found[10] > 1 else 2
        os._exit(status)
    os.close(write)
    with os.fdopen(read) as output:
        text = output.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


@pytest.mark.parametrize(("room", "says"), [(0, "(OSError: File too large)"), (20, "(no space is left)")])
def test_a_full_disk_leaves_the_processs_own_budget(tmp_path: Path, room: int, says: str) -> None:
    """The kernel writes the part of a record for which there is room."""
    logged = in_child(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)), tmp_path / "full")
    assert logged.count("cannot be used") == 1
    assert f"cannot be used {says};" in logged


def test_a_record_of_which_a_part_is_written_is_an_unusable_store(
    store: MachineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A limit of the process would be one for its other threads, too.
    write = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda file, data, offset: write(file, data[:20], offset))
        with pytest.raises(StoreUnusableError, match="^no space is left$"):
            store.reserve(KEY, RATE, 60)
    assert waits(store, 10)[0] > 0, "a damaged record counts as a full window"


@pytest.mark.parametrize("kind", ["folder", "parent"])
def test_a_read_only_folder_leaves_the_processs_own_budget(kind: str) -> None:
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    folder = root / "read-only" / "budgets"
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    if kind == "parent":
        folder.rmdir()
        folder.parent.chmod(0o555)
    try:
        # Root may write everywhere, so there it becomes another user.
        logged = in_child(become_ordinary, folder)
    finally:
        folder.parent.chmod(0o755)
        shutil.rmtree(root)
    assert logged.count("cannot be used") == 1
    assert "PermissionError" in logged


def test_a_folder_that_vanishes_is_made_again(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 10)
    file_of(tmp_path / "budgets").unlink()
    (tmp_path / "budgets").rmdir()
    assert waits(store, 1) == [0.0]


def test_one_warning_until_the_store_can_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fallback, "RECHECK_SECONDS", 0.0)
    folder = tmp_path / "budgets"
    folder.write_bytes(b"in the way")
    store = address.open_store(str(folder))
    for _ in range(5):
        store.reserve(KEY, RATE, 60)
    folder.unlink()
    for _ in range(5):
        store.reserve(KEY, RATE, 60)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_an_unusable_store_is_tried_every_half_minute_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "budgets"
    folder.write_bytes(b"in the way")
    store = address.open_store(str(folder))
    store.reserve(KEY, RATE, 60)
    folder.unlink()
    store.reserve(KEY, RATE, 60)
    assert not folder.exists()
    monkeypatch.setattr(store._fallback, "_unusable_until", 0.0)
    store.reserve(KEY, RATE, 60)
    assert folder.exists()


def test_a_store_is_in_use_again_from_the_moment_on_at_which_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, folder = FakeClock(), tmp_path / "budgets"
    monkeypatch.setattr(fallback, "time", SimpleNamespace(monotonic=clock))
    folder.write_bytes(b"in the way")
    store = address.open_store(str(folder))
    assert store.place == f"this machine ({folder})"
    store.reserve(KEY, RATE, 60)
    assert store.place == "this process"
    folder.unlink()
    clock.now += fallback.RECHECK_SECONDS - 0.001
    store.reserve(KEY, RATE, 60)
    assert (store.place, folder.exists()) == ("this process", False)
    clock.now += 0.001
    assert store.place == f"this machine ({folder})"
    store.reserve(KEY, RATE, 60)
    assert folder.exists()


def test_opening_without_a_lock_refuses_what_is_not_safe(store: MachineStore, tmp_path: Path) -> None:
    folder = tmp_path / "budgets"
    os.close(store.open_file("a.token", create=True))
    with pytest.raises(FileNotFoundError):
        store.open_file("b.token", create=False)
    os.link(folder / "a.token", folder / "c.token")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StoreUnusableError, match="a file in it is a link or no regular file"):
        store.open_file("a.token", create=False)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_is_only_read_counts_as_used_once_an_hour(store: MachineStore, tmp_path: Path) -> None:
    path = tmp_path / "budgets" / "a.token"
    os.close(store.open_file("a.token", create=True))
    for age, used in ((3500, False), (3700, True)):
        then = time.time() - age
        os.utime(path, (then, then))
        os.close(store.open_file("a.token", create=False))
        assert (time.time() - path.stat().st_mtime < 1000) is used


def test_a_budget_that_is_used_counts_as_used_once_an_hour(store: MachineStore, tmp_path: Path) -> None:
    waits(store, 1)
    path = file_of(tmp_path / "budgets")
    for age, used in ((3500, False), (3700, True)):
        then = time.time() - age
        os.utime(path, (then, then))
        with store.locked(KEY, True) as record:
            assert record.state.slots
        assert (time.time() - path.stat().st_mtime < 1000) is used


def test_a_file_is_cut_where_it_is_more_than_three_times_as_long_as_its_record(tmp_path: Path) -> None:
    file, used = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR), slice(0, 0)
    sizes = []
    for count in (100, 90, 50, 1000, 400, 1):
        machine._write(file, os.fstat(file).st_size, used, Record(State(list(range(count)), 7)))
        _, used = machine._read(file, os.fstat(file).st_size)
        sizes.append((os.fstat(file).st_size, used.stop))
    os.close(file)
    (_, (second, _), (third, end), _, (fifth, _), (last, least)) = sizes
    assert end < second == third < 3 * end + 512
    assert fifth > 3 * least + 512
    assert last == least


def test_a_record_may_have_the_largest_size_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_LARGEST", machine._HEAD.size + 8 * 4)
    file = os.open(tmp_path / "budget", os.O_CREAT | os.O_RDWR)
    machine._write(file, 0, slice(0, 0), Record(State([1, 2, 3, 4], 0)))
    assert list(machine._read(file, 1000)[0].state.slots) == [1, 2, 3, 4]
    with pytest.raises(StoreUnusableError, match="^too many requests wait$"):
        machine._write(file, 0, slice(0, 0), Record(State([1, 2, 3, 4, 5], 0)))
    os.close(file)


@pytest.mark.parametrize("call", ["pread", "pwrite"])
def test_a_disk_that_fails_is_an_unusable_store_and_leaves_no_descriptor_open(
    store: MachineStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*args: Any) -> Any:
        raise OSError(errno.EIO, "secret path")

    waits(store, 1)
    opened: list[int] = []
    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", lambda file: opened.append(file) or fstat(file))
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(StoreUnusableError, match="^OSError: Input/output error$"):
            waits(store, 1)
    for file in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            fstat(file)
    assert len(waits(store, 1)) == 1


def test_an_idle_file_that_a_process_holds_is_not_removed(store: MachineStore, tmp_path: Path) -> None:
    file, size = store.open_locked("a.permit", block=False)
    assert size == 0
    held, idle = tmp_path / "budgets" / "a.permit", tmp_path / "budgets" / "b.permit"
    idle.touch(0o600)
    (tmp_path / "budgets" / "other").touch(0o600)
    then = time.time() - machine.IDLE - 10
    for path in (tmp_path / "budgets").iterdir():
        os.utime(path, (then, then))
    store._swept_at = float("-inf")
    os.close(store.open_file("c.permit", create=True))
    assert held.exists()
    assert not idle.exists()
    assert (tmp_path / "budgets" / "other").exists()
    os.close(file)


def test_a_pipe_in_the_place_of_the_folder_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "budgets")
    with pytest.raises(StoreUnusableError, match="^NotADirectoryError"):
        MachineStore(str(tmp_path / "budgets")).reserve(KEY, RATE, 60)
