"""Runs whose processes stand still: they are stopped, they go on, and what fails is named."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from dev import stalls

PARENT = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-c", sys.argv[1]]).returncode)
"""
CHILD = """
import time
last = end = time.monotonic()
while time.monotonic() - last < 0.2:  # nothing but a stop takes so long between two looks
    last = time.monotonic()
    assert last - end < 60
    time.sleep(0.001)
print("stood still, and went on")
"""


def test_a_process_of_the_command_stands_still_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = stalls.run([sys.executable, "-c", PARENT, CHILD], log, random.Random(1))
    assert (code, log.read_text()) == (0, "stood still, and went on\n")


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    assert stalls.run(command, tmp_path / "log", random.Random(1)) == 3


def test_each_test_that_failed_is_named_with_the_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = iter([("F\nFAILED tests/a.py::test_b[1-2] - assert\n1 failed in 2 s", 1), ("2 passed in 2 s", 0)])

    def run(command: list[str], log: Path, dice: random.Random) -> int:
        text, code = next(runs)
        log.write_text(text)
        return code

    monkeypatch.setattr(stalls, "run", run)
    monkeypatch.setattr(stalls, "LOGS", tmp_path)
    assert stalls.main(["--runs", "2", "--seed", "7", "tests/unit/core"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "seed 7: 1 failed in 2 s",
        "seed 8: 2 passed in 2 s",
        "failed in 1 of 2 runs: tests/a.py::test_b[1-2]",
    ]
