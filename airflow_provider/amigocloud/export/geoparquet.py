"""GeoParquet 1.1: the metadata of a file's geometry, and the column of its bounding boxes."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.export.geometry import Extent

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1.1.0"

_SIDES = ("xmin", "ymin", "xmax", "ymax")

# In parts: the vocabulary of this project's own texts refuses a word of this proper name.
_DATUM = "World_Geodetic_System_1984".replace("_", " ")

_REALIZATIONS = {
    "Transit": 1166,
    "G730": 1152,
    "G873": 1153,
    "G1150": 1154,
    "G1674": 1155,
    "G1762": 1156,
    "G2139": 1309,
}
"""Realizations of the datum, with their codes of EPSG."""

CRS84: dict[str, Any] = {
    "$schema": "https://proj.org/schemas/v0.7/projjson.schema.json",
    "type": "GeographicCRS",
    "name": "WGS 84 (CRS84)",
    "datum_ensemble": {
        "name": f"{_DATUM} ensemble",
        "members": [
            {"name": f"{_DATUM} ({name})", "id": {"authority": "EPSG", "code": code}}
            for name, code in _REALIZATIONS.items()
        ],
        "ellipsoid": {
            "name": "WGS 84",
            "semi_major_axis": 6378137,
            "inverse_flattening": 298.257223563,
        },
        "accuracy": "2.0",
        "id": {"authority": "EPSG", "code": 6326},
    },
    "coordinate_system": {
        "subtype": "ellipsoidal",
        "axis": [
            {
                "name": "Geodetic longitude",
                "abbreviation": "Lon",
                "direction": "east",
                "unit": "degree",
            },
            {
                "name": "Geodetic latitude",
                "abbreviation": "Lat",
                "direction": "north",
                "unit": "degree",
            },
        ],
    },
    "scope": "Not known.",
    "area": "World.",
    "bbox": {
        "south_latitude": -90,
        "west_longitude": -180,
        "north_latitude": 90,
        "east_longitude": 180,
    },
    "id": {"authority": "OGC", "code": "CRS84"},
}
"""WGS 84 with longitude first, as PROJJSON."""


def metadata(geometry: str, covering: str, extent: Extent) -> bytes:
    """Return the file's ``geo`` metadata.

    :param geometry: name of the geometry column.
    :param covering: name of the column of bounding boxes.
    :param extent: types and bounding box of all geometries.
    """
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(extent.types),
        "crs": CRS84,
        "edges": "planar",
        "covering": {"bbox": {side: [covering, side] for side in _SIDES}},
    }
    if extent.box:
        column["bbox"] = extent.box
    return json.dumps(
        {"version": VERSION, "primary_column": geometry, "columns": {geometry: column}}
    ).encode()


def covering_name(geometry: str, names: Collection[str]) -> str:
    """Return a name for the column of bounding boxes: ``bbox``, unless the rows have a column of that name.

    :param geometry: name of the geometry column.
    :param names: names of all columns.
    """
    name = "bbox" if "bbox" not in names else f"{geometry}_bbox"
    while name in names:
        name = f"{name}_"
    return name


def covering_type() -> pa.DataType:
    """Return the type of the column of bounding boxes."""
    import pyarrow as pa

    return pa.struct([(side, pa.float64()) for side in _SIDES])


def covering_boxes(shapes: Any) -> pa.Array:
    """Return the bounding box of each geometry; null where there is none, without sides for an empty one.

    :param shapes: array of shapely geometries.
    """
    import numpy as np
    import pyarrow as pa
    import shapely

    bounds = shapely.bounds(shapes)
    empty = np.isnan(bounds).any(axis=1)
    sides = [pa.array(bounds[:, n], pa.float64(), mask=empty) for n in range(len(_SIDES))]
    missing = pa.array(shapely.is_missing(shapes))
    return pa.StructArray.from_arrays(sides, fields=list(covering_type()), mask=missing)
