"""Solution: the stored data of a solution, and the traversal of its tree."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Objects = dict[str, Json]

PARENTS: dict[str, tuple[str | None, ...]] = {
    "venue": (None,),
    "building": ("venue",),
    "floor": ("building",),
    "room": ("floor",),
    "area": ("venue", "floor", "room"),
    "poi": ("venue", "floor", "room"),
}


def new_id(*parts: object) -> str:
    """Return an id in the service's format, 24 hex digits of a version 4 UUID, derived from the parts."""
    text = hashlib.md5("/".join(map(str, parts)).encode()).hexdigest()
    return f"{text[:12]}4{text[13:24]}"


@dataclass
class Solution:
    """A solution (the API says dataset).

    Stored objects are never changed, only replaced, and each write creates a new ``geodata`` dict. Therefore
    copies and earlier states cost no memory.

    :param dataset: ``{"id", "name", "availableLanguages", "baseLanguage"}``.
    :param customer: id of the customer whose users have access.
    :param geodata: objects by id.
    :param display_types: display types by id.
    :param categories: categories by id.
    :param roles: app user roles by id.
    :param route_elements: route elements by id.
    :param spellings: property keys that were written with capitals, by object and by their lower case.
    :param read_only: whether writes are rejected.
    :param created: number of ids created.
    :param history: earlier states of ``geodata``, each with the time of its replacement.
    :param past_entries: the same for ``display_types`` and ``categories``, by attribute.
    """

    dataset: Json
    customer: str
    geodata: Objects = field(default_factory=dict)
    display_types: Objects = field(default_factory=dict)
    categories: Objects = field(default_factory=dict)
    roles: Objects = field(default_factory=dict)
    route_elements: Objects = field(default_factory=dict)
    spellings: dict[str, dict[str, str]] = field(default_factory=dict)
    read_only: bool = False
    created: int = 0
    history: list[tuple[float, Objects]] = field(default_factory=list)
    past_entries: dict[str, list[tuple[float, Objects]]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Id of the dataset."""
        return str(self.dataset["id"])

    def copy(self) -> Solution:
        """Return an independent solution with the same content."""
        return Solution(
            self.dataset,
            self.customer,
            dict(self.geodata),
            dict(self.display_types),
            dict(self.categories),
            dict(self.roles),
            dict(self.route_elements),
            self.spellings,
            self.read_only,
        )

    def next_id(self) -> str:
        """Return a new id."""
        self.created += 1
        return new_id(self.id, "made", self.created)

    def commit(self, geodata: Objects, now: float, keep: float) -> None:
        """Replace the geodata.

        :param geodata: the new objects by id.
        :param now: the sandbox's time.
        :param keep: seconds for which stale reads may still return the old geodata.
        """
        self.history = [(at, objects) for at, objects in self.history if at > now - keep]
        self.history.append((now, self.geodata))
        self.geodata = geodata

    def geodata_at(self, moment: float) -> Objects:
        """Return the geodata as it was at a time."""
        return next((objects for at, objects in self.history if at > moment), self.geodata)

    def commit_entries(self, attribute: str, entries: Objects, now: float, keep: float) -> None:
        """Replace the display types or categories.

        :param attribute: ``display_types`` or ``categories``.
        :param entries: the new entries by id.
        :param now: the sandbox's time.
        :param keep: seconds for which stale reads may still return the old entries.
        """
        past = [(at, old) for at, old in self.past_entries.get(attribute, []) if at > now - keep]
        self.past_entries[attribute] = [*past, (now, getattr(self, attribute))]
        setattr(self, attribute, entries)

    def entries_at(self, attribute: str, moment: float) -> Objects:
        """Return the display types or categories as they were at a time."""
        current: Objects = getattr(self, attribute)
        return next((old for at, old in self.past_entries.get(attribute, []) if at > moment), current)


def parents_first(objects: Objects, roots: Iterable[str] | None = None) -> list[Json]:
    """Return objects, parents before children.

    :param roots: ids of the objects to return with their descendants; None for all.
    """
    children: defaultdict[str | None, list[Json]] = defaultdict(list)
    for item in objects.values():
        parent = item.get("parentId")
        children[parent if parent in objects else None].append(item)
    wanted = children[None] if roots is None else [objects[root] for root in roots if root in objects]
    pending, out = list(reversed(wanted)), []
    while pending:
        item = pending.pop()
        out.append(item)
        pending.extend(reversed(children.get(item["id"], [])))
    return out
