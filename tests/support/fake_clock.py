"""A clock that moves when somebody sleeps."""

from __future__ import annotations

import asyncio
import threading

REAL_SLEEP = asyncio.sleep


class Clock:
    """Stands in for ``time.time``, ``time.sleep`` and ``asyncio.sleep``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time go by on a worker."""
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """Let time go by in the triggerer."""
        if threading.current_thread() is threading.main_thread():
            self.sleep(seconds)
        else:  # a sandbox of another test
            await REAL_SLEEP(seconds)
