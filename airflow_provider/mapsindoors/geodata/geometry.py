"""Geometry: validity, equality and anchors of GeoJSON geometries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice, pairwise
from math import cos, hypot, radians
from typing import Any

from airflow_provider.core.input.values import shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.errors import with_article

Position = tuple[float, float]


Ring = list[Position]

KINDS = {"poi": ("Point",), "floor": ("Polygon", "MultiPolygon")}
"""Geometry types by base type, as in real data and in the vendor's map tools; all others are polygons."""

TOLERANCE = 1e-7
"""Degrees within which two positions are equal: about a centimetre. The service may round coordinates."""

_FLAT = 1e-8
"""Share of its squared length that a ring's doubled area must exceed."""

METRES_PER_DEGREE = 111_320
"""Metres per degree of latitude."""


def problems(geometry: Any, base_type: str | None = None) -> Iterator[str]:
    """Yield the problems of a GeoJSON geometry.

    :param geometry: the geometry, of any JSON type.
    :param base_type: the base type of its object; None when that is not known.
    :return: each problem as the rest of a sentence that begins with the field's name.
    """
    if not isinstance(geometry, dict) or not isinstance(geometry.get("coordinates"), list):
        yield "is not a GeoJSON geometry with 'type' and 'coordinates'"
        return
    if wrong := kind_problem(geometry, base_type):
        yield wrong
    elif geometry["type"] == "Point":
        yield from _position_problems(geometry["coordinates"])
    else:
        yield from _area_problems(geometry)


def kind_problem(geometry: Json, base_type: str | None) -> str:
    """Return the problem of a geometry's type; an empty text for none.

    :param geometry: the geometry.
    :param base_type: the base type of its object; None when that is not known.
    """
    kind = geometry.get("type")
    allowed = KINDS.get(base_type, ("Polygon",)) if base_type else ("Point", "Polygon", "MultiPolygon")
    if kind in allowed:
        return ""
    owner = f" for {with_article(base_type)}" if base_type else ""
    return f"must be a {' or '.join(allowed)}{owner}, not {kind!r}"


def is_drawable(geometry: Any) -> bool:
    """Return whether a value that the service sent is a valid geometry."""
    return not any(problems(geometry))


def _area_problems(geometry: Json) -> Iterator[str]:
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    if not parts or not all(isinstance(rings, list) and rings for rings in parts):
        yield "has no ring"
        return
    for ring in (ring for rings in parts for ring in rings):
        wrong = _ring_problem(ring)
        if wrong:
            yield wrong
            return


def _ring_problem(ring: Any) -> str:
    if not isinstance(ring, list):
        return "has a ring that is not a list of positions"
    if not _are_plain(ring):
        for position in ring:
            for wrong in _position_problems(position):
                return wrong
    if len(ring) < 4:
        return f"has a ring of {len(ring)} positions; at least 4 are needed, the last equal to the first"
    if ring[0][:2] != ring[-1][:2]:
        return "has an open ring: the last position must equal the first"
    return "has a ring that crosses itself" if crosses_itself([(p[0], p[1]) for p in ring]) else ""


def _are_plain(ring: list[Any]) -> bool:
    """Return whether all positions are two floats in range; others may be valid, too."""
    for position in ring:
        if type(position) is not list or len(position) != 2:
            return False
        x, y = position
        if type(x) is not float or type(y) is not float:
            return False
        if not (-180.0 <= x <= 180.0 and -90.0 <= y <= 90.0):
            return False
    return True


def surface_problem(geometry: Json) -> str:
    """Return the problem of the surface of a valid geometry; an empty text for none.

    The service stores such geometries, so that an object may have one already.
    """
    if geometry["type"] == "Point":
        return ""
    for rings in polygons(geometry):
        if not all(map(_has_area, rings)):
            return "has a ring without area"
        if len(rings) > 1 and (wrong := _hole_problem(rings)):
            return wrong
    return ""


