"""The objects of a map, many of them in little memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from sys import intern
from typing import Any

import msgspec

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors import api
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


class _Known(msgspec.Struct):
    id: str


def read_undecoded(hook: MapsIndoorsHook) -> list[msgspec.Raw]:
    """Read all geodata of a solution, each checked to be an object, but not kept decoded."""
    return hook.send(api.undecoded(api.list_geodata(hook.api_key)))


class Objects(Mapping[str, Json]):
    """Objects by id, each decoded when it is asked for: as text they take a fifth of the memory.

    What is given is a copy, and each time another one.

    :param undecoded: the objects, as :func:`read_undecoded` gives them.
    """

    def __init__(self, undecoded: Iterable[msgspec.Raw]) -> None:
        known = msgspec.json.Decoder(_Known)
        self._undecoded = {known.decode(one).id: one for one in undecoded}
        self._decoder = msgspec.json.Decoder()

    def __getitem__(self, key: str) -> Json:
        found: Json = self._decoder.decode(self._undecoded[key])
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._undecoded

    def __iter__(self) -> Iterator[str]:
        return iter(self._undecoded)

    def __len__(self) -> int:
        return len(self._undecoded)


PARENTS: dict[str, tuple[str, ...]] = {
    "venue": (),
    "building": ("venue",),
    "floor": ("building",),
    "room": ("floor",),
    "area": ("venue", "floor", "room"),
    "poi": ("venue", "floor", "room"),
}
"""What may be above what, from the vendor's docs and real data."""


