"""Reading of a fleet's events: from workers with threads, in the triggerer with coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import (
    ApiError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    ServerError,
    TransportError,
    clauses,
)
from airflow_provider.iotstudio.events.fleet import (
    CONCURRENCY,
    Declared,
    Fleet,
    amap_concurrently,
    map_concurrently,
)
from airflow_provider.iotstudio.events.records import RETAINED_EVENTS, Event, read_events, readable_events
from airflow_provider.iotstudio.hooks_base import aread_twice, read_twice

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


class ThingEvents(NamedTuple):
    """The events of one Thing.

    :param thing_id: the Thing's id.
    :param events: the events from the requested time on, oldest first.
    :param error: the service's reply that the Thing is gone; None when it is there.
    :param rolled_off: whether older events may be gone: the list is full, and its oldest event is too new.
    :param failure: the error of a Thing that a watcher could not read.
    :param odd: the error of an item that a watcher could not read, and that is left out.
    """

    thing_id: str
    events: list[Event]
    error: ApiError | None = None
    rolled_off: bool = False
    failure: ProviderError | None = None
    odd: ProviderError | None = None


def read_things(
    hook: IoTStudioHook,
    thing_ids: Iterable[str],
    names: Sequence[str] | None,
    since: datetime | None,
    concurrency: int,
    starts: Mapping[str, datetime | None] = MappingProxyType({}),
) -> Iterator[ThingEvents]:
    """Yield the events of Things, in the order of the Things; a Thing that is gone has none.

    :param hook: the space.
    :param thing_ids: the Things.
    :param names: names of the events; None for all.
    :param since: only events from this time on; None for no limit.
    :param concurrency: number of requests at the same time.
    :param starts: other values of ``since``, by the id of a Thing.
    """
    hook.transport  # noqa: B018 - opened here once, before threads share it
    name = names[0] if names and len(names) == 1 else None

    def read(thing_id: str) -> ThingEvents:
        try:
            items = read_twice(lambda: list(hook.list_events(thing_id, name)))
        except NotFoundError as error:
            return ThingEvents(thing_id, [], error)
        except (PermissionDeniedError, RequestRejectedError) as error:
            from airflow_provider.iotstudio.hooks import gone_error

            if (gone := gone_error(hook, thing_id, error)) is None:
                raise
            return ThingEvents(thing_id, [], gone)
        return _select(thing_id, read_events(thing_id, items), names, starts.get(thing_id, since))

    return map_concurrently(read, thing_ids, concurrency)


MAX_FAILURES = 2 * CONCURRENCY
"""Number of Things that fail before a poll ends, when none could be read."""


def _select(
    thing_id: str, events: list[Event], names: Sequence[str] | None, since: datetime | None
) -> ThingEvents:
    """Return the wanted events, each once: a list that moves while it is read repeats some."""
    counts: dict[str, list[datetime]] = {}
    for event in events:
        counts.setdefault(event.name, []).append(event.at)
    once = {(event.name, event.event_id): event for event in reversed(events)}
    wanted = sorted(
        (event for event in once.values() if names is None or event.name in names),
        key=lambda event: event[:4],
    )
    full = [
        min(times)
        for name, times in counts.items()
        if len(times) >= RETAINED_EVENTS and (names is None or name in names)
    ]
    rolled_off = any(since is None or oldest >= since for oldest in full)
    return ThingEvents(
        thing_id, [event for event in wanted if since is None or event.at >= since], rolled_off=rolled_off
    )


class Found(NamedTuple):
    """The events of a fleet.

    :param events: the events from the requested time on.
    :param unknown: a sentence when no Thing declares the event; empty otherwise.
    :param missing: Things that were given by their ids and are not there, or do not have the event.
    :param failed: Things that could not be read.
    :param odd: Things with items that could not be read, and that were left out.
    """

    events: list[Event]
    unknown: list[str]
    missing: Mapping[str, ApiError] = MappingProxyType({})
    failed: Mapping[str, ProviderError] = MappingProxyType({})
    odd: Mapping[str, ProviderError] = MappingProxyType({})

    def raise_if_missing(self) -> None:
        """Raise when a Thing could not be read, or when one that was given by its id is not there.

        :raises NotFoundError: for a Thing that is not there, or does not have the event.
        :raises ProviderError: the first error of a Thing, or of an item.
        """
        for failure in (*self.failed.values(), *self.odd.values()):
            raise failure
        for thing_id, error in self.missing.items():
            raise NotFoundError(
                error.status,
                error.code,
                clauses(error.message, f"Thing {thing_id} is not there, or does not declare the event"),
                request=error.request,
                body=error.body,
            )


def find_events(hook: IoTStudioHook, fleet: Fleet, event: str, since: datetime) -> Found:
    """Return a fleet's events of one name.

    :param hook: the space.
    :param fleet: the Things.
    :param event: the event's name.
    :param since: only events from this time on.
    """
    declared, ids = declaring_things(hook, fleet, [event])
    return _found(fleet, declared, read_things(hook, ids, [event], since, CONCURRENCY))


def declaring_things(
    hook: IoTStudioHook, fleet: Fleet, names: Sequence[str] | None
) -> tuple[Declared, Sequence[str]]:
    """Return the Things of a fleet that declare events, and what was found out about the names.

    :param hook: the space.
    :param fleet: the Things; those that are given by their ids are not looked up.
    :param names: names of the events; None for any.
    """
    if fleet.thing_ids is not None:
        return Declared(()), fleet.thing_ids

    def read() -> tuple[Declared, list[str]]:
        declared = Declared(names)
        return declared, list(declared.ids(fleet.things(hook)))

    # A wait of hours must not end with a single 404 of a space that was there at the poll before.
    return read_twice(read)


def _found(fleet: Fleet, declared: Declared, things: Iterable[ThingEvents]) -> Found:
    events: list[Event] = []
    missing: dict[str, ApiError] = {}
    failed: dict[str, ProviderError] = {}
    odd: dict[str, ProviderError] = {}
    for thing in things:
        if thing.error is not None and fleet.thing_ids is not None:
            missing[thing.thing_id] = thing.error
        if thing.failure is not None:
            failed[thing.thing_id] = thing.failure
        if thing.odd is not None:
            odd[thing.thing_id] = thing.odd
        events += thing.events
    return Found(events, declared.problems(), missing, failed, odd)


_wanted: WeakKeyDictionary[Any, dict[Hashable, datetime]] = WeakKeyDictionary()
"""By event loop and shared request: the earliest time that was asked for since the request was sent."""


class _ThingReader:
    """Reader of single Things in an event loop; the error of one of them ends no reading of others.

    :param hook: the space.
    :param event: the event's name.
    :param since: only events from this time on.
    """

    def __init__(self, hook: IoTStudioHook, event: str, since: datetime) -> None:
        self._hook = hook
        self._event = event
        self._since = since
        self._errors: list[ProviderError] = []
        self._is_any_read = False

    async def read(self, thing_id: str) -> ThingEvents:
        try:
            items = await aread_twice(lambda: self._hook.alist_events(thing_id, self._event))
        except NotFoundError as error:
            return ThingEvents(thing_id, [], error)
        except (PermissionDeniedError, RequestRejectedError, ServerError, TransportError) as error:
            self._errors.append(error)
            if len(self._errors) >= MAX_FAILURES:
                self.raise_if_none()
            return ThingEvents(thing_id, [], failure=error)
        self._is_any_read = True
        events, odd = readable_events(thing_id, items)
        return _select(thing_id, events, [self._event], self._since)._replace(odd=odd)

    def raise_if_none(self) -> None:
        """Raise the first error when no Thing could be read: then the service is to blame."""
        if self._errors and not self._is_any_read:
            raise self._errors[0]


async def afind_events(hook: IoTStudioHook, fleet: Fleet, event: str, since: datetime) -> Found:
    """Return the same from an event loop, and the errors of single Things; see :func:`find_events`.

    :param hook: the space.
    :param fleet: the Things.
    :param event: the event's name.
    :param since: only events from this time on.
    :raises ProviderError: when no Thing could be read.
    """
    declared = Declared([event] if fleet.thing_ids is None else ())
    ids: Sequence[str] = fleet.thing_ids or ()
    if fleet.thing_ids is None:
        ids = list(declared.ids(await aread_twice(lambda: fleet.athings(hook))))
    reader = _ThingReader(hook, event, since)
    things = await amap_concurrently(reader.read, ids)
    reader.raise_if_none()
    return _found(fleet, declared, things)


async def ashared_events(
    hook: IoTStudioHook,
    fleet: Fleet,
    event: str,
    since: datetime,
    *,
    space: str | None,
    interval: float,
    asked_since: float = float("-inf"),
) -> Found:
    """Return a fleet's events; triggers that ask for the same ones share the requests.

    They share them from whatever time on they want events: the service returns its last ones in any case.

    :param hook: the space.
    :param fleet: the Things.
    :param event: the event's name.
    :param since: only events from this time on.
    :param space: the trigger's own space, None for the connection's.
    :param interval: the trigger's poll interval in seconds; a shared result is nearly as old at most.
    :param asked_since: earliest time of the loop at which the requests may have been sent.
    """
    key = ("iotstudio events", hook.conn_id, space, fleet.key(), event)
    wanted = _wanted.setdefault(asyncio.get_running_loop(), {})

    async def fetch() -> tuple[datetime, Found]:
        oldest = wanted.pop(key, since)
        return oldest, await afind_events(hook, fleet, event, oldest)

    age = interval * 0.8
    while True:
        wanted[key] = min(since, wanted.get(key, since))
        oldest, found = await shared_result(key, age, fetch, asked_since=asked_since)
        if oldest <= since:
            return found._replace(events=[one for one in found.events if one.at >= since])
        age = -1.0


def event_result(events: Sequence[Event], shown: int = 100) -> dict[str, Any]:
    """Return events as a small result: their number, the first ids of their Things, and the latest event.

    :param events: the events; at least one.
    :param shown: maximum number of ids in the result.
    """
    latest = max(events, key=lambda event: (event.at, event.event_id)).payload()
    del latest["data"]
    things = list(dict.fromkeys(event.thing_id for event in events))
    return {"events": len(events), "thing_ids": things[:shown], "latest": latest}
