"""Token stores: where sealed records are held, and the locks of processes that request a token."""

from __future__ import annotations

from abc import ABC, abstractmethod

LONGEST_FETCH = 20.0
"""Seconds for which others wait for the process that requests a token; then one of them takes its place."""


class TokenLock(ABC):
    """The right to request a token; other processes wait meanwhile."""

    is_local: bool
    """Whether a release takes microseconds, and may run in an event loop."""

    @abstractmethod
    def release(self) -> None:
        """Free the lock for the next process; a repeated call has no further effect."""


class TokenStore(ABC):
    """Holder of sealed records, which all processes of a machine or of a cluster reach.

    :class:`~airflow_provider.core.limits.store.StoreUnusableError` is raised by all methods when the store
    cannot be read or written.
    """

    place: str
    """The store in a few words, for logs; without secrets."""

    shortest_poll: float
    """Seconds before the first poll of a process that waits; later polls are up to 25 times rarer."""

    @abstractmethod
    def now(self) -> float:
        """Return the seconds of the store's clock."""

    @abstractmethod
    def full_name(self, name: str) -> str:
        """Return the full name under which a record is stored; it is part of the seal."""

    @abstractmethod
    def read(self, full_name: str) -> tuple[bytes, float]:
        """Return the bytes of a record, empty for none, and the time of the store's clock."""

    @abstractmethod
    def write(self, full_name: str, data: bytes, seconds: float) -> None:
        """Replace a record.

        :param seconds: seconds after which the record is of no use.
        """

    @abstractmethod
    def remove(self, full_name: str, data: bytes) -> None:
        """Remove a record, if it still has these bytes."""

    @abstractmethod
    def lock(self, full_name: str, turn: int) -> TokenLock | None:
        """Lock a record without waiting; None when another process holds the lock.

        :param turn: 0, and 1 when the holder of the first lock takes too long.
        """
