"""Fallbacks: a store or semaphore that takes the place of another one while that cannot be used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from airflow_provider.core.limits.plan import Rate
from airflow_provider.core.limits.semaphore import Permit, Semaphore
from airflow_provider.core.limits.store import Reservation, Store, StoreUnusableError

T = TypeVar("T")


class _Placed(Protocol):
    @property
    def place(self) -> str: ...


S = TypeVar("S", bound=_Placed)

RECHECK_SECONDS = 30.0
"""Seconds before a store that could not be used is tried once more."""

_log = logging.getLogger(__name__)


class Fallback(Generic[S]):
    """Uses a second place while the first one is unusable, and says so once.

    :param first: what to use.
    :param second: what never fails, or falls back itself.
    :param subject: what is counted, in the plural, for the log.
    """

    def __init__(self, first: S, second: S, subject: str) -> None:
        self._first = first
        self._second = second
        self._subject = subject
        self._unusable_until = float("-inf")
        self._is_warned = False

    @property
    def current(self) -> S:
        """The one in use."""
        return self._second if time.monotonic() < self._unusable_until else self._first

    def use(self, operation: Callable[[S], T]) -> T:
        """Run an operation on the first one, or on the second one while the first cannot be used."""
        if time.monotonic() >= self._unusable_until:
            try:
                result = operation(self._first)
            except StoreUnusableError as error:
                self.give_up(error)
            else:
                self._recover()
                return result
        return operation(self._second)

    def give_up(self, error: StoreUnusableError) -> None:
        """Use the second one for some time, and warn unless that was done."""
        self._unusable_until = time.monotonic() + RECHECK_SECONDS
        if not self._is_warned:
            self._is_warned = True
            _log.warning(
                "the %s in %s cannot be used (%s); until they can, the %s of %s apply,"
                " and the service may refuse requests; next check in %.0f s",
                self._subject,
                self._first.place,
                error,
                self._subject.split()[-1],
                self._second.place,
                RECHECK_SECONDS,
            )

    def _recover(self) -> None:
        if self._is_warned:
            self._is_warned = False
            _log.info("the %s in %s can be used", self._subject, self._first.place)


class FallbackStore(Store):
    """Uses a second store while the first one is unusable.

    :param first: the store to use.
    :param second: the store that never fails, or falls back itself.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self._first = first
        self._second = second
        self._fallback = Fallback(first, second, "request budgets")

    @property
    def place(self) -> str:  # type: ignore[override]
        """The store in use."""
        return self._fallback.current.place

    def reserve(self, key: str, rate: Rate | None, longest: float, *, block: bool = True) -> Reservation:
        """Reserve the next free moment in the store that can be used."""
        return self._fallback.use(lambda store: store.reserve(key, rate, longest, block=block))

    def pause(self, key: str, rate: Rate | None, seconds: float, *, block: bool = True) -> None:
        """Pause a budget: no request leaves for some seconds."""
        self._fallback.use(lambda store: store.pause(key, rate, seconds, block=block))

    def paused_until(self, reservation: Reservation, *, block: bool = True) -> int:
        """Return the moment before which no request leaves, in the store that holds the reservation."""
        if reservation.store is not self._first:
            return self._second.paused_until(reservation, block=block)
        try:
            return self._first.paused_until(reservation, block=block)
        except StoreUnusableError as error:
            self._fallback.give_up(error)
            return 0

    def join(self, key: str, other: str, rate: Rate | None, *, block: bool = True) -> None:
        """Make a budget an alias of another one."""
        self._fallback.use(lambda store: store.join(key, other, rate, block=block))


class FallbackSemaphore(Semaphore):
    """Uses a second semaphore while the first one is unusable.

    :param first: the semaphore to use.
    :param second: the semaphore that never fails, or falls back itself.
    """

    def __init__(self, first: Semaphore, second: Semaphore) -> None:
        self._fallback = Fallback(first, second, "request permits")

    @property
    def place(self) -> str:  # type: ignore[override]
        """The store in use."""
        return self._fallback.current.place

    def try_enter(self, permit: Permit) -> bool:
        """Take a place of the semaphore that can be used."""
        return self._fallback.use(lambda semaphore: semaphore.try_enter(permit))

    def leave(self, permit: Permit) -> None:
        """Release the place in the semaphore that counts it."""
        if permit.waits_in is not None:
            permit.waits_in.leave(permit)
