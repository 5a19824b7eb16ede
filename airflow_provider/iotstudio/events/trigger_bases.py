"""Bases of the triggers that ask a fleet: deferred sensors, and the watcher of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.triggers.base import BaseEventTrigger

from airflow_provider.core.polling import intervals
from airflow_provider.core.triggers import PollTrigger, read_interval
from airflow_provider.errors import one_line, shorten
from airflow_provider.iotstudio.conditions import require_name
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider.iotstudio.events.fleet import Fleet
    from airflow_provider.iotstudio.events.reader import Found


MAX_ATTEMPTS = 3
"""Maximum attempts of a watcher's request."""


class FleetPollTrigger(PollTrigger):
    """Poll the Things of a fleet until a condition holds, or a deadline has passed.

    :param iotstudio_conn_id: id of the Airflow connection; nothing else of it is serialised.
    :param space: id of the space; None for the connection's.
    :param thing_ids: only these Things.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it.
    :param deadline: time of the timeout, in seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    """

    def __init__(
        self,
        *,
        iotstudio_conn_id: str,
        space: str | None,
        thing_ids: Sequence[str] | None,
        category: str | None,
        filters: Mapping[str, Any] | None,
        deadline: float,
        poll_interval: float,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.iotstudio_conn_id = iotstudio_conn_id
        self.space = space
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self._hook: IoTStudioHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Return ids, filters, deadline and interval."""
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "space": self.space,
            "thing_ids": None if self.thing_ids is None else list(self.thing_ids),
            "category": self.category,
            "filters": None if self.filters is None else dict(self.filters),
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    def hook(self) -> IoTStudioHook:
        """Return the hook of all polls."""
        self._hook = self._hook or IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        return self._hook

    def fleet(self) -> Fleet:
        """Return the Things."""
        from airflow_provider.iotstudio.events.fleet import Fleet

        return Fleet.of(self)


class EventWatcher(BaseEventTrigger):
    """Fire for each new event of a fleet; a failed poll does not end it."""

    iotstudio_conn_id: str
    event: str
    thing_ids: Sequence[str] | None
    poll_interval: float
    space: str | None
    _is_checked = False
    _missing: frozenset[str] = frozenset()
    _failed: frozenset[str] = frozenset()

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments: ids and numbers, never a credential."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """Return why this watcher could never fire."""
        from airflow_provider.iotstudio.events.fleet import fleet_problems

        problems = [*require_name(self.event, "event"), *fleet_problems(self)]
        if self.thing_ids is not None and not self.thing_ids:
            problems.append("'thing_ids' is empty, so no event is wanted")
        return [*problems, *read_interval(self)]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll without end; a failed poll is logged only, as Airflow does not restart a failed watcher."""
        if problems := self.problems():
            self.log.error("this watcher can never fire, and sends nothing: %s", "; ".join(problems)[:2000])
            await asyncio.Event().wait()
        from airflow_provider.core.shared_polls import import_aside

        await import_aside("airflow_provider.iotstudio.events.reader")
        from airflow_provider.core.state.firing import Firing
        from airflow_provider.core.state.identity import fingerprint
        from airflow_provider.iotstudio.events import watch

        query = {name: value for name, value in self.arguments().items() if name != "poll_interval"}
        firing = Firing(self, f"events {fingerprint(query)}", self.log)
        started = datetime.now(UTC)
        await firing.open()
        for pause in intervals(self.poll_interval, first=self.poll_interval):
            polled = datetime.now(UTC)
            try:
                found = await self._poll(watch.since(firing.value, started), firing.read_at)
                if lost := watch.overrun(found, started, firing.value):
                    self.log.warning(
                        "%d Things have reported more events since the last poll than the service keeps, so"
                        " that older ones are gone; poll more often",
                        lost,
                    )
                async with aclosing(firing.events(partial(watch.decide, found, polled, started))) as events:
                    async for event in events:
                        yield event
            except Exception as error:
                self.log.warning("poll failed, next poll in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)

    async def _poll(self, since: datetime, asked_since: float) -> Found:
        from airflow_provider.iotstudio.events.fleet import Fleet
        from airflow_provider.iotstudio.events.reader import ashared_events

        hook = IoTStudioHook(self.iotstudio_conn_id, space=self.space)
        await hook.aload()
        # Another poll follows, and the events of all other Things wait for the retries of one.
        attempts = min(hook.retry_limits.attempts, MAX_ATTEMPTS)
        hook.retry_limits = msgspec.structs.replace(hook.retry_limits, attempts=attempts)
        interval = self.poll_interval
        found = await ashared_events(
            hook,
            Fleet.of(self),
            self.event,
            since,
            space=self.space,
            interval=interval,
            asked_since=asked_since,
        )
        if not self._is_checked:
            for problem in found.unknown:
                self.log.error("%s; nothing fires until then", problem)
        self._is_checked = True
        if self._missing != (missing := frozenset(found.missing)) and missing:
            self.log.warning(
                "%d Things are not there, or do not declare the event: %s",
                len(missing),
                one_line(", ".join(shorten(sorted(missing), 10))),
            )
        self._missing = missing
        self._log_failed({**found.odd, **found.failed})
        return found

    def _log_failed(self, errors: Mapping[str, Exception]) -> None:
        """Log one error when other Things fail than at the last poll."""
        failed = frozenset(errors)
        if failed and failed != self._failed:
            names = sorted(failed)
            self.log.error(
                "%d Things cannot be read in whole: %s; all other events fire; the first error: %s",
                len(names),
                one_line(", ".join(shorten(names, 10))),
                errors[names[0]],
            )
        elif self._failed and not failed:
            self.log.info("all Things can be read again")
        self._failed = failed
