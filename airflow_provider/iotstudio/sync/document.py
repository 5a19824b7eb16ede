"""Plan: the writes of a sync as a JSON document, for reviewers and programs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import msgspec

from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.document import SignedPlan, counts_in_words

Operation = Literal["create", "update", "delete"]

OPERATIONS: tuple[Operation, ...] = ("create", "update", "delete")


@dataclass(slots=True)
class Change:
    """One write.

    :param operation: ``create``, ``update`` or ``delete``.
    :param key: the Thing's value of the match key.
    :param id: the Thing's id; empty for a new one.
    :param row: number of the row, ``file:row`` when the source has several files; 0 when a missing row is the
        cause.
    :param title: the Thing's title.
    :param fields: the differences: field to ``[found, wanted]``.
    :param before: hash of the Thing's description that was compared; empty for a new one.
    """

    operation: Operation
    key: str
    id: str = ""
    row: int | str = 0
    title: str = ""
    fields: dict[str, list[Any]] = field(default_factory=dict)
    before: str = ""

    @property
    def body(self) -> Json:
        """The fields that are sent."""
        return {name: pair[1] for name, pair in self.fields.items()}


@dataclass
class Plan(SignedPlan):
    """All writes of a sync.

    :param space: id of the space.
    :param match_on: the match key of rows and Things.
    :param category: the category that was compared; None for the whole space.
    :param host: the server of the space.
    :param fingerprint: hash of all the rest.
    :param compared: number of compared Things that have the match key.
    :param unchanged: number of rows without a difference.
    :param changes: the writes, in their order.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    :param unmatched: the uids among them that no compared Thing has.
    """

    version: ClassVar[int] = 2

    space: str
    match_on: str
    category: str | None
    host: str = ""
    fingerprint: str = ""
    compared: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)

    def count(self, operation: Operation) -> int:
        """Return the number of writes of an operation."""
        return sum(change.operation == operation for change in self.changes)

    def counts(self) -> dict[str, int]:
        """Return the number of writes by operation."""
        found = Counter(change.operation for change in self.changes)
        return {operation: found[operation] for operation in OPERATIONS}

    def summary(self) -> str:
        """Return the counts as a sentence."""
        counts = counts_in_words(self.counts(), "no changes")
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{counts}; {rest}; compared with {self.compared} Things"


def description_hash(thing: Json) -> str:
    """Return a short hash of a Thing's description, by which a change of it is noticed; values do not count.

    :param thing: the description.
    """
    volatile = ("id", "href", "base", "status", "created", "modified", "client_id")
    kept = {name: value for name, value in thing.items() if name not in volatile}
    return hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()[:16]
