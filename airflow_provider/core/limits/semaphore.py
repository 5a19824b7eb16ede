"""Semaphores: at most some requests at once, counted over all tasks that share a store.

A waiter asks repeatedly, so that threads and event loops can wait alike; each attempt takes microseconds.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import Any

STALE = 1.0
"""Seconds after its last attempt at which a waiter no longer counts: it gave up, or was stopped."""


@dataclass(eq=False)
class Permit:
    """The right to one request: wanted first, then held.

    :param id: random id.
    :param since: moment of the first attempt, on the monotonic clock.
    :param waits_in: the semaphore that was asked last, where another one may take its place.
    :param files: open files of it, by their purpose.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = field(default_factory=time.monotonic)
    waits_in: Semaphore | None = None
    files: dict[str, int] = field(default_factory=dict)


class Semaphore(ABC):
    """Counts the requests that are sent at the same time."""

    place: str
    """The store in a few words, for logs; without secrets."""

    @abstractmethod
    def try_enter(self, permit: Permit) -> bool:
        """Take a place if one is free and no other waiter is before this one; return whether it was taken.

        :raises StoreUnusableError: when the store cannot be used.
        """

    @abstractmethod
    def leave(self, permit: Permit) -> None:
        """Release the place, or stop waiting; never fails."""

    def move(self, permit: Permit) -> None:
        """Make a permit wait here, and no longer in another store."""
        if permit.waits_in is not self:
            if permit.waits_in is not None:
                permit.waits_in.leave(permit)
            permit.waits_in = self


class ProcessSemaphore(Semaphore):
    """Counts the requests of one process.

    :param limit: maximum requests at once.
    """

    place = "this process"

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._waiting: deque[list[Any]] = deque()

    def try_enter(self, permit: Permit) -> bool:
        """Take a place if one is free and no other waiter is before this one."""
        self.move(permit)
        now = time.monotonic()
        with self._lock:
            mine = next((entry for entry in self._waiting if entry[0] == permit.id), None)
            if mine is None:
                mine = [permit.id, now]
                self._waiting.append(mine)
            mine[1] = now
            live = [entry for entry in self._waiting if now - entry[1] < STALE]
            self._waiting = deque(live)
            if live.index(mine) >= self._limit - len(self._held):
                return False
            self._waiting.remove(mine)
            self._held.add(permit.id)
        return True

    def leave(self, permit: Permit) -> None:
        """Release the place, or stop waiting."""
        with self._lock:
            self._held.discard(permit.id)
            self._waiting = deque(entry for entry in self._waiting if entry[0] != permit.id)
