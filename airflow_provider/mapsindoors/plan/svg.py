"""The changes of a plan on the map: one SVG for each floor, and for what is outdoors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, radians

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.snapshot import World
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.plan.text import kind_of, name_of, place_name

At = Callable[[geometry.Position], tuple[float, float]]


Numbered = tuple[int, Change]

MOST_SHAPES = 2_000
"""Shapes of a floor that are drawn, changes first."""


_WIDTH, _HEIGHT, _MARGIN = 1040.0, 620.0, 16


_LETTER, _LINE = 6.4, 14
"""Width of a letter and height of a line on the map."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Something on a map.

    :param kind: its class: a kind of change, or ``floor``, ``calm`` (does not change), ``old`` (was here).
    :param shape: where it is.
    :param label: what it is called on the map, when there is room.
    :param title: what the pointer shows.
    :param number: number of the change, 0 for none; leads to its line in the table.
    """

    kind: str
    shape: Json
    label: str = ""
    title: str = ""
    number: int = 0


def by_place(changes: Sequence[Change], world: World) -> list[tuple[str, list[Numbered]]]:
    """Group changes, numbered from 1, by the floor (or building, or venue) that they are on."""
    places: defaultdict[str, list[Numbered]] = defaultdict(list)
    parents = {one.key: one for one in changes if one.operation == "create"}
    for number, one in enumerate(changes, 1):
        places[_place(one, world, parents)].append((number, one))
    return sorted(places.items(), key=lambda pair: place_name(pair[0], world))


def _place(one: Change, world: World, parents: dict[str, Change]) -> str:
    seen = set()
    while one.parent_key in parents and one.parent_key not in seen:
        seen.add(one.parent_key)
        one = parents[one.parent_key]
    key = str(one.body.get("parentId") or one.id)
    passed = set()
    while key in world.by_id and world.base_types[key] not in ("floor", "venue", "building"):
        if key in passed:
            return ""  # The map goes round in a circle here.
        passed.add(key)
        key = world.by_id[key].get("parentId") or ""
    return key


def draw(place: str, changes: Sequence[Numbered], world: World) -> str:
    """Give the SVG of a place; empty when nothing of it can be drawn."""
    around, changed = (
        sorted((one for one in shapes if geometry.is_drawable(one.shape)), key=_size, reverse=True)
        for shapes in (_around(place, changes, world), _changed(changes, world))
    )
    return _svg([*around, *changed])


def _size(one: Shape) -> float:
    """Give the area of a shape's box: what is small lies on top of what is large."""
    west, south, east, north = geometry.bounds(one.shape)
    return (east - west) * (north - south)


def _around(place: str, changes: Sequence[Numbered], world: World) -> Iterator[Shape]:
    """Give what is on a place and does not change."""
    thing = world.by_id.get(place)
    if thing is None:
        return
    yield Shape("floor", thing.get("geometry") or {})
    touched = {one.id for _, one in changes}
    keys = world.below(place) if thing.get("baseType") == "floor" else world.children.get(place, ())
    for key in keys[: MOST_SHAPES - min(len(changes), MOST_SHAPES)]:
        if key not in touched:
            one = world.by_id[key]
            name = name_of(one, world)
            yield Shape("calm", one.get("geometry") or {}, name, name)


def _changed(changes: Sequence[Numbered], world: World) -> Iterator[Shape]:
    """Give what changes, and where that was."""
    shown = changes[:MOST_SHAPES]
    for number, one in shown:
        if one.body.get("geometry") and (old := world.by_id.get(one.id, {}).get("geometry")):
            yield Shape("old", old, title=f"{number}: was here")
    for number, one in shown:
        name = one.name or one.key
        shape = one.body.get("geometry") or world.by_id.get(one.id, {}).get("geometry") or {}
        yield Shape(kind_of(one), shape, name, f"{number}: {kind_of(one)} {one.base_type} {name}", number)


def _svg(shapes: list[Shape]) -> str:
    if not shapes:
        return ""
    boxes = [geometry.bounds(one.shape) for one in shapes]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    across = max(cos(radians((south + north) / 2)), 1e-3)
    size_x, size_y = max((east - west) * across, 1e-6), max(north - south, 1e-6)
    scale = min(_WIDTH / size_x, _HEIGHT / size_y)

    def at(position: geometry.Position) -> tuple[float, float]:
        x, y = position
        return _MARGIN + (x - west) * across * scale, _MARGIN + (north - y) * scale

    wide, high = (size * scale + 2 * _MARGIN for size in (size_x, size_y))
    drawn = "\n".join([_shape(one, at) for one in shapes] + list(_labels(shapes, at)))
    style = f'viewBox="0 0 {wide:.0f} {high:.0f}" style="max-width:{wide:.0f}px"'
    return f'<svg role="img" {style}>\n{drawn}\n</svg>'


def _shape(one: Shape, at: At) -> str:
    title = f"<title>{escape(one.title)}</title>" if one.title else ""
    if one.shape["type"] == "Point":
        x, y = at((one.shape["coordinates"][0], one.shape["coordinates"][1]))
        r = 9 if one.number else 4
        drawn = f'<circle class="{one.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r}">{title}</circle>'
    else:
        rings = (ring for polygon in geometry.polygons(one.shape) for ring in polygon)
        path = " ".join(f"M{' L'.join(_pair(at(position)) for position in ring)}Z" for ring in rings)
        drawn = f'<path class="{one.kind}" fill-rule="evenodd" d="{path}">{title}</path>'
    return f'<a href="#change-{one.number}">{drawn}</a>' if one.number else drawn


def _pair(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _labels(shapes: Iterable[Shape], at: At) -> Iterator[str]:
    """Give the numbers of changes, and names where there is room for them; no label covers another."""
    taken: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for one in sorted(shapes, key=lambda one: one.number == 0):
        if one.kind in ("floor", "old") or not (one.label or one.number):
            continue
        x, y = at(tuple(geometry.anchor(one.shape)["coordinates"]))
        for text in (_fitting(one, at), str(one.number or "")):
            line = _free_line(taken, round(y / _LINE), x, len(text) * _LETTER / 2) if text else None
            if line is not None:
                strong = ' class="changed"' if one.number else ""
                middle = y if one.shape["type"] == "Point" else line * _LINE
                yield f'<text{strong} x="{x:.1f}" y="{middle + 4:.1f}">{escape(text)}</text>'
                break


def _fitting(one: Shape, at: At) -> str:
    """Give as much of a label as fits into the shape."""
    west, south, east, north = geometry.bounds(one.shape)
    (left, top), (right, bottom) = at((west, north)), at((east, south))
    text = f"{one.number or ''} {one.label}".strip()
    room = int((right - left) / _LETTER) if bottom - top >= _LINE else 0
    if len(text) > room:
        return f"{text[: room - 1]}…" if room >= 8 else str(one.number or "")
    return text


def _free_line(
    taken: defaultdict[int, list[tuple[float, float]]], line: int, x: float, half: float
) -> int | None:
    """Take the nearest line of text, of those around a place, on which nothing stands yet."""
    for near in (line, line + 1, line - 1, line + 2):
        if all(x + half <= left or x - half >= right for left, right in taken[near]):
            taken[near].append((x - half, x + half))
            return near
    return None
