"""One solution's data, and how its tree is walked."""

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
    """Make an id like the service's, 24 hex digits of a version 4 UUID, the same for the same parts."""
    text = hashlib.md5("/".join(map(str, parts)).encode()).hexdigest()
    return f"{text[:12]}4{text[13:24]}"


@dataclass
class Solution:
    """A solution (the API says dataset).

    Stored objects are never changed, only replaced, and each write makes a new ``geodata`` dict: copies
    and looks into the past cost nothing.

    :param dataset: ``{"id", "name", "availableLanguages", "baseLanguage"}``.
    :param customer: whose users may see it.
    :param geodata: objects by id; likewise the other collections.
    :param past: when a world was replaced, and what it was.
    """

    dataset: Json
    customer: str
    geodata: Objects = field(default_factory=dict)
    display_types: Objects = field(default_factory=dict)
    categories: Objects = field(default_factory=dict)
    roles: Objects = field(default_factory=dict)
    route_elements: Objects = field(default_factory=dict)
    read_only: bool = False
    made: int = 0
    past: list[tuple[float, Objects]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The dataset's id."""
        return str(self.dataset["id"])

    def copy(self) -> Solution:
        """Give an independent solution with the same content."""
        return Solution(
            self.dataset,
            self.customer,
            dict(self.geodata),
            dict(self.display_types),
            dict(self.categories),
            dict(self.roles),
            dict(self.route_elements),
            self.read_only,
        )

    def fresh_id(self) -> str:
        """Make the next new id."""
        self.made += 1
        return new_id(self.id, "made", self.made)

    def commit(self, geodata: Objects, now: float, keep: float) -> None:
        """Put a new world in place.

        :param now: the sandbox's time.
        :param keep: for how many seconds readers may still see the old one.
        """
        self.past = [(at, world) for at, world in self.past if at > now - keep]
        self.past.append((now, self.geodata))
        self.geodata = geodata

    def seen_at(self, moment: float) -> Objects:
        """Give the world as it was at a moment."""
        return next((world for at, world in self.past if at > moment), self.geodata)


def in_order(objects: Objects, roots: Iterable[str] | None = None) -> list[Json]:
    """List objects, parents before children.

    :param roots: only these and all below them.
    """
    children: defaultdict[str | None, list[Json]] = defaultdict(list)
    for one in objects.values():
        parent = one.get("parentId")
        children[parent if parent in objects else None].append(one)
    wanted = children[None] if roots is None else [objects[root] for root in roots if root in objects]
    stack, out = list(reversed(wanted)), []
    while stack:
        one = stack.pop()
        out.append(one)
        stack.extend(reversed(children.get(one["id"], [])))
    return out
