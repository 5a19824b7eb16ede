"""Rate limits: request budgets that all hooks of a process share."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque

_MARGIN = 1.05
"""Factor of the window's length: requests sent exactly a second apart can arrive closer together."""


class Budget:
    """A sliding-window rate limit: at most ``per_second`` requests in any second.

    :param per_second: requests a second; a rate below 1 is one request in ``1 / per_second`` seconds.
    """

    def __init__(self, per_second: float) -> None:
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._slots: deque[float] = deque()
        self._joined: Budget | None = None
        self.per_second = per_second

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self._per_second

    @per_second.setter
    def per_second(self, value: float) -> None:
        self._per_second = value
        self._count = max(1, int(value))
        self._window = max(1.0, 1 / value) * _MARGIN

    def reserve(self, now: float | None = None) -> float:
        """Reserve the next free moment; returns the seconds to wait until then.

        :param now: the current time on :func:`time.monotonic`'s scale, for tests.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            if self._joined is None:
                slot = max(now, self._paused_until)
                if len(self._slots) >= self._count:
                    slot = max(slot, self._slots[-self._count] + self._window)
                self._slots.append(slot)
                self._drop_old()
                return slot - now
        return self._joined.reserve(now)

    def pause(self, seconds: float) -> None:
        """Pause all requests for some seconds: the service asked to slow down."""
        self._pause_until(time.monotonic() + seconds)

    def join(self, other: Budget) -> None:
        """Merge this budget into another one: both are for the same limit of the service.

        :param other: the budget that counts all requests from now on. The lower of both rates applies.
        """
        with self._lock:  # Held until the other budget has all reservations, so that none is missed.
            if other is self or self._joined is not None:
                return
            other.slow_to(self.per_second)
            other._pause_until(self._paused_until)
            with other._lock:
                other._slots = deque(sorted([*other._slots, *self._slots]))
                other._drop_old()
            self._joined = other

    def slow_to(self, per_second: float) -> None:
        """Lower the rate to ``per_second``; a lower rate stays."""
        if self._joined is not None:
            self._joined.slow_to(per_second)
        elif per_second < self.per_second:
            self.per_second = per_second

    def _pause_until(self, until: float) -> None:
        with self._lock:
            if self._joined is None:
                self._paused_until = max(self._paused_until, until)
                return
        self._joined._pause_until(until)

    def _drop_old(self) -> None:
        while len(self._slots) > self._count:
            self._slots.popleft()


_budgets: dict[str, Budget] = {}

_registry_lock = threading.Lock()


def shared_budget(per_second: float, *identity: str) -> Budget:
    """Return the budget that all users of an identity share in this process.

    When two users ask for different rates, the lower rate applies to both.

    :param per_second: requests a second.
    :param identity: the owner of the limit on the service (host, solution); stored as a hash only.
    """
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    with _registry_lock:
        budget = _budgets.setdefault(key, Budget(per_second))
        budget.slow_to(per_second)
        return budget
