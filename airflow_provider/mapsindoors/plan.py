"""The plan: what a sync will write, as a document that people and programs can read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors import geometry
from airflow_provider.mapsindoors.checks import BASE_TYPES
from airflow_provider.mapsindoors.compare import change
from airflow_provider.mapsindoors.desired import Desired
from airflow_provider.mapsindoors.world import World, key_of

Json = dict[str, Any]
Operation = Literal["create", "update", "deactivate", "delete"]
VERSION = 1
ACTIVE = 1


@dataclass(slots=True)
class Change:
    """One write.

    :param operation: ``create``, ``update``, ``deactivate`` or ``delete``.
    :param key: the object's value of the match key.
    :param base_type: its base type.
    :param id: the object's id; empty for a new one.
    :param row: number of the row that asks for it; 0 when it is asked for by a row that is missing.
    :param name: what people call it.
    :param fields: what differs: path -> ``[found, wanted]``.
    :param body: what is sent.
    :param parent_key: the match key of the new object that is its parent, else empty.
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
    """All writes of a sync, and the world they were planned against.

    :param dataset: id of the solution.
    :param match_on: by what rows and objects are matched.
    :param scope: what was compared.
    :param fingerprint: of everything that was compared; another one means that the world changed.
    :param compared: how many objects that have the match key were compared.
    :param unchanged: how many rows need no write.
    :param changes: the writes.
    :param failed: rows left out: ``{"row", "key", "reasons"}``.
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
        """Count the writes of a kind."""
        return sum(one.operation == operation for one in self.changes)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the writes by kind and base type."""
        found = Counter((one.operation, one.base_type) for one in self.changes)
        return {
            operation: {kind: found[operation, kind] for kind in BASE_TYPES if found[operation, kind]}
            for operation in ("create", "update", "deactivate", "delete")
        }

    def document(self) -> bytes:
        """Give the plan as JSON: the fields of this class, ``version``, and ``counts`` for readers."""
        import msgspec

        head = {"version": VERSION, "counts": self.counts()}
        return msgspec.json.format(msgspec.json.encode({**head, **asdict(self)}), indent=1)

    @classmethod
    def read(cls, data: bytes, where: str) -> Plan:
        """Read a plan that :meth:`document` made.

        :raises InputError: when it is none.
        """
        import msgspec

        try:
            given = msgspec.json.decode(data)
            if given.pop("version") != VERSION:
                raise ValueError("another version")
            del given["counts"]
            given["changes"] = [Change(**one) for one in given["changes"]]
            return cls(**given)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{where} is no plan of this version: {error}") from None


def fingerprint(world: World) -> str:
    """Give a short name for everything that is compared: equal worlds have equal names."""
    import msgspec

    digest = hashlib.sha256()
    for key in sorted(world.scope_ids()):
        digest.update(msgspec.json.encode(world.by_id[key], order="deterministic"))
    return digest.hexdigest()


def make_plan(
    rows: Iterable[Desired], world: World, scope: Mapping[str, Any], missing: str = "ignore"
) -> Plan:
    """Plan the writes that make the world as the rows want it.

    :param rows: settled rows; those with problems are left out and listed as failed.
    :param missing: what happens to compared objects that no row is about: ``ignore``, ``deactivate`` or
        ``delete``. Objects without the match key are never touched.
    """
    plan = Plan(world.dataset["id"], world.match_on, dict(scope), fingerprint(world))
    listed = list(rows)
    for row in listed:
        if row.problems:
            plan.failed.append({"row": row.number, "key": row.key, "reasons": row.problems})
        elif row.found is None:
            plan.changes.append(_creation(row, world))
        else:
            _plan_update(plan, row, row.found, missing)
    keyed = [key for key in world.scope_ids() if key_of(world.by_id[key], world.match_on)]
    plan.compared = len(keyed)
    if missing != "ignore":
        about = {row.found["id"] for row in listed if row.found}
        about |= {key for row in listed if row.key for key in world.matching(row.key)}
        plan.changes += _removals([world.by_id[key] for key in keyed if key not in about], missing, world)
    plan.changes.sort(key=stage)
    return plan


