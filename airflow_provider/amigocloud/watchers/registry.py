"""What the watchers of one connection want to be looked at, and how far they have come. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider.amigocloud.watchers.observations import Ledger


LAG = 500
"""So many sightings may wait for a watcher before there are more. Airflow ends one for whom 1,024 wait."""


class Watching:
    """One watcher's place among all.

    :param ledger: what it wants and knows.
    :param interval: seconds between looks.
    """

    def __init__(self, ledger: Ledger, interval: float) -> None:
        self.ledger = ledger
        self.interval = interval
        self.waiting = 0


class Wishes:
    """All watchers of a connection that are there at the moment.

    ``due`` is set when there should be a look at once, ``grown`` when somebody has come.
    """

    def __init__(self) -> None:
        self._all: set[Watching] = set()
        self._taken = asyncio.Event()
        self.due = asyncio.Event()
        self.grown = asyncio.Event()

    @contextmanager
    def one_more(self, ledger: Ledger, interval: float) -> Iterator[Watching]:
        """Look for a watcher, too, for as long as this lasts."""
        watching = Watching(ledger, interval)
        self._all.add(watching)
        self.due.set()
        self.grown.set()
        try:
            yield watching
        finally:
            self._all.remove(watching)
            self._taken.set()

    @property
    def datasets(self) -> set[int]:
        """Whose states matter, by id."""
        return {one.ledger.dataset for one in self._all if one.ledger.dataset is not None}

    @property
    def needs_list(self) -> bool:
        """Whether the project's datasets matter."""
        return any(one.ledger.needs_list for one in self._all)

    @property
    def jobs(self) -> dict[str, Mapping[str, Any]]:
        """Jobs whose end somebody waits for: by id, what was told when they began."""
        return {job: begun for one in self._all for job, begun in one.ledger.jobs.items()}

    @property
    def interval(self) -> float:
        """Seconds between looks."""
        return min((one.interval for one in self._all), default=60.0)

    def taken(self, watching: Watching) -> None:
        """Note that a watcher is done with a sighting; it may have got it before it was among all."""
        watching.waiting = max(0, watching.waiting - 1)
        self._taken.set()

    def given(self) -> None:
        """Note that all get a sighting."""
        for one in self._all:
            one.waiting += 1

    async def keep_pace(self) -> None:
        """Wait until nobody is far behind."""
        await asyncio.sleep(0)
        while any(one.waiting > LAG for one in self._all):
            self._taken.clear()
            await self._taken.wait()
