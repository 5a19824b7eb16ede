"""Waiting for a condition."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]


def until(condition: Callable[[], Any], seconds: float = 30, pause: float = 0.01) -> None:
    """Wait until a condition holds, and fail when it does not hold in time.

    :param condition: the condition.
    :param seconds: maximum wait.
    :param pause: seconds between two checks; longer ones for conditions that cost something.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)


def stop_process(pid: int) -> None:
    """Stop a process as by ``SIGSTOP``, and wait until it stands still: it may answer requests until then.

    :param pid: id of the process, which ``SIGCONT`` lets continue.
    """
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
