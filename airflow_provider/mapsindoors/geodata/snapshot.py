"""Snapshot: the objects of a solution at one time, indexed, in little memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from sys import intern
from typing import Any, TypedDict

import msgspec

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import normal_key, shown, shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError, shorten
from airflow_provider.mapsindoors import api
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.values import plain_key, read_index
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


class _ObjectId(msgspec.Struct):
    id: str


class _Indexed(TypedDict, total=False):
    """The fields of an object that are indexed; its geometry and settings are most of its JSON."""

    baseType: Any
    parentId: Any
    externalId: Any
    id: Any
    properties: Any
    baseTypeProperties: Any


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

    def indexed(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield ids and objects, which have only the fields that a snapshot indexes."""
        decoder = msgspec.json.Decoder(_Indexed)
        for key, raw in self._undecoded.items():
            yield key, decoder.decode(raw)

    def undecoded(self, key: str) -> msgspec.Raw:
        """Return an object's JSON as the service sent it."""
        return self._undecoded[key]

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
    """Return an object's value of the match key in its normal form; empty when it has none.

    :param item: the object.
    :param match_on: the match key: a field (``externalId``, ``id``), a property (``roomno@generic``), or
        ``administrativeid``.
    """
    if "@" in match_on:
        value = _property(item.get("properties"), match_on)
    elif match_on != "externalId" and match_on.lower() == "administrativeid":
        members = item.get("baseTypeProperties")
        value = members.get("administrativeid") if isinstance(members, Mapping) else None
    else:
        value = item.get(match_on)
    return normal_key(value) if isinstance(value, str) else ""


def _property(properties: Any, name: str) -> Any:
    """Return a property, whose key has no case."""
    if not isinstance(properties, Mapping):
        return None
    if name in properties:
        return properties[name]
    plain = plain_key(name)
    return next((value for key, value in properties.items() if plain_key(key) == plain), None)


