"""A process that continues after a pause does nothing until Airflow has had the time to end it."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider.core.state import pauses
from airflow_provider.core.state.pauses import Pauses, TaskPauses
from tests.support.fake_clock import FakeClock, set_in_module
from tests.support.wait import until

PAUSE = "this task did not run for"
FILE = """
import logging, sys
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.state import pauses

logging.basicConfig()
pauses.LONG_TASK_SECONDS, pauses.REST_SECONDS = 1.0, float(sys.argv[2])
with AtomicFile(sys.argv[1]) as file:
    file.write(b"of the paused attempt")
    print("written", flush=True)
    sys.stdin.readline()
print("finished", flush=True)
"""


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read the output of a process until a line has a text."""
    assert process.stdout
    assert any(text in line.lower() for line in process.stdout)


@contextmanager
def paused_writer(path: Path, rest: float) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has written a temporary file, was paused then, and continues to its end."""
    command = [sys.executable, "-c", FILE, str(path), str(rest)]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=both, text=True)
    assert process.stdin
    try:
        wait_for_line(process, "written")
        process.send_signal(signal.SIGSTOP)
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(2.0)  # longer than what counts as a pause here
        path.write_bytes(b"of the successor")
        process.send_signal(signal.SIGCONT)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_paused_attempt_that_airflow_ends_leaves_the_file_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with paused_writer(path, rest=60.0) as process:
        wait_for_line(process, PAUSE)
        process.terminate()
        process.wait()
        assert path.read_bytes() == b"of the successor"


def test_a_paused_attempt_that_is_still_wanted_finishes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with paused_writer(path, rest=0.5) as process:
        wait_for_line(process, "finished")
        assert path.read_bytes() == b"of the paused attempt"
        assert process.wait(30) == 0, "the thread that notices pauses ends with its process"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(pauses, "clock", fake)
    monkeypatch.setattr(pauses, "_task_pauses", {})
    return fake


def test_each_thread_waits_and_the_log_says_it_once(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger(__name__)
    task = TaskPauses()
    task.rest(log)
    assert caplog.messages == []
    clock.now += 40
    assert task.within(60) == 40
    set_in_module(monkeypatch, pauses, "time", sleep=clock.sleep)
    task.rest(log)
    task.rest(log)
    assert clock.slept == [pauses.REST_SECONDS]
    assert [PAUSE in message.lower() for message in caplog.messages] == [True]
    assert "40 s" in caplog.text


def test_the_rest_after_a_pause_is_waited_for_and_no_more(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_in_module(monkeypatch, pauses, "time", sleep=clock.sleep)
    for passed, slept in ((0.0, [15.0]), (5.0, [10.0]), (14.995, [0.01]), (15.0, []), (20.0, [])):
        task = TaskPauses()
        clock.now += 40
        assert task.within(60) == 40
        task._beat_at = clock.now = clock.now + passed
        clock.slept.clear()
        task.rest(logging.getLogger(__name__))
        assert clock.slept == pytest.approx(slept)


async def test_a_loop_notices_its_pause_before_its_next_beat(clock: FakeClock) -> None:
    loop = Pauses(asyncio.get_running_loop())
    began = clock.now
    clock.now += pauses.LONG_SECONDS - 1
    assert not loop.since(began)
    clock.now += pauses.LONG_SECONDS + 1
    assert loop.since(began)
    assert loop.length == pauses.LONG_SECONDS + 1
    assert not loop.since(clock.now)


async def test_a_loop_that_nobody_asks_for_long_has_had_no_pause(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "BEAT_SECONDS", 0.0)
    loop, began = Pauses(asyncio.get_running_loop()), clock.now
    for _ in range(3):
        clock.now += pauses.LONG_SECONDS - 1
        await asyncio.sleep(0.001)
    assert not loop.since(began)
    monkeypatch.setattr(pauses, "BEAT_SECONDS", 3600.0)


def test_a_fork_has_pauses_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here: Callable[[], TaskPauses] = TaskPauses.here
    mine = here()
    assert here() is mine
    monkeypatch.setattr(pauses.os, "getpid", lambda: -1)
    assert here() is not mine


async def test_a_write_in_an_event_loop_waits_as_one_on_a_worker(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = TaskPauses()
    clock.now += 40
    monkeypatch.setattr(asyncio, "sleep", clock.asleep)
    await task.arest(logging.getLogger(__name__))
    assert clock.slept == [pauses.REST_SECONDS]
    assert "40 s" in caplog.text


async def test_the_pauses_of_a_running_loop_are_kept_and_those_of_closed_loops_forgotten() -> None:
    mine = Pauses.here()
    assert Pauses.here() is mine
    other = asyncio.new_event_loop()
    pauses._pauses[other] = mine
    open_loop = asyncio.new_event_loop()
    pauses._pauses[open_loop] = mine
    other.close()
    del pauses._pauses[asyncio.get_running_loop()]
    again = Pauses.here()
    assert again is not mine
    assert other not in pauses._pauses
    assert pauses._pauses.pop(open_loop) is mine
    open_loop.close()


def test_the_pauses_of_a_process_keep_the_clock_that_they_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test with another clock would else make a pause for the tests after it."""
    task = pauses.TaskPauses()
    with monkeypatch.context() as patched:
        patched.setattr(pauses, "clock", lambda: 0.0)
        assert not task.within(pauses.REST_SECONDS)
    assert not task.within(pauses.REST_SECONDS)


def test_the_clock_runs_on_in_seconds() -> None:
    first = pauses.clock()
    assert 0 < first <= pauses.clock()
    assert abs(first - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60


def test_a_thread_notices_a_pause_without_being_asked(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "BEAT_SECONDS", 0.001)
    before = {*threading.enumerate()}
    task = TaskPauses()
    (beating,) = {*threading.enumerate()} - before
    assert (beating.name, beating.daemon) == ("pauses", True), "no process waits for its end"
    clock.now += pauses.LONG_TASK_SECONDS + 1
    until(lambda: task._ended_at == clock.now, seconds=30)
    assert task._length == pauses.LONG_TASK_SECONDS + 1


def test_a_pause_is_one_of_more_than_its_bound_and_counts_for_some_seconds(clock: FakeClock) -> None:
    task = TaskPauses()
    clock.now += pauses.LONG_TASK_SECONDS
    assert task.within(60) == 0
    clock.now += pauses.LONG_TASK_SECONDS + 0.5
    assert task.within(60) == pauses.LONG_TASK_SECONDS + 0.5
    clock.now += 10
    assert task.within(10) == 0
    assert task.within(10.1) == pauses.LONG_TASK_SECONDS + 0.5


async def test_a_loop_s_pause_is_one_of_more_than_four_seconds(clock: FakeClock) -> None:
    loop = Pauses(asyncio.get_running_loop())
    assert loop.length == 0
    clock.now += pauses.LONG_SECONDS
    assert not loop.since(0)
    clock.now += pauses.LONG_SECONDS + 0.5
    assert loop.since(clock.now - 0.1)
    assert not loop.since(clock.now)
