"""Waiting for something on a service: intervals, deadlines, tolerated failures, shared polls."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider import errors
from airflow_provider.core.masking import hidden
from airflow_provider.errors import (
    ApiError,
    ProviderError,
    RateLimitedError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

T = TypeVar("T")

clock = time.time

PASSING = (TransportError, ServerError, RateLimitedError)
"""Failures of a poll that may pass: the thing waited for is not known to be lost."""

TOLERATED = 5
"""So many polls in a row may fail in such a way."""


class Tolerance:
    """Lets the polls of one wait fail now and then: ``with tolerance:`` around each of them.

    A failure that may pass is swallowed and logged, but not the sixth in a row. Any other comes out at once.

    :param log: gets a warning for each failure that is tolerated.
    """

    def __init__(self, log: Logger) -> None:
        self.failures = 0
        self._log = log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, PASSING):
            self.failures = 0
            return False
        self.failures += 1
        if self.failures > TOLERATED:
            return False
        self._log.warning("poll failed (%d of %d tolerated): %s", self.failures, TOLERATED, error)
        return True


def intervals(longest: float, first: float = 1.0) -> Iterator[float]:
    """Give the seconds between polls for ever: short at first, growing by half, jittered by a tenth.

    :param longest: seconds that no interval is much above.
    :param first: seconds of the first interval.
    """
    current = min(first, longest)
    while True:
        yield current * random.uniform(0.9, 1.1)  # noqa: S311
        current = min(longest, current * 1.5)


def wait_for(
    poll: Callable[[], T | None],
    *,
    deadline: float,
    poll_interval: float,
    log: Logger,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Poll until there is a result, on a worker.

    :param poll: gives the result, or None for not yet.
    :param deadline: seconds since the epoch after which ``TimeoutError`` is raised.
    :param poll_interval: the longest interval in seconds.
    :param log: gets a warning for each failure of a poll that is tolerated.
    :raises TimeoutError: at the deadline.
    """
    tolerance = Tolerance(log)
    for pause in intervals(poll_interval):
        with tolerance:
            if (result := poll()) is not None:
                return result
        left = deadline - clock()
        if left <= 0:
            break
        sleep(min(pause, left))
    raise TimeoutError


def error_event(error: Exception) -> dict[str, Any]:
    """Give an event that carries an error to the task; small, and without anything but its own words."""
    if not isinstance(error, ProviderError):
        return {
            "status": "error",
            "type": "ProviderError",
            "args": [hidden(f"{type(error).__name__}: {error}")],
        }
    event: dict[str, Any] = {"status": "error", "type": type(error).__name__, "args": list(error.args)}
    if isinstance(error, ApiError):
        event |= {"request": error.request, "retry_after": error.retry_after}
    return event


def raise_for(event: dict[str, Any]) -> None:
    """Raise the error that an event carries, as the type it had in the triggerer."""
    if event.get("status") != "error":
        return
    kind = getattr(errors, str(event.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, ProviderError)):
        kind = ProviderError
    error = kind(*event.get("args", ()))
    if isinstance(error, ApiError):
        error.request = str(event.get("request", ""))
        error.retry_after = event.get("retry_after")
    raise error


_KEPT_SECONDS = 600.0
"""A shared result that nobody has asked for in so long is dropped: a triggerer lives for months."""


class _Shared:
    """One poll's last result, and the request that is under way."""

    def __init__(self) -> None:
        self.at = float("-inf")
        self.keep_until = 0.0
        self.result: Any = None
        self.under_way: asyncio.Task[Any] | None = None


class _Shelf:
    """The shared results of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Shared] = {}
        self._swept = 0.0

    def entry(self, key: Hashable, max_age: float, now: float) -> _Shared:
        """Give the place of a key, and drop what nobody asks for any more."""
        if now - self._swept > _KEPT_SECONDS / 10:
            self._swept = now
            self._entries = {
                name: one for name, one in self._entries.items() if one.under_way or one.keep_until > now
            }
        entry = self._entries.setdefault(key, _Shared())
        entry.keep_until = now + max(max_age, _KEPT_SECONDS)
        return entry

    def __len__(self) -> int:
        return len(self._entries)


_shelves: WeakKeyDictionary[Any, _Shelf] = WeakKeyDictionary()


async def share(key: Hashable, max_age: float, fetch: Callable[[], Awaitable[T]]) -> T:
    """Give a result that all who ask with the same key share, at most ``max_age`` seconds old.

    Many triggers that ask at about the same time cause one request. An error reaches everybody who waited
    for it, and the next to ask tries again. A result is forgotten when nobody has asked for ten minutes.

    :param key: what is asked, of whom; hashable.
    :param max_age: seconds that a result may be old.
    :param fetch: asks the service.
    """
    loop = asyncio.get_running_loop()
    entry = _shelves.setdefault(loop, _Shelf()).entry(key, max_age, loop.time())
    if loop.time() - entry.at <= max_age:
        result: T = entry.result
        return result
    if entry.under_way is None:
        # Its own task: when the trigger that asked first is cancelled, the others still get the answer.
        entry.under_way = loop.create_task(_ask(entry, fetch))
    return await asyncio.shield(entry.under_way)


async def _ask(entry: _Shared, fetch: Callable[[], Awaitable[T]]) -> T:
    try:
        entry.result = await fetch()
        entry.at = asyncio.get_running_loop().time()
        result: T = entry.result
        return result
    finally:
        entry.under_way = None
