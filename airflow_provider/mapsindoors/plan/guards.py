"""What a plan must keep before anything is written: limits, and that it is the plan that was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider.errors import PlanRejectedError, shorten
from airflow_provider.mapsindoors.geodata import validation
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.snapshot import World, key_of
from airflow_provider.mapsindoors.plan.document import ACTIVE, Change, Plan


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
            what = f"{world.base_types[key]} {key}"
            out.append(f"deleting {what} would leave or take along {len(left)} objects below it")
    return out


def drift(plan: Plan, world: World) -> str:
    """Say what changed since a plan was made, as far as the plan knows how things were."""
    said = [line for one in plan.changes if one.id for line in _drifted(one, world)]
    return "; ".join(shorten(said, 10)) or "something that was compared, but is not about to change"


def _drifted(one: Change, world: World) -> Iterator[str]:
    what, found = f"{one.base_type} {one.id} ({one.key})", world.by_id.get(one.id)
    if found is None:
        yield f"{what} is gone"
        return
    different = differences(one.body, found)
    for path, pair in one.fields.items():
        if path == "parentId" and one.parent_key:
            continue
        if path not in different:
            yield f"{what}: {path} is already as planned"
        elif list(different[path]) != pair:
            yield f"{what}: {path} was {next(iter(pair), None)!r}, now it is {different[path][0]!r}"


def refuse_altered(plan: Plan, world: World, where: str) -> None:
    """Refuse a plan from a file whose writes are not those that its page and table show.

    :param world: the map it was made against, unchanged.
    :raises PlanRejectedError: naming what does not fit.
    """
    often = Counter(one.id for one in plan.changes if one.id)
    new = {one.key for one in plan.changes if one.operation == "create"}
    wrong = [f"{key} is changed {count} times" for key, count in often.items() if count > 1]
    for number, one in enumerate(plan.changes, 1):
        said = _creation_faults(one, plan) if one.operation == "create" else _change_faults(one, world)
        wrong += [f"change {number} ({one.operation} {one.key or one.id}) {why}" for why in said]
        if one.parent_key and one.parent_key not in new:
            wrong.append(f"change {number} needs a parent {one.parent_key!r} that the plan does not make")
    if wrong:
        raise PlanRejectedError(f"the plan {where} is not as it was made: {'; '.join(shorten(wrong, 10))}")


def _creation_faults(one: Change, plan: Plan) -> Iterator[str]:
    yield from validation.problems(one.body)
    if one.id or one.body.get("id") is not None:
        yield "has an id already"
    if (one.body.get("baseType"), one.body.get("datasetId")) != (one.base_type, plan.dataset):
        yield "makes another type, or belongs to another solution"
    if plan.match_on != "id" and key_of(one.body, plan.match_on) != one.key:
        yield "makes something with another key"


def _change_faults(one: Change, world: World) -> Iterator[str]:
    found = world.by_id.get(one.id)
    if found is None or not world.in_scope(one.id) or found.get("baseType") != one.base_type:
        yield "is about an object that the plan did not compare"
        return
    if one.operation == "delete":
        if one.body:
            yield "has a body"
        return
    sent = {path: list(pair) for path, pair in differences(one.body, found).items()}
    shown = {path: pair for path, pair in one.fields.items() if not (path == "parentId" and one.parent_key)}
    if one.body.get("id") != one.id or sent != shown:
        yield "sends something else than it shows"
    if one.operation == "deactivate" and (set(one.body) != {"id", "status"} or one.body["status"] & ACTIVE):
        yield "does not deactivate"
