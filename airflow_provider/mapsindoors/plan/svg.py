"""Maps: the changes of a plan as an SVG for each floor, building or venue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from airflow_provider.core.json_types import Json
from airflow_provider.core.sync.drawing import MOST_SHAPES, Shape, area, draw
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.plan.text import kind_of, name_of, place_name

NumberedChange = tuple[int, Change]


def group_by_place(
    changes: Sequence[Change], snapshot: SolutionSnapshot
) -> list[tuple[str, list[NumberedChange]]]:
    """Return the changes, numbered from 1, by the id of their floor, building or venue."""
    places: defaultdict[str, list[NumberedChange]] = defaultdict(list)
    parents = {change.key: change for change in changes if change.operation == "create"}
    for number, change in enumerate(changes, 1):
        places[_place(change, snapshot, parents)].append((number, change))
    return sorted(places.items(), key=lambda pair: place_name(pair[0], snapshot))


def _place(change: Change, snapshot: SolutionSnapshot, parents: dict[str, Change]) -> str:
    visited = set()
    while change.parent_key in parents and change.parent_key not in visited:
        visited.add(change.parent_key)
        change = parents[change.parent_key]
    key = str(change.body.get("parentId") or change.id)
    visited = set()
    while key in snapshot.by_id and snapshot.base_types[key] not in ("floor", "venue", "building"):
        if key in visited:
            return ""  # The parents form a cycle.
        visited.add(key)
        key = snapshot.by_id[key].get("parentId") or ""
    return key


def render_svg(place: str, changes: Sequence[NumberedChange], snapshot: SolutionSnapshot) -> str:
    """Return the SVG of a place; empty when it has no valid geometry."""
    around, changed = (
        sorted((shape for shape in shapes if geometry.is_drawable(shape.outline)), key=area, reverse=True)
        for shapes in (_unchanged_shapes(place, changes, snapshot), _changed_shapes(changes, snapshot))
    )
    return draw([*around, *changed], _anchor)


def _unchanged_shapes(
    place: str, changes: Sequence[NumberedChange], snapshot: SolutionSnapshot
) -> Iterator[Shape]:
    """Yield the shapes of a place that do not change."""
    floor = snapshot.by_id.get(place)
    if floor is None:
        return
    yield Shape("floor", floor.get("geometry") or {})
    touched = {change.id for _, change in changes}
    keys = (
        snapshot.descendants(place) if floor.get("baseType") == "floor" else snapshot.children.get(place, ())
    )
    for key in keys[: MOST_SHAPES - min(len(changes), MOST_SHAPES)]:
        if key not in touched:
            item = snapshot.by_id[key]
            name = name_of(item, snapshot)
            yield Shape("calm", item.get("geometry") or {}, name, name)


def _changed_shapes(changes: Sequence[NumberedChange], snapshot: SolutionSnapshot) -> Iterator[Shape]:
    """Yield the shapes that change, and their earlier places."""
    shown = changes[:MOST_SHAPES]
    for number, change in shown:
        if change.body.get("geometry") and (old := snapshot.by_id.get(change.id, {}).get("geometry")):
            yield Shape("old", old, title=f"{number}: was here")
    for number, change in shown:
        name = change.name or change.key
        outline = change.body.get("geometry") or snapshot.by_id.get(change.id, {}).get("geometry") or {}
        yield Shape(
            kind_of(change), outline, name, f"{number}: {kind_of(change)} {change.base_type} {name}", number
        )


def _anchor(outline: Json) -> tuple[float, float]:
    x, y = geometry.anchor(outline)["coordinates"]
    return x, y
