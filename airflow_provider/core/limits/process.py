"""The process's own store: budgets in memory, shared by the threads and event loops of one process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider.core.limits.store import LocalStore, Record


class ProcessStore(LocalStore):
    """Holds budgets in memory."""

    place = "this process"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: dict[str, Record] = {}
        os.register_at_fork(after_in_child=self._after_fork)

    def now(self) -> int:
        """Return the microseconds of the monotonic clock."""
        return time.monotonic_ns() // 1000

    @contextmanager
    def locked(self, key: str, block: bool) -> Iterator[Record]:
        """Lock all records, for microseconds; so it never blocks."""
        with self._lock:
            yield self._records.setdefault(key, Record())

    def _after_fork(self) -> None:
        """Replace the lock, which another thread may have held in the moment of the fork."""
        self._lock = threading.RLock()
