"""Snapshot: the objects of a solution at one time, indexed, in little memory."""

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


class _ObjectId(msgspec.Struct):
    id: str


def read_undecoded(hook: MapsIndoorsHook) -> list[msgspec.Raw]:
    """Read all geodata of a solution; each object is checked, but stays encoded."""
    return hook.send(api.undecoded(api.list_geodata(hook.api_key)))


class LazyObjects(Mapping[str, Json]):
    """Objects by id, each decoded on access: encoded objects take a fifth of the memory.

    Each access returns a new copy.

    :param undecoded: the objects, as :func:`read_undecoded` returns them.
    """

    def __init__(self, undecoded: Iterable[msgspec.Raw]) -> None:
        decoder = msgspec.json.Decoder(_ObjectId)
        self._undecoded = {decoder.decode(raw).id: raw for raw in undecoded}
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
"""Base types of the possible parents, by base type, from the vendor's docs and real data."""


def key_of(item: Mapping[str, Any], match_on: str) -> str:
    """Return an object's value of the match key; empty when it has none.

    :param item: the object.
    :param match_on: the match key: a field (``externalId``, ``id``), a property (``roomno@generic``), or
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


def natural_key(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a key for an object whose id is not known: base type, parent, external and administrative id."""
    keys = (key_of(item, name) for name in ("externalId", "administrativeid"))
    return str(item.get("baseType") or ""), str(item.get("parentId") or ""), *keys


_NEAR = 0.5
"""Degrees around the bounds of a venue that count as near: about 50 km."""


class UnresolvedReferenceError(LookupError):
    """A reference fits no object, or more than one."""


