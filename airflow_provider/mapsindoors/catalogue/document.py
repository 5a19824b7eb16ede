"""Plan: the writes of a sync of display types or categories, as a JSON document."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

from airflow_provider.core.input.row_numbers import encode_row_number
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError, PlanRejectedError

Operation = Literal["create", "update"]

OPERATIONS: tuple[Operation, ...] = ("create", "update")

VERSION = 1
"""Version of the plan's JSON."""


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


class _Failure(msgspec.Struct):
    row: int | str
    key: str
    reasons: list[str]


@dataclass
class Plan:
    """All writes of a sync.

    :param kind: ``display types`` or ``categories``.
    :param dataset: id of the solution.
    :param fingerprint: hash of all the rest.
    :param compared: number of compared display types or categories.
    :param unchanged: number of rows without a difference.
    :param changes: the writes, in their order.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    """

    kind: str
    dataset: str
    fingerprint: str = ""
    compared: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the number of writes by operation."""
        found = Counter(change.operation for change in self.changes)
        return {operation: found[operation] for operation in OPERATIONS}

    def summary(self) -> str:
        """Return the counts as a sentence."""
        counts = ", ".join(f"{name} {count}" for name, count in self.counts().items() if count)
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{counts or 'no changes'}; {rest}; compared with {self.compared} {self.kind}"

    def sign(self) -> None:
        """Set the fingerprint."""
        self.fingerprint = self._hash()

    def _hash(self) -> str:
        parts = {**asdict(self), "fingerprint": ""}
        data = msgspec.json.encode(parts, enc_hook=encode_row_number, order="deterministic")
        return hashlib.sha256(data).hexdigest()

    def to_json(self) -> bytes:
        """Return the plan as JSON: the fields of this class, ``version``, and ``counts`` for readers."""
        head = {"version": VERSION, "counts": self.counts()}
        data = msgspec.json.encode({**head, **asdict(self)}, enc_hook=encode_row_number)
        return msgspec.json.format(data, indent=1)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Plan:
        """Parse a plan that :meth:`to_json` returned.

        :param data: the JSON.
        :param where: the plan's location, for the error.
        :raises InputError: when the data are not a plan of this version.
        :raises PlanRejectedError: when the plan was altered.
        """
        try:
            given = msgspec.json.decode(data)
            if given["version"] != VERSION:
                raise ValueError(f"version {VERSION} is expected")
            counts = given["counts"]
            plan = msgspec.convert(given, cls)
            msgspec.convert(plan.failed, list[_Failure])
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{where} is not a plan of this version: {error}") from None
        if plan._hash() != plan.fingerprint:
            raise PlanRejectedError(f"the plan {where} was altered: its fingerprint is that of another one")
        if counts != plan.counts():
            raise PlanRejectedError(f"the plan {where} was altered: its counts are not those of its changes")
        return plan


def entry_hash(entry: Json) -> str:
    """Return a short hash of a display type or category, by which a change of it is noticed."""
    return hashlib.sha256(msgspec.json.encode(entry, order="deterministic")).hexdigest()[:16]
