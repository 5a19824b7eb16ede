"""Turns of an event loop: how many tasks continue in one of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LoopTurns:
    """Count of what happens in each turn of the event loop.

    :ivar number: number of the present turn.
    """

    def __init__(self) -> None:
        self.number = 0
        self._counts: Counter[int] = Counter()

    def record(self) -> None:
        """Record that a task continues in this turn."""
        self._counts[self.number] += 1

    @property
    def most(self) -> int:
        """Return the most that happened in one turn."""
        return max(self._counts.values())


@asynccontextmanager
async def counted_turns() -> AsyncIterator[LoopTurns]:
    """Count the turns of the running event loop."""
    turns = LoopTurns()

    async def turn() -> None:
        while True:
            turns.number += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(turn())
    try:
        yield turns
    finally:
        task.cancel()
