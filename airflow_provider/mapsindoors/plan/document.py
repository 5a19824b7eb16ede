"""Plan: the writes of a sync, as a JSON document for reviewers and programs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.diff import build_update
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.desired import DesiredRow

Operation = Literal["create", "update", "deactivate", "delete"]


VERSION = 1
"""Version of the plan's JSON."""


ACTIVE = 1
"""Bit of the field ``status`` that shows an object on the map."""


@dataclass(slots=True)
class Change:
    """One write.

    :param operation: ``create``, ``update``, ``deactivate`` or ``delete``.
    :param key: the object's value of the match key.
    :param base_type: the object's base type.
    :param id: the object's id; empty for a new object.
    :param row: number of the row that requests the change; 0 when a missing row does.
    :param name: the object's name in the solution's base language.
    :param fields: the differences: path to ``[found, wanted]``.
    :param body: the object as it is sent; empty for a deletion.
    :param parent_key: match key of the parent, when the parent is a new object; empty otherwise.
    """

    operation: Operation
    key: str
    base_type: str
    id: str = ""
    row: int = 0
    name: str = ""
    fields: dict[str, list[Any]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    parent_key: str = ""


@dataclass
class Plan:
    """All writes of a sync, and the fingerprint of the snapshot that they were planned against.

    :param dataset: id of the solution.
    :param match_on: the match key of rows and objects.
    :param scope: the scope of the comparison: ``base_types`` and ``root_element``.
    :param fingerprint: hash of all compared objects; another hash means that the map changed since.
    :param compared: number of compared objects that have the match key.
    :param unchanged: number of rows without a difference.
    :param changes: the writes, in their order.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    """

    dataset: str
    match_on: str
    scope: Json
    fingerprint: str
    compared: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Json] = field(default_factory=list)

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
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{'; '.join(counts) or 'no changes'}; {rest}; compared with {self.compared} objects"

    def to_json(self) -> bytes:
        """Return the plan as JSON: the fields of this class, ``version``, and ``counts`` for readers."""
        import msgspec

        head = {"version": VERSION, "counts": self.counts()}
        return msgspec.json.format(msgspec.json.encode({**head, **asdict(self)}), indent=1)

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
            if given["version"] != VERSION:
                raise ValueError(f"version {VERSION} is expected")
            return msgspec.convert(given, cls)
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{where} is not a plan of this version: {error}") from None


def fingerprint(snapshot: SolutionSnapshot) -> str:
    """Return a hash of all objects in the scope; equal objects have equal hashes."""
    import msgspec

    digest = hashlib.sha256()
    for key in sorted(snapshot.ids_in_scope()):
        digest.update(msgspec.json.encode(snapshot.by_id[key], order="deterministic"))
    return digest.hexdigest()


def make_plan(
    rows: Iterable[DesiredRow], snapshot: SolutionSnapshot, scope: Mapping[str, Any], missing: str = "ignore"
) -> Plan:
    """Build the plan that brings a solution to its desired state.

    :param rows: the rows after :func:`~airflow_provider.mapsindoors.plan.desired.resolve_references`; rows
        with problems are left out and listed as failed.
    :param snapshot: the solution.
    :param scope: the scope of the comparison.
    :param missing: action for compared objects without a row: ``ignore``, ``deactivate`` or ``delete``.
        Objects without the match key are never changed.
    """
    plan = Plan(snapshot.dataset["id"], snapshot.match_on, dict(scope), fingerprint(snapshot))
    listed = list(rows)
    for row in listed:
        if row.problems:
            plan.failed.append({"row": row.number, "key": row.key, "reasons": row.problems})
        elif row.object_id:
            _plan_update(plan, row, snapshot.by_id[row.object_id], missing, snapshot)
        else:
            plan.changes.append(_plan_create(row, snapshot))
    keyed = comparable_ids(snapshot)
    plan.compared = len(keyed)
    if missing != "ignore":
        about = {row.object_id for row in listed if row.object_id}
        about |= {key for row in listed if row.key for key in snapshot.ids_with_key(row.key)}
        plan.changes += _plan_removals(
            (snapshot.by_id[key] for key in keyed if key not in about), missing, snapshot
        )
    plan.changes.sort(key=write_order)
    return plan


def comparable_ids(snapshot: SolutionSnapshot) -> list[str]:
    """Return the ids of the objects in the scope that have the match key and a known base type."""
    return [
        key
        for key in snapshot.keyed_ids()
        if snapshot.in_scope(key) and snapshot.base_types[key] in BASE_TYPES
    ]


def write_order(change: Change) -> tuple[int, int]:
    """Return the sort key of a change: creations, parents first; updates; deletions, children first."""
    level = min(BASE_TYPES.index(change.base_type), BASE_TYPES.index("area"))
    if change.operation == "create":
        return 0, level
    return (2, -level) if change.operation == "delete" else (1, 0)


def _plan_create(row: DesiredRow, snapshot: SolutionSnapshot) -> Change:
    body = {key: value for key, value in row.item.items() if value is not None}
    body["datasetId"] = snapshot.dataset["id"]
    body.setdefault("anchor", geometry.anchor(body["geometry"]))
    parent = row.parent.key if row.parent else ""
    return Change(
        "create",
        row.key,
        row.base_type,
        row=row.number,
        name=_name(body, snapshot),
        body=body,
        parent_key=parent,
    )


def _plan_update(plan: Plan, row: DesiredRow, found: Json, missing: str, snapshot: SolutionSnapshot) -> None:
    wanted = dict(row.item)
    if missing == "deactivate" and wanted.get("status") is None:
        # An object that was deactivated because its row was missing is activated with the row.
        wanted["status"] = _status(found) | ACTIVE
    body, different = build_update(wanted, found)
    if row.parent is not None:
        different["parentId"] = (found.get("parentId"), f"(new: {row.parent.key})")
        body = {"id": found["id"], **body}
    if not body:
        plan.unchanged += 1
        return
    fields = {path: list(pair) for path, pair in different.items()}
    parent = row.parent.key if row.parent else ""
    name = _name(wanted, snapshot) or _name(found, snapshot)
    plan.changes.append(
        Change("update", row.key, found["baseType"], found["id"], row.number, name, fields, body, parent)
    )


def _plan_removals(objects: Iterable[Json], missing: str, snapshot: SolutionSnapshot) -> Iterator[Change]:
    for item in objects:
        key, name = key_of(item, snapshot.match_on), _name(item, snapshot)
        if missing == "delete":
            yield Change("delete", key, item["baseType"], item["id"], name=name)
        elif _status(item) & ACTIVE:
            old = _status(item)
            new = old & ~ACTIVE
            body = {"id": item["id"], "status": new}
            yield Change(
                "deactivate", key, item["baseType"], item["id"], 0, name, {"status": [old, new]}, body
            )


def _status(item: Mapping[str, Any]) -> int:
    """Return the status bits; an object without a status is active and searchable."""
    status = item.get("status")
    return status if isinstance(status, int) else 3


def _name(item: Mapping[str, Any], snapshot: SolutionSnapshot) -> str:
    return str((item.get("properties") or {}).get(f"name@{snapshot.base_language}") or "")
