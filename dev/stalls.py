"""Run the unit tests while their processes stand still at random moments, as on a machine with other work.

``make stalls RUNS=20`` finds tests that depend on how fast the machine is: at any moment one of the processes
that run tests is stopped for up to 1.5 seconds, with the service that it serves. It fails when a test has
failed in any run, and names these tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build" / "stalls"
PROCESSES = 5
STOPPED_SECONDS = (0.2, 1.5)
RUNNING_SECONDS = (0.05, 0.3)
"""Least and most seconds of a stop, and until the next one."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


def run(command: Sequence[str], log: Path, dice: random.Random) -> int:
    """Run a command while its child processes are stopped in turns; return its exit code.

    :param command: the program and its arguments.
    :param log: file that takes its output.
    :param dice: chooses the processes and the moments.
    """
    with log.open("wb") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as started:
        ended = threading.Event()
        stopping = threading.Thread(target=_stop_in_turns, args=(started.pid, dice, ended))
        stopping.start()
        try:
            return started.wait()
        except BaseException:
            started.kill()
            raise
        finally:
            ended.set()
            stopping.join()


def _stop_in_turns(parent: int, dice: random.Random, ended: threading.Event) -> None:
    while not ended.wait(dice.uniform(*RUNNING_SECONDS)):
        with contextlib.suppress(psutil.Error, OSError):
            children = psutil.Process(parent).children()
            if children:
                _stop(dice.choice(children).pid, dice.uniform(*STOPPED_SECONDS), ended)


def _stop(pid: int, seconds: float, ended: threading.Event) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        ended.wait(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def failed_tests(log: str) -> list[str]:
    """Return the ids of the tests that failed, from what pytest has printed.

    :param log: its output.
    """
    return _FAILED.findall(log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests as often as asked for, print a line for each run, and what failed how often."""
    parser = argparse.ArgumentParser(prog="python -m dev.stalls", description=main.__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tests", nargs="*", help="arguments of pytest; by default all unit tests")
    given = parser.parse_args(arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-rfE", "-n", str(PROCESSES), "--dist", "worksteal"]
    failures: Counter[str] = Counter()
    codes = []
    for number in range(given.runs):
        seed = given.seed + number
        log = LOGS / f"{seed}.log"
        codes.append(run([*command, *given.tests], log, random.Random(seed)))
        text = log.read_text(errors="replace")
        failures.update(failed_tests(text))
        print(f"seed {seed}: {text.rstrip().splitlines()[-1] if text.strip() else 'no output'}", flush=True)
    for name, times in failures.most_common():
        print(f"failed in {times} of {given.runs} runs: {name}")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
