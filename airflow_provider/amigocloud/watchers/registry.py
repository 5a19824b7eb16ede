"""Registry of a connection's watchers, with their requests and unread observations. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider.amigocloud.watchers.observations import ObservedState


MAX_UNREAD = 500
"""Maximum unread observations per watcher. Airflow ends a watcher with 1,024 unread ones."""


class WatchRequest:
    """Request of one watcher, registered while the watcher runs.

    :param observed: the events that the watcher wants, and the state that it has observed.
    :param interval: seconds between polls.
    """

    def __init__(self, observed: ObservedState, interval: float) -> None:
        self.observed = observed
        self.interval = interval
        self.unread = 0


class WatchRegistry:
    """The requests of all watchers of a connection that run at the moment.

    ``poll_due`` is set when a poll is due at once, ``watcher_added`` when a watcher has registered.
    """

    def __init__(self) -> None:
        self._requests: set[WatchRequest] = set()
        self._read = asyncio.Event()
        self.poll_due = asyncio.Event()
        self.watcher_added = asyncio.Event()

    @contextmanager
    def register(self, observed: ObservedState, interval: float) -> Iterator[WatchRequest]:
        """Register a watcher within the block; the next poll is due at once.

        :param observed: see :class:`WatchRequest`.
        :param interval: seconds between polls.
        """
        request = WatchRequest(observed, interval)
        self._requests.add(request)
        self.poll_due.set()
        self.watcher_added.set()
        try:
            yield request
        finally:
            self._requests.remove(request)
            self._read.set()

    @property
    def datasets(self) -> set[int]:
        """Ids of the datasets whose states are watched."""
        return {
            request.observed.dataset for request in self._requests if request.observed.dataset is not None
        }

    @property
    def needs_list(self) -> bool:
        """True if a watcher needs the list of the project's datasets."""
        return any(request.observed.needs_list for request in self._requests)

    @property
    def jobs(self) -> dict[str, Mapping[str, Any]]:
        """Jobs whose end a watcher waits for: the payload of each start event by job id."""
        return {job: start for request in self._requests for job, start in request.observed.jobs.items()}

    @property
    def interval(self) -> float:
        """Seconds between polls: the shortest interval of all watchers."""
        return min((request.interval for request in self._requests), default=60.0)

    def mark_read(self, request: WatchRequest) -> None:
        """Count an observation as read by a watcher.

        A watcher may read an observation that was sent before it registered.
        """
        request.unread = max(0, request.unread - 1)
        self._read.set()

    def mark_sent(self) -> None:
        """Count an observation as sent to every watcher."""
        for request in self._requests:
            request.unread += 1

    async def wait_for_slow_watchers(self) -> None:
        """Wait until every watcher has at most :data:`MAX_UNREAD` unread observations."""
        await asyncio.sleep(0)
        while any(request.unread > MAX_UNREAD for request in self._requests):
            self._read.clear()
            await self._read.wait()
