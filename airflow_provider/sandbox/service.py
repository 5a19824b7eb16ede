"""What one emulated service offers to the sandbox, and what the sandbox lends it."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Clock:
    """The sandbox's time: the real one, plus what a test moved it forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the sandbox sees it."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time forward: tokens expire, queues move on."""
        self._ahead += seconds

    def reset(self) -> None:
        """Go back to the real time."""
        self._ahead = 0.0


@dataclass
class Counters:
    """What the sandbox has seen; ground truth for tests and benchmarks.

    :param requests: requests by ``"<service> <METHOD> <route template>"``.
    :param connections: TCP connections accepted.
    :param tokens_issued: by service.
    :param rows_served: rows or objects in replies, by service.
    :param in_flight: requests being served now; ``peak_in_flight`` the most there were at once.
    """

    requests: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    tokens_issued: Counter[str] = field(default_factory=Counter)
    rows_served: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    peak_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def total(self, containing: str = "") -> int:
        """Count the requests whose name contains a text."""
        return sum(n for name, n in self.requests.items() if containing in name)

    def clear(self) -> None:
        """Start counting anew."""
        with self.lock:
            self.requests.clear()
            self.tokens_issued.clear()
            self.rows_served.clear()
            self.connections = 0
            self.peak_in_flight = self.in_flight


@dataclass
class Surroundings:
    """What every service gets from the sandbox.

    :param clock: the only clock a service may read.
    :param counters: where a service counts tokens issued and rows served (requests are counted for it).
    :param origin: ``http://127.0.0.1:<port>`` of the APIs; known once the sandbox listens.
    :param storage_origin: the same of the second origin, which plays the blob storage.
    """

    clock: Clock = field(default_factory=Clock)
    counters: Counters = field(default_factory=Counters)
    origin: str = ""
    storage_origin: str = ""


class Service(ABC):
    """One emulated API. State lives in memory; every handler runs on the sandbox's event loop.

    Switches for what the vendor leaves unknown are plain attributes that a test sets.
    """

    name: ClassVar[str]
    """Also the connection type, and the path prefix (``/leanix``)."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Put the seeded world and the default switches back."""

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Routes below the service's prefix."""

    def root_routes(self) -> Sequence[BaseRoute]:
        """Routes at the root of the API origin (a socket, say)."""
        return ()

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Routes at the root of the second origin, which must refuse requests with credentials."""
        return ()

    @abstractmethod
    def connection(self) -> Mapping[str, Any]:
        """The Airflow connection to this service, as the dict that ``AIRFLOW_CONN_*`` takes as JSON."""

    @property
    def base_url(self) -> str:
        """Where the service's prefix is."""
        return f"{self.around.origin}/{self.name}"
