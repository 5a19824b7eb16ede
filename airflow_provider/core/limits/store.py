"""Stores: where the state of budgets is held, and the operations on it that all holders share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from airflow_provider.core.limits.plan import (
    LONGEST_WAIT,
    SECOND,
    Plan,
    Rate,
    State,
    just_used,
    merged,
    paused,
    plan,
)

T = TypeVar("T")

_MAX_ALIASES = 8
"""Maximum aliases that lead from one budget to another; more of them are a circle."""


class StoreUnusableError(Exception):
    """The store cannot be read or written; its message is the cause, without secrets."""


class WouldBlockError(Exception):
    """The operation has to wait, and the caller must not block; nothing was done."""


class Reservation(NamedTuple):
    """The store's answer to a request for a reservation.

    :param store: the store that holds it; its clock counts ``slot``.
    :param key: the budget's key, after all aliases.
    :param slot: the earliest moment at which the request may leave.
    :param wait: seconds until then.
    :param taken: whether the moment is reserved; a refusal takes nothing.
    """

    store: Store
    key: str
    slot: int
    wait: float
    taken: bool


class Store(ABC):
    """Holder of the state of budgets. Keys are digests, so that the store holds no identity.

    Operations with ``block=False`` raise :class:`WouldBlockError` instead of waiting.
    """

    place: str
    """The store in a few words, for logs; without secrets."""

    @abstractmethod
    def reserve(self, key: str, rate: Rate | None, longest: float, *, block: bool = True) -> Reservation:
        """Reserve the next free moment, unless it is more than ``longest`` seconds ahead.

        :raises StoreUnusableError: when the state cannot be read or written.
        """

    @abstractmethod
    def pause(self, key: str, rate: Rate | None, seconds: float, *, block: bool = True) -> None:
        """Pause a budget: no request leaves for some seconds."""

    @abstractmethod
    def paused_until(self, reservation: Reservation, *, block: bool = True) -> int:
        """Return the moment before which no request of a reservation's budget leaves."""

    @abstractmethod
    def join(self, key: str, other: str, rate: Rate | None, *, block: bool = True) -> None:
        """Make a budget an alias of another one, which counts the requests of both from now on."""


@dataclass(slots=True)
class Record:
    """One budget in a store.

    :param state: the budget's state.
    :param alias: key of the budget that counts its requests; empty for none.
    :param is_damaged: whether the state could not be read.
    :param is_changed: whether it has to be written.
    """

    state: State = field(default_factory=State)
    alias: str = ""
    is_damaged: bool = False
    is_changed: bool = False

    def usable_state(self, now: int, rate: Rate | None) -> State:
        """Return the state; one that cannot be read counts as if a full window had just been sent."""
        return just_used(now, rate) if self.is_damaged else self.state

    def set(self, state: State, alias: str = "") -> None:
        """Replace the content."""
        self.state, self.alias, self.is_damaged, self.is_changed = state, alias, False, True


class LocalStore(Store):
    """Base of the stores that lock a record, change it here and write it back."""

    @abstractmethod
    def now(self) -> int:
        """Return the current time of the store's clock."""

    @abstractmethod
    def locked(self, key: str, block: bool) -> AbstractContextManager[Record]:
        """Return a context that yields the locked record of a key, and writes it when it was changed."""

    def reserve(self, key: str, rate: Rate | None, longest: float, *, block: bool = True) -> Reservation:
        """Reserve the next free moment, unless it is more than ``longest`` seconds ahead."""

        def change(record: Record) -> Plan:
            now = self.now()  # Read inside the lock: no reservation is made in the past of another one.
            microseconds = int(min(longest * SECOND, LONGEST_WAIT))
            planned = plan(record.usable_state(now, rate), now, rate, microseconds)
            if planned.taken and rate is not None:
                record.set(planned.state)
            return planned

        last, planned = self._follow(key, block, change)
        return Reservation(self, last, planned.slot, planned.wait / SECOND, planned.taken)

    def pause(self, key: str, rate: Rate | None, seconds: float, *, block: bool = True) -> None:
        """Pause a budget: no request leaves for some seconds."""

        def change(record: Record) -> None:
            now = self.now()
            record.set(paused(record.usable_state(now, rate), now, seconds))

        self._follow(key, block, change)

    def paused_until(self, reservation: Reservation, *, block: bool = True) -> int:
        """Return the moment before which no request of a reservation's budget leaves."""
        return self._follow(reservation.key, block, lambda record: record.state.paused_until)[1]

    def join(self, key: str, other: str, rate: Rate | None, *, block: bool = True) -> None:
        """Make a budget an alias of another one, which counts the requests of both from now on."""
        for _ in range(_MAX_ALIASES):
            key, _ = self._follow(key, block, lambda _: None)
            other, _ = self._follow(other, block, lambda _: None)
            if key == other or self._join(key, other, rate, block):
                return
        raise StoreUnusableError("the aliases of a budget lead in a circle")

    def _join(self, key: str, other: str, rate: Rate | None, block: bool) -> bool:
        """Join two budgets that were no aliases a moment ago; returns whether they still were none."""
        with ExitStack() as locks:
            # In the order of the keys, so that two processes cannot wait for each other.
            records = {one: locks.enter_context(self.locked(one, block)) for one in sorted((key, other))}
            mine, theirs = records[key], records[other]
            if mine.alias or theirs.alias:
                return False
            now = self.now()
            theirs.set(merged(mine.usable_state(now, rate), theirs.usable_state(now, rate)))
            mine.set(State(), alias=other)
            return True

    def _follow(self, key: str, block: bool, change: Callable[[Record], T]) -> tuple[str, T]:
        """Change a record, or the one that it is an alias of; returns that one's key, too."""
        for _ in range(_MAX_ALIASES):
            with self.locked(key, block) as record:
                if not record.alias:
                    return key, change(record)
            key = record.alias
        raise StoreUnusableError("the aliases of a budget lead in a circle")
