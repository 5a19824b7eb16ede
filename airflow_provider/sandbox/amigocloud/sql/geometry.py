"""Geometries in the service's format: upper-case hex EWKB with an SRID, little endian."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

SRID = 4326
_WITH_SRID = 0x20000000
_KINDS = {
    "POINT": 1,
    "LINESTRING": 2,
    "POLYGON": 3,
    "MULTIPOINT": 4,
    "MULTILINESTRING": 5,
    "MULTIPOLYGON": 6,
}
_POINT = struct.Struct("<BII2d")
"""A point at once, because there are millions of them."""
_PARTS = {"MULTIPOINT": "POINT", "MULTILINESTRING": "LINESTRING", "MULTIPOLYGON": "POLYGON"}


def ewkb(kind: str, coordinates: Sequence[Any], srid: int | None = SRID) -> str:
    """Return a geometry as hex EWKB.

    :param kind: ``POINT``, ``LINESTRING``, ``POLYGON`` or their ``MULTI`` forms.
    :param coordinates: nested as in GeoJSON, longitude first.
    """
    if kind == "POINT" and srid:
        return _POINT.pack(1, _KINDS[kind] | _WITH_SRID, srid, *coordinates[:2]).hex().upper()
    return _wkb(kind.upper(), coordinates, srid).hex().upper()


def _wkb(kind: str, coordinates: Sequence[Any], srid: int | None) -> bytes:
    number = _KINDS[kind]
    head = struct.pack("<BI", 1, number | (_WITH_SRID if srid else 0))
    if srid:
        head += struct.pack("<I", srid)
    return head + _body(kind, coordinates)


def _body(kind: str, coordinates: Sequence[Any]) -> bytes:
    if kind == "POINT":
        return struct.pack("<2d", *coordinates[:2])
    if kind == "LINESTRING":
        return _line(coordinates)
    if kind == "POLYGON":
        return struct.pack("<I", len(coordinates)) + b"".join(map(_line, coordinates))
    parts = [_wkb(_PARTS[kind], part, None) for part in coordinates]
    return struct.pack("<I", len(parts)) + b"".join(parts)


def _line(points: Sequence[Any]) -> bytes:
    return struct.pack("<I", len(points)) + b"".join(struct.pack("<2d", *point[:2]) for point in points)


def from_geojson(geometry: Mapping[str, Any] | None) -> str | None:
    """Return a GeoJSON geometry as hex EWKB."""
    return ewkb(geometry["type"], geometry["coordinates"]) if geometry else None


def from_text(text: str | None) -> str | None:
    """Return EWKT or WKT as hex EWKB; hex EWKB is returned unchanged."""
    if not text or not re.match(r"\s*(SRID|[A-Z]+\s*\()", text, re.IGNORECASE):
        return text
    match = re.fullmatch(r"\s*(?:SRID=(\d+);)?\s*([A-Za-z]+)\s*(\(.*\))\s*", text, re.DOTALL)
    if match is None or match[2].upper() not in _KINDS:
        raise ValueError(f"parse error - invalid geometry: {text[:60]}")
    kind = match[2].upper()
    nested = _nested(match[3])
    if kind == "POINT":
        nested = nested[0]
    return ewkb(kind, nested, int(match[1] or SRID))


def _nested(text: str) -> Any:
    """Parse ``((1 2, 3 4))`` into nested lists."""
    lists = re.sub(r"([-+.\deE]+)\s+([-+.\deE]+)(?:\s+[-+.\deE]+)*", r"[\1,\2]", text)
    return json.loads(lists.replace("(", "[").replace(")", "]"))


def point_of(hexed: str | None) -> tuple[float, float] | None:
    """Return longitude and latitude of a point; None for other geometries."""
    if not hexed:
        return None
    raw = bytes.fromhex(hexed)
    (kind,) = struct.unpack_from("<I", raw, 1)
    if kind & 0xFF != 1:
        return None
    return struct.unpack_from("<2d", raw, 9 if kind & _WITH_SRID else 5)


def to_wkt(hexed: str | None) -> str | None:
    """Return a point as WKT; None for other geometries."""
    point = point_of(hexed)
    return f"POINT({point[0]} {point[1]})" if point else None
