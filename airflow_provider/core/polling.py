"""Polling: intervals, tolerated failures, and the wait of a worker until a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from airflow_provider.errors import RateLimitedError, ServerError, TransportError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


T = TypeVar("T")

clock = time.time

TRANSIENT_ERRORS = (TransportError, ServerError, RateLimitedError)
"""Transient failures of a poll: the awaited object may still be well."""

MAX_TOLERATED_FAILURES = 5
"""Maximum transient failures in a row of one wait."""


class Tolerance:
    """Tolerates transient failures of one wait's polls: ``with tolerance:`` around each poll.

    A transient failure is suppressed and logged, up to :data:`MAX_TOLERATED_FAILURES` in a row. All other
    exceptions are raised at once.

    :param log: receives a warning for each tolerated failure.
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
    """Yield the seconds between polls without end: short at first, growing by half, with a tenth of jitter.

    :param longest: maximum seconds of an interval, before jitter.
    :param first: seconds of the first interval.
    """
    current = min(first, longest)
    while True:
        yield current * random.uniform(0.9, 1.1)  # noqa: S311
        current = min(longest, current * 1.5)


def backoff_delays(first: float = 0.5, longest: float = 60.0) -> Iterator[float]:
    """Yield the delays between attempts to connect, forever: exponential backoff with jitter.

    :param first: seconds of the first delay, before jitter.
    :param longest: maximum seconds of a delay.
    """
    current = first
    while True:
        yield current * random.uniform(0.5, 1.0)  # noqa: S311
        current = min(longest, current * 2)


def bounded(timeout: float, execution_timeout: timedelta | None) -> float:
    """Return the seconds that a task may wait: Airflow applies ``execution_timeout`` on workers only.

    :param timeout: seconds.
    :param execution_timeout: the task's argument.
    """
    return timeout if execution_timeout is None else min(timeout, execution_timeout.total_seconds())


def shown_bound(timeout: float, execution_timeout: timedelta | None) -> str:
    """Return the seconds of :func:`bounded` as a text, with the name of the other argument."""
    seconds = bounded(timeout, execution_timeout)
    return f"{seconds:g} s" if seconds == timeout else f"{seconds:g} s ('execution_timeout')"


def wait_for(
    poll: Callable[[], T | None],
    *,
    deadline: float,
    poll_interval: float,
    log: Logger,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Poll on a worker until there is a result; the last poll begins at the deadline or after it.

    :param poll: function that returns the result, or None when there is none yet.
    :param deadline: seconds since the epoch.
    :param poll_interval: maximum seconds between two polls.
    :param log: receives a warning for each tolerated failure.
    :param sleep: function that waits for some seconds.
    :raises TimeoutError: at the deadline.
    """
    tolerance = Tolerance(log)
    for pause in intervals(poll_interval):
        # The machine may stand still during a poll: what it has found then says nothing about the deadline.
        is_last = clock() >= deadline
        with tolerance:
            if (result := poll()) is not None:
                return result
        if is_last:
            break
        sleep(max(0.0, min(pause, deadline - clock())))
    raise TimeoutError
