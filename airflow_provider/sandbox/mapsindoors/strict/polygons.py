"""Polygons: rings that cross themselves or each other, have no area, or lie outside of their polygon."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

Point = tuple[float, float]
Segment = tuple[Point, Point]
Ring = list[Point]

CERTAIN = 1e-14
"""Relative size from which the sign of a product of floats is certain."""


def problems(parts: list[list[Any]], order: str) -> Iterator[str]:
    """Yield the problems of a valid GeoJSON Polygon or MultiPolygon as a shape.

    :param parts: its polygons, each as a list of rings.
    :param order: ``counter-clockwise`` for outer rings that must have this order, as in RFC 7946.
    """
    polygons = [[_points(ring) for ring in rings] for rings in parts]
    found = [text for rings in polygons for text in _polygon_problems(rings, order)]
    yield from found
    if found:
        return
    for first, second in combinations([rings[0] for rings in polygons], 2):
        if _overlap(first, second):
            yield "Two polygons overlap."


def _points(ring: list[list[float]]) -> Ring:
    """Return a ring's points without repetitions; the last is the first."""
    points = [(point[0], point[1]) for point in ring]
    return points[:1] + [point for before, point in pairwise(points) if point != before]


def _polygon_problems(rings: list[Ring], order: str) -> Iterator[str]:
    for ring in rings:
        if len(ring) < 4 or not _area(ring):
            yield "A ring has no area."
            return
        if _crosses_itself(ring):
            yield "A ring crosses or touches itself."
            return
    if order == "counter-clockwise" and _area(rings[0]) < 0:
        yield "An outer ring must be counter-clockwise."
    for hole in rings[1:]:
        if _cross(rings[0], hole) or not _inside(hole, rings[0]):
            yield "A hole is outside of its polygon."
    if any(_overlap(one, other) for one, other in combinations(rings[1:], 2)):
        yield "Two holes overlap."


def _area(ring: Ring) -> float:
    x0, y0 = ring[0]
    return sum((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for (x1, y1), (x2, y2) in pairwise(ring)) / 2


def _side(a: Point, b: Point, c: Point) -> int:
    """Return on which side of the line from a to b a point is; 0 on the line."""
    left, right = (b[0] - a[0]) * (c[1] - a[1]), (b[1] - a[1]) * (c[0] - a[0])
    if abs(left - right) > CERTAIN * (abs(left) + abs(right)):
        return 1 if left > right else -1
    ax, ay, bx, by, cx, cy = (Fraction(n) for point in (a, b, c) for n in point)
    exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (exact > 0) - (exact < 0)


def _on(segment: Segment, point: Point) -> bool:
    """Return whether a point of a segment's line is on the segment."""
    (x1, y1), (x2, y2) = segment
    return min(x1, x2) <= point[0] <= max(x1, x2) and min(y1, y2) <= point[1] <= max(y1, y2)


def _sides(one: Segment, other: Segment) -> tuple[int, int, int, int]:
    return (
        _side(*one, other[0]),
        _side(*one, other[1]),
        _side(*other, one[0]),
        _side(*other, one[1]),
    )


def _meet(one: Segment, other: Segment) -> bool:
    """Return whether two segments have a point in common."""
    a, b, c, d = _sides(one, other)
    if a != b and c != d and a * b <= 0 and c * d <= 0:
        return True
    return (
        (not a and _on(one, other[0]))
        or (not b and _on(one, other[1]))
        or (not c and _on(other, one[0]))
        or (not d and _on(other, one[1]))
    )


def _near(ones: list[Segment], others: list[Segment]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of segments whose bounds meet, each pair once, by a sweep over the first axis."""
    rows = [(min(s[0][0], s[1][0]), max(s[0][0], s[1][0]), 0, n, s) for n, s in enumerate(ones)]
    if others is not ones:
        rows += [(min(s[0][0], s[1][0]), max(s[0][0], s[1][0]), 1, n, s) for n, s in enumerate(others)]
    rows.sort()
    open_rows: list[Any] = []
    for row in rows:
        open_rows = [other for other in open_rows if other[1] >= row[0]]
        for other in open_rows:
            if others is not ones and other[2] == row[2]:
                continue
            if _bounds_meet(row[4], other[4]):
                yield (row[3], other[3]) if row[2] <= other[2] else (other[3], row[3])
        open_rows.append(row)


def _bounds_meet(one: Segment, other: Segment) -> bool:
    low, high = sorted((one[0][1], one[1][1]))
    low_other, high_other = sorted((other[0][1], other[1][1]))
    return low <= high_other and low_other <= high


def _crosses_itself(ring: Ring) -> bool:
    segments = list(pairwise(ring))
    last = len(segments) - 1
    for first, second in _near(segments, segments):
        low, high = sorted((first, second))
        if high - low == 1 or (low == 0 and high == last):
            before, after = (
                (segments[high], segments[low]) if high - low > 1 else (segments[low], segments[high])
            )
            if _turns_back(before, after):
                return True
        elif _meet(segments[low], segments[high]):
            return True
    return False


def _turns_back(before: Segment, after: Segment) -> bool:
    """Return whether the second of two joined segments goes back on the first."""
    if _side(*before, after[1]):
        return False
    (x1, y1), (x2, y2), (x3, y3) = before[0], before[1], after[1]
    return (x2 - x1) * (x3 - x2) + (y2 - y1) * (y3 - y2) < 0


def _cross(one: Ring, other: Ring) -> bool:
    """Return whether two rings cross; rings that only touch do not."""
    ones, others = list(pairwise(one)), list(pairwise(other))
    for first, second in _near(ones, others):
        a, b, c, d = _sides(ones[first], others[second])
        if a * b < 0 and c * d < 0:
            return True
    return False


def _overlap(one: Ring, other: Ring) -> bool:
    return _cross(one, other) or _inside(one, other) or _inside(other, one)


def _inside(inner: Ring, outer: Ring) -> bool:
    """Return whether a ring that does not cross another one is inside of it."""
    edges = list(pairwise(outer))
    middles = [((x1 + x2) / 2, (y1 + y2) / 2) for (x1, y1), (x2, y2) in pairwise(inner)]
    for point in (*inner, *middles):
        if not any(_side(*edge, point) == 0 and _on(edge, point) for edge in edges):
            return _encloses(edges, *point)
    return True


def _encloses(edges: list[Segment], x: float, y: float) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in edges:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
