"""What a space of the sandbox holds."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Series = Sequence[tuple[int, Any]]
"""Recorded values of one property, oldest first: (milliseconds, value). A benchmark may put a computed
sequence here, which takes no memory."""


@dataclass
class Entry:
    """One action or event of a Thing.

    :param at: when it was requested or happened, seconds of the sandbox's clock.
    :param payload: an action's ``input``, an event's ``data``; absent when nothing was given.
    """

    uid: str
    name: str
    at: float
    payload: dict[str, Any]
    status: str = "pending"
    completed: float | None = None
    output: dict[str, Any] = field(default_factory=dict)


@dataclass
class Thing:
    """A device: what it can do, and its current values (``status``)."""

    uid: str
    title: str = ""
    created: str = ""
    modified: str = ""
    categories: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Series] = field(default_factory=dict)
    actions: list[Entry] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)
    client_id: str = ""

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The declared properties."""
        return self.fields.get("properties") or {}

    def clone(self) -> Thing:
        """Copy what requests change; declarations are replaced as a whole, never changed in place."""
        return Thing(
            uid=self.uid,
            title=self.title,
            created=self.created,
            modified=self.modified,
            categories=list(self.categories),
            fields=dict(self.fields),
            status=dict(self.status),
            history={name: list(series) for name, series in self.history.items()},
        )

    def shown(self, prefix: str, *, categories: bool) -> dict[str, Any]:
        """Give the description as the service answers it.

        :param prefix: what comes before the uid in ``id``.
        :param categories: False on category-scoped routes, which leave them out.
        """
        shown: dict[str, Any] = {"uid": self.uid, "id": f"{prefix}/things/{self.uid}", "title": self.title}
        if categories:
            shown["categories"] = self.categories
        shown |= {"model": None, "properties": {}, "actions": {}, "events": {}, "links": []}
        shown |= self.fields
        shown |= {"status": self.status, "created": self.created, "modified": self.modified}
        if self.client_id:
            shown["client_id"] = self.client_id
        return shown

    def record(self, name: str, milliseconds: int, value: Any) -> bool:
        """Add a value to the history; False when there is one at this time already."""
        series = self.history.setdefault(name, [])
        if not isinstance(series, list):
            series = self.history[name] = list(series)
        at = bisect_left(series, milliseconds, key=_time)
        if at < len(series) and series[at][0] == milliseconds:
            return False
        insort(series, (milliseconds, value), key=_time)
        return True


def _time(item: tuple[int, Any]) -> int:
    return item[0]


@dataclass
class Category:
    """A named set of Things."""

    name: str
    created: str
    modified: str
    fields: dict[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Give the category as the service answers it."""
        head = {"name": self.name, "description": "", "model": None}
        return head | self.fields | {"created": self.created, "modified": self.modified}


@dataclass
class Model:
    """A template of Things, with its versions."""

    name: str
    description: str
    created: str
    modified: str
    versions: list[dict[str, Any]] = field(default_factory=list)

    def shown(self, prefix: str) -> dict[str, Any]:
        """Give the model as the service answers it."""
        return {
            "id": f"{prefix}/models/{self.name}",
            "name": self.name,
            "description": self.description,
            "created": self.created,
            "modified": self.modified,
        }


@dataclass
class Space:
    """One customer's project."""

    name: str
    categories: dict[str, Category] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)

    def clone(self) -> Space:
        """Copy the space, so that the seeded one stays as it is."""
        return Space(
            name=self.name,
            categories=dict(self.categories),
            models=dict(self.models),
            things={uid: thing.clone() for uid, thing in self.things.items()},
        )
