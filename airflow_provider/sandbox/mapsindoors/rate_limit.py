"""Rate limit: requests a second and solution, and the times of all requests."""

from __future__ import annotations

import time
from collections import defaultdict


class RateLimit:
    """Token bucket of each solution, with a capacity of one second."""

    def __init__(self) -> None:
        self._level: dict[str, tuple[float, float]] = {}
        self.arrivals: defaultdict[str, list[float]] = defaultdict(list)

    def take(self, solution: str, now: float, rate: float | None) -> float:
        """Take a token for a request; return the seconds until one is available, 0 when one was taken."""
        self.arrivals[solution].append(time.monotonic())
        if rate is None:
            return 0.0
        level, at = self._level.get(solution, (rate, now))
        level = min(rate, level + (now - at) * rate)
        if level < 1:
            self._level[solution] = (level, now)
            return (1 - level) / rate
        self._level[solution] = (level - 1, now)
        return 0.0

    def busiest(self, window: float = 1.0) -> int:
        """Return the maximum number of requests to one solution in a window of real seconds."""
        most = 0
        for times in self.arrivals.values():
            first = 0
            for last, moment in enumerate(times):
                while times[first] <= moment - window:
                    first += 1
                most = max(most, last - first + 1)
        return most
