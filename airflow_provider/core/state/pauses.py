"""Pauses: how long this process did not run, because it was stopped, its machine slept, or it was blocked."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any
from weakref import WeakKeyDictionary

BEAT_SECONDS = 0.5
"""Seconds between two beats of a running event loop."""

LONG_SECONDS = 4.0
"""Seconds without a beat that count as a pause. Airflow gives a triggerer's work away after 30 by default."""


def clock() -> float:
    """Return the seconds of a clock that also runs while the process is stopped or the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Pauses:
    """The pauses of an event loop: a beat that is late tells of one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.length = 0.0
        self._beat_at = clock()
        self._ended_at = -math.inf
        self._loop = loop
        self._beat()

    @classmethod
    def here(cls) -> Pauses:
        """Return the pauses of the running event loop."""
        loop = asyncio.get_running_loop()
        return _pauses.get(loop) or _pauses.setdefault(loop, cls(loop))

    def since(self, moment: float) -> bool:
        """Return whether a pause has ended since a moment of the :func:`clock`, the present one included."""
        # A coroutine may run before the beat that is late.
        self._check()
        return self._ended_at > moment

    def _beat(self) -> None:
        self._check()
        self._loop.call_later(BEAT_SECONDS, self._beat)

    def _check(self) -> None:
        now = clock()
        if now - self._beat_at > LONG_SECONDS:
            self.length, self._ended_at = now - self._beat_at, now
        self._beat_at = now


_pauses: WeakKeyDictionary[Any, Pauses] = WeakKeyDictionary()
