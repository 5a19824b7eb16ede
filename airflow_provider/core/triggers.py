"""The trigger that polls a service until something has happened, or a deadline has passed.

Apart from what else waits, because Airflow's triggers take time to import, and only what defers needs them.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider.core import polling
from airflow_provider.core.polling import Tolerance, intervals
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.watcher_state import WatcherState
from airflow_provider.core.trigger_events import error_event


class PollTrigger(BaseTrigger):
    """The base of triggers that poll until something has happened, or a deadline has passed.

    Fires once, with ``{"status": "done", ...}``, ``{"status": "timeout"}`` or an error event that
    :func:`~airflow_provider.core.trigger_events.raise_for` turns back into the exception.

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
                async with asyncio.timeout(max(1.0, self.deadline - polling.clock())):
                    with tolerance:
                        if (payload := await self.poll()) is not None:
                            return {"status": "done", **payload}
            except TimeoutError:
                return {"status": "timeout"}
            except Exception as error:
                return error_event(error)
            left = self.deadline - polling.clock()
            if left <= 0:
                break
            await asyncio.sleep(min(pause, left))
        return {"status": "timeout"}


class NewItemsTrigger(BaseEventTrigger):
    """Fires for what has joined a list since the last look, and never dies of a failed look.

    What is in the list is remembered on the asset (Airflow 3.3), so that a restart of the triggerer neither
    repeats nor loses anything.
    """

    poll_interval: float
    first_poll_fires = True
    """Whether what is in the list at the very first look counts as having joined it."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments: ids, numbers, never a credential."""

    @abstractmethod
    async def look(self) -> Mapping[str, Any]:
        """Give the list: a key for each entry, and what :meth:`events` wants to know of it."""

    @abstractmethod
    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Give what to fire when these keys have joined."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make this trigger again elsewhere."""
        module = type(self).__module__.replace(".events", ".triggers")
        return f"{module}.{type(self).__qualname__}", self.arguments()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again; a failed look is logged, as nobody would start a dead watcher again."""
        asked = {name: value for name, value in self.arguments().items() if name != "poll_interval"}
        memory = WatcherState(self, f"seen {fingerprint(asked)}", self.log)
        stored = await memory.read()
        known = set(stored) if isinstance(stored, list) else None
        for pause in intervals(self.poll_interval, first=self.poll_interval):
            try:
                now = await self.look()
            except Exception as error:
                self.log.warning("looking failed, again in %.1f s: %s", pause, error)
            else:
                marks = await asyncio.to_thread(_marked, now)  # there may be some ten thousand
                if known is not None or self.first_poll_fires:
                    new = sorted(marks[mark] for mark in marks.keys() - (known or set()))
                    for payload in self.events(new, now) if new else ():
                        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
                # After the event: a crash in between repeats it, the other way round would lose it.
                if known != marks.keys():
                    known = set(marks)
                    await memory.write(sorted(known))
            await asyncio.sleep(pause)


def _marked(keys: Iterable[str]) -> dict[str, str]:
    """Give the keys by a short form, of which some thousand fit into the asset's state."""
    return {hashlib.sha256(key.encode()).hexdigest()[:10]: key for key in keys}
