"""The machine's semaphore: one locked file for each place, for all processes of one machine.

A place is held by holding the lock of its file, so a process that is killed gives it back. A waiter first
locks the queue's file: a process that gave a place back cannot take it again before the first waiter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from airflow_provider.core.limits.machine import PERMIT_SUFFIX, MachineStore, boot_id, unusable
from airflow_provider.core.limits.semaphore import Permit, Semaphore
from airflow_provider.core.limits.store import WouldBlockError

_QUEUE_SECONDS = 1.0
"""Seconds after which a waiter no longer waits for the queue: its first process may be stopped."""


class MachineSemaphore(Semaphore):
    """Counts the requests of all processes of the machine.

    :param store: the store whose folder holds the files.
    :param key: digest of the connection.
    :param limit: maximum requests at once.
    """

    def __init__(self, store: MachineStore, key: str, limit: int) -> None:
        self._store = store
        self._key = key
        self._limit = limit
        self.place = store.place

    def try_enter(self, permit: Permit) -> bool:
        """Take a place if one is free and no other waiter is before this one."""
        self.move(permit)
        try:
            if not self._is_first(permit):
                return False
            first = int(permit.id, 16)
            if not any(self._lock(permit, (first + step) % self._limit) for step in range(self._limit)):
                return False
        except OSError as error:
            raise unusable(error) from None
        self._unlock(permit, "queue")
        return True

    def leave(self, permit: Permit) -> None:
        """Release the place, or stop waiting."""
        for purpose in list(permit.files):
            self._unlock(permit, purpose)

    def _is_first(self, permit: Permit) -> bool:
        if "queue" in permit.files or self._open(permit, "queue", "queue"):
            return True
        return time.monotonic() - permit.since > _QUEUE_SECONDS

    def _lock(self, permit: Permit, number: int) -> bool:
        return self._open(permit, "place", str(number))

    def _open(self, permit: Permit, purpose: str, name: str) -> bool:
        try:
            file, _ = self._store.open_locked(f"{self._key}-{name}-{boot_id()}{PERMIT_SUFFIX}", block=False)
        except WouldBlockError:
            return False
        permit.files[purpose] = file
        return True

    def _unlock(self, permit: Permit, purpose: str) -> None:
        file = permit.files.pop(purpose, None)
        if file is not None:
            with contextlib.suppress(OSError):
                # A process that was forked meanwhile has a duplicate, and would hold the lock with it.
                fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)