def _has_area(ring: Ring) -> bool:
    """Return whether a closed ring encloses more than the rounding of its coordinates."""
    x, y = x1, y1 = ring[0]
    length = doubled_area = 0.0
    for x2, y2 in islice(ring, 1, None):
        length += abs(x1 - x2) + abs(y1 - y2)
        doubled_area += (x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)
        x1, y1 = x2, y2
    return abs(doubled_area) > _FLAT * length * length


def _doubled_area(ring: Ring) -> float:
    x, y = ring[0]
    return sum((a[0] - x) * (b[1] - y) - (b[0] - x) * (a[1] - y) for a, b in pairwise(ring))


def _hole_problem(rings: list[Ring]) -> str:
    outer, *holes = rings
    for hole in holes:
        fits = all(_inside(outer, corner) or _is_on(outer, corner) for corner in hole)
        if not fits or _rings_cross(outer, hole) or abs(_doubled_area(hole)) >= abs(_doubled_area(outer)):
            return "has a hole that is not inside of its ring"
    for hole, other in combinations(holes, 2):
        if _rings_cross(hole, other) or _inside(hole, other[0]) or _inside(other, hole[0]):
            return "has holes that overlap"
    return ""


def _is_on(ring: Ring, position: Position) -> bool:
    """Return whether a position is on a ring's line, within :data:`TOLERANCE`."""
    x, y = position
    for (x1, y1), (x2, y2) in pairwise(ring):
        length = hypot(x2 - x1, y2 - y1)
        along = 0.0 if not length else ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length**2
        along = min(1.0, max(0.0, along))
        if hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1)) <= TOLERANCE:
            return True
    return False


def _rings_cross(one: Ring, other: Ring) -> bool:
    return any(_cross(a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))


def _position_problems(position: Any) -> Iterator[str]:
    numbers = isinstance(position, list) and len(position) >= 2 and all(_is_number(n) for n in position)
    if not numbers:
        yield f"has a position {shown_value(position)} that is not [longitude, latitude]"
    elif abs(position[0]) > 180 or abs(position[1]) > 90:
        found = shown_value(position)
        yield f"has a position {found} outside of longitude ±180, latitude ±90; is the order wrong?"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0


def crosses_itself(ring: Ring) -> bool:
    """Return whether two sides of a closed ring cross; sides that touch in a corner do not.

    Sides are sorted from west to east, so that only sides that overlap are compared. Of four sides, as most
    rooms have, only opposite ones can cross.
    """
    if len(ring) == 5:
        a, b, c, d = ring[:4]
        return _cross(a, b, c, d) or _cross(b, c, d, a)
    sides = [(*a, *b) if a <= b else (*b, *a) for a, b in pairwise(ring) if a != b]
    sides.sort()
    for index, (ax, ay, bx, by) in enumerate(sides, 1):
        across, along = bx - ax, by - ay
        for cx, cy, dx, dy in islice(sides, index, None):
            if cx > bx:
                break
            # The same as in _cross, without calls: most of the time of a large sync was spent here.
            turn_c = across * (cy - ay) - along * (cx - ax)
            turn_d = across * (dy - ay) - along * (dx - ax)
            if turn_c * turn_d < 0:
                east, north = dx - cx, dy - cy
                turn_a = east * (ay - cy) - north * (ax - cx)
                turn_b = east * (by - cy) - north * (bx - cx)
                if turn_a * turn_b < 0:
                    return True
    return False


def _cross(a: Position, b: Position, c: Position, d: Position) -> bool:
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Position, b: Position, c: Position) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def polygons(geometry: Json) -> list[list[Ring]]:
    """Return the polygons of an area, each as a list of closed rings without heights."""
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [[[(float(p[0]), float(p[1])) for p in ring] for ring in rings] for rings in parts]


def positions(geometry: Json) -> Iterator[Position]:
    """Yield the positions of a point, or of the outer rings of an area."""
    if geometry["type"] == "Point":
        yield geometry["coordinates"][0], geometry["coordinates"][1]
    else:
        yield from (position for rings in polygons(geometry) for position in rings[0])


