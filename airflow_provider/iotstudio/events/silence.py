"""Silence: Things that have reported no value for some time."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import NotFoundError, ServerError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.actions import CLOCK_SKEW
from airflow_provider.iotstudio.events.fleet import Fleet, amap_concurrently, map_concurrently
from airflow_provider.iotstudio.hooks_base import aread_twice, read_twice
from airflow_provider.iotstudio.known_names import names_of, unknown_properties

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


_shared: WeakKeyDictionary[Any, WeakValueDictionary[Hashable, Silence]] = WeakKeyDictionary()
"""By event loop: what the triggers with the same question have found."""


class Silence:
    """The silent Things of a fleet, poll after poll.

    A Thing is silent when its newest recorded value is older than a time, or when it has none and was created
    before that time: the service deletes old values. A Thing that has just reported cannot be silent for a
    while, and is not asked again until then. Things without properties are never silent.

    :param fleet: the Things.
    :param silent_for: seconds without a value.
    :param properties: only values of these properties count; None for all.
    """

    def __init__(self, fleet: Fleet, silent_for: float, properties: Sequence[str] | None) -> None:
        self._fleet = fleet
        self._silent_for = timedelta(seconds=silent_for)
        self._properties = None if properties is None else frozenset(properties)
        self._heard_until: dict[str, datetime] = {}
        self._things = 0
        self._able = 0
        self._known: set[str] = set()

    @classmethod
    def shared(
        cls,
        hook: IoTStudioHook,
        space: str | None,
        fleet: Fleet,
        silent_for: float,
        properties: Sequence[str] | None,
    ) -> Silence:
        """Return the one of all triggers of the event loop that ask the same.

        :param hook: the space.
        :param space: the trigger's own space, None for the connection's.
        :param fleet: the Things.
        :param silent_for: seconds without a value.
        :param properties: only values of these properties count; None for all.
        """
        names = None if properties is None else frozenset(properties)
        key = ("iotstudio silence", hook.conn_id, space, fleet.key(), silent_for, names)
        found = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        if (silence := found.get(key)) is None:
            silence = found[key] = cls(fleet, silent_for, properties)
        return silence

    async def ashared_find(self, hook: IoTStudioHook, interval: float) -> list[str]:
        """Return the ids of the silent Things; triggers that ask at about the same time share the requests.

        :param hook: the space.
        :param interval: the trigger's poll interval in seconds; a shared result is nearly as old at most.
        """
        return await shared_result(self, interval * 0.8, lambda: self.afind(hook))

    def problems(self, hook: IoTStudioHook, min_matches: int) -> list[str]:
        """Return a sentence for each reason why too few of the Things of the last poll can fall silent.

        :param hook: the space.
        :param min_matches: number of Things that must be silent.
        """
        if not self._things:
            filters = self._fleet.filters
            unknown = unknown_properties(hook, filters, category=self._fleet.category) if filters else []
            reasons = [f"filters: {problem}" for problem in unknown]
            return [f"{reason}; nothing is silent" for reason in reasons or ["no Thing is selected"]]
        known, things = self._known, self._things
        problems = [
            f"properties: no Thing of {things} has the property {name!r:.80}{nearest(name, known)};"
            " it does not count"
            for name in sorted((self._properties or set()) - known)
        ]
        if self._able < min_matches:
            able = f"only {self._able} of {things} Things can fall silent"
            problems.append(f"{able}, not {min_matches}; the wait does not end")
        return problems

    def find(self, hook: IoTStudioHook) -> list[str]:
        """Return the ids of the silent Things.

        :param hook: the space.
        :raises NotFoundError: for a Thing that was given by its id and is not there.
        """
        hook.transport  # noqa: B018 - opened here once, before threads share it
        ids = self._fleet.thing_ids
        if ids is None:
            asked = read_twice(lambda: self._doubtful(self._fleet.things(hook)))
        else:
            asked = self._doubtful(map_concurrently(lambda uid: read_twice(lambda: hook.get_thing(uid)), ids))
        until = datetime.now(UTC) + CLOCK_SKEW

        def read(thing: Mapping[str, Any]) -> list[dict[str, Any]] | None:
            try:
                return read_twice(lambda: hook.last_values(thing["uid"], until, name=self._only_property))
            except NotFoundError:
                return None

        return self._silent(asked, map_concurrently(read, asked))

    async def afind(self, hook: IoTStudioHook) -> list[str]:
        """Return the same from an event loop; see :meth:`find`.

        :param hook: the space.
        """
        ids = self._fleet.thing_ids
        if ids is None:
            things = await aread_twice(lambda: self._fleet.athings(hook))
        else:
            things = await amap_concurrently(lambda uid: aread_twice(lambda: hook.aget_thing(uid)), ids)
        until = datetime.now(UTC) + CLOCK_SKEW

        async def read(thing: Mapping[str, Any]) -> list[dict[str, Any]] | None:
            name = self._only_property
            try:
                return await aread_twice(lambda: hook.alast_values(thing["uid"], until, name=name))
            except NotFoundError:
                return None

        asked = self._doubtful(things)
        return self._silent(asked, await amap_concurrently(read, asked))

    @property
    def _only_property(self) -> str | None:
        return next(iter(self._properties)) if self._properties and len(self._properties) == 1 else None

    def _doubtful(self, things: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return id and time of creation of the Things that may be silent."""
        now = datetime.now(UTC)
        found = []
        self._things = self._able = 0
        for thing in things:
            names = names_of(thing)
            relevant = names if self._properties is None else names & self._properties
            self._known |= names
            self._things += 1
            self._able += bool(relevant)
            if relevant and self._heard_until.get(thing["uid"], now) <= now:
                found.append({"uid": thing["uid"], "created": thing.get("created")})
        return found

    def _silent(
        self, things: Sequence[Mapping[str, Any]], values: Iterable[list[dict[str, Any]] | None]
    ) -> list[str]:
        silent = []
        for thing, items in zip(things, values, strict=True):
            if items is None:
                continue  # It was deleted meanwhile.
            times = [
                api.parse_time(str(item["at"]))
                for item in items
                if self._properties is None or not self._properties.isdisjoint(item["properties"])
            ]
            if not times and thing["created"]:
                times = [_created_at(thing)]
            heard_until = max(times, default=datetime.min.replace(tzinfo=UTC)) + self._silent_for
            if heard_until <= datetime.now(UTC):
                silent.append(str(thing["uid"]))
            else:
                self._heard_until[thing["uid"]] = heard_until
        return silent


def _created_at(thing: Mapping[str, Any]) -> datetime:
    try:
        return api.parse_time(str(thing["created"]))
    except ValueError:
        text = f"Thing {thing['uid']} was created at a time that cannot be read: {thing['created']!r:.60}"
        raise ServerError(200, "", text) from None