def natural_key(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a key for an object whose id is not known: base type, parent, external and administrative id."""
    keys = (key_of(item, name) for name in ("externalId", "administrativeid"))
    return str(item.get("baseType") or ""), str(item.get("parentId") or ""), *keys


_DEEPEST = 20
"""Maximum parents between an object and its venue; parents may form a cycle."""

NEAR = 5_000
"""Metres around the bounds of a venue that count as near."""

Bounds = tuple[float, float, float, float]


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
    parent; ``labels`` has the names of display types and the keys of categories by id; ``venues`` has the
    bounds of the venues by id; ``doubled_keys`` has the ids of the objects with a property key in two
    spellings.
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
        self.venues: dict[str, Bounds] = {}
        self.doubled_keys: set[str] = set()
        self._spellings: dict[str, dict[str, None]] = {}
        self._parents: dict[str, str] = {}
        self._venues_above: dict[str, str] = {}
        for key, entry in self.by_id.indexed():
            self._index_object(key, entry)
        self._below_root, self._scope_types = self._read_scope(scope or {})

    @property
    def base_language(self) -> str:
        """Language in which every object needs a name."""
        return str(self.dataset.get("baseLanguage") or "en")

    def in_scope(self, key: str) -> bool:
        """Return whether an object is in the scope, that is, compared."""
        return (
            key in self.base_types
            and (self._below_root is None or key in self._below_root)
            and (self._scope_types is None or self.base_types[key] in self._scope_types)
        )

    def takes_new(self, base_type: str, parent: str) -> bool:
        """Return whether a new object would be in the scope.

        :param base_type: its base type.
        :param parent: id of its parent; empty when the parent is new, too, and empty for a venue.
        """
        if self._scope_types is not None and base_type not in self._scope_types:
            return False
        return self._below_root is None or not parent or parent in self._below_root

    def ids_in_scope(self) -> list[str]:
        """Return the ids of the objects in the scope."""
        return [key for key in self.by_id if self.in_scope(key)]

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
        groups = self._references.get(name)
        return groups.get(value, []) if groups else []

    def keyed_ids(self) -> Iterator[str]:
        """Yield the ids of all objects that have the match key."""
        return chain.from_iterable(self._references[self.match_on].values())

    def duplicate_keys(self) -> dict[str, list[str]]:
        """Return the values of the match key that several objects in the scope have, with their ids."""
        groups = self._references[self.match_on].items()
        in_scope = (
            (key, [object_id for object_id in ids if self.in_scope(object_id)]) for key, ids in groups
        )
        return {key: ids for key, ids in in_scope if len(ids) > 1}

    def resolve(self, name: str, value: str) -> str:
        """Return the id of the only object with an ``externalId`` or ``administrativeid``.

        :param name: ``externalId`` or ``administrativeid``.
        :param value: its value.
        :raises UnresolvedReferenceError: when no object has it, or more than one.
        """
        return self._single(self.ids_by(name, value), f"object with {name} {shown(value)}")

    def resolve_floor(self, building: str, index: str) -> str:
        """Return the id of a floor by its index within a building, given by id or external id."""
        owner = building if building in self.by_id else self.resolve("externalId", building)
        floors = [child for child in self.children.get(owner, ()) if index_of(self.by_id[child]) == index]
        return self._single(floors, f"floor with index {index[:60]} in building {shown(building)}")

    def resolve_display_type(self, given: str) -> str:
        """Return the id of a display type, given by id or name."""
        return self._entry(self._display_types, given, "display type")

    def resolve_category(self, given: str) -> str:
        """Return the id of a category, given by id, key or name."""
        return self._entry(self._categories, given, "category")

    def _entry(self, entries: Mapping[str, list[str]], given: str, kind: str) -> str:
        found = entries.get(normal_key(given).lower(), [])
        if not found:
            known = [self.labels[one] for ids in entries.values() for one in ids]
            raise UnresolvedReferenceError(
                f"there is no {kind} {shown_value(given)}{nearest(given[:100], known)}"
            )
        return self._single(found, f"{kind} {shown_value(given)}")

    def venue_of(self, key: str) -> str:
        """Return the id of the venue that an object is in; empty when it is in none.

        :param key: id of the object, or of a venue.
        """
        if self.base_types.get(key) == "venue":
            return key
        parent = self._parent_of(key)
        found = self._venues_above.get(parent)
        if found is None:  # Many objects have the same parent.
            above = self.ancestors(parent, itself=True)
            found = next((ancestor for ancestor, base_type in above if base_type == "venue"), "")
            self._venues_above[parent] = found
        return found

    def ancestors(self, key: str, *, itself: bool = False) -> list[tuple[str, Any]]:
        """Return id and base type of an object's ancestors, from its parent up.

        :param key: id of the object.
        :param itself: whether the object is the first of them.
        """
        found: list[tuple[str, Any]] = []
        current = key if itself else self._parent_of(key)
        while current in self.base_types and len(found) < _DEEPEST:
            found.append((current, self.base_types[current]))
            current = self._parent_of(current)
        return found

    def _parent_of(self, key: str) -> str:
        if not self._parents:
            self._parents = {child: parent for parent, ids in self.children.items() for child in ids}
        return self._parents.get(key, "")

    @property
    def languages(self) -> list[str]:
        """Languages of the solution; empty when the service does not say."""
        given = self.dataset.get("availableLanguages")
        return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []

    def _index_object(self, key: str, item: Mapping[str, Any]) -> None:
        """Index the fields of an object that are used for all objects, so that it is decoded once."""
        base_type = item.get("baseType")
        self.base_types[key] = intern(base_type) if isinstance(base_type, str) else base_type
        self.children[item.get("parentId") or ""].append(key)
        for name, groups in self._references.items():
            if value := key_of(item, name):
                groups[value].append(key)
        self._index_properties(key, item.get("properties") or {})
        if base_type == "venue":
            shape: Any = self.by_id[key].get("geometry")
            if geometry.is_drawable(shape):
                self.venues[key] = geometry.bounds(shape)

    def _index_properties(self, key: str, properties: Json) -> None:
        spellings = {plain_key(name): name for name in properties}
        if len(spellings) != len(properties):
            self.doubled_keys.add(key)
        for plain, name in spellings.items():
            known = self._spellings.get(plain)
            if known is None:
                self._spellings[plain] = {name: None}
            elif name not in known:
                known[name] = None

    def spelling(self, key: str) -> str:
        """Return the spelling of a property key that other objects have; the key itself when none has it."""
        known = self._spellings.get(plain_key(key), {})
        return key if key in known else next(iter(known), key)

    def _read_scope(self, scope: Mapping[str, Any]) -> tuple[set[str] | None, tuple[str, ...] | None]:
        """Return the ids below the root and the base types of a scope; None for each that is not limited.

        :raises InputError: when the root is no object of the solution.
        """
        root, base_types = scope.get("root_element"), scope.get("base_types")
        if root is not None and root not in self.by_id:
            raise InputError(f"root_element {root!r} is no object of the solution", "scope")
        types = None if base_types is None else tuple(base_types)
        return (None if root is None else {root, *self.descendants(root)}), types

    @staticmethod
    def _single(ids: list[str], description: str) -> str:
        if not ids:
            raise UnresolvedReferenceError(f"there is no {description}")
        if len(ids) > 1:
            raise UnresolvedReferenceError(
                f"there is more than one {description}: {', '.join(shorten(ids, 5))}"
            )
        return ids[0]


def index_of(floor: Json) -> str:
    """Return a floor's index as the service keeps it.

    :param floor: the floor.
    """
    found = (floor.get("baseTypeProperties") or {}).get("administrativeid")
    return str(read_index(found)) if isinstance(found, str) else str(found)


def _index_by_name(entries: list[Json], second_key: str, names: str) -> dict[str, list[str]]:
    """Index entries by id, second key and names, without case; an id wins over a key, a key over a name."""
    out: dict[str, list[str]] = {}
    for level in range(3):
        found: defaultdict[str, list[str]] = defaultdict(list)
        for entry in entries:
            for text in _names_of(entry, second_key, names)[level]:
                if entry["id"] not in found[normal_key(text).lower()]:
                    found[normal_key(text).lower()].append(entry["id"])
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
