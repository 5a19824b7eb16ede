"""Known properties: find conditions on a property that no Thing has, which would never hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.iotstudio.conditions import property_name, unfit_condition

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
    """Names and types of the properties that Things declare or have, as they are read.

    :param conditions: condition by property name.
    """

    def __init__(self, conditions: Mapping[str, Any]) -> None:
        self._conditions = {property_name(name): condition for name, condition in conditions.items()}
        self._left = dict.fromkeys(self._conditions)
        self._known: set[str] = set()
        self._kinds: dict[str, set[str]] = {}
        self._things = 0
        self._has_all = False

    def add(self, thing: Mapping[str, Any]) -> None:
        """Take the names and types of one Thing.

        :param thing: its description.
        """
        names = names_of(thing)
        self._known |= names
        self._things += 1
        self._has_all = self._has_all or self._conditions.keys() <= names
        for name in names & self._conditions.keys():
            self._left.pop(name, None)
            self._kinds.setdefault(name, set()).update(_kinds_of(thing, name))

    def problems(self) -> list[str]:
        """Return a sentence for each condition that no Thing can meet; none when not all Things were read."""
        if self._things >= THINGS_READ:
            return []
        unknown = [
            f"no Thing of {self._things} has the property {name!r:.80}{nearest(name, self._known)}"
            if self._things
            else f"there is no Thing that could have the property {name!r:.80}"
            for name in self._left
        ]
        if not unknown and not self._has_all:
            names = " and ".join(map(repr, self._conditions))
            unknown.append(f"no Thing of {self._things} has all of the properties {names:.200}")
        return unknown + [
            f"the property {name!r:.80} {problem}"
            for name, kinds in self._kinds.items()
            if (problem := unfit_condition(self._conditions[name], kinds))
        ]


def _kinds_of(thing: Mapping[str, Any], name: str) -> set[str]:
    """Return the types of a property of one Thing: the declared type, else that of the value."""
    schema = (thing.get("properties") or {}).get(name)
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    value = (thing.get("status") or {}).get(name)
    found = "number" if declared == "integer" else declared or _KINDS.get(type(value))
    return {str(found)} if found else set()


_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def unknown_properties(
    hook: IoTStudioHook,
    conditions: Mapping[str, Any],
    *,
    category: str | None = None,
    thing_ids: list[str] | None = None,
) -> list[str]:
    """Return a sentence for each condition that no Thing can meet.

    One small request finds some Thing that has all of the properties. Only when it finds none, the
    descriptions of up to :data:`THINGS_READ` Things are read.

    :param hook: the space.
    :param conditions: filters, or the query parameters made of them.
    :param category: only Things of this category.
    :param thing_ids: only these Things; None for all.
    """
    known = KnownNames(conditions)
    params = {"thingID[]": thing_ids} if thing_ids else {}
    things = hook.list_things(category=category, params=_probe(conditions, params))
    if (example := next(things, None)) is not None:
        known.add(example)
        return known.problems()
    for thing in islice(hook.list_things(category=category, params=params), THINGS_READ):
        known.add(thing)
    return known.problems()


async def aunknown_properties(
    hook: IoTStudioHook, conditions: Mapping[str, Any], *, category: str | None = None
) -> list[str]:
    """Return the same from an event loop; see :func:`unknown_properties`.

    :param hook: the space.
    :param conditions: filters, or the query parameters made of them.
    :param category: only Things of this category.
    """
    known = KnownNames(conditions)
    async for example in hook.alist_things(category=category, params=_probe(conditions, {})):
        known.add(example)
        return known.problems()
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
    return {**params, **{f"property:{property_name(name)}": UNLIKELY for name in names}, "limit": 1}
