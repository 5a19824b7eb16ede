"""Firing: a watcher's state and events, each event once, though triggerers are paused, killed or doubled."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent
from pydantic import PrivateAttr

from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.pauses import Pauses, clock
from airflow_provider.core.state.turns import Claim, Turns
from airflow_provider.core.state.watcher_state import WatcherState

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from airflow.triggers.base import BaseEventTrigger


REST_SECONDS = 5.0
"""Seconds to wait after a pause: a triggerer that has lost its watchers meanwhile ends them within two."""

HAND_OVER_SECONDS = 10.0
"""Maximum seconds to wait until an event is handed over; a triggerer does it every second."""

Decision = tuple[Sequence[dict[str, Any]], Any]
"""Payloads of the events to fire, and the state that follows; None when it stays the same."""

_confirming: set[asyncio.Task[None]] = set()
"""Running confirmations: one may outlive its watcher, whose last event still leaves the process."""


class FiredEvent(TriggerEvent):
    """Event that notices when the triggerer hands it over to its parent, which stores it.

    Airflow reads ``task_instance_state`` of each event when it packs a message for the parent.
    """

    _handed_over: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def task_instance_state(self) -> str:
        """Note the handing over; this event has no such state."""
        self._handed_over.set()
        raise AttributeError("task_instance_state")

    async def wait_until_handed_over(self) -> None:
        """Wait until the event was handed over, or should have been."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                await self._handed_over.wait()


class Firing:
    """The stored state of one watcher, and the events that follow from it.

    An observation is turned into events by a function of the state. Just before the events are fired, the
    state is read again; when another process has changed it, nothing fires, and the observation is outdated.

    In a triggerer the state is stored after the events were handed over, which takes up to a second; see
    :class:`~airflow_provider.core.state.turns.Turns` for the processes that take over in between. Without a
    triggerer, an event is handed over when it is taken, so that the state is stored directly before.

    :param trigger: the watcher; the triggerer sets its store and its id before it runs.
    :param name: key of the state.
    :param log: receives what was found after a pause or a takeover.
    """

    def __init__(self, trigger: BaseEventTrigger, name: str, log: Logger) -> None:
        self.value: Any = None
        self.read_at = -math.inf
        self.is_outdated = False
        self._log = log
        self._state = WatcherState(trigger, name, log)
        self._pauses = Pauses.here()
        self._checked_at = clock()
        self._stored: Any = None
        self._expected: set[str] = set()
        self._earlier: deque[str] = deque(maxlen=50)
        self._unconfirmed: deque[tuple[list[FiredEvent], Any]] = deque()
        in_triggerer = getattr(trigger, "trigger_id", None) is not None
        self._turns = Turns(trigger, name, log) if in_triggerer and self._state.has_store else None

    async def open(self) -> Any:
        """Return the stored state; None when there is none."""
        self._adopt(await self._state.read())
        if self.value is not None:
            self.read_at = asyncio.get_running_loop().time()
        if self._turns:
            await self._turns.open(fingerprint(self._stored))
        return self.value

    async def events(self, decide: Callable[[Any], Decision]) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the events of an observation, and store the state that follows.

        Afterwards ``is_outdated`` tells whether the observation must be made again: another process has
        changed the state. An observation that was asked for before ``read_at`` (time of the event loop) may
        be older than the state, and must not be given here.

        :param decide: returns payloads and following state for a state.
        """
        self.is_outdated = False
        if not await self._wait_after_pause():
            return
        payloads, value = decide(self.value)
        if not payloads and value is None:
            return
        following = self.value if value is None else value
        if not await self._is_granted(payloads, following):
            return
        granted_at, fired = clock(), list[FiredEvent]()
        if not (payloads and self._turns):
            await self._store_in_order(value)
        self.value = following
        for payload in payloads:
            if self._pauses.since(granted_at):
                if not await self._is_granted(payloads, following):
                    return
                granted_at = clock()
            fired.append(FiredEvent(payload=payload))
            yield fired[-1] if self._turns else TriggerEvent(payload)  # type: ignore[no-untyped-call]
        if fired and self._turns:
            self._confirm_later(self._turns, fired, value)

    async def _wait_after_pause(self) -> bool:
        """After a pause, wait until the triggerer has had the time to end a watcher that it has lost.

        It returns whether the state is still the one that this watcher knows.
        """
        checked, self._checked_at = self._checked_at, clock()
        if not self._pauses.since(checked):
            return True
        self._log.warning(
            "this process did not run for %.0f s: if another triggerer has taken over, this watcher ends;"
            " else it continues in %.0f s",
            self._pauses.length,
            REST_SECONDS,
        )
        await asyncio.sleep(REST_SECONDS)
        self._checked_at = clock()
        return not self._state.has_store or await self._is_current()

    async def _is_granted(self, payloads: Sequence[dict[str, Any]], value: Any) -> bool:
        """Read the state again, and return whether events may be fired and the state be stored."""
        while self._state.has_store:
            if not await self._is_current():
                return False
            if not (self._turns and payloads and self._state.fits(value)):
                return True
            claim = await self._turns.claim(fingerprint(value), fingerprint(self._stored))
            if claim is Claim.GRANTED:
                return True
            if claim is Claim.OUTDATED:
                self._outdate()
                return False
        return True

    async def _is_current(self) -> bool:
        """Read the state again; adopt it and return False when another process has changed it."""
        stored = await self._state.read()
        mark = fingerprint(stored)
        if mark in self._expected:
            return True
        if mark in self._earlier:
            self._log.warning("the asset's state was set back to an earlier one: stored again")
            await self._store(self._stored)
            return True
        self._log.info("another triggerer has changed the asset's state: looking again")
        self._adopt(stored)
        self._outdate()
        return False

    def _outdate(self) -> None:
        self.read_at = asyncio.get_running_loop().time()
        self.is_outdated = True

    def _adopt(self, stored: Any) -> None:
        self.value = self._stored = stored
        self._unconfirmed.clear()
        self._expected = {fingerprint(stored)}
        self._earlier.extend(self._expected)

    async def _store(self, value: Any) -> None:
        mark = fingerprint(value)
        if self._state.has_store and self._state.fits(value):
            self._expected.add(mark)  # the write may fail and have been done all the same
        if await self._state.write(value):
            self._stored = value
            self._expected = {mark}
            self._earlier.append(mark)

    async def _store_in_order(self, value: Any) -> None:
        """Store a state that no event leads to, after those whose events are being handed over."""
        if value is not None and self._unconfirmed:
            self._unconfirmed.append(([], value))
        elif value is not None:
            await self._store(value)

    def _confirm_later(self, turns: Turns, fired: list[FiredEvent], value: Any) -> None:
        """Store the state once the events were handed over; other observations are read meanwhile."""
        self._unconfirmed.append((fired, value))
        if len(self._unconfirmed) == 1:
            task = asyncio.create_task(self._confirm(turns))
            _confirming.add(task)
            task.add_done_callback(_confirming.discard)

    async def _confirm(self, turns: Turns) -> None:
        while self._unconfirmed:
            fired, value = entry = self._unconfirmed[0]
            for event in fired:
                await event.wait_until_handed_over()
            if not self._is_next(entry):
                return  # another process's state was adopted meanwhile
            if value is not None:
                await self._store(value)
            if self._is_next(entry):
                self._unconfirmed.popleft()
        await turns.release(fingerprint(self._stored))

    def _is_next(self, entry: tuple[list[FiredEvent], Any]) -> bool:
        return bool(self._unconfirmed) and self._unconfirmed[0] is entry
