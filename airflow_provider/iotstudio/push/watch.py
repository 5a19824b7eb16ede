"""Watching of pushed values: they tell when to ask the service about which Things.

The service alone decides what matches. So an event does not depend on how a change was found, and a value
that is pushed twice, late, or by a retained message fires nothing that a poll would not fire.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider.core.polling import backoff_delays
from airflow_provider.core.push.inbox import Inbox
from airflow_provider.core.push.listener import LoadBroker, subscribed
from airflow_provider.core.triggers import by_hash, known_hashes
from airflow_provider.iotstudio.push.comparison import PushedValues

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from airflow.triggers.base import TriggerEvent

    from airflow_provider.core.state.firing import Decision, Firing

ASK_SECONDS = 1.0
"""Minimum seconds between two requests about pushed values: what is pushed meanwhile is one request."""

TAKE_SECONDS = 0.2
"""Minimum seconds between two comparisons of all that was pushed, so that a flood takes little time."""

MAX_ASKED = 200
"""Maximum Things that are asked about by their ids; more of them are found by a poll."""

MAX_ID = 200
"""Maximum characters of a Thing's id; what is longer is none."""

FLOOD_SECONDS = 2.0
"""Seconds between a poll that a flood of values made due and the next such poll; they double, up to
:data:`OFFLINE_SECONDS`, while no other poll is due."""

OFFLINE_SECONDS = 30.0
"""Maximum seconds between polls while no values are pushed."""

Ask = Callable[[Sequence[str]], Awaitable[Sequence[str]]]
"""Returns which of some Things match, by the service."""

Payloads = Callable[[Sequence[str], Mapping[str, Any]], list[dict[str, Any]]]
"""Returns the payloads of the events for Things that started to match, see
:meth:`~airflow_provider.core.triggers.NewItemsTrigger.events`."""


