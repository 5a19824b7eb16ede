"""Geometry: validation, bounds, anchors and containment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Ring = list[list[float]]

KINDS = {"poi": ("Point",), "floor": ("Polygon", "MultiPolygon")}


def polygons(geometry: Json) -> list[list[Ring]]:
    """Return the polygons of a Polygon or MultiPolygon, each as a list of rings."""
    coordinates = geometry["coordinates"]
    return list(coordinates) if geometry["type"] == "MultiPolygon" else [coordinates]


def with_bbox(geometry: Json, decimals: int | None) -> Json:
    """Return a geometry as it is stored: rounded, and with bounds when it is an area."""
    out = {"type": geometry["type"], "coordinates": _rounded(geometry["coordinates"], decimals)}
    if out["type"] != "Point":
        points = [point for rings in polygons(out) for ring in rings for point in ring]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        out["bbox"] = [min(xs), min(ys), max(xs), max(ys)]
    return out


def _rounded(value: Any, decimals: int | None) -> Any:
    if decimals is None:
        return value
    return (
        [_rounded(member, decimals) for member in value]
        if isinstance(value, list)
        else round(value, decimals)
    )


def anchor_of(geometry: Json) -> Json:
    """Return the anchor of a geometry: the point, or the mean of the outer ring's vertices."""
    if geometry["type"] == "Point":
        return {"type": "Point", "coordinates": geometry["coordinates"]}
    ring = polygons(geometry)[0][0][:-1]
    mean = [sum(point[axis] for point in ring) / len(ring) for axis in (0, 1)]
    return {"type": "Point", "coordinates": mean}


def contains(geometry: Json, lng: float, lat: float) -> bool:
    """Return whether a point is inside of an area and not inside of its holes."""
    return any(
        _in_ring(rings[0], lng, lat) and not any(_in_ring(hole, lng, lat) for hole in rings[1:])
        for rings in polygons(geometry)
    )


def _in_ring(ring: Ring, x: float, y: float) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def problems(geometry: Any, base_type: str | None, *, any_kind: bool = False) -> Iterator[str]:
    """Yield the problems of a geometry; only POIs are points, and only floors may be MultiPolygons.

    :param any_kind: whether all three types are allowed.
    """
    if not isinstance(geometry, dict) or not isinstance(geometry.get("coordinates"), list):
        yield "A GeoJSON geometry is needed."
        return
    kinds = ("Point", "Polygon", "MultiPolygon") if any_kind else KINDS.get(base_type or "", ("Polygon",))
    if geometry.get("type") not in kinds:
        yield f"A {base_type} has a {' or '.join(kinds)}, not a {geometry.get('type')}."
        return
    if geometry["type"] == "Point":
        if not _is_position(geometry["coordinates"]):
            yield "A position is [longitude, latitude], within ±180 and ±90."
        return
    parts: list[Any] = polygons(geometry)
    if not parts or not all(isinstance(rings, list) and rings for rings in parts):
        yield "A polygon has at least one ring."
        return
    for rings in parts:
        for ring in rings:
            yield from _ring_problems(ring)


def _ring_problems(ring: Any) -> Iterator[str]:
    if not isinstance(ring, list) or not all(_is_position(point) for point in ring):
        yield "A position is [longitude, latitude], within ±180 and ±90."
    elif len(ring) < 4 or ring[0] != ring[-1]:
        yield "A ring is closed and has at least four positions."


def _is_position(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2:
        return False
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in point):
        return False
    return bool(abs(point[0]) <= 180 and abs(point[1]) <= 90)