class SolutionSnapshot:
    """All objects of a solution, indexed by id, key and parent.

    :param dataset: the solution.
    :param objects: all its geodata, encoded.
    :param display_types: all its display types; empty when no row needs them.
    :param categories: all its categories; empty when no row needs them.
    :param match_on: the key by which rows and objects are matched, see :func:`key_of`.
    :param scope: ``base_types`` (list) and ``root_element`` (id) limit the objects that are compared.

    The attribute ``base_types`` has the objects' base types by id; ``children`` has ids by the id of the
    parent; ``labels`` has the names of display types and the keys of categories by id.
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
        self.by_id = LazyObjects(objects)
        types, groups = list(display_types), list(categories)
        self._display_types = _index_by_name(types, "name", "properties")
        self._categories = _index_by_name(groups, "key", "name")
        self.labels = {
            entry["id"]: str(entry.get(label) or entry["id"])
            for entries, label in ((types, "name"), (groups, "key"))
            for entry in entries
        }
        self.base_types: dict[str, Any] = {}
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        self._references: dict[str, defaultdict[str, list[str]]] = {
            name: defaultdict(list) for name in ("externalId", "administrativeid", match_on)
        }
        self._venues: list[tuple[float, float, float, float]] = []
        for key, entry in self.by_id.items():
            self._index_object(key, entry)
        self._in_scope = self._ids_of_scope(scope or {})

    @property
    def base_language(self) -> str:
        """Language in which every object needs a name."""
        return str(self.dataset.get("baseLanguage") or "en")

    def in_scope(self, key: str) -> bool:
        """Return whether an object is in the scope, that is, compared."""
        return key in self._in_scope

    def ids_in_scope(self) -> list[str]:
        """Return the ids of the objects in the scope."""
        return [key for key in self.by_id if key in self._in_scope]

    def descendants(self, key: str) -> list[str]:
        """Return the ids of all descendants of an object, each once, even if parents form a cycle."""
        found: dict[str, None] = {}
        pending = list(self.children.get(key, ()))
        while pending:
            child = pending.pop()
            if child not in found and child != key:
                found[child] = None
                pending.extend(self.children.get(child, ()))
        return list(found)

    def ids_with_key(self, key: str) -> list[str]:
        """Return the ids of all objects with a value of the match key."""
        return self.ids_by(self.match_on, key)

    def ids_by(self, name: str, value: str) -> list[str]:
        """Return the ids of all objects with a value of ``externalId``, ``administrativeid`` or match key."""
        return self._references[name].get(value, [])

    def keyed_ids(self) -> Iterator[str]:
        """Yield the ids of all objects that have the match key."""
        return chain.from_iterable(self._references[self.match_on].values())

    def duplicate_keys(self) -> dict[str, list[str]]:
        """Return the values of the match key that several objects in the scope have, with their ids."""
        groups = self._references[self.match_on].items()
        in_scope = (
            (key, [object_id for object_id in ids if object_id in self._in_scope]) for key, ids in groups
        )
        return {key: ids for key, ids in in_scope if len(ids) > 1}

    def resolve(self, name: str, value: str) -> str:
        """Return the id of the only object with an ``externalId`` or ``administrativeid``.

        :param name: ``externalId`` or ``administrativeid``.
        :param value: its value.
        :raises UnresolvedReferenceError: when no object has it, or more than one.
        """
        return self._single(self.ids_by(name, value), f"object with {name} {value!r}")

    def resolve_floor(self, building: str, index: str) -> str:
        """Return the id of a floor by its index within a building, given by id or external id."""
        owner = building if building in self.by_id else self.resolve("externalId", building)
        floors = [
            child
            for child in self.children.get(owner, ())
            if str((self.by_id[child].get("baseTypeProperties") or {}).get("administrativeid")) == index
        ]
        return self._single(floors, f"floor with index {index} in building {building!r}")

    def resolve_display_type(self, given: str) -> str:
        """Return the id of a display type, given by id or name."""
        return self._single(self._display_types.get(given.lower(), []), f"display type {given!r}")

    def resolve_category(self, given: str) -> str:
        """Return the id of a category, given by id, key or name."""
        return self._single(self._categories.get(given.lower(), []), f"category {given!r}")

    def is_near_venue(self, position: tuple[float, float]) -> bool:
        """Return whether a position is inside of a venue, or within about 50 km of it."""
        x, y = position
        return any(
            west - _NEAR <= x <= east + _NEAR and south - _NEAR <= y <= north + _NEAR
            for west, south, east, north in self._venues
        )

    def _index_object(self, key: str, item: Json) -> None:
        """Index the fields of an object that are used for all objects, so that it is decoded once."""
        base_type = item.get("baseType")
        self.base_types[key] = intern(base_type) if isinstance(base_type, str) else base_type
        self.children[item.get("parentId") or ""].append(key)
        for name, groups in self._references.items():
            if value := key_of(item, name):
                groups[value].append(key)
        if base_type == "venue" and geometry.is_drawable(item.get("geometry")):
            self._venues.append(geometry.bounds(item["geometry"]))

    def _ids_of_scope(self, scope: Mapping[str, Any]) -> set[str]:
        root, base_types = scope.get("root_element"), scope.get("base_types")
        ids = [root, *self.descendants(root)] if root else list(self.by_id)
        return {
            object_id
            for object_id in ids
            if object_id in self.by_id and (not base_types or self.base_types[object_id] in base_types)
        }

    @staticmethod
    def _single(ids: list[str], description: str) -> str:
        if not ids:
            raise UnresolvedReferenceError(f"there is no {description}")
        if len(ids) > 1:
            raise UnresolvedReferenceError(f"there is more than one {description}: {', '.join(ids[:5])}")
        return ids[0]


def _index_by_name(entries: list[Json], second_key: str, names: str) -> dict[str, list[str]]:
    """Index entries by id, second key and names, without case; an id wins over a key, a key over a name."""
    out: dict[str, list[str]] = {}
    for level in range(3):
        found: defaultdict[str, list[str]] = defaultdict(list)
        for entry in entries:
            for text in _names_of(entry, second_key, names)[level]:
                if entry["id"] not in found[text.lower()]:
                    found[text.lower()].append(entry["id"])
        out = {**found, **out}
    return out


def _names_of(entry: Json, second_key: str, names: str) -> tuple[list[str], list[str], list[str]]:
    given = entry.get(names) or {}
    texts = [
        text
        for key, text in given.items()
        if isinstance(text, str) and (names == "name" or key.startswith("name@"))
    ]
    return [entry["id"]], [str(entry.get(second_key) or "")], texts