class PushWatch:
    """Watching between two polls: fire for Things whose values were pushed.

    :param inbox: receives the pushed values.
    :param values: compares them with the filters.
    :param ask: see :data:`Ask`.
    :param payloads: see :data:`Payloads`.
    :param log: receives failed requests.
    """

    def __init__(self, inbox: Inbox, values: PushedValues, ask: Ask, payloads: Payloads, log: Logger) -> None:
        self.fresh_from = -math.inf
        self._inbox = inbox
        self._values = values
        self._ask_service = ask
        self._payloads = payloads
        self._log = log
        self._take_at = self._ask_at = -math.inf
        self._delays = backoff_delays(1.0)
        self._poll_delays = backoff_delays(1.0)
        self._flood_delays = flood_delays()
        self._is_flood = self._has_missed = False

    def pause_after_failure(self, interval: float) -> float:
        """Return the seconds until the poll after a failed one: the interval may be an hour."""
        return min(interval, next(self._poll_delays))

    async def events(
        self, firing: Firing, pause: float, *, failed: bool
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Yield events until a poll is due.

        :param firing: the watcher's state.
        :param pause: seconds until a poll is due, if nothing else makes one due.
        :param failed: whether the last poll has failed: then values wait for the next one.
        """
        started = _now()
        if failed:
            await asyncio.sleep(pause)
            return
        self._poll_delays = backoff_delays(1.0)
        flood_at = await self._after_poll(firing)
        while self._inbox.flooded or not self._inbox.poll_due:
            await asyncio.sleep(self._take_at - _now())
            await self._take(firing)
            now = _now()
            offline = not self._inbox.connected
            end = started + (min(pause, OFFLINE_SECONDS) if offline else pause)
            if now >= end:
                # What another watcher has just asked for is new enough.
                self.fresh_from = now - 0.8 * (end - started)
                return
            due = self._values.due(now) if now >= self._ask_at else []
            is_flood = self._inbox.flooded or len(due) > MAX_ASKED
            if is_flood and now >= flood_at:
                self._has_missed = self._inbox.take_poll_due()
                self._is_flood, self.fresh_from = True, _now()
                return
            if is_flood:
                await self._inbox.wait(min(end, flood_at) - now)
            elif due:
                async with aclosing(self._ask(firing, due)) as events:
                    async for event in events:
                        yield event
            else:
                await self._inbox.wait(min(end, max(self._ask_at, self._values.next_at)) - now)
        self._inbox.poll_due = False
        self.fresh_from = max(self.fresh_from, self._inbox.due_from)

    async def _after_poll(self, firing: Firing) -> float:
        """Note what a poll has answered; return the time of the next one that a flood may make due."""
        due = [] if firing.is_outdated else self._values.due(self.fresh_from)
        hashes = await asyncio.to_thread(by_hash, due)
        known = _known(firing)
        for digest, thing_id in hashes.items():
            self._values.answered(thing_id, matches=digest in known, now=_now())
        # What a poll has answered after a flood is no news when it is pushed again, unless some were missed:
        # those that were compared last may be older than the answer, so that the next ones are news.
        if self._has_missed or not self._is_flood:
            self._values.forget()
        self._has_missed = False
        if self._is_flood:
            self._is_flood = False
            return _now() + next(self._flood_delays)
        self._flood_delays = flood_delays()
        return -math.inf

    async def _take(self, firing: Firing) -> None:
        known = _known(firing)
        pushed = self._inbox.take()
        if not pushed:
            return
        self._take_at = _now() + TAKE_SECONDS
        hashes = await asyncio.to_thread(by_hash, pushed)
        for digest, thing_id in hashes.items():
            self._values.add(thing_id, pushed[thing_id], matches=digest in known, now=_now())

    async def _ask(self, firing: Firing, thing_ids: Sequence[str]) -> AsyncGenerator[TriggerEvent, None]:
        asked = _now()
        try:
            found = set(await self._ask_service(thing_ids))
        except Exception as error:
            delay = next(self._delays)
            self._ask_at = _now() + delay
            self._log.warning("request about pushed values failed, retrying in %.1f s: %s", delay, error)
            return
        self._delays = backoff_delays(1.0)
        self._ask_at, self.fresh_from = asked + ASK_SECONDS, asked
        for thing_id in thing_ids:
            self._values.answered(thing_id, matches=thing_id in found, now=_now())
        async with aclosing(firing.events(partial(self._news, thing_ids, found))) as events:
            async for event in events:
                yield event
        if firing.is_outdated:
            self._inbox.poll_due, self.fresh_from = True, _now()

    def _news(self, thing_ids: Sequence[str], found: set[str], stored: Any) -> Decision:
        """Return the events of the Things that started to match, and all that match from now on."""
        if (known := known_hashes(stored)) is None:
            self._inbox.poll_due = True  # nothing is known before the first poll
            return (), None
        asked = by_hash(thing_ids)
        matching = {digest for digest, thing_id in asked.items() if thing_id in found}
        now = (known - asked.keys()) | matching
        new = sorted(asked[digest] for digest in matching - known)
        return self._payloads(new, dict.fromkeys(now)) if new else [], None if now == known else sorted(now)


@asynccontextmanager
async def watch(
    conn_id: str,
    load: LoadBroker,
    names: Mapping[str, str | None],
    filters: Mapping[str, Any],
    ask: Ask,
    payloads: Payloads,
    log: Logger,
) -> AsyncIterator[PushWatch]:
    """Yield the watching of pushed values; watchers of a connection share one connection to its broker.

    :param conn_id: id of the Airflow connection.
    :param load: reads the broker from it.
    :param names: values of the names in topics; None for the connection's, or for any.
    :param filters: condition by property name.
    :param ask: see :data:`Ask`.
    :param payloads: see :data:`Payloads`.
    :param log: receives what is wrong with the broker.
    """
    values = PushedValues(filters)

    def read(found: Mapping[str, str], payload: Mapping[str, Any], inbox: Inbox) -> None:
        thing_id = found["thing_id"]
        if 0 < len(thing_id) <= MAX_ID and (relevant := values.relevant(payload)):
            inbox.put(thing_id, relevant)

    async with subscribed(("mqtt", conn_id), load, names, read, log) as inbox:
        yield PushWatch(inbox, values, ask, payloads, log)


def flood_delays() -> Iterator[float]:
    """Yield the pauses between polls that floods make due."""
    return backoff_delays(FLOOD_SECONDS, OFFLINE_SECONDS)


def _known(firing: Firing) -> set[str]:
    return set(firing.value) if isinstance(firing.value, list) else set()


def _now() -> float:
    return asyncio.get_running_loop().time()
