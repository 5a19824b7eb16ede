"""Processes are stopped with all their descendants."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

from dev.processes import Started, free_ports
from tests.support.wait import until

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def start(code: str, folder: Path) -> Started:
    return Started.run([sys.executable, "-c", code], os.environ, folder / "log", folder)


def test_stopping_ends_the_children_too(tmp_path: Path) -> None:
    parent = start(STUBBORN, tmp_path)
    until(lambda: (tmp_path / "log").read_text().strip())
    child = int((tmp_path / "log").read_text())
    assert {process.pid for process in parent.family()} == {parent.pid, child}
    parent.stop(interrupt_seconds=0.1, terminate_seconds=0.1)
    assert parent.family() == []
    assert not parent.alive()


def test_children_of_a_parent_that_is_gone_are_still_found_and_ended(tmp_path: Path) -> None:
    parent = start("import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)", tmp_path)
    until(lambda: not parent.alive())
    (orphan,) = parent.family()
    assert orphan.pid == int((tmp_path / "log").read_text())
    parent.stop(interrupt_seconds=0.1, terminate_seconds=0.1)
    assert parent.family() == []


def test_a_later_process_with_the_same_id_is_left_alone() -> None:
    me = psutil.Process()
    earlier = Started(me.pid, me.create_time() - 3600)
    assert not earlier.alive()


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_process_that_ended_is_not_alive(tmp_path: Path) -> None:
    process = start("pass", tmp_path)
    until(lambda: not process.alive())
    process.stop()
