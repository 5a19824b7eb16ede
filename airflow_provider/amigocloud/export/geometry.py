"""Geometries of the service (hex EWKB): parsing with shapely, many at once, and their extent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
"""Names of geometry types by shapely's type id; the ids after them are curves."""

_DEGREES = (180.0, 90.0)
"""Maximum longitude and latitude of a geometry that names no reference system."""


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


def read_geometries(
    values: Sequence[str | None], column: str, first_row: int, keys: Sequence[Any] = ()
) -> Any:
    """Parse hex EWKB into an array of shapely geometries.

    :param values: hex EWKB, or None or an empty text for no geometry.
    :param column: name of the column, for errors.
    :param first_row: row number of the first value, for errors.
    :param keys: ``amigo_id`` of each row, if the rows have one, for errors.
    :raises InputError: with every row whose value is no geometry that can be written: its reference system
        is not WGS 84, or not named and its coordinates are no degrees.
    """
    import shapely

    values = [value or None for value in values]
    try:
        shapes = shapely.from_wkb(values)
        problems = list(_problems(shapes, column))
    except (shapely.errors.ShapelyError, *_UNREADABLE):
        problems = list(_unreadable(values, column))
    if problems:
        raise InputError([_in_row(n, text, first_row, keys) for n, text in sorted(problems)], "the rows")
    return shapes


_UNREADABLE = (TypeError, ValueError, NotImplementedError)
"""Exceptions of shapely for values that are no geometries."""


def _in_row(n: int, text: str, first_row: int, keys: Sequence[Any]) -> str:
    key = f" (amigo_id {keys[n]})" if n < len(keys) and keys[n] is not None else ""
    return f"row {first_row + n}: {text}{key}"


def _unreadable(values: Sequence[str | None], column: str) -> Iterator[tuple[int, str]]:
    """Yield the index of each value that is no geometry, and why."""
    import shapely

    for n, value in enumerate(values):
        try:
            shapely.from_wkb(value)
        except NotImplementedError:
            yield n, f"column '{column}' holds a curve; select ST_CurveToLine({column})"
        except (shapely.errors.ShapelyError, *_UNREADABLE) as error:
            yield n, f"column '{column}' holds no hex EWKB: {' '.join(str(error).split())[:200]}"


def _problems(shapes: Any, column: str) -> Iterator[tuple[int, str]]:
    """Yield the index of each geometry that cannot be written, and why."""
    import numpy as np
    import shapely

    kinds, srids = shapely.get_type_id(shapes), shapely.get_srid(shapes)
    has_m = getattr(shapely, "has_m", None)  # older libraries drop measures
    for n in _where(kinds >= len(_NAMES)):
        yield n, f"column '{column}' holds a curve; select ST_CurveToLine({column})"
    for n in _where(has_m(shapes)) if has_m else ():
        yield n, f"column '{column}' has measures (M); select ST_Force3DZ({column})"
    for n in _where(~np.isin(srids, (-1, 0, WGS84))):
        transform = f"ST_Transform({column}, {WGS84})"
        yield n, f"column '{column}' has SRID {srids[n]}; only {WGS84} can be written; select {transform}"
    points, owners = shapely.get_coordinates(shapes, return_index=True)
    finite = np.isfinite(points).all(axis=1)
    for n in sorted(set(owners[~finite].tolist())):
        yield n, f"column '{column}' has a coordinate that is no number"
    beyond = (np.abs(points) > _DEGREES).any(axis=1) & finite & (srids[owners] < 1)
    first = {int(owners[at]): points[at].tolist() for at in reversed(_where(beyond))}
    for n, (x, y) in first.items():
        set_srid = f"ST_Transform(ST_SetSRID({column}, ...), {WGS84})"
        place = f"its coordinates ({x:g}, {y:g}) are no longitude and latitude"
        yield n, f"column '{column}' names no reference system, and {place}; select {set_srid}"


def _where(mask: Any) -> list[int]:
    return [n for n, is_true in enumerate(mask.tolist()) if is_true]


class Extent:
    """Types and bounding box of all geometries together."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self._low = [math.inf, math.inf, math.inf]
        self._high = [-math.inf, -math.inf, -math.inf]

    def add(self, shapes: Any) -> None:
        """Extend by an array of geometries."""
        import numpy as np
        import shapely

        kinds = shapely.get_type_id(shapes)
        for kind, has_z in set(zip(kinds.tolist(), shapely.has_z(shapes).tolist(), strict=True)):
            if kind >= 0:
                self.types.add(f"{_NAMES[kind]} Z" if has_z else _NAMES[kind])
        # A geometry without heights has NaN for them.
        points = shapely.get_coordinates(shapes, include_z=any(name.endswith(" Z") for name in self.types))
        for axis in range(points.shape[1]):
            known = points[:, axis][np.isfinite(points[:, axis])]
            if len(known):
                self._low[axis] = min(self._low[axis], float(known.min()))
                self._high[axis] = max(self._high[axis], float(known.max()))

    @property
    def box(self) -> list[float] | None:
        """The smallest, then the greatest coordinates; None without any geometry."""
        axes = sum(math.isfinite(low) for low in self._low)
        return self._low[:axes] + self._high[:axes] if axes else None
