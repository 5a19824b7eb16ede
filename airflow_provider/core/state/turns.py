"""Turns: which one of several processes with the same watcher may fire.

Airflow gives a watcher to another triggerer when its own gives no sign of life. When that one was only
paused, both run for a moment. The store has no operation that compares and sets, so a turn is taken with
reads, writes and waits (Fischer's algorithm): write one's own name, wait longer than anybody needs between
reading and writing, and read it again.
"""

from __future__ import annotations

import asyncio
import enum
import random
import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider.core.state.pauses import Pauses, clock
from airflow_provider.core.state.watcher_state import WatcherState

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from airflow.triggers.base import BaseEventTrigger


TAKEN_SECONDS = 2.0
"""Seconds after which a turn that was taken is certain: longer than another one needs from its check until
its event is stored."""

UNCONFIRMED_SECONDS = 30.0
"""Seconds to wait for another process that was about to fire: it may be paused with the event in hand."""

SLOW_SECONDS = 4.0
"""Seconds of a claim after which it starts over, as another process may have taken its turn meanwhile."""

MAX_SLOW = 3
"""Maximum claims in a row that start over because they were slow: the store itself may be as slow."""


class Claim(enum.Enum):
    """Result of one attempt to get the turn."""

    GRANTED = enum.auto()
    AGAIN = enum.auto()
    OUTDATED = enum.auto()


class Turns:
    """The turn of one watcher, stored beside its state.

    The record has ``by``, the name of the turn, and ``next``: while its process hands events over to Airflow,
    the fingerprint of the state that it stores afterwards. So a successor can tell whether they were handed
    over. Each turn has a new name: two processes that take turns would else find records that they know, and
    take the turn from each other without waiting.

    :param trigger: the watcher.
    :param name: key of the watcher's state.
    :param log: receives why a turn is waited for.
    """

    # Set by the first turn that is taken, and by the first record that is read.
    _taken_at: float
    _seen: Any
    _seen_at: float

    def __init__(self, trigger: BaseEventTrigger, name: str, log: Logger) -> None:
        self._mine = ""
        self._log = log
        self._store = WatcherState(trigger, f"turn {name}", log)
        self._pauses = Pauses.here()
        self._slow = 0
        self._following = ""
        self._lock = asyncio.Lock()
        self._logged: Any = None

    async def open(self, stored: str) -> None:
        """Take the turn, unless its last owner may be about to fire.

        :param stored: fingerprint of the stored state.
        """
        self._seen, self._seen_at = await self._store.read(), clock()
        if not _is_unconfirmed(self._seen, stored):
            await self._take()

    async def claim(self, following: str, stored: str) -> Claim:
        """Ask once for the turn for events; before another attempt, the state must be read again.

        :param following: fingerprint of the state to store after the events.
        :param stored: fingerprint of the stored state, just read.
        """
        async with self._lock:
            began = clock()
            record = await self._store.read()
            if not self._is_mine(record):
                return await self._wait_for_other(record, stored)
            self._following = following
            await self._store.write({"by": self._mine, "next": following})
            if (left := self._taken_at + TAKEN_SECONDS - clock()) > 0:
                await asyncio.sleep(left)
                return Claim.AGAIN
            if not self._is_mine(await self._store.read()) or self._pauses.since(began):
                return Claim.AGAIN
            if clock() - began > SLOW_SECONDS and self._slow < MAX_SLOW:
                self._slow += 1
                await asyncio.sleep(TAKEN_SECONDS)
                return Claim.AGAIN
            self._slow = 0
            return Claim.GRANTED

    async def release(self, following: str) -> None:
        """Record that all events were handed over and the state was stored, unless more are being fired.

        :param following: fingerprint that was given to the last claim of the events.
        """
        async with self._lock:
            if following == self._following:
                await self._store.write({"by": self._mine, "next": None})

    def _is_mine(self, record: Any) -> bool:
        return isinstance(record, dict) and record.get("by") == self._mine

    async def _wait_for_other(self, record: Any, stored: str) -> Claim:
        is_new = record != self._seen
        if is_new:
            self._seen, self._seen_at = record, clock()
        if _is_unconfirmed(record, stored):
            if (left := self._seen_at + UNCONFIRMED_SECONDS - clock()) > 0:
                if self._logged != record:
                    self._logged = record
                    self._log.info(
                        "another triggerer was about to fire, and has not confirmed that it did: this watcher"
                        " waits for it, %.0f s at most",
                        left,
                    )
                await asyncio.sleep(min(left, 1.0))
                return Claim.AGAIN
            self._log.warning(
                "the other triggerer has not confirmed it for %.0f s: firing here", UNCONFIRMED_SECONDS
            )
        elif is_new:
            # It has just taken over: give it the time to fire, but never the same time as it gives this one.
            await asyncio.sleep(random.uniform(TAKEN_SECONDS, 2 * TAKEN_SECONDS))  # noqa: S311
            return Claim.OUTDATED
        await self._take()
        return Claim.AGAIN

    async def _take(self) -> None:
        self._mine = secrets.token_hex(6)
        await self._store.write({"by": self._mine, "next": None})
        self._taken_at = clock()


def _is_unconfirmed(record: Any, stored: str) -> bool:
    """Return whether a process was about to fire and has not stored that it did."""
    return isinstance(record, dict) and record.get("next") not in {None, stored}
