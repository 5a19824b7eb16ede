"""Counters: requests, replies by status, tokens and rows; ground truth for tests and benchmarks."""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SECOND = 1.0
"""Length of the window in which requests are counted for the busiest second."""


def _moments() -> array[float]:
    return array("d")


@dataclass
class Counters:
    """Counts of what the sandbox has served.

    A request's key is ``"<service> <METHOD> <route template>"``. A request without a reply, such as one whose
    connection was reset, is in ``requests`` only.

    :param requests: requests by key.
    :param statuses: replies by key and HTTP status; an accepted WebSocket is a 101.
    :param arrivals: moments of the requests by key, in real seconds of the machine's monotonic clock.
    :param connections: TCP connections accepted.
    :param tokens_issued: access tokens issued, by service.
    :param rows_served: rows or objects in replies, by service.
    :param in_flight: requests in progress.
    :param peak_in_flight: maximum of ``in_flight``.
    :param clears: number of calls of :meth:`clear`.
    :param resets: number of calls of :meth:`reset`.
    """

    requests: Counter[str] = field(default_factory=Counter)
    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    arrivals: defaultdict[str, array[float]] = field(default_factory=lambda: defaultdict(_moments))
    connections: int = 0
    tokens_issued: Counter[str] = field(default_factory=Counter)
    rows_served: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    peak_in_flight: int = 0
    clears: int = 0
    resets: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, key: str) -> int:
        """Count a request that begins; return what :meth:`reply` needs."""
        with self.lock:
            self.requests[key] += 1
            self.arrivals[key].append(time.monotonic())
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
            return self.clears

    def reply(self, key: str, status: int, clears: int) -> None:
        """Count a reply, unless its request was counted before the last :meth:`clear`."""
        with self.lock:
            if clears == self.clears:
                self.statuses[key][status] += 1

    def end(self, resets: int) -> None:
        """Count a request that is over, unless it began before the last :meth:`reset`.

        :param resets: value of ``resets`` when it began.
        """
        with self.lock:
            if resets == self.resets:
                self.in_flight -= 1

    def total(self, containing: str = "") -> int:
        """Return the number of requests whose key contains a text."""
        with self.lock:
            return sum(count for name, count in self.requests.items() if containing in name)

    def replies(self, containing: str = "") -> Counter[int]:
        """Return the number of replies by status, to requests whose key contains a text."""
        with self.lock:
            return sum((found for name, found in self.statuses.items() if containing in name), Counter())

    def busiest_second(self, containing: str = "") -> int:
        """Return the maximum number of requests in any second whose keys contain a text."""
        with self.lock:
            return busiest(
                moment for name in self.arrivals if containing in name for moment in self.arrivals[name]
            )

    def dump(self) -> dict[str, Any]:
        """Return all counts as JSON, to be merged with those of other processes."""
        with self.lock:
            return {
                "requests": dict(self.requests),
                "statuses": {name: dict(found) for name, found in self.statuses.items()},
                "arrivals": {name: list(moments) for name, moments in self.arrivals.items()},
                "tokens_issued": dict(self.tokens_issued),
                "rows_served": dict(self.rows_served),
                **{name: getattr(self, name) for name in SCALARS},
            }

    def report(self) -> dict[str, Any]:
        """Return the counts as ``GET /_sandbox/counters`` does; see :func:`report`."""
        return report([self.dump()])

    def clear(self) -> None:
        """Set all counts to 0; requests in progress stay counted."""
        with self.lock:
            for counts in (self.requests, self.statuses, self.arrivals, self.tokens_issued, self.rows_served):
                counts.clear()
            self.connections = 0
            self.peak_in_flight = self.in_flight
            self.clears += 1

    def reset(self) -> None:
        """Set all counts to 0; requests in progress, such as open sockets, are forgotten."""
        with self.lock:
            self.in_flight = 0
            self.resets += 1
        self.clear()


SCALARS = ("connections", "in_flight", "peak_in_flight")


def busiest(moments: Iterable[float], window: float = SECOND) -> int:
    """Return the maximum number of moments in any window of this many seconds."""
    ordered = sorted(moments)
    most = first = 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def report(dumps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the counts of one or more processes together.

    ``requests``, ``statuses`` and ``busiest_second`` are by route. ``services`` has the same of each service,
    with its ``tokens_issued``, ``rows_served`` and the ``seconds`` from its first to its last request.
    ``peak_in_flight`` of several processes is the sum of their peaks, which no moment may have reached.
    """
    found = list(dumps)
    statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    arrivals: defaultdict[str, list[float]] = defaultdict(list)
    for one in found:
        for name, counts in one["statuses"].items():
            statuses[name].update({str(status): count for status, count in counts.items()})
        for name, moments in one["arrivals"].items():
            arrivals[name] += moments
    sums = {name: _added(one[name] for one in found) for name in ("requests", "tokens_issued", "rows_served")}
    known = {name.split(" ")[0] for name in sums["requests"]}
    services = known | set(sums["tokens_issued"]) | set(sums["rows_served"])
    return {
        "services": {name: _of_service(name, sums, statuses, arrivals) for name in sorted(services)},
        **sums,
        "statuses": {name: dict(counts) for name, counts in statuses.items()},
        "busiest_second": {name: busiest(moments) for name, moments in arrivals.items()},
        **{name: sum(one[name] for one in found) for name in SCALARS},
        "processes": len(found),
    }


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _of_service(
    service: str,
    sums: Mapping[str, Mapping[str, int]],
    statuses: Mapping[str, Counter[str]],
    arrivals: Mapping[str, list[float]],
) -> dict[str, Any]:
    moments = [moment for name, found in arrivals.items() if _is_of(service, name) for moment in found]
    replies: Counter[str] = Counter()
    for name, counts in statuses.items():
        if _is_of(service, name):
            replies.update(counts)
    return {
        "requests": sum(count for name, count in sums["requests"].items() if _is_of(service, name)),
        "statuses": dict(replies),
        "busiest_second": busiest(moments),
        "seconds": max(moments) - min(moments) if moments else 0.0,
        "tokens_issued": sums["tokens_issued"].get(service, 0),
        "rows_served": sums["rows_served"].get(service, 0),
    }


def _is_of(service: str, key: str) -> bool:
    return key.startswith(f"{service} ")