def bounds(geometry: Json) -> tuple[float, float, float, float]:
    """Return the bounds of a geometry: west, south, east and north in degrees."""
    if geometry["type"] == "Polygon":
        xs, ys = zip(*((p[0], p[1]) for p in geometry["coordinates"][0]), strict=True)
        return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))
    xs, ys = zip(*positions(geometry), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def distance(bounds_of_area: tuple[float, float, float, float], position: Position) -> float:
    """Return the distance in metres of a position from an area's bounds; 0 inside of them."""
    west, south, east, north = bounds_of_area
    x, y = position
    dx, dy = max(west - x, x - east, 0.0), max(south - y, y - north, 0.0)
    return hypot(dx * cos(radians((south + north) / 2)), dy) * METRES_PER_DEGREE


def is_same_place(one: Json, other: Json) -> bool:
    """Return whether two geometries are the same place within :data:`TOLERANCE`.

    Rings may start at any corner and have any winding.
    """
    if one.get("type") == other.get("type") and one.get("coordinates") == other.get("coordinates"):
        return True
    if one.get("type") == other.get("type") == "Point":
        return _close(one["coordinates"], other["coordinates"])
    if "Point" in (one.get("type"), other.get("type")):
        return False
    first, second = polygons(one), polygons(other)
    return _match_in_any_order(first, second, _same_polygon)


def _same_polygon(one: list[Ring], other: list[Ring]) -> bool:
    return _same_ring(one[0], other[0]) and _match_in_any_order(one[1:], other[1:], _same_ring)


def _match_in_any_order(items: list[Any], others: list[Any], same_pair: Any) -> bool:
    """Return whether each item equals exactly one item of the other list, in any order."""
    if len(items) != len(others):
        return False
    unmatched = list(others)
    for item in items:
        partner = next((index for index, other in enumerate(unmatched) if same_pair(item, other)), None)
        if partner is None:
            return False
        del unmatched[partner]
    return True


def _same_ring(one: Ring, other: Ring) -> bool:
    first, second = _open(one), _open(other)
    if len(first) != len(second):
        return False
    starts = [index for index, position in enumerate(second) if _close(first[0], position)]
    for start in starts:
        forward = second[start:] + second[:start]
        backward = [forward[0], *reversed(forward[1:])]
        if any(all(map(_close, first, way)) for way in (forward, backward)):
            return True
    return False


def _open(ring: Ring) -> Ring:
    return ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring


def _close(one: Any, other: Any) -> bool:
    # Slightly above the tolerance, because the difference of two floating-point numbers is rarely exact.
    return all(abs(a - b) <= TOLERANCE * 1.01 for a, b in zip(one[:2], other[:2], strict=True))


def contains(rings: list[Ring], position: Position) -> bool:
    """Return whether a position is inside of a polygon and not inside of its holes."""
    return _inside(rings[0], position) and not any(_inside(hole, position) for hole in rings[1:])


def _inside(ring: Ring, position: Position) -> bool:
    x, y = position
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def anchor(geometry: Json) -> Json:
    """Return the anchor of a geometry, at which the map shows its label.

    The anchor of a point is the point. The anchor of an area is the mean of the outer ring's corners, as in
    the vendor's examples. When the mean is outside of the area, it is the middle of the widest span inside at
    about half height.
    """
    if geometry["type"] == "Point":
        return {"type": "Point", "coordinates": list(geometry["coordinates"][:2])}
    rings = max(polygons(geometry), key=lambda part: len(part[0]))
    corners = _open(rings[0])
    mean = (sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners))
    place = mean if contains(rings, mean) else _widest_middle(rings)
    return {"type": "Point", "coordinates": [round(place[0], 8), round(place[1], 8)]}


def _widest_middle(rings: list[Ring]) -> Position:
    ys = [y for _, y in rings[0]]
    # Not exactly half, so that the line does not pass through corners.
    height = min(ys) + (max(ys) - min(ys)) * 0.4871
    cuts = sorted(
        x1 + (height - y1) * (x2 - x1) / (y2 - y1)
        for ring in rings
        for (x1, y1), (x2, y2) in pairwise(ring)
        if (y1 > height) != (y2 > height)
    )
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    left, right = max(spans, key=lambda span: span[1] - span[0]) if spans else (rings[0][0][0],) * 2
    return ((left + right) / 2, height)
