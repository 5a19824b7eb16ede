"""Waiting for something on a service: intervals, deadlines, tolerated failures, shared polls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from airflow_provider.errors import (
    RateLimitedError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


T = TypeVar("T")

clock = time.time

TRANSIENT_ERRORS = (TransportError, ServerError, RateLimitedError)
"""Failures of a poll that may pass: the thing waited for is not known to be lost."""

MAX_TOLERATED_FAILURES = 5
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
        if not isinstance(error, TRANSIENT_ERRORS):
            self.failures = 0
            return False
        self.failures += 1
        if self.failures > MAX_TOLERATED_FAILURES:
            return False
        self._log.warning(
            "poll failed (%d of %d tolerated): %s", self.failures, MAX_TOLERATED_FAILURES, error
        )
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
