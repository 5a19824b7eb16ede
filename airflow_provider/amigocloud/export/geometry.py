"""Geometries of the service (hex EWKB): parsing with shapely, many at once, and their extent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from airflow_provider.amigocloud.pagination import Column
from airflow_provider.errors import InputError

WGS84 = 4326
"""EPSG code of the only reference system that can be written."""

_NAMES = (
    "Point",
    "LineString",
    "LinearRing",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
)
"""Names of geometry types by shapely's type id."""


def geometry_column(columns: Sequence[Column]) -> str:
    """Return the name of the geometry column: the first of that type, else ``wkb_geometry`` as in imports.

    :param columns: columns of the rows.
    :raises InputError: when no column holds a geometry.
    """
    found = [column.name for column in columns if column.type == "geometry"]
    found += [column.name for column in columns if column.name == "wkb_geometry"]
    if not found:
        names = ", ".join(f"{column.name} ({column.type})" for column in columns)
        raise InputError(f"the rows have no geometry, only {names}; use another format", "format")
    return found[0]


def read_geometries(values: Sequence[str | None], column: str, first_row: int) -> Any:
    """Parse hex EWKB into an array of shapely geometries.

    :param values: hex EWKB, or None for no geometry.
    :param column: name of the column, for errors.
    :param first_row: row number of the first value, for errors.
    :raises InputError: when a value is no geometry, or its reference system is not WGS 84.
    """
    import shapely

    try:
        shapes = shapely.from_wkb(list(values))
    except (shapely.errors.ShapelyError, TypeError, ValueError) as error:
        row = _first_bad(values, first_row)
        raise InputError(f"row {row}: column '{column}' holds no hex EWKB: {error}") from None
    for n, srid in enumerate(shapely.get_srid(shapes)):
        if srid not in (-1, 0, WGS84):
            raise InputError(
                f"row {first_row + n}: column '{column}' has SRID {srid}; only {WGS84} can be written;"
                f" select ST_Transform({column}, {WGS84})"
            )
    return shapes


def _first_bad(values: Sequence[str | None], first_row: int) -> int:
    import shapely

    for n, value in enumerate(values):
        try:
            shapely.from_wkb(value)
        except (shapely.errors.ShapelyError, TypeError, ValueError):
            return first_row + n
    return first_row


class Extent:
    """Types and bounding box of all geometries together."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self._low = [math.inf, math.inf, math.inf]
        self._high = [-math.inf, -math.inf, -math.inf]

    def add(self, shapes: Any) -> None:
        """Extend by an array of geometries."""
        import shapely

        kinds = shapely.get_type_id(shapes)
        for kind, has_z in set(zip(kinds.tolist(), shapely.has_z(shapes).tolist(), strict=True)):
            if kind >= 0:
                self.types.add(f"{_NAMES[kind]} Z" if has_z else _NAMES[kind])
        points = shapely.get_coordinates(shapes, include_z=any(name.endswith(" Z") for name in self.types))
        if len(points):
            for axis, (low, high) in enumerate(zip(points.min(axis=0), points.max(axis=0), strict=True)):
                self._low[axis] = min(self._low[axis], float(low))
                self._high[axis] = max(self._high[axis], float(high))

    @property
    def box(self) -> list[float] | None:
        """The smallest, then the greatest coordinates; None without any geometry."""
        axes = sum(math.isfinite(low) for low in self._low)
        return self._low[:axes] + self._high[:axes] if axes else None
