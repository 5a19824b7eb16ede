"""Waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


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
