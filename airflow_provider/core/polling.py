"""The trigger that polls a service until something has happened, or a deadline has passed.

Apart from what else waits, because Airflow's triggers take time to import, and only what defers needs them.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider.core import waiting
from airflow_provider.core.waiting import Tolerance, error_event, intervals


class PollTrigger(BaseTrigger):
    """The base of triggers that poll until something has happened, or a deadline has passed.

    Fires once, with ``{"status": "done", ...}``, ``{"status": "timeout"}`` or an error event that
    :func:`~airflow_provider.core.waiting.raise_for` turns back into the exception.

    :param deadline: seconds since the epoch, so that a restart of the triggerer does not move it.
    :param poll_interval: the longest interval in seconds; the first ones are shorter.
    """

    def __init__(self, *, deadline: float, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self.poll_interval = poll_interval

    @abstractmethod
    async def poll(self) -> dict[str, Any] | None:
        """Look once; give what the event should carry, or None for not yet."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments: ids, numbers, never a credential."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make this trigger again elsewhere."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, and fire once."""
        yield TriggerEvent(await self._outcome())  # type: ignore[no-untyped-call]

    async def _outcome(self) -> dict[str, Any]:
        tolerance = Tolerance(self.log)
        for pause in intervals(self.poll_interval):
            try:
                async with asyncio.timeout(max(1.0, self.deadline - waiting.clock())):
                    with tolerance:
                        if (payload := await self.poll()) is not None:
                            return {"status": "done", **payload}
            except TimeoutError:
                return {"status": "timeout"}
            except Exception as error:
                return error_event(error)
            left = self.deadline - waiting.clock()
            if left <= 0:
                break
            await asyncio.sleep(min(pause, left))
        return {"status": "timeout"}
