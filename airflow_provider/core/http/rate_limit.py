"""Request budgets: at most so many requests a second, over everybody in the process who shares them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque

# Requests that leave exactly a second apart can arrive closer together, so the window is kept a bit wider.
_MARGIN = 1.05


class Budget:
    """Hands out moments to send at, never more than ``per_second`` in any second.

    :param per_second: requests a second; below 1 is one request in ``1 / per_second`` seconds.
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
        """Take the next free moment; gives the seconds to wait until then.

        :param now: the present on :func:`time.monotonic`'s scale, for tests.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            if self._joined is None:
                slot = max(now, self._paused_until)
                if len(self._slots) >= self._count:
                    slot = max(slot, self._slots[-self._count] + self._window)
                self._slots.append(slot)
                self._forget()
                return slot - now
        return self._joined.reserve(now)

    def pause(self, seconds: float) -> None:
        """Hand out no moment earlier than so many seconds from now: the service asked to slow down."""
        self._hold(time.monotonic() + seconds)

    def join(self, other: Budget) -> None:
        """Hand out moments together with another budget from now on: both are for the same thing.

        :param other: counts what was handed out here, too; the lower of both rates holds.
        """
        with self._lock:  # Until the other one knows all, so that nobody goes there and finds room.
            if other is self or self._joined is not None:
                return
            other.slow_to(self.per_second)
            other._hold(self._paused_until)
            with other._lock:
                other._slots = deque(sorted([*other._slots, *self._slots]))
                other._forget()
            self._joined = other

    def slow_to(self, per_second: float) -> None:
        """Keep to this rate from now on, if it is lower."""
        if self._joined is not None:
            self._joined.slow_to(per_second)
        elif per_second < self.per_second:
            self.per_second = per_second

    def _hold(self, until: float) -> None:
        with self._lock:
            if self._joined is None:
                self._paused_until = max(self._paused_until, until)
                return
        self._joined._hold(until)

    def _forget(self) -> None:
        while len(self._slots) > self._count:
            self._slots.popleft()


_budgets: dict[str, Budget] = {}


_registry_lock = threading.Lock()


def shared_budget(per_second: float, *identity: str) -> Budget:
    """Give the process's one budget of an identity.

    When two users ask for different rates, the lower one holds for both.

    :param per_second: requests a second.
    :param identity: what the limit belongs to (host, solution); kept as a hash only.
    """
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    with _registry_lock:
        budget = _budgets.setdefault(key, Budget(per_second))
        budget.slow_to(per_second)
        return budget
