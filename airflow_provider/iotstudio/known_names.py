"""Known properties: find conditions on a property that no Thing has, which would never hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.iotstudio.conditions import property_name

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook

THINGS_READ = 1000
"""Maximum Things whose properties are read; a larger selection is not searched further."""

UNLIKELY = "neq:\u2400"
"""Condition that any value meets, so that it finds the Things that have a property."""


def names_of(thing: Mapping[str, Any]) -> set[str]:
    """Return the properties that a Thing declares or has.

    :param thing: its description.
    """
    return (thing.get("properties") or {}).keys() | (thing.get("status") or {}).keys()


class KnownNames:
    """Names of the properties that Things declare or have, as they are read.

    :param wanted: the names in question.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self._left = dict.fromkeys(wanted)
        self._known: set[str] = set()
        self._things = 0

    def add(self, thing: Mapping[str, Any]) -> None:
        """Take the names of one Thing.

        :param thing: its description.
        """
        names = names_of(thing)
        self._known |= names
        self._things += 1
        for name in names & self._left.keys():
            del self._left[name]

    def problems(self) -> list[str]:
        """Return a sentence for each name that no Thing has; none when not all Things were read."""
        if self._things >= THINGS_READ:
            return []
        return [
            f"no Thing of {self._things} has the property {name!r:.80}{nearest(name, self._known)}"
            if self._things
            else f"there is no Thing that could have the property {name!r:.80}"
            for name in self._left
        ]


def unknown_properties(
    hook: IoTStudioHook,
    names: Iterable[str],
    *,
    category: str | None = None,
    thing_ids: list[str] | None = None,
) -> list[str]:
    """Return a sentence for each property that no Thing has.

    One small request finds that some Thing has all of the properties. Only when it finds none, the
    descriptions of up to :data:`THINGS_READ` Things are read.

    :param hook: the space.
    :param names: the properties, or keys of filters.
    :param category: only Things of this category.
    :param thing_ids: only these Things; None for all.
    """
    wanted = [property_name(name) for name in names]
    params = {"thingID[]": thing_ids} if thing_ids else {}
    if next(hook.list_things(category=category, params=_probe(wanted, params)), None) is not None:
        return []
    known = KnownNames(wanted)
    for thing in islice(hook.list_things(category=category, params=params), THINGS_READ):
        known.add(thing)
    return known.problems()


async def aunknown_properties(
    hook: IoTStudioHook, names: Iterable[str], *, category: str | None = None
) -> list[str]:
    """Return the same from an event loop; see :func:`unknown_properties`.

    :param hook: the space.
    :param names: the properties, or keys of filters.
    :param category: only Things of this category.
    """
    wanted = [property_name(name) for name in names]
    async for _ in hook.alist_things(category=category, params=_probe(wanted, {})):
        return []
    known = KnownNames(wanted)
    async for thing in _first(hook.alist_things(category=category), THINGS_READ):
        known.add(thing)
    return known.problems()


async def _first(things: AsyncIterator[dict[str, Any]], most: int) -> AsyncIterator[dict[str, Any]]:
    count = 0
    async for thing in things:
        yield thing
        count += 1
        if count >= most:
            return


def _probe(names: Iterable[str], params: Mapping[str, Any]) -> dict[str, Any]:
    return {**params, **{f"property:{name}": UNLIKELY for name in names}, "limit": 1}
