"""Reading of a fleet's events: from workers with threads, in the triggerer with coroutines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import NotFoundError
from airflow_provider.iotstudio.events.fleet import (
    CONCURRENCY,
    Declared,
    Fleet,
    amap_concurrently,
    map_concurrently,
)
from airflow_provider.iotstudio.events.records import RETAINED_EVENTS, Event, read_events
from airflow_provider.iotstudio.hooks_base import aread_twice, read_twice

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


class ThingEvents(NamedTuple):
    """The events of one Thing.

    :param thing_id: the Thing's id.
    :param events: the events from the requested time on, oldest first.
    :param error: the service's 404; None when the Thing is there.
    :param rolled_off: whether older events may be gone: the list is full, and its oldest event is too new.
    """

    thing_id: str
    events: list[Event]
    error: NotFoundError | None = None
    rolled_off: bool = False


def read_things(
    hook: IoTStudioHook,
    thing_ids: Iterable[str],
    names: Sequence[str] | None,
    since: datetime | None,
    concurrency: int,
) -> Iterator[ThingEvents]:
    """Yield the events of Things, in the order of the Things; a Thing that is gone has none.

    :param hook: the space.
    :param thing_ids: the Things.
    :param names: names of the events; None for all.
    :param since: only events from this time on; None for no limit.
    :param concurrency: number of requests at the same time.
    """
    hook.transport  # noqa: B018 - opened here once, before threads share it
    name = names[0] if names and len(names) == 1 else None

    def read(thing_id: str) -> ThingEvents:
        try:
            items = read_twice(lambda: list(hook.list_events(thing_id, name)))
        except NotFoundError as error:
            return ThingEvents(thing_id, [], error)
        return _select(thing_id, read_events(thing_id, items), names, since)

    return map_concurrently(read, thing_ids, concurrency)


def _select(
    thing_id: str, events: list[Event], names: Sequence[str] | None, since: datetime | None
) -> ThingEvents:
    counts: dict[str, list[datetime]] = {}
    for event in events:
        counts.setdefault(event.name, []).append(event.at)
    wanted = sorted(event for event in events if names is None or event.name in names)
    full = [min(times) for name, times in counts.items() if len(times) >= RETAINED_EVENTS]
    rolled_off = since is not None and any(oldest >= since for oldest in full)
    return ThingEvents(
        thing_id, [event for event in wanted if since is None or event.at >= since], rolled_off=rolled_off
    )


class Found(NamedTuple):
    """The events of a fleet.

    :param events: the events from the requested time on.
    :param unknown: a sentence when no Thing declares the event; empty otherwise.
    :param missing: Things that were given by their ids and are not there, or do not have the event.
    """

    events: list[Event]
    unknown: list[str]
    missing: Mapping[str, NotFoundError] = MappingProxyType({})

    def raise_if_missing(self) -> None:
        """Raise when a Thing that was given by its id is not there, or does not have the event.

        :raises NotFoundError: the service's 404.
        """
        for thing_id, error in self.missing.items():
            raise NotFoundError(
                error.status,
                error.code,
                f"{error.message}: Thing {thing_id} is not there, or does not declare the event",
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
    missing: dict[str, NotFoundError] = {}
    for thing in things:
        if thing.error is not None and fleet.thing_ids is not None:
            missing[thing.thing_id] = thing.error
        events += thing.events
    return Found(events, declared.problems(), missing)


async def afind_events(hook: IoTStudioHook, fleet: Fleet, event: str, since: datetime) -> Found:
    """Return the same from an event loop; see :func:`find_events`.

    :param hook: the space.
    :param fleet: the Things.
    :param event: the event's name.
    :param since: only events from this time on.
    """
    declared = Declared([event] if fleet.thing_ids is None else ())
    ids: Sequence[str] = fleet.thing_ids or ()
    if fleet.thing_ids is None:
        ids = list(declared.ids(await aread_twice(lambda: fleet.athings(hook))))

    async def read(thing_id: str) -> ThingEvents:
        try:
            items = await aread_twice(lambda: hook.alist_events(thing_id, event))
        except NotFoundError as error:
            return ThingEvents(thing_id, [], error)
        return _select(thing_id, read_events(thing_id, items), [event], since)

    return _found(fleet, declared, await amap_concurrently(read, ids))


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

    :param hook: the space.
    :param fleet: the Things.
    :param event: the event's name.
    :param since: only events from this time on.
    :param space: the trigger's own space, None for the connection's.
    :param interval: the trigger's poll interval in seconds; a shared result is nearly as old at most.
    :param asked_since: earliest time of the loop at which the requests may have been sent.
    """
    key = ("iotstudio events", hook.conn_id, space, fleet.key(), event, since)

    async def fetch() -> Found:
        return await afind_events(hook, fleet, event, since)

    return await shared_result(key, interval * 0.8, fetch, asked_since=asked_since)


def event_result(events: Sequence[Event], shown: int = 100) -> dict[str, Any]:
    """Return events as a small result: their number, the first ids of their Things, and the latest event.

    :param events: the events; at least one.
    :param shown: maximum number of ids in the result.
    """
    latest = max(events, key=lambda event: (event.at, event.event_id)).payload()
    del latest["data"]
    things = list(dict.fromkeys(event.thing_id for event in events))
    return {"events": len(events), "thing_ids": things[:shown], "latest": latest}