def stage(one: Change) -> tuple[int, int]:
    """Say when a change is written: new objects from the top down, then updates, then deletions bottom up."""
    level = min(BASE_TYPES.index(one.base_type), BASE_TYPES.index("area"))
    if one.operation == "create":
        return 0, level
    return (2, -level) if one.operation == "delete" else (1, 0)


def _creation(row: Desired, world: World) -> Change:
    body = {key: value for key, value in row.item.items() if value is not None}
    body["datasetId"] = world.dataset["id"]
    body.setdefault("anchor", geometry.anchor(body["geometry"]))
    parent = row.parent.key if row.parent else ""
    return Change(
        "create",
        row.key,
        row.base_type,
        row=row.number,
        name=_name(body, world),
        body=body,
        parent_key=parent,
    )


def _plan_update(plan: Plan, row: Desired, found: Json, missing: str) -> None:
    wanted = dict(row.item)
    if missing == "deactivate" and wanted.get("status") is None:
        # What was deactivated because its row was missing comes back with the row.
        wanted["status"] = int(found.get("status", 3)) | ACTIVE
    body, different = change(wanted, found)
    if row.parent is not None:
        different["parentId"] = (found.get("parentId"), f"(new: {row.parent.key})")
        body = {"id": found["id"], **body}
    if not body:
        plan.unchanged += 1
        return
    fields = {path: list(pair) for path, pair in different.items()}
    parent = row.parent.key if row.parent else ""
    plan.changes.append(
        Change("update", row.key, found["baseType"], found["id"], row.number, row.key, fields, body, parent)
    )


def _removals(objects: Iterable[Json], missing: str, world: World) -> Iterator[Change]:
    for one in objects:
        key, name = key_of(one, world.match_on), _name(one, world)
        if missing == "delete":
            yield Change("delete", key, one["baseType"], one["id"], name=name)
        elif int(one.get("status", 3)) & ACTIVE:
            old = int(one.get("status", 3))
            new = old & ~ACTIVE
            body = {"id": one["id"], "status": new}
            yield Change("deactivate", key, one["baseType"], one["id"], 0, name, {"status": [old, new]}, body)


def _name(item: Mapping[str, Any], world: World) -> str:
    return str((item.get("properties") or {}).get(f"name@{world.base_language}") or "")


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits that a plan must keep.

    :param max_changes: writes in all; None for any number.
    :param max_deletes: deletions.
    :param max_delete_ratio: part of the compared objects that may be deleted or deactivated, 0 to 1.
    """

    max_changes: int | None = None
    max_deletes: int = 0
    max_delete_ratio: float = 0.1

    def violations(self, plan: Plan, world: World, rows: int | None = None) -> list[str]:
        """Say which limits a plan breaks.

        :param rows: how many rows the source had; None when it is not known any more.
        """
        out = []
        changes, deletes = len(plan.changes), plan.count("delete")
        gone = deletes + plan.count("deactivate")
        if self.max_changes is not None and changes > self.max_changes:
            out.append(f"{changes} changes are more than max_changes={self.max_changes}")
        if deletes > self.max_deletes:
            out.append(f"{deletes} deletions are more than max_deletes={self.max_deletes}")
        if gone > self.max_delete_ratio * plan.compared:
            out.append(
                f"{gone} of {plan.compared} compared objects would go, more than"
                f" max_delete_ratio={self.max_delete_ratio:g}"
            )
        if gone and rows == 0:
            out.append("the source is empty, and every object would go")
        if gone and any(not one["key"] for one in plan.failed):
            out.append("rows that cannot be matched are left out, so what is missing is not known")
        return out + _orphans(plan, world)

    def check(self, plan: Plan, world: World, rows: int | None = None) -> None:
        """Refuse a plan that breaks a limit.

        :raises PlanRejectedError: naming every limit that it breaks; nothing was written.
        """
        if wrong := self.violations(plan, world, rows):
            raise PlanRejectedError("; ".join(wrong))


def _orphans(plan: Plan, world: World) -> list[str]:
    gone = {one.id for one in plan.changes if one.operation == "delete"}
    out = []
    for key in sorted(gone):
        left = [below for below in world.children.get(key, ()) if below not in gone]
        if left:
            what = f"{world.by_id[key]['baseType']} {key}"
            out.append(f"deleting {what} would leave or take along {len(left)} objects below it")
    return out
