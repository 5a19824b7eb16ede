"""The plan: what a sync will write, as a document that people and programs can read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.diff import change
from airflow_provider.mapsindoors.geodata.snapshot import World, key_of
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.desired import Desired

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

    def summary(self) -> str:
        """Give the counts in words."""
        said = [
            f"{operation} {', '.join(f'{number} {kind}' for kind, number in kinds.items())}"
            for operation, kinds in self.counts().items()
            if kinds
        ]
        rest = f"{self.unchanged} rows unchanged, {len(self.failed)} left out"
        return f"{'; '.join(said) or 'no changes'}; {rest}; compared with {self.compared} objects"

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
            if given["version"] != VERSION:
                raise ValueError("another version")
            return msgspec.convert(given, cls)
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
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
        elif row.found:
            _plan_update(plan, row, world.by_id[row.found], missing, world)
        else:
            plan.changes.append(_creation(row, world))
    keyed = compared(world)
    plan.compared = len(keyed)
    if missing != "ignore":
        about = {row.found for row in listed if row.found}
        about |= {key for row in listed if row.key for key in world.matching(row.key)}
        plan.changes += _removals((world.by_id[key] for key in keyed if key not in about), missing, world)
    plan.changes.sort(key=stage)
    return plan


def compared(world: World) -> list[str]:
    """List the objects that a source can be about: of a type known here, and with the match key."""
    return [key for key in world.keyed() if world.in_scope(key) and world.base_types[key] in BASE_TYPES]


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


def _plan_update(plan: Plan, row: Desired, found: Json, missing: str, world: World) -> None:
    wanted = dict(row.item)
    if missing == "deactivate" and wanted.get("status") is None:
        # What was deactivated because its row was missing comes back with the row.
        wanted["status"] = _status(found) | ACTIVE
    body, different = change(wanted, found)
    if row.parent is not None:
        different["parentId"] = (found.get("parentId"), f"(new: {row.parent.key})")
        body = {"id": found["id"], **body}
    if not body:
        plan.unchanged += 1
        return
    fields = {path: list(pair) for path, pair in different.items()}
    parent = row.parent.key if row.parent else ""
    name = _name(wanted, world) or _name(found, world)
    plan.changes.append(
        Change("update", row.key, found["baseType"], found["id"], row.number, name, fields, body, parent)
    )


def _removals(objects: Iterable[Json], missing: str, world: World) -> Iterator[Change]:
    for one in objects:
        key, name = key_of(one, world.match_on), _name(one, world)
        if missing == "delete":
            yield Change("delete", key, one["baseType"], one["id"], name=name)
        elif _status(one) & ACTIVE:
            old = _status(one)
            new = old & ~ACTIVE
            body = {"id": one["id"], "status": new}
            yield Change("deactivate", key, one["baseType"], one["id"], 0, name, {"status": [old, new]}, body)


def _status(item: Mapping[str, Any]) -> int:
    """Give the status bits; an object without any is active and searchable."""
    status = item.get("status")
    return status if isinstance(status, int) else 3


def _name(item: Mapping[str, Any], world: World) -> str:
    return str((item.get("properties") or {}).get(f"name@{world.base_language}") or "")
