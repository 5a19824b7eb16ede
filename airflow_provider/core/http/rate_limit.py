"""Rate limits: request budgets that all processes of a machine or a cluster share."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.errors import RateLimitedError

if TYPE_CHECKING:
    from airflow_provider.core.limits.store import Reservation, Store

T = TypeVar("T")

LONGEST_WAIT = 60.0
"""Maximum seconds that a worker waits for a budget; a longer wait becomes the task's next retry."""

TOKENS_PER_SECOND = 1.0
"""Token requests a second of one client."""

TOKEN_BURST = 10
"""Token requests of one client that may leave at once after an idle time."""

_LOGGED_WAIT = 5.0
"""Seconds of a wait that is logged."""

_ALIAS_SECONDS = 600.0
"""Seconds for which a process remembers that a budget is an alias."""

_log = logging.getLogger(__name__)


class Budget:
    """The requests that all users of one limit of a service may send.

    :param per_second: requests a second, fractions included; None for a budget that a 429 pauses, and that
        has no limit else.
    :param store: holder of the budget's state; None for this process alone.
    :param key: the budget's key in the store.
    :param burst: requests that may leave at once after an idle time, if ``per_second`` is lower.
    """

    def __init__(
        self, per_second: float | None, store: Store | None = None, key: str = "", burst: int = 1
    ) -> None:
        from airflow_provider.core.limits.plan import Rate
        from airflow_provider.core.limits.process import ProcessStore

        self.per_second = per_second
        self.store = store or ProcessStore()
        self._rate = None if per_second is None else Rate.per_second(per_second, burst)
        self._key = key
        self._used: tuple[str, float] = (key, 0.0)
        self._is_announced = per_second is None

    # -- one operation ----------------------------------------------------------------------------

    def reserve(self, longest: float = LONGEST_WAIT) -> Reservation:
        """Reserve the next free moment for a request.

        :param longest: maximum seconds until then; a later moment is not reserved.
        """
        return self._keep(self.store.reserve(self._current_key(), self._rate, longest))

    async def areserve(self, longest: float = LONGEST_WAIT) -> Reservation:
        """Reserve the next free moment as :meth:`reserve` does, without blocking the event loop."""
        key = self._current_key()
        return self._keep(
            await _without_blocking(lambda block: self.store.reserve(key, self._rate, longest, block=block))
        )

    def pause(self, seconds: float) -> None:
        """Pause the requests of all users of the budget, for five minutes at most.

        :param seconds: length of the pause.
        """
        self.store.pause(self._key, self._rate, seconds)

    async def apause(self, seconds: float) -> None:
        """Pause all users as :meth:`pause` does, without blocking the event loop."""
        await _without_blocking(lambda block: self.store.pause(self._key, self._rate, seconds, block=block))

    def join(self, other: Budget) -> None:
        """Make this budget an alias of another one, for all processes: both are for one limit of the service.

        :param other: the budget of the same store that counts all requests from now on.
        """
        if self._must_join(other):
            self.store.join(self._key, other._key, self._rate)
            self._used = (other._key, time.monotonic())

    async def ajoin(self, other: Budget) -> None:
        """Join another budget as :meth:`join` does, without blocking the event loop."""
        if self._must_join(other):
            await _without_blocking(
                lambda block: self.store.join(self._key, other._key, self._rate, block=block)
            )
            self._used = (other._key, time.monotonic())

    # -- the wait before a request ----------------------------------------------------------------

    def acquire(
        self, sleep: Callable[[float], None], longest: Callable[[], float], describe: Callable[[], str]
    ) -> float:
        """Wait until a request may leave; returns the seconds waited.

        :param sleep: function that waits for some seconds.
        :param longest: function that returns the maximum seconds to wait, now.
        :param describe: function that returns the request in one line, for the error.
        :raises RateLimitedError: when the wait would be longer; its ``retry_after`` is the delay. No part of
            the budget is used then.
        """
        waited = 0.0
        while True:
            reservation = self.reserve(min(LONGEST_WAIT, max(0.0, longest())))
            if not reservation.taken:
                raise _used_up(reservation, describe())
            if reservation.wait <= 0:
                return waited
            self._log_wait(reservation)
            sleep(reservation.wait)
            waited += reservation.wait
            # The service may have refused a request meanwhile, and all its users pause.
            if self.store.paused_until(reservation) <= reservation.slot:
                return waited

    async def aacquire(self) -> float:
        """Wait until a request may leave, without blocking the event loop; returns the seconds waited.

        Before a long wait nothing is reserved, so that the requests of others may leave meanwhile.
        """
        waited = 0.0
        while True:
            reservation = await self.areserve()
            if reservation.wait <= 0:
                return waited
            self._log_wait(reservation)
            await asyncio.sleep(min(reservation.wait, LONGEST_WAIT))
            waited += min(reservation.wait, LONGEST_WAIT)
            if reservation.taken and not await self._ais_paused_after(reservation):
                return waited

    async def _ais_paused_after(self, reservation: Reservation) -> bool:
        until = await _without_blocking(lambda block: self.store.paused_until(reservation, block=block))
        return until > reservation.slot

    # -- details ----------------------------------------------------------------------------------

    def _current_key(self) -> str:
        """Return the key that the budget's alias led to a short time ago, else its own."""
        key, since = self._used
        return key if time.monotonic() - since < _ALIAS_SECONDS else self._key

    def _keep(self, reservation: Reservation) -> Reservation:
        if reservation.key != self._used[0]:
            self._used = (reservation.key, time.monotonic())
        if not self._is_announced:
            self._is_announced = True
            _log.info("request budget: %g requests a second, shared in %s", self.per_second, self.store.place)
        return reservation

    def _must_join(self, other: Budget) -> bool:
        key, since = self._used
        is_joined = key == other._key and time.monotonic() - since < _ALIAS_SECONDS
        return self._key != other._key and not is_joined

    def _log_wait(self, reservation: Reservation) -> None:
        if reservation.wait > _LOGGED_WAIT:
            _log.info(
                "waiting %.1f s for the request budget in %s", reservation.wait, reservation.store.place
            )


def _used_up(reservation: Reservation, request: str) -> RateLimitedError:
    message = (
        f"{request} was not sent: the request budget in {reservation.store.place} is used up or paused for"
        f" the next {reservation.wait:.0f} s"
    )
    return RateLimitedError(429, RateLimitedError.OWN_BUDGET, message, retry_after=reservation.wait)


async def _without_blocking(operation: Callable[[bool], T]) -> T:
    """Run a store's operation inline if it need not wait, else in a thread."""
    from airflow_provider.core.limits.store import WouldBlockError

    try:
        return operation(False)
    except WouldBlockError:
        return await asyncio.to_thread(operation, True)


_budgets: dict[tuple[Any, ...], Budget] = {}


def shared_budget(address: str, per_second: float | None, *identity: str, burst: int = 1) -> Budget:
    """Return the budget that all users of an identity share.

    :param address: the extra ``rate_limit_store`` of the connection; empty for the machine's store.
    :param per_second: requests a second; None for a budget that pauses only.
    :param identity: the owner of the limit on the service (host, solution); stored as a hash only.
    :param burst: requests that may leave at once after an idle time, if ``per_second`` is lower.
    :raises InputError: when the package ``redis`` is needed and missing.
    """
    from airflow_provider.core.limits.address import open_store

    store = open_store(address)
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:40]
    return _budgets.setdefault((id(store), key, per_second, burst), Budget(per_second, store, key, burst))
