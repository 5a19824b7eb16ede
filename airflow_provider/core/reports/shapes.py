"""Shapes of a report's map: an even sample of the geometries, each with few positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any

from airflow_provider.core.json_types import Json
from airflow_provider.core.reports.profile import Outline
from airflow_provider.core.reports.texts import key_text

MOST_SHAPES = 2_000
"""Maximum geometries of a map."""

MOST_POSITIONS = 60_000
"""Maximum positions of a map, of all its geometries together."""

_MOST_OF_ONE = 600
"""Maximum positions of a geometry before the map is drawn."""

_MOST_LINES = 30
"""Maximum lines, rings or parts of a geometry."""

_KEPT_TEXT = 4_096
"""Maximum characters of an encoded geometry that is read at the end only."""

_MAX_DEPTH = 8

ReadGeometry = Callable[[Any], Json]
"""Returns a value as a GeoJSON geometry; raises ValueError for one that is none in degrees."""


def of_geojson(value: Any) -> Json:
    """Return a GeoJSON geometry as it is.

    :param value: the value of a row.
    :raises ValueError: when it is no object.
    """
    if not isinstance(value, dict):
        raise ValueError("no GeoJSON")
    return value


class ShapeSample:
    """Sample of the geometries of all rows: every n-th, where n grows with the rows.

    :param column: name of the geometry's column.
    :param types: names of columns of a row's type.
    :param read: returns a value of the column as GeoJSON.
    """

    def __init__(self, column: str, types: Sequence[str], read: ReadGeometry) -> None:
        self.column = column
        self._types = types
        self._read = read
        self._stride = 1
        self._rows = 0
        self._kept: list[tuple[Any, dict[str, str]]] = []

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take some rows.

        :param rows: the rows, in their order.
        """
        at = -self._rows % self._stride
        while at < len(rows):
            self._keep(rows[at])
            at += self._stride
            if len(self._kept) > MOST_SHAPES:
                del self._kept[1::2]
                self._stride *= 2
                at += -(self._rows + at) % self._stride
        self._rows += len(rows)

    def _keep(self, row: Mapping[str, Any]) -> None:
        value = row.get(self.column)
        if value is None:
            return
        if not (isinstance(value, str) and len(value) <= _KEPT_TEXT):
            value = self._outline(value)
        # Which of the columns tells the type is known at the end.
        types = {name: row[name] for name in self._types if isinstance(row.get(name), (str, int, float))}
        self._kept.append((value, {name: key_text(kind) for name, kind in types.items()}))

    def outlines(self) -> tuple[list[Outline], int]:
        """Return the geometries, and the number of those that cannot be drawn."""
        found = [(self._outline(one) if isinstance(one, str) else one, types) for one, types in self._kept]
        outlines = [Outline(shape, types) for shape, types in found if shape is not None]
        return outlines, len(found) - len(outlines)

    def _outline(self, value: Any) -> Json | None:
        """Return a geometry with few positions; None when it cannot be drawn."""
        try:
            return simplify(self._read(value), _MOST_OF_ONE)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None


def simplify(shape: Json, most: int, digits: int = 6) -> Json:
    """Return a geometry with at most about a number of positions, all of them in degrees.

    :param shape: a GeoJSON geometry.
    :param most: maximum number of positions.
    :param digits: decimals of a coordinate.
    :raises ValueError: when it has a position that is not in degrees, or none.
    """
    kind = shape["type"]
    parts = [line for line in _lines(shape, 0) if line]
    if not parts:
        raise ValueError("the geometry is empty")
    parts = parts[: max(1, min(_MOST_LINES, most // 2))] if kind != "MultiPoint" else parts
    share = max(4, most // len(parts))
    lines = [_thinned(line, share, digits) for line in parts]
    if kind in ("Point", "MultiPoint"):
        return {"type": "MultiPoint", "coordinates": [position for line in lines for position in line]}
    if kind in ("Polygon", "MultiPolygon"):
        # Holes are rings, too: drawn with the rule "evenodd", all rings can be those of one polygon.
        return {"type": "Polygon", "coordinates": lines}
    return {"type": "MultiLineString", "coordinates": lines}


def _lines(shape: Json, depth: int) -> list[list[Any]]:
    """Return the lines, rings or points of a geometry as lists of positions."""
    kind = shape["type"]
    coordinates: Any = shape.get("coordinates")
    if kind == "GeometryCollection":
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        parts = islice((one for one in shape["geometries"] if one), _MOST_LINES)
        return [line for part in parts for line in _lines(part, depth + 1)]
    if kind == "Point":
        return [[coordinates]] if coordinates else []
    if kind in ("MultiPoint", "LineString"):
        return [list(coordinates)]
    if kind in ("Polygon", "MultiLineString"):
        return list(coordinates)
    if kind == "MultiPolygon":
        return [ring for polygon in coordinates for ring in polygon]
    raise ValueError("unknown")


def _thinned(line: Sequence[Any], most: int, digits: int) -> list[tuple[float, float]]:
    """Return some positions of a line, always the last one."""
    step = max(1, -(-len(line) // most))
    kept = [*line[:-1:step], line[-1]]
    return [(_degrees(x, 180, digits), _degrees(y, 90, digits)) for x, y, *_ in kept]


def _degrees(value: Any, limit: int, digits: int) -> float:
    number = float(value)
    if not isfinite(number) or abs(number) > limit:
        raise ValueError("not in degrees")
    return round(number, digits)
