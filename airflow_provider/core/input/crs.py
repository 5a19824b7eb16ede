"""Coordinate systems: which of those that a GeoJSON names are longitude and latitude."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CRS_NAME = re.compile(r"(?:EPSG|OGC)[:/](?:[\d.]*[:/])?(CRS84h?|\d+)$", re.I)
"""End of a coordinate system's name: ``EPSG:4326``, ``urn:ogc:def:crs:OGC:1.3:CRS84``, or a URL."""


def named_crs_problem(crs: Any) -> str:
    """Return what is wrong with the coordinate system that an older GeoJSON names; empty for degrees.

    :param crs: the member ``crs``; None when there is none.
    """
    if crs is None:
        return ""
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name", properties.get("href")) if isinstance(properties, Mapping) else None
    found = _CRS_NAME.search(str(name))
    code = found.group(1).upper() if found else ""
    if code in ("CRS84", "CRS84H", "4326", "4979"):
        return ""
    what = f"SRID {code}" if code.isdecimal() else f"the coordinate system {str(name)[:80]}"
    return (
        f"has {what}, but longitude and latitude are needed; select ST_Transform(geom, 4326), or reproject"
        " the file to EPSG:4326"
    )
