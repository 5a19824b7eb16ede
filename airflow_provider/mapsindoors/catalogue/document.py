"""Plan: the writes of a sync of display types or categories, as a JSON document."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import msgspec

from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.document import SignedPlan, counts_in_words
from airflow_provider.errors import InputError

Operation = Literal["create", "update"]

OPERATIONS: tuple[Operation, ...] = ("create", "update")


@dataclass(slots=True)
class Change:
    """One write.

    :param operation: ``create`` or ``update``.
    :param key: the name of the display type, or the key of the category.
    :param id: its id; empty for a new one.
    :param row: number of the row, ``file:row`` when the source has several files.
    :param fields: the differences: path to ``[found, wanted]``.
    :param wanted: the fields that the row owns.
    :param before: hash of what was compared; empty for a new one.
    """

    operation: Operation
    key: str
    id: str = ""
    row: int | str = 0
    fields: dict[str, list[Any]] = field(default_factory=dict)
    wanted: Json = field(default_factory=dict)
    before: str = ""


@dataclass
class Plan(SignedPlan):
    """All writes of a sync.

    :param kind: ``display types`` or ``categories``.
    :param dataset: id of the solution.
    :param fingerprint: hash of all the rest.
    :param compared: number of compared display types or categories.
    :param unchanged: number of rows without a difference.
    :param changes: the writes, in their order.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    """

    version: ClassVar[int] = 1

    kind: str
    dataset: str
    fingerprint: str = ""
    compared: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Parse a plan, see the base class; a plan of geodata is named as such."""
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            given = msgspec.json.decode(data)
            if isinstance(given, dict) and "match_on" in given and "kind" not in given:
                raise InputError(f"{where} is not a plan of this kind: it is a plan for geodata")
        return super().from_json(data, where)

    def counts(self) -> dict[str, int]:
        """Return the number of writes by operation."""
        found = Counter(change.operation for change in self.changes)
        return {operation: found[operation] for operation in OPERATIONS}

    def summary(self) -> str:
        """Return the counts as a sentence."""
        counts = counts_in_words(self.counts(), "no changes")
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{counts}; {rest}; compared with {self.compared} {self.kind}"


def entry_hash(entry: Json) -> str:
    """Return a short hash of a display type or category, by which a change of it is noticed."""
    return hashlib.sha256(msgspec.json.encode(entry, order="deterministic")).hexdigest()[:16]
