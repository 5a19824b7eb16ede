"""Triggers: poll a service until a condition holds, or fire for each new item of a list.

They have a module of their own, because Airflow's triggers take time to import, and only deferrals need them.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider.core import polling
from airflow_provider.core.polling import Tolerance, intervals
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.trigger_events import error_event

if TYPE_CHECKING:
    from airflow_provider.core.state.firing import Decision, Firing

T = TypeVar("T")


class PollTrigger(BaseTrigger):
    """The base of triggers that poll until a condition holds, or a deadline has passed.

    It fires once, with ``{"status": "done", ...}``, ``{"status": "timeout"}`` or an error event, from which
    :func:`~airflow_provider.core.trigger_events.raise_for` raises the error in the task.

    :param deadline: seconds since the epoch, so that a restart of the triggerer does not move it.
    :param poll_interval: maximum seconds between two polls; the first intervals are shorter.
    """

    late_modules: ClassVar[tuple[str, ...]] = ()
    """Modules that a poll needs; they are imported before the first one, aside of the event loop."""

    def __init__(self, *, deadline: float, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self.poll_interval = poll_interval

    @abstractmethod
    async def poll(self) -> dict[str, Any] | None:
        """Poll the service; returns the event's payload, or None when the condition does not hold yet."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments: ids and numbers, never a credential."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, from which Airflow creates this trigger in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the condition holds or the deadline has passed, and fire once."""
        yield TriggerEvent(await self._outcome())  # type: ignore[no-untyped-call]

    async def _outcome(self) -> dict[str, Any]:
        if self.late_modules:
            from airflow_provider.core.shared_polls import import_aside

            await import_aside(*self.late_modules)
        tolerance = Tolerance(self.log)
        for pause in intervals(self.poll_interval):
            # The machine may stand still during a poll: the last one begins at the deadline or after it.
            is_last = polling.clock() >= self.deadline
            try:
                async with asyncio.timeout(max(1.0, self.deadline - polling.clock())) as limit:
                    with tolerance:
                        if (payload := await self.poll()) is not None:
                            return {"status": "done", **payload}
            except Exception as error:
                # A poll may also raise a ``TimeoutError`` of its own, long before the deadline.
                if not limit.expired():
                    return error_event(error)
            if is_last:
                break
            await asyncio.sleep(max(0.0, min(pause, self.deadline - polling.clock())))
        return {"status": "timeout"}


async def is_still_deferred(trigger: BaseTrigger) -> bool:
    """Return whether the task of a trigger is still deferred, as far as Airflow tells."""
    ti = trigger.task_instance
    if ti is None:
        return False
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = await asyncio.to_thread(
            RuntimeTaskInstance.get_task_states,
            dag_id=ti.dag_id,
            task_ids=[ti.task_id],
            run_ids=[ti.run_id],
            map_index=ti.map_index,
        )
    except Exception as error:
        trigger.log.info("the state of the task cannot be read: %s", error)
        return False
    return "deferred" in {str(state) for state in states.get(ti.run_id, {}).values()}


class NewItemsTrigger(BaseEventTrigger):
    """The base of watchers that fire for the new items of a list; a failed poll does not end them.

    The known items are stored with the asset (Airflow 3.3), so that neither a restart of the triggerer nor
    another one that takes over repeats or loses an event; see :mod:`airflow_provider.core.state.firing`.
    """

    poll_interval: float
    fresh_from = -math.inf
    """Time of the event loop from which on a shared list must be asked for."""
    _known_at = -math.inf
    timing: ClassVar[frozenset[str]] = frozenset({"poll_interval"})
    """Arguments that do not change which events fire, and so belong to the same stored state."""
    first_poll_fires = True
    """Whether the items of the very first poll count as new."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments: ids and numbers, never a credential."""

    @abstractmethod
    async def list_items(self) -> Mapping[str, Any]:
        """Poll the service; returns the list's items by key, with the details that :meth:`events` needs."""

    @abstractmethod
    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the payloads of the events for new items.

        :param new: the keys of the new items, sorted.
        :param now: all items, as :meth:`list_items` returned them.
        """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, from which Airflow creates this trigger in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def shared(self, key: Hashable, fetch: Callable[[], Awaitable[T]]) -> T:
        """Return a list that watchers share, at most nearly an interval old, and never older than the state.

        :param key: the request and its connection; hashable.
        :param fetch: function that sends the request.
        """
        from airflow_provider.core.shared_polls import shared_result

        return await shared_result(key, self.poll_interval * 0.8, fetch, asked_since=self._known_at)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll without end; a failed poll is logged only, as Airflow does not restart a failed watcher."""
        from airflow_provider.core.state.firing import Firing

        query = {name: value for name, value in self.arguments().items() if name not in self.timing}
        firing = Firing(self, f"seen {fingerprint(query)}", self.log)
        await firing.open()
        for interval in intervals(self.poll_interval, first=self.poll_interval):
            self._known_at = max(firing.read_at, self.fresh_from)
            pause, failed = interval, False
            try:
                items = await self.list_items()
                hashes = await asyncio.to_thread(by_hash, items)  # There may be ten thousand of them.
                async with aclosing(firing.events(partial(self._news, items, hashes))) as events:
                    async for event in events:
                        yield event
            except Exception as error:
                pause, failed = self.pause_after_failure(interval), True
                self.log.warning("poll failed, next poll in %.1f s: %s", pause, error)
            async with aclosing(self.between_polls(firing, pause, failed=failed)) as events:
                async for event in events:
                    yield event

    def pause_after_failure(self, interval: float) -> float:
        """Return the seconds until the poll after a failed one.

        :param interval: the seconds after a poll that did not fail.
        """
        return interval

    async def between_polls(
        self, firing: Firing, pause: float, *, failed: bool
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Wait for the next poll; a watcher that hears of changes in between fires for them.

        :param firing: the watcher's state.
        :param pause: seconds until the next poll.
        :param failed: whether the last poll has failed.
        """
        await asyncio.sleep(pause)
        for event in list[TriggerEvent]():
            yield event

    def _news(self, items: Mapping[str, Any], hashes: Mapping[str, str], stored: Any) -> Decision:
        """Return the events of the items that are not known, and the items to know from now on."""
        known = known_hashes(stored)
        payloads: list[dict[str, Any]] = []
        if known is not None or self.first_poll_fires:
            new = sorted(hashes[digest] for digest in hashes.keys() - (known or set()))
            payloads = self.events(new, items) if new else []
        return payloads, None if known is not None and known == hashes.keys() else sorted(hashes)


def read_interval(watcher: Any) -> list[str]:
    """Replace a watcher's ``poll_interval`` by its seconds, and return what is wrong with it.

    :param watcher: the trigger.
    """
    from airflow_provider.core.input.scalars import Scalar, read_scalars

    return read_scalars(watcher, {"poll_interval": Scalar("seconds", above=0)})


def known_hashes(stored: Any) -> set[str] | None:
    """Return the hashes of known items from a watcher's stored state; None for one that holds none."""
    return {item for item in stored if isinstance(item, str)} if isinstance(stored, list) else None


def by_hash(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys by short hashes, of which some thousands fit into an asset's state."""
    return {hashlib.sha256(key.encode()).hexdigest()[:10]: key for key in keys}
