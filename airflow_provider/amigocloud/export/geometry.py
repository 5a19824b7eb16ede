"""Geometries as the service gives them (hex EWKB), read with shapely, many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from airflow_provider.amigocloud.pagination import Column
from airflow_provider.errors import InputError

WGS84 = 4326


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


def geometry_column(columns: Sequence[Column]) -> str:
    """Name the column that holds the geometry: the first of that type, else one called like an import's.

    :raises InputError: when there is none.
    """
    found = [column.name for column in columns if column.type == "geometry"]
    found += [column.name for column in columns if column.name == "wkb_geometry"]
    if not found:
        names = ", ".join(f"{column.name} ({column.type})" for column in columns)
        raise InputError(f"the rows have no geometry, only {names}; use another format", "format")
    return found[0]


def read_geometries(values: Sequence[str | None], column: str, first_row: int) -> Any:
    """Read hex EWKB.

    :param column: name of the column, for errors.
    :param first_row: number of the first value's row, for errors.
    :raises InputError: for what is no geometry, or has another reference system than WGS 84.
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
                f"row {first_row + n}: column '{column}' has SRID {srid}; only {WGS84} can be written:"
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
    """What is known of all geometries together: their types and their bounding box."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self._low = [math.inf, math.inf, math.inf]
        self._high = [-math.inf, -math.inf, -math.inf]

    def add(self, shapes: Any) -> None:
        """Count some geometries in."""
        import shapely

        kinds = shapely.get_type_id(shapes)
        for kind, deep in set(zip(kinds.tolist(), shapely.has_z(shapes).tolist(), strict=True)):
            if kind >= 0:
                self.types.add(f"{_NAMES[kind]} Z" if deep else _NAMES[kind])
        points = shapely.get_coordinates(shapes, include_z=any(name.endswith(" Z") for name in self.types))
        if len(points):
            for axis, (low, high) in enumerate(zip(points.min(axis=0), points.max(axis=0), strict=True)):
                self._low[axis] = min(self._low[axis], float(low))
                self._high[axis] = max(self._high[axis], float(high))

    @property
    def box(self) -> list[float] | None:
        """Give the smallest then the largest coordinates; None without any geometry."""
        axes = sum(math.isfinite(low) for low in self._low)
        return self._low[:axes] + self._high[:axes] if axes else None
