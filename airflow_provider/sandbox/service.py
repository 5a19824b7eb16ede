"""Base of emulated services, and the clock that they share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.sandbox.counters import Counters
from airflow_provider.sandbox.rate_limit import RateLimit

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from airflow_provider.sandbox.loads import Load
    from airflow_provider.sandbox.shared import SharedState

MEMBER_NUMBERS = 1_000_000_000
"""Numbers of tokens that each process of a sandbox has for itself, so that no two issue the same token."""


MOST_RATE = 10_000.0
"""Maximum seconds of the sandbox in a real second."""


class StartError(RuntimeError):
    """A sandbox that cannot start; the message says why in a sentence, without secrets."""


class Clock:
    """The sandbox's time: the real time, plus what a test has advanced it by, or how much faster it runs.

    :param rate: seconds of the sandbox in a real second, from which a reset continues.
    """

    def __init__(self, rate: float = 1.0) -> None:
        self._first_rate = checked_rate(rate)
        self.reset()

    @property
    def rate(self) -> float:
        """Seconds of the sandbox in a real second."""
        return self._from[2]

    def now(self) -> float:
        """Return the sandbox's time in seconds since the epoch."""
        return time.time() + self.ahead()

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's time: tokens expire, and queued work proceeds."""
        self._from = (self.ahead() + seconds, time.monotonic(), self.rate)

    def run_at(self, rate: float) -> None:
        """Change the rate from now on; the time never goes back.

        :param rate: seconds of the sandbox in a real second.
        :raises ValueError: for a rate that is none.
        """
        self._from = (self.ahead(), time.monotonic(), checked_rate(rate))

    def ahead(self) -> float:
        """Return the seconds by which the sandbox's time is ahead of the real time."""
        ahead, since, rate = self._from
        return ahead + (time.monotonic() - since) * (rate - 1)

    def reset(self) -> None:
        """Return to the real time, and to the first rate."""
        # One tuple, so that a thread never reads a part of a change.
        self._from = (0.0, time.monotonic(), self._first_rate)


def checked_rate(rate: float) -> float:
    """Return the rate of a clock.

    :raises ValueError: when it is none.
    """
    if not 0 <= rate <= MOST_RATE:
        raise ValueError(f"the rate of the clock must be from 0 to {MOST_RATE:g}, not {rate:g}")
    return float(rate)


@dataclass
class Surroundings:
    """Shared environment of the services of a sandbox.

    :param clock: the only clock that a service reads.
    :param counters: counters to which a service adds tokens and rows; requests are counted by the sandbox.
    :param origin: ``http://127.0.0.1:<port>`` of the APIs; set when the sandbox starts.
    :param storage_origin: the second origin, which emulates the blob storage; set when the sandbox starts.
    :param shared: tokens and limits that several processes of a sandbox share; None for a single process.
    :param member: number of the process among several, from 0.
    :param amigocloud_sql: address of the PostgreSQL server that runs AmigoCloud's SQL; empty for the embedded
        engine.
    :param iot_mqtt: address of the broker with which IoT Studio exchanges property values; empty for none.
    :param on_loop: runs a function between two requests; for a service with a thread of its own.
    """

    clock: Clock = field(default_factory=Clock)
    counters: Counters = field(default_factory=Counters)
    origin: str = ""
    storage_origin: str = ""
    shared: SharedState | None = None
    member: int = 0
    amigocloud_sql: str = field(default="", repr=False)
    iot_mqtt: str = field(default="", repr=False)
    on_loop: Callable[[Callable[[], None]], None] = field(default=lambda work: work(), repr=False)

    def rate_limit(self, name: str, unit: float = 1.0) -> RateLimit:
        """Return a new rate limit, which the processes of a sandbox share by its name."""
        return RateLimit(unit, name, self.shared)


class Service(ABC):
    """Base of an emulated API; state is in memory, and all handlers run on the sandbox's event loop.

    Behaviour that the vendor does not document is switched by plain attributes, which a test sets. Those of a
    :class:`~airflow_provider.sandbox.switches.SwitchBoard` can be listed and set by name, too.

    :param around: clock, counters and origins of the sandbox.
    """

    name: ClassVar[str]
    """Name of the service, its connection type and its path prefix (``/leanix``)."""

    loads: ClassVar[Sequence[type[Load]]] = ()
    """Loads of generated data that the service takes."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Restore the seeded state and the default switches."""

    def close(self) -> None:  # noqa: B027 - most services have nothing to remove
        """Remove what the service has made outside of its process; called once, when the sandbox stops."""

    def before_fork(self) -> None:  # noqa: B027 - most services hold nothing that processes cannot share
        """Release what processes that are forked from this one cannot share."""

    def after_fork(self, member: int) -> None:  # noqa: B027
        """Make own copies of what the parent has released.

        :param member: number of this process.
        """

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes below the service's prefix."""

    def root_routes(self) -> Sequence[BaseRoute]:
        """Return the routes at the root of the API origin, such as a WebSocket."""
        return ()

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Return the routes at the root of the storage origin; they must reject credentials."""
        return ()

    @abstractmethod
    def connection(self) -> Mapping[str, Any]:
        """Return the Airflow connection to this service, as the object of ``AIRFLOW_CONN_*`` in JSON."""

    @property
    def base_url(self) -> str:
        """The URL of the service's prefix."""
        return f"{self.around.origin}/{self.name}"
