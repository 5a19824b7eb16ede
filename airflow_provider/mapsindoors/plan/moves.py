"""Moves: objects that get another parent, and what a plan must not do to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.snapshot import NEAR, SolutionSnapshot, index_of, key_of
from airflow_provider.mapsindoors.plan.desired import DesiredRow, topmost
from airflow_provider.mapsindoors.plan.document import Change, Plan

PARENT = "parentId"

Needs = Mapping[str, list[Change]]
"""Moves that must be on the map before an object is deleted, by its id."""


def move_problems(row: DesiredRow, snapshot: SolutionSnapshot, *, allow_distant: bool) -> Iterator[str]:
    """Yield what is wrong with the new parent of an object.

    :param row: a row whose references are resolved.
    :param snapshot: the solution.
    :param allow_distant: whether places may be far from their venue.
    """
    parent = str(topmost(row).item.get(PARENT) or "")
    if row.parent is None and not parent:
        return
    found = snapshot.by_id[row.object_id]
    if row.parent is None and parent == found.get(PARENT):
        return
    if parent and not snapshot.takes_new(row.base_type, parent):
        yield (
            f"would move from {found.get(PARENT)} to {parent}, outside of the scope, where no sync with this"
            " scope finds it again; widen the scope"
        )
    yield from _distance_problems(row, found, parent, snapshot, allow_distant)


def _distance_problems(
    row: DesiredRow, found: Mapping[str, Any], parent: str, snapshot: SolutionSnapshot, allow_distant: bool
) -> Iterator[str]:
    """Yield a problem for an object that keeps its geometry, far away from its new venue."""
    venue = snapshot.venue_of(parent)
    bounds = snapshot.venues.get(venue)
    shape: Any = found.get("geometry")
    is_same = venue == snapshot.venue_of(row.object_id)
    if allow_distant or is_same or bounds is None or row.item.get("geometry"):
        return
    if geometry.is_drawable(shape):
        west, south, east, north = geometry.bounds(shape)
        away = max(geometry.distance(bounds, place) for place in ((west, south), (east, north)))
        if away > NEAR:
            yield (
                f"would move to another venue, and its geometry is {away / 1000:,.0f} km away from it; give"
                " the new geometry, too, or pass allow_distant=True"
            )


def add_floor_problems(rows: Sequence[DesiredRow], snapshot: SolutionSnapshot, *, deletes: bool) -> None:
    """Add a problem to each row that gives a building a second floor with the same index.

    Rows that name their floor by its building and index would fit both.

    :param rows: the rows after their references are resolved; they are changed.
    :param snapshot: the solution.
    :param deletes: whether compared floors without a row are deleted.
    """
    floors = [row for row in rows if row.base_type == "floor" and not row.problems]
    placed = {row.object_id: row for row in floors if row.object_id}
    by_place: dict[tuple[str, str], list[str]] = {}
    for row in floors:
        by_place.setdefault(_place_of(row, snapshot), []).append(f"row {row.number}")
    for row in floors:
        place = _place_of(row, snapshot)
        if row.object_id and place == _place_on_map(row.object_id, snapshot):
            continue
        others = [one for one in by_place[place] if one != f"row {row.number}"]
        for child in snapshot.children.get(place[0], ()):
            is_kept = not (deletes and snapshot.in_scope(child) and _key_of_id(child, snapshot))
            is_other = child not in placed and snapshot.base_types[child] == "floor" and is_kept
            if is_other and _place_on_map(child, snapshot) == place:
                others.append(f"object {child}")
        if others:
            row.problems.append(
                f"is a floor with the index {place[1]} in a building that has another one: {others[0]}"
            )


def _key_of_id(object_id: str, snapshot: SolutionSnapshot) -> str:
    """Return an object's value of the match key; empty when it has none."""
    return key_of(snapshot.by_id[object_id], snapshot.match_on)


def _place_of(row: DesiredRow, snapshot: SolutionSnapshot) -> tuple[str, str]:
    """Return the building that a row's floor will be in, and its index there."""
    building, index = _place_on_map(row.object_id, snapshot) if row.object_id else ("", "")
    given = (row.item.get("baseTypeProperties") or {}).get("administrativeid")
    above = f"row {row.parent.number}" if row.parent else str(row.item.get(PARENT) or building)
    return above, index_of(row.item) if given else index


def _place_on_map(floor: str, snapshot: SolutionSnapshot) -> tuple[str, str]:
    found = snapshot.by_id[floor]
    return str(found.get(PARENT) or ""), index_of(found)


def moves(plan: Plan) -> Iterator[Change]:
    """Yield the changes that give an object another parent."""
    return (change for change in plan.changes if change.operation == "update" and PARENT in change.fields)


def removal_problems(plan: Plan, snapshot: SolutionSnapshot) -> list[str]:
    """Return a sentence for each deletion that would take an object along, or leave it without a parent.

    A child that the plan moves away does not count; one that it places below a deleted object does.

    :param plan: the plan.
    :param snapshot: the solution that the plan was made against.
    """
    deleted = {change.id for change in plan.changes if change.operation == "delete"}
    moved = {change.id for change in moves(plan)}
    out = []
    for key in sorted(deleted):
        left = [child for child in snapshot.children.get(key, ()) if child not in deleted | moved]
        if left:
            described = f"{snapshot.base_types[key]} {key}"
            out.append(f"deleting {described} would leave or take along {len(left)} objects below it")
    for change in plan.changes:
        if change.operation != "delete" and change.body.get(PARENT) in deleted:
            parent = change.body[PARENT]
            out.append(
                f"row {change.row} ({change.key or change.id}) is placed below {snapshot.base_types[parent]}"
                f" {parent}, which the plan deletes"
            )
    return out


def needs_of_deletions(plan: Plan, snapshot: SolutionSnapshot) -> Needs:
    """Return the moves away from deleted objects, by the id of each deleted object above.

    The service may delete what is below an object. So these moves must be on the map before.

    :param plan: the plan.
    :param snapshot: the solution that the plan was made against.
    """
    deleted = {change.id for change in plan.changes if change.operation == "delete"}
    found: dict[str, list[Change]] = {}
    for change in moves(plan):
        for above, _ in snapshot.ancestors(change.id):
            if above in deleted:
                found.setdefault(above, []).append(change)
    return found
