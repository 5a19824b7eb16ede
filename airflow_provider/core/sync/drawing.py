"""Drawings: shapes in degrees as an SVG, with numbers and names where there is room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import cos, radians
from typing import Any

from airflow_provider.core.json_types import Json

Position = tuple[float, float]

At = Callable[[Position], Position]

MOST_SHAPES = 2_000
"""Maximum shapes of a map; changes come first."""

_WIDTH, _HEIGHT, _MARGIN = 1040.0, 620.0, 16
"""Maximum width and height of a map, and its margin, in pixels."""


_LETTER, _LINE = 6.4, 14
"""Width of a letter and height of a line of a label, in pixels."""

_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""Levels of lists around the positions of a geometry."""


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


def positions(outline: Json) -> Iterator[Position]:
    """Yield all positions of a GeoJSON geometry."""
    if outline.get("type") == "GeometryCollection":
        for part in outline["geometries"]:
            yield from positions(part)
        return
    for line in _lines(outline["coordinates"], _DEPTHS[outline["type"]]):
        yield from line


def _lines(coordinates: Any, depth: int) -> Iterator[list[Position]]:
    """Yield the lines, rings or points of coordinates."""
    if depth > 1:
        for part in coordinates:
            yield from _lines(part, depth - 1)
    else:
        yield [(p[0], p[1]) for p in (coordinates if depth else [coordinates])]


def bounds(outline: Json) -> tuple[float, float, float, float]:
    """Return the bounds of a geometry: west, south, east and north in degrees."""
    xs, ys = zip(*positions(outline), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def middle(outline: Json) -> Position:
    """Return the middle of a geometry's bounds."""
    west, south, east, north = bounds(outline)
    return (west + east) / 2, (south + north) / 2


def area(shape: Shape) -> float:
    """Return the area of a shape's bounds; smaller shapes are drawn on top of larger shapes."""
    west, south, east, north = bounds(shape.outline)
    return (east - west) * (north - south)


def draw(shapes: Sequence[Shape], label_at: Callable[[Json], Position] = middle) -> str:
    """Return the SVG of shapes, the last one on top; empty without shapes.

    :param shapes: the shapes, each with at least one position.
    :param label_at: returns the position of a geometry's label.
    """
    if not shapes:
        return ""
    boxes = [bounds(shape.outline) for shape in shapes]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    across = max(cos(radians((south + north) / 2)), 1e-3)
    size_x, size_y = max((east - west) * across, 1e-6), max(north - south, 1e-6)
    scale = min(_WIDTH / size_x, _HEIGHT / size_y)

    def at(position: Position) -> tuple[float, float]:
        x, y = position
        return _MARGIN + (x - west) * across * scale, _MARGIN + (north - y) * scale

    wide, high = (size * scale + 2 * _MARGIN for size in (size_x, size_y))
    drawn = "\n".join([_shape(shape, at) for shape in shapes] + list(_labels(shapes, at, label_at)))
    style = f'viewBox="0 0 {wide:.0f} {high:.0f}" style="max-width:{wide:.0f}px"'
    return f'<svg role="group" aria-label="Map" {style}>\n{drawn}\n</svg>'


def _shape(shape: Shape, at: At) -> str:
    title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    drawn = "".join(_parts(shape.outline, shape, at, title))
    return f'<a href="#change-{shape.number}">{drawn}</a>' if shape.number else drawn


def _parts(outline: Json, shape: Shape, at: At, title: str) -> Iterator[str]:
    """Yield the elements of a geometry; a collection has one for each of its parts."""
    kind = str(outline["type"])
    if kind == "GeometryCollection":
        for part in outline["geometries"]:
            yield from _parts(part, shape, at, title)
    elif kind.endswith("Point"):
        for x, y in map(at, positions(outline)):
            r = 9 if shape.number else 4
            yield f'<circle class="{shape.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r}">{title}</circle>'
    else:
        is_area = kind.endswith("Polygon")
        lines = _lines(outline["coordinates"], _DEPTHS[kind])
        end, name = ("Z", shape.kind) if is_area else ("", f"{shape.kind} line")
        path = " ".join(f"M{' L'.join(_pair(at(position)) for position in line)}{end}" for line in lines)
        yield f'<path class="{name}" fill-rule="evenodd" d="{path}">{title}</path>'


def _pair(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _labels(shapes: Iterable[Shape], at: At, label_at: Callable[[Json], Position]) -> Iterator[str]:
    """Yield the numbers of changes, and names where there is room; labels do not overlap."""
    taken: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for shape in sorted(shapes, key=lambda shape: shape.number == 0):
        if shape.kind in ("floor", "old") or not (shape.label or shape.number):
            continue
        x, y = at(label_at(shape.outline))
        for text in (_fit_label(shape, at), str(shape.number or "")):
            line = _free_line(taken, round(y / _LINE), x, len(text) * _LETTER / 2) if text else None
            if line is not None:
                strong = ' class="changed"' if shape.number else ""
                middle = y if shape.outline["type"] == "Point" else line * _LINE
                yield f'<text{strong} x="{x:.1f}" y="{middle + 4:.1f}">{escape(text)}</text>'
                break


def _fit_label(shape: Shape, at: At) -> str:
    """Return the part of a label that fits into its shape."""
    west, south, east, north = bounds(shape.outline)
    (left, top), (right, bottom) = at((west, north)), at((east, south))
    text = f"{shape.number or ''} {shape.label}".strip()
    room = int((right - left) / _LETTER) if bottom - top >= _LINE else 0
    if len(text) > room:
        return f"{text[: room - 1]}…" if room >= 8 else ""
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