def key_of(item: Mapping[str, Any], match_on: str) -> str:
    """Give the value by which an object is known, empty when it has none.

    :param match_on: a field (``externalId``, ``id``), a property (``roomno@generic``), or
        ``administrativeid``.
    """
    if "@" in match_on:
        members, name = item.get("properties"), match_on.lower()
    elif match_on.lower() == "administrativeid":
        members, name = item.get("baseTypeProperties"), "administrativeid"
    else:
        members, name = item, match_on
    value = members.get(name) if isinstance(members, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def marks_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Give by what an object is recognised whose id is not known: type, parent and its keys."""
    keys = (key_of(item, name) for name in ("externalId", "administrativeid"))
    return str(item.get("baseType") or ""), str(item.get("parentId") or ""), *keys


_NEAR = 0.5


class Ambiguity(LookupError):  # noqa: N818 - says what it is
    """A reference fits nothing, or more than one thing."""


class World:
    """The objects of a solution, found by id, by key, by place.

    :param dataset: the solution.
    :param objects: all its geodata, not yet decoded.
    :param display_types: all its display types; empty when no row needs them. Likewise categories.
    :param match_on: by what rows and objects are matched, see :func:`key_of`.
    :param scope: ``base_types`` (list) and ``root_element`` (id) limit what is compared.

    ``base_types`` are the objects' types by id. ``labels`` are names of display types and keys of categories
    by id, as far as these were given.
    """

    def __init__(
        self,
        dataset: Json,
        objects: Iterable[msgspec.Raw],
        *,
        display_types: Iterable[Json] = (),
        categories: Iterable[Json] = (),
        match_on: str = "externalId",
        scope: Mapping[str, Any] | None = None,
    ) -> None:
        self.dataset = dataset
        self.match_on = match_on
        self.by_id = Objects(objects)
        types, groups = list(display_types), list(categories)
        self._display_types = _index(types, "name", "properties")
        self._categories = _index(groups, "key", "name")
        self.labels = {
            one["id"]: str(one.get(second) or one["id"])
            for things, second in ((types, "name"), (groups, "key"))
            for one in things
        }
        self.base_types: dict[str, Any] = {}
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        self._references: dict[str, defaultdict[str, list[str]]] = {
            name: defaultdict(list) for name in ("externalId", "administrativeid", match_on)
        }
        self._venues: list[tuple[float, float, float, float]] = []
        for key, one in self.by_id.items():
            self._note(key, one)
        self._in_scope = self._scoped(scope or {})

    @property
    def base_language(self) -> str:
        """The language in which every object needs a name."""
        return str(self.dataset.get("baseLanguage") or "en")

    def in_scope(self, key: str) -> bool:
        """Tell whether an object is one of those that are compared."""
        return key in self._in_scope

    def scope_ids(self) -> list[str]:
        """List what is compared."""
        return [key for key in self.by_id if key in self._in_scope]

    def below(self, key: str) -> list[str]:
        """List everything below an object, each once, also where a map goes round in a circle."""
        found: dict[str, None] = {}
        stack = list(self.children.get(key, ()))
        while stack:
            one = stack.pop()
            if one not in found and one != key:
                found[one] = None
                stack.extend(self.children.get(one, ()))
        return list(found)

    def matching(self, key: str) -> list[str]:
        """List the ids of all objects with this value of the match key."""
        return self.having(self.match_on, key)

    def having(self, name: str, value: str) -> list[str]:
        """List the ids of all objects with this ``externalId``, ``administrativeid`` or match key."""
        return self._references[name].get(value, [])

    def keyed(self) -> Iterator[str]:
        """Give the ids of all objects that have the match key."""
        return chain.from_iterable(self._references[self.match_on].values())

    def duplicates(self) -> dict[str, list[str]]:
        """List the values of the match key that several compared objects have, with their ids."""
        groups = self._references[self.match_on].items()
        in_scope = ((key, [one for one in ids if one in self._in_scope]) for key, ids in groups)
        return {key: ids for key, ids in in_scope if len(ids) > 1}

    def find(self, name: str, value: str) -> str:
        """Find the one object with this ``externalId`` or ``administrativeid``.

        :raises Ambiguity: when there is none, or more than one.
        """
        return self._only(self.having(name, value), f"object with {name} {value!r}")

    def find_floor(self, building: str, index: str) -> str:
        """Find a floor by its index within a building, named by id or external id."""
        owner = building if building in self.by_id else self.find("externalId", building)
        floors = [
            one
            for one in self.children.get(owner, ())
            if str((self.by_id[one].get("baseTypeProperties") or {}).get("administrativeid")) == index
        ]
        return self._only(floors, f"floor with index {index} in building {building!r}")

    def display_type(self, given: str) -> str:
        """Find a display type by id or name."""
        return self._only(self._display_types.get(given.lower(), []), f"display type {given!r}")

    def category(self, given: str) -> str:
        """Find a category by id, key or name."""
        return self._only(self._categories.get(given.lower(), []), f"category {given!r}")

    def is_near(self, position: tuple[float, float]) -> bool:
        """Tell whether a position is in, or within about 50 km of, one of the venues."""
        x, y = position
        return any(
            west - _NEAR <= x <= east + _NEAR and south - _NEAR <= y <= north + _NEAR
            for west, south, east, north in self._venues
        )

    def _note(self, key: str, one: Json) -> None:
        """Note what is asked of all objects again and again."""
        base_type = one.get("baseType")
        self.base_types[key] = intern(base_type) if isinstance(base_type, str) else base_type
        self.children[one.get("parentId") or ""].append(key)
        for name, groups in self._references.items():
            if value := key_of(one, name):
                groups[value].append(key)
        if base_type == "venue" and geometry.is_drawable(one.get("geometry")):
            self._venues.append(geometry.bounds(one["geometry"]))

    def _scoped(self, scope: Mapping[str, Any]) -> set[str]:
        root, base_types = scope.get("root_element"), scope.get("base_types")
        ids = [root, *self.below(root)] if root else list(self.by_id)
        return {
            one for one in ids if one in self.by_id and (not base_types or self.base_types[one] in base_types)
        }

    @staticmethod
    def _only(found: list[str], what: str) -> str:
        if not found:
            raise Ambiguity(f"there is no {what}")
        if len(found) > 1:
            raise Ambiguity(f"there is more than one {what}: {', '.join(found[:5])}")
        return found[0]


def _index(things: list[Json], second_key: str, names: str) -> dict[str, list[str]]:
    """Index things by id, second key and all names, without case; the stronger kind of name wins."""
    out: dict[str, list[str]] = {}
    for level in range(3):
        found: defaultdict[str, list[str]] = defaultdict(list)
        for one in things:
            for text in _called(one, second_key, names)[level]:
                if one["id"] not in found[text.lower()]:
                    found[text.lower()].append(one["id"])
        out = {**found, **out}
    return out


def _called(thing: Json, second_key: str, names: str) -> tuple[list[str], list[str], list[str]]:
    given = thing.get(names) or {}
    texts = [
        text
        for key, text in given.items()
        if isinstance(text, str) and (names == "name" or key.startswith("name@"))
    ]
    return [thing["id"]], [str(thing.get(second_key) or "")], texts
