"""Fake clock: sleeping moves it, and takes no time."""

from __future__ import annotations

import asyncio
import threading

REAL_SLEEP = asyncio.sleep


class FakeClock:
    """Replacement of ``time.time``, ``time.sleep`` and ``asyncio.sleep``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock, on a worker."""
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """Move the clock, in the triggerer."""
        if threading.current_thread() is threading.main_thread():
            self.sleep(seconds)
        else:  # the sandbox, which serves in a thread of its own
            await REAL_SLEEP(seconds)
