"""Records of a space: Things with their history, categories, models, and open queries."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Series = Sequence[tuple[int, Any]]
"""Recorded values of a property, oldest first: (milliseconds, value).

A benchmark may use a computed sequence, which takes no memory.
"""


@dataclass
class Entry:
    """An action or event of a Thing.

    :param at: time of the request or event, in seconds of the sandbox's clock.
    :param payload: an action's ``input``, an event's ``data``; empty without either.
    :param completed: time of an action's completion, in seconds of the sandbox's clock.
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
    """A device.

    :param fields: the description: declared properties, actions, events, links, model.
    :param status: current values by property.
    :param history: recorded values by property.
    :param client_id: the Thing's own OAuth2 client; empty without one.
    """

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
        """Return a copy; declarations are shared, because requests replace them as a whole."""
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

    def describe(self, prefix: str, *, categories: bool) -> dict[str, Any]:
        """Return the description as the service sends it.

        :param prefix: URL before ``/things/<uid>`` in ``id``.
        :param categories: False on category-scoped routes, which leave them out.
        """
        body: dict[str, Any] = {"uid": self.uid, "id": f"{prefix}/things/{self.uid}", "title": self.title}
        if categories:
            body["categories"] = self.categories
        body |= {"model": None, "properties": {}, "actions": {}, "events": {}, "links": []}
        body |= self.fields
        body |= {"status": self.status, "created": self.created, "modified": self.modified}
        if self.client_id:
            body["client_id"] = self.client_id
        return body

    def record(self, name: str, milliseconds: int, value: Any) -> bool:
        """Add a value to the history; return False when the time has a value already."""
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

    def describe(self) -> dict[str, Any]:
        """Return the category as the service sends it."""
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

    def describe(self, prefix: str) -> dict[str, Any]:
        """Return the model as the service sends it.

        :param prefix: URL of the space.
        """
        return {
            "id": f"{prefix}/models/{self.name}",
            "name": self.name,
            "description": self.description,
            "created": self.created,
            "modified": self.modified,
        }


@dataclass
class QueryCursor:
    """The unread rows of a query's result.

    :param size: maximum rows of a batch.
    :param count: total number of rows; None when the query did not ask for it.
    :param ttl: seconds that the cursor lives without use.
    """

    rows: list[Any]
    size: int
    count: int | None
    ttl: float
    expires_at: float


@dataclass
class Space:
    """A customer's project."""

    name: str
    categories: dict[str, Category] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    things: dict[str, Thing] = field(default_factory=dict)

    def clone(self) -> Space:
        """Return a copy; changes to it leave this space as it is."""
        return Space(
            name=self.name,
            categories=dict(self.categories),
            models=dict(self.models),
            things={uid: thing.clone() for uid, thing in self.things.items()},
        )
