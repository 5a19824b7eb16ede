"""Concurrency: at most some requests of a connection at once, over all tasks that use it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.core.http.rate_limit import LONGEST_WAIT
from airflow_provider.errors import RateLimitedError

if TYPE_CHECKING:
    from airflow_provider.core.limits.semaphore import Permit, Semaphore

T = TypeVar("T")

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.025
"""Seconds between two attempts of a waiter."""

_LOGGED_WAIT = 5.0
"""Seconds of a wait that is logged."""

_RETRY_AFTER = 30.0
"""Seconds until the next attempt of a task that found no place: others have held all of them for long."""

_log = logging.getLogger(__name__)


class ConcurrencyLimit:
    """The places of a connection's requests.

    :param limit: maximum requests at once.
    :param semaphore: counts the requests of all tasks.
    """

    def __init__(self, limit: int, semaphore: Semaphore) -> None:
        self._limit = limit
        self._semaphore = semaphore
        self._is_announced = False

    @contextmanager
    def entered(
        self, sleep: Callable[[float], None], longest: Callable[[], float], describe: Callable[[], str]
    ) -> Iterator[float]:
        """Hold a place within the block; yields the seconds waited for it.

        :param sleep: function that waits for some seconds.
        :param longest: function that returns the maximum seconds to wait, now.
        :param describe: function that returns the request in one line, for the error.
        :raises RateLimitedError: when no place is free in that time, or within a minute.
        """
        permit = self._new_permit()
        try:
            for pause in self._pauses(permit):
                if (waited := time.monotonic() - permit.since) > LONGEST_WAIT or longest() <= 0:
                    raise self._full(waited, describe())
                sleep(pause)
            yield time.monotonic() - permit.since
        finally:
            self._semaphore.leave(permit)

    @asynccontextmanager
    async def aentered(self) -> AsyncIterator[None]:
        """Hold a place within the block, without blocking the event loop, however long the wait is."""
        permit = self._new_permit()
        pauses = self._pauses(permit)
        try:
            while (pause := await _in_thread(lambda: next(pauses, None))) is not None:
                await asyncio.sleep(pause)
            yield
        finally:
            await _in_thread(lambda: self._semaphore.leave(permit))

    def _new_permit(self) -> Permit:
        from airflow_provider.core.limits.semaphore import Permit

        return Permit()

    def _pauses(self, permit: Permit) -> Iterator[float]:
        """Yield the seconds to wait before each further attempt, until a place was taken."""
        if not self._is_announced:
            self._is_announced = True
            _log.info("at most %d requests at once, shared in %s", self._limit, self._semaphore.place)
        pause, is_logged = _SHORTEST_PAUSE, False
        while not self._semaphore.try_enter(permit):
            if not is_logged and time.monotonic() - permit.since > _LOGGED_WAIT:
                is_logged = True
                _log.info(
                    "waiting for one of the %d requests at once in %s", self._limit, self._semaphore.place
                )
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - waiters that came together part
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    def _full(self, waited: float, request: str) -> RateLimitedError:
        message = (
            f"{request} was not sent: for {waited:.0f} s other tasks have held all {self._limit} places that"
            f" 'max_concurrency' allows in {self._semaphore.place}"
        )
        return RateLimitedError(429, RateLimitedError.OWN_BUDGET, message, retry_after=_RETRY_AFTER)


async def _in_thread(operation: Callable[[], T]) -> T:
    """Run an operation in a thread; wait for its end however often it is cancelled: no place is lost.

    The future is the executor's, not a task's: a loop that ends cancels its tasks.
    """
    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, operation)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # It is no longer of interest to anyone.
        raise cancelled
    return running.result()


_limits: dict[tuple[Any, ...], ConcurrencyLimit] = {}


def shared_concurrency(address: str, limit: int, *identity: str) -> ConcurrencyLimit:
    """Return the limit that all users of a connection share.

    :param address: the extra ``rate_limit_store`` of the connection; empty for the machine's store.
    :param limit: maximum requests at once.
    :param identity: the connection and its service; stored as a hash only.
    :raises InputError: when the package ``redis`` is needed and missing.
    """
    from airflow_provider.core.limits.address import open_semaphore, place_of

    key = hashlib.sha256("\0".join(("concurrency", *identity)).encode()).hexdigest()[:40]
    place = (*place_of(address), key, limit)
    found = _limits.get(place)
    if found is None:
        created = ConcurrencyLimit(limit, open_semaphore(address, key, limit))
        found = _limits.setdefault(place, created)
    return found
