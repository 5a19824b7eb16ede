"""WKT and WKB: parse the geometry formats of warehouses and map tools, and write WKB."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry

_WKT = re.compile(r"^\s*(?:SRID=4326;)?\s*(POINT|POLYGON|MULTIPOLYGON)\s*(?:Z\s*)?(\(.*\))\s*$", re.I | re.S)


_POSITION = re.compile(r"(?<![-+0-9.eE])[-+0-9.eE]+(?:\s+[-+0-9.eE]+)+")


_NAMES = {"POINT": "Point", "POLYGON": "Polygon", "MULTIPOLYGON": "MultiPolygon"}


_CODES = {"Point": 1, "Polygon": 3, "MultiPolygon": 6}


_KINDS = {code: kind for kind, code in _CODES.items()}


def parse_geometry(value: Any) -> Any:
    """Parse a geometry into GeoJSON, in degrees, longitude first.

    :param value: a GeoJSON object, GeoJSON text, WKT or EWKT text, or WKB or EWKB bytes. Any other value is
        returned unchanged, for validation to report.
    :raises ValueError: when the text or the bytes are not a geometry.
    """
    if isinstance(value, (bytes, bytearray)):
        try:
            return _WkbReader(bytes(value)).read()
        except (struct.error, IndexError, RecursionError):
            raise ValueError("is not WKB of a point, polygon or multipolygon") from None
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    return _from_wkt(value)


def _from_wkt(text: str) -> Json:
    match = _WKT.match(text)
    if match is None:
        raise ValueError(f"is not WKT of a point, polygon or multipolygon: {text[:40]!r}")
    kind = _NAMES[match.group(1).upper()]
    lists = _POSITION.sub(
        lambda found: "[" + ",".join(map(_number, found.group().split()[:2])) + "]", match.group(2)
    )
    try:
        coordinates = json.loads(lists.replace("(", "[").replace(")", "]"))
    except (ValueError, RecursionError):
        raise ValueError(f"is not valid WKT: {text[:40]!r}") from None
    return {"type": kind, "coordinates": coordinates[0] if kind == "Point" else coordinates}


def _number(text: str) -> str:
    return repr(float(text))


class _WkbReader:
    """Reader of well-known binary, with or without heights and SRID; heights are dropped."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self) -> Json:
        order = "<" if self.data[self.at] == 1 else ">"
        self.at += 1
        (code,) = self._take(order + "I")
        if code & 0x20000000:
            self._take(order + "I")
        heights = bool(code & 0x80000000) or 1000 <= code & 0x0FFFFFFF < 2000
        kind = _KINDS.get((code & 0x0FFFFFFF) % 1000)
        if kind is None:
            raise ValueError("is not WKB of a point, polygon or multipolygon")
        size = 3 if heights else 2
        if kind == "Point":
            return {"type": kind, "coordinates": list(self._take(f"{order}{size}d")[:2])}
        (count,) = self._take(order + "I")
        if kind == "MultiPolygon":
            return {"type": kind, "coordinates": [self.read()["coordinates"] for _ in range(count)]}
        return {"type": kind, "coordinates": [self._ring(order, size) for _ in range(count)]}

    def _ring(self, order: str, size: int) -> list[list[float]]:
        (count,) = self._take(order + "I")
        return [list(self._take(f"{order}{size}d")[:2]) for _ in range(count)]

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found


def to_wkb(shape: Json) -> bytes:
    """Return a GeoJSON geometry as little-endian well-known binary."""
    head = struct.pack("<BI", 1, _CODES[shape["type"]])
    if shape["type"] == "Point":
        return head + struct.pack("<2d", *shape["coordinates"][:2])
    parts = geometry.polygons(shape)
    if shape["type"] == "Polygon":
        return head + _rings(parts[0])
    polygon = struct.pack("<BI", 1, _CODES["Polygon"])
    return head + struct.pack("<I", len(parts)) + b"".join(polygon + _rings(part) for part in parts)


def _rings(rings: list[geometry.Ring]) -> bytes:
    packed = [
        struct.pack(f"<I{2 * len(ring)}d", len(ring), *(number for position in ring for number in position))
        for ring in rings
    ]
    return struct.pack("<I", len(rings)) + b"".join(packed)
