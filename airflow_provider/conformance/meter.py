"""Meter: at most two requests a second, and 200 in all, whatever sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PER_SECOND = 2.0
MAX_REQUESTS = 200
RESERVED = 40
"""Requests of a run with scratch objects that only their removal may use."""


@dataclass(frozen=True)
class Clock:
    """The time of a run, which a test controls.

    :param now: function that returns seconds.
    :param sleep: function that waits for some seconds.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class SpentError(Exception):
    """The statement that a run has sent all requests that it may send."""

    def __init__(self) -> None:
        super().__init__(f"the {MAX_REQUESTS} requests of a run are used up")


@dataclass
class Meter:
    """Counts requests, retries and token requests included, and keeps them apart.

    :param clock: the time.
    :param maximum: number of requests that may be sent, for now.
    :param sent: number of requests so far.
    :param is_series: whether a series is being sent, which the user has asked for.
    """

    clock: Clock = field(default_factory=Clock)
    maximum: int = MAX_REQUESTS
    sent: int = 0
    is_series: bool = False
    _next: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> None:
        """Wait until a request may leave, and count it.

        :raises SpentError: when no further request may be sent.
        """
        with self._lock:
            if self.sent >= min(self.maximum, MAX_REQUESTS):
                raise SpentError
            self.sent += 1
            now = self.clock.now()
            if self.is_series:
                self._next = now + 1 / PER_SECOND
                return
            if now < self._next:
                self.clock.sleep(self._next - now)
            self._next = max(now, self._next) + 1 / PER_SECOND
