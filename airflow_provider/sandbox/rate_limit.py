"""Rate limits: requests in a unit of time, of each user, client or solution; and when requests came."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from airflow_provider.sandbox.counters import busiest
from airflow_provider.sandbox.switches import Rate, SwitchBoard

if TYPE_CHECKING:
    from airflow_provider.sandbox.shared import SharedState

ROUNDING = 1e-3
"""Part of a request by which a time of day, as a float, can be wrong."""


class RateLimit:
    """Token bucket of each key, with a capacity of one unit of time.

    :param unit: seconds in which a rate's requests are allowed.
    :param name: name of the limit, which is unique where several processes share it.
    :param shared: where the processes of a sandbox share it.
    """

    def __init__(self, unit: float = 1.0, name: str = "", shared: SharedState | None = None) -> None:
        self.unit, self.name, self.shared = unit, name, shared
        self.arrivals: defaultdict[str, list[float]] = defaultdict(list)
        self._levels: dict[str, list[float]] = {}
        if shared:
            shared.forget(f"{name} ")

    def take(self, key: str, now: float, rate: float | None) -> float:
        """Take a request out of the bucket; return the seconds until one is available, 0 when one was taken.

        :param key: the user, client or solution.
        :param now: the sandbox's time.
        :param rate: requests in a unit of time; None for no limit, 0 refuses all.
        """
        self.arrivals[key].append(time.monotonic())
        if rate is None:
            return 0.0
        seconds = 0.0

        def taken(found: list[float] | None) -> list[float]:
            nonlocal seconds
            level, seconds = self._level_after(found, now, rate)
            return [level, now]

        if self.shared:
            self.shared.change(f"{self.name} {key}", taken)
        else:
            self._levels[key] = taken(self._levels.get(key))
        return seconds

    def _level_after(self, found: list[float] | None, now: float, rate: float) -> tuple[float, float]:
        """Return the bucket's level after a request, and the seconds by which the request was early."""
        capacity, speed = max(rate, 1.0) if rate else 0.0, rate / self.unit
        level, at = found or (capacity, now)
        level = min(capacity, level + (now - at) * speed)
        if level >= 1 - ROUNDING:
            return level - 1, 0.0
        return level, (1 - level) / speed if speed else inf

    def busiest(self, window: float = 1.0) -> int:
        """Return the maximum number of requests of one key in a window of real seconds."""
        return max((busiest(moments, window) for moments in self.arrivals.values()), default=0)


def retry_after(seconds: float, most: int = 3600) -> dict[str, str]:
    """Return the header that names the seconds until a request is allowed."""
    return {"Retry-After": str(most if seconds == inf else ceil(seconds))}


@dataclass(eq=False)
class RateSwitches(SwitchBoard):
    """Switches of a rate limit.

    :param requests_per_second: maximum requests a second of each client; null for no limit.
    :param retry_after: a 429 has a ``Retry-After`` header.
    """

    requests_per_second: Rate | None = None
    retry_after: bool = True
