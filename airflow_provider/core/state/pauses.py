"""Pauses: how long this process did not run, because it was stopped, its machine slept, or it was blocked.

Airflow gives the work of a silent process to another one. A process that continues after a pause hears of
that within seconds; until then it must not act.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


BEAT_SECONDS = 0.5
"""Seconds between two beats of a running event loop."""

LONG_SECONDS = 4.0
"""Seconds without a beat that count as a pause. Airflow gives a triggerer's work away after 30 by default."""

LONG_TASK_SECONDS = 15.0
"""Seconds that count as a pause of a task, which may be busy for some. Airflow waits 300 by default before it
retries a task that gives no sign of life."""

REST_SECONDS = 15.0
"""Seconds after a pause in which a task writes nothing: its supervisor asks Airflow every five whether it is
still wanted, and ends it if not."""


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
        if loop not in _pauses:
            for other in [other for other in _pauses if other.is_closed()]:
                _pauses.pop(other, None)
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


class TaskPauses:
    """The pauses of a process whose threads write: a thread of its own notices them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._beat_at = self._clock()
        self._ended_at = -math.inf
        self._length = 0.0
        self._logged_at = -math.inf
        threading.Thread(target=self._beat, name="pauses", daemon=True).start()

    @classmethod
    def here(cls) -> TaskPauses:
        """Return the pauses of this process; they are noticed from the first call on."""
        # A fork has no threads but its own.
        return _task_pauses.get(os.getpid()) or _task_pauses.setdefault(os.getpid(), cls())

    def within(self, seconds: float) -> float:
        """Return the length of the last pause if it ended within the last seconds, else 0."""
        with self._lock:
            now = self._clock()
            self._check(now)
            return self._length if now - self._ended_at < seconds else 0.0

    def rest(self, log: Logger | logging.Logger) -> None:
        """Wait after a pause until Airflow has had the time to end this task; call it before each write.

        :param log: receives one line per pause.
        """
        for seconds in self._rests(log):
            time.sleep(seconds)

    async def arest(self, log: Logger | logging.Logger) -> None:
        """Wait as :meth:`rest` does, without blocking the event loop.

        :param log: receives one line per pause.
        """
        for seconds in self._rests(log):
            await asyncio.sleep(seconds)

    def _rests(self, log: Logger | logging.Logger) -> Iterator[float]:
        """Yield the seconds to wait before a write."""
        while length := self.within(REST_SECONDS):
            with self._lock:
                is_new, self._logged_at = self._logged_at != self._ended_at, self._ended_at
                left = self._ended_at + REST_SECONDS - self._clock()
            if is_new:
                log.warning(
                    "This task did not run for %.0f s. If Airflow has started another attempt meanwhile, it"
                    " ends this one; else this one continues in %.0f s",
                    length,
                    left,
                )
            yield max(0.01, left)

    def _beat(self) -> None:
        never = threading.Event()
        while not never.wait(BEAT_SECONDS):
            with self._lock:
                self._check(self._clock())

    def _check(self, now: float) -> None:
        if now - self._beat_at > LONG_TASK_SECONDS:
            self._length, self._ended_at = now - self._beat_at, now
        self._beat_at = now


_task_pauses: dict[int, TaskPauses] = {}
"""The pauses by process id."""
