"""Fallback: a store that takes the place of another one while that cannot be used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from airflow_provider.core.limits.plan import Rate
from airflow_provider.core.limits.store import Reservation, Store, StoreUnusableError

T = TypeVar("T")

RECHECK_SECONDS = 30.0
"""Seconds before a store that could not be used is tried once more."""

_log = logging.getLogger(__name__)


class FallbackStore(Store):
    """Uses a second store while the first one is unusable, and says so once.

    :param first: the store to use.
    :param second: the store that never fails, or falls back itself.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self._first = first
        self._second = second
        self._unusable_until = float("-inf")
        self._is_warned = False

    @property
    def place(self) -> str:  # type: ignore[override]
        """The store in use."""
        return self._second.place if time.monotonic() < self._unusable_until else self._first.place

    def reserve(self, key: str, rate: Rate | None, longest: float, *, block: bool = True) -> Reservation:
        """Reserve the next free moment in the store that can be used."""
        return self._use(lambda store: store.reserve(key, rate, longest, block=block))

    def pause(self, key: str, rate: Rate | None, seconds: float, *, block: bool = True) -> None:
        """Pause a budget: no request leaves for some seconds."""
        self._use(lambda store: store.pause(key, rate, seconds, block=block))

    def paused_until(self, reservation: Reservation, *, block: bool = True) -> int:
        """Return the moment before which no request leaves, in the store that holds the reservation."""
        if reservation.store is not self._first:
            return self._second.paused_until(reservation, block=block)
        try:
            return self._first.paused_until(reservation, block=block)
        except StoreUnusableError as error:
            self._give_up(error)
            return 0

    def join(self, key: str, other: str, rate: Rate | None, *, block: bool = True) -> None:
        """Make a budget an alias of another one."""
        self._use(lambda store: store.join(key, other, rate, block=block))

    def _use(self, operation: Callable[[Store], T]) -> T:
        if time.monotonic() >= self._unusable_until:
            try:
                result = operation(self._first)
            except StoreUnusableError as error:
                self._give_up(error)
            else:
                self._recover()
                return result
        return operation(self._second)

    def _give_up(self, error: StoreUnusableError) -> None:
        self._unusable_until = time.monotonic() + RECHECK_SECONDS
        if not self._is_warned:
            self._is_warned = True
            _log.warning(
                "the request budgets in %s cannot be used (%s); until they can, the budgets of %s apply,"
                " and the service may refuse requests; next check in %.0f s",
                self._first.place,
                error,
                self._second.place,
                RECHECK_SECONDS,
            )

    def _recover(self) -> None:
        if self._is_warned:
            self._is_warned = False
            _log.info("the request budgets in %s can be used", self._first.place)
