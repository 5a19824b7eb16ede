"""Plan: the writes of a sync, as a JSON document for reviewers and programs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider.core.input.row_numbers import encode_row_number
from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.document import check_pairs, members
from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES

Operation = Literal["create", "update", "deactivate", "delete"]


VERSION = 1
"""Version of the plan's JSON."""


_FILE_ROW = r".+:\d+"
"""Row of a source of several files."""

ACTIVE = 1
"""Bit of the field ``status`` that shows an object on the map."""


@dataclass(slots=True)
class Change:
    """One write.

    :param operation: ``create``, ``update``, ``deactivate`` or ``delete``.
    :param key: the object's value of the match key.
    :param base_type: the object's base type.
    :param id: the object's id; empty for a new object.
    :param row: number of the row that requests the change, ``file:row`` when the source has several files; 0
        when a missing row does.
    :param name: the object's name in the solution's base language.
    :param fields: the differences: path to ``[found, wanted]``.
    :param body: the object as it is sent; empty for a deletion.
    :param parent_key: match key of the parent, when the parent is a new object; empty otherwise.
    """

    operation: Operation
    key: str
    base_type: str
    id: str = ""
    row: int | str = 0
    name: str = ""
    fields: dict[str, list[Any]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    parent_key: str = ""


@dataclass
class Plan:
    """All writes of a sync, and the fingerprint of what they depend on.

    :param dataset: id of the solution.
    :param match_on: the match key of rows and objects.
    :param scope: the scope of the comparison: ``base_types`` and ``root_element``.
    :param fingerprint: hash of ``depends``.
    :param compared: number of compared objects that have the match key.
    :param unchanged: number of rows without a difference.
    :param changes: the writes, in their order.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    :param depends: hashes of the parts of the map that the plan depends on, by name; another hash means that
        the part changed since. Empty in plans of 0.1.0, whose fingerprint is that of all compared objects.
    """

    dataset: str
    match_on: str
    scope: Json
    fingerprint: str
    compared: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)
    depends: dict[str, str] = field(default_factory=dict)

    def count(self, operation: Operation) -> int:
        """Return the number of writes of an operation."""
        return sum(change.operation == operation for change in self.changes)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of writes by operation and base type."""
        found = Counter((change.operation, change.base_type) for change in self.changes)
        return {
            operation: {kind: found[operation, kind] for kind in BASE_TYPES if found[operation, kind]}
            for operation in ("create", "update", "deactivate", "delete")
        }

    def summary(self) -> str:
        """Return the counts as a sentence."""
        counts = [
            f"{operation} {', '.join(f'{number} {kind}' for kind, number in kinds.items())}"
            for operation, kinds in self.counts().items()
            if kinds
        ]
        moved = sum(one.operation == "update" and "parentId" in one.fields for one in self.changes)
        counts += [f"{moved} of them move to another parent"] if moved else []
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{'; '.join(counts) or 'no changes'}; {rest}; compared with {self.compared} objects"

    def to_json(self) -> bytes:
        """Return the plan as JSON: the fields of this class, ``version``, and ``counts`` for readers."""
        import msgspec

        head = {"version": VERSION, "counts": self.counts()}
        return msgspec.json.format(
            msgspec.json.encode({**head, **members(self)}, enc_hook=encode_row_number), indent=1
        )

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Plan:
        """Parse a plan that :meth:`to_json` returned.

        :param data: the JSON.
        :param where: the plan's location, for the error.
        :raises InputError: when the data are not a plan of this version.
        """
        import msgspec

        try:
            given = msgspec.json.decode(data)
            if isinstance(given, dict) and isinstance(given.get("kind"), str):
                raise ValueError(f"it is a plan for {given['kind'][:60]}")
            if given["version"] != VERSION:
                raise ValueError(f"version {VERSION} is expected")
            plan = msgspec.convert(given, cls)
            check_pairs(plan.changes)
            for one in plan.changes:
                if isinstance(one.row, str) and not re.fullmatch(_FILE_ROW, one.row, re.DOTALL):
                    raise ValueError(f"{one.row!r:.60} is no row of a file")
                if one.base_type not in BASE_TYPES:
                    raise ValueError(f"{one.base_type!r:.60} is no base type")
            return plan
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{where} is not a plan of this version: {error}") from None

    def reject_other_counts(self, data: bytes, where: str) -> None:
        """Raise an error when the counts of a plan's JSON are not those of its changes.

        :param data: the JSON that was parsed.
        :param where: the plan's location, for the error.
        :raises PlanRejectedError: when they are others.
        """
        import msgspec

        if msgspec.json.decode(data).get("counts") != self.counts():
            raise PlanRejectedError(f"the plan {where} was altered: its counts are not those of its changes")


def write_order(change: Change) -> tuple[int, int]:
    """Return the sort key of a change: creations, parents first; updates; deletions, children first."""
    level = min(BASE_TYPES.index(change.base_type), BASE_TYPES.index("area"))
    if change.operation == "create":
        return 0, level
    return (2, -level) if change.operation == "delete" else (1, 0)
