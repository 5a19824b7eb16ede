"""Maps: the changes of a plan as an SVG for each floor, building or venue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, radians

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.plan.text import kind_of, name_of, place_name

At = Callable[[geometry.Position], tuple[float, float]]


NumberedChange = tuple[int, Change]

MOST_SHAPES = 2_000
"""Maximum shapes of a map; changes come first."""


_WIDTH, _HEIGHT, _MARGIN = 1040.0, 620.0, 16
"""Maximum width and height of a map, and its margin, in pixels."""


_LETTER, _LINE = 6.4, 14
"""Width of a letter and height of a line of a label, in pixels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape on a map.

    :param kind: CSS class: a kind of change, or ``floor``, ``calm`` (unchanged), ``old`` (earlier place).
    :param outline: GeoJSON geometry.
    :param label: text on the map, shown when there is room.
    :param title: text under the pointer.
    :param number: number of the change, which links to its row of the table; 0 for an unchanged object.
    """

    kind: str
    outline: Json
    label: str = ""
    title: str = ""
    number: int = 0


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
        sorted((shape for shape in shapes if geometry.is_drawable(shape.outline)), key=_size, reverse=True)
        for shapes in (_unchanged_shapes(place, changes, snapshot), _changed_shapes(changes, snapshot))
    )
    return _svg([*around, *changed])


def _size(shape: Shape) -> float:
    """Return the area of a shape's bounds; smaller shapes are drawn on top of larger shapes."""
    west, south, east, north = geometry.bounds(shape.outline)
    return (east - west) * (north - south)


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


def _svg(shapes: list[Shape]) -> str:
    if not shapes:
        return ""
    boxes = [geometry.bounds(shape.outline) for shape in shapes]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    across = max(cos(radians((south + north) / 2)), 1e-3)
    size_x, size_y = max((east - west) * across, 1e-6), max(north - south, 1e-6)
    scale = min(_WIDTH / size_x, _HEIGHT / size_y)

    def at(position: geometry.Position) -> tuple[float, float]:
        x, y = position
        return _MARGIN + (x - west) * across * scale, _MARGIN + (north - y) * scale

    wide, high = (size * scale + 2 * _MARGIN for size in (size_x, size_y))
    drawn = "\n".join([_shape(shape, at) for shape in shapes] + list(_labels(shapes, at)))
    style = f'viewBox="0 0 {wide:.0f} {high:.0f}" style="max-width:{wide:.0f}px"'
    return f'<svg role="img" {style}>\n{drawn}\n</svg>'


def _shape(shape: Shape, at: At) -> str:
    title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    if shape.outline["type"] == "Point":
        x, y = at((shape.outline["coordinates"][0], shape.outline["coordinates"][1]))
        r = 9 if shape.number else 4
        drawn = f'<circle class="{shape.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r}">{title}</circle>'
    else:
        rings = (ring for polygon in geometry.polygons(shape.outline) for ring in polygon)
        path = " ".join(f"M{' L'.join(_pair(at(position)) for position in ring)}Z" for ring in rings)
        drawn = f'<path class="{shape.kind}" fill-rule="evenodd" d="{path}">{title}</path>'
    return f'<a href="#change-{shape.number}">{drawn}</a>' if shape.number else drawn


def _pair(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _labels(shapes: Iterable[Shape], at: At) -> Iterator[str]:
    """Yield the numbers of changes, and names where there is room; labels do not overlap."""
    taken: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for shape in sorted(shapes, key=lambda shape: shape.number == 0):
        if shape.kind in ("floor", "old") or not (shape.label or shape.number):
            continue
        x, y = at(tuple(geometry.anchor(shape.outline)["coordinates"]))
        for text in (_fit_label(shape, at), str(shape.number or "")):
            line = _free_line(taken, round(y / _LINE), x, len(text) * _LETTER / 2) if text else None
            if line is not None:
                strong = ' class="changed"' if shape.number else ""
                middle = y if shape.outline["type"] == "Point" else line * _LINE
                yield f'<text{strong} x="{x:.1f}" y="{middle + 4:.1f}">{escape(text)}</text>'
                break


def _fit_label(shape: Shape, at: At) -> str:
    """Return the part of a label that fits into its shape."""
    west, south, east, north = geometry.bounds(shape.outline)
    (left, top), (right, bottom) = at((west, north)), at((east, south))
    text = f"{shape.number or ''} {shape.label}".strip()
    room = int((right - left) / _LETTER) if bottom - top >= _LINE else 0
    if len(text) > room:
        return f"{text[: room - 1]}…" if room >= 8 else str(shape.number or "")
    return text


def _free_line(
    taken: defaultdict[int, list[tuple[float, float]]], line: int, x: float, half: float
) -> int | None:
    """Reserve the nearest free line of text around a position; return None when all are taken."""
    for near in (line, line + 1, line - 1, line + 2):
        if all(x + half <= left or x - half >= right for left, right in taken[near]):
            taken[near].append((x - half, x + half))
            return near
    return None
