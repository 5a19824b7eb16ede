"""WKT and WKB: parse the geometry formats of warehouses and map tools, and write WKB."""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from airflow_provider.core.input.crs import named_crs_problem
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import geometry

# Blanks are never given back, so that a text of them is read in linear time.
_WKT = re.compile(
    r"\s*+(?:SRID\s*=\s*(\d+)\s*;)?\s*([A-Z]+)\s*+(?:ZM|Z|M)?\s*+(EMPTY|\(.*\))\s*", re.I | re.S
)


_POSITION = re.compile(r"(?<![-+0-9.eE])[-+0-9.eE]+(?:\s+[-+0-9.eE]+)+")


_HEX = re.compile(r"(?:\\x|0x)?(0[01][0-9a-fA-F]{8,})")


_KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
"""Geometry types by the number that WKB has for them."""

_CURVES = {
    8: "CircularString",
    9: "CompoundCurve",
    10: "CurvePolygon",
    11: "MultiCurve",
    12: "MultiSurface",
    13: "Curve",
    14: "Surface",
}


_CODES = {kind: code for code, kind in _KINDS.items()}


_NAMES = {kind.upper(): kind for kind in (*_KINDS.values(), *_CURVES.values())}


_PARTS = {"MultiPoint": "Point", "MultiPolygon": "Polygon"}


_DEGREES = (0, 4326, 4979)
"""SRIDs of longitude and latitude in WGS 84; 0 is none. 4979 has a height, too."""

_READER = ValueReader()


def parse_geometry(value: Any) -> Json:
    """Parse a geometry into GeoJSON, in degrees, longitude first, without heights.

    A collection or multi-geometry with one part is this part.

    :param value: a GeoJSON object, GeoJSON text, WKT or EWKT text, WKB or EWKB as bytes or as hexadecimal
        text, or an object of a geometry library.
    :raises UnreadableValueError: when it is no point, polygon or multipolygon in degrees.
    """
    try:
        return _parse(value)
    except RecursionError:
        raise UnreadableValueError("is nested too deeply to be a geometry") from None


def _parse(value: Any) -> Json:
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        if data[:1] in (b"\0", b"\1"):
            return _simplified(_WkbReader(data).whole())
        if not data.isascii():
            raise UnreadableValueError("is not WKB")
        value = data.decode()
    if isinstance(value, str):
        return _from_text(str.__str__(value).strip())
    if isinstance(value, Mapping):
        return _simplified(value)
    if isinstance(shape := getattr(value, "__geo_interface__", None), Mapping):
        _check_srid(_srid_of_shapely(value))
        return _simplified(shape)
    raise UnreadableValueError(f"is no geometry: {shown_value(value)}")


def _from_text(text: str) -> Json:
    if text.startswith("{"):
        try:
            shape = json.loads(text)
        except (ValueError, RecursionError):  # A number of thousands of digits is no JSONDecodeError.
            raise UnreadableValueError(f"is not GeoJSON: {shown_value(text)}") from None
        return _simplified(shape)
    if found := _HEX.fullmatch(text):
        if len(found.group(1)) % 2:
            raise UnreadableValueError("is hexadecimal WKB with an odd number of digits; is it cut short?")
        return _simplified(_WkbReader(bytes.fromhex(found.group(1))).whole())
    try:
        return _simplified(_from_wkt(text))
    except RecursionError:
        raise UnreadableValueError(f"is not valid WKT: {shown_value(text)}") from None


def _srid_of_shapely(value: Any) -> int:
    shapely = sys.modules.get("shapely")
    if shapely is None or not type(value).__module__.startswith("shapely"):
        return 0
    return int(shapely.get_srid(value))


def _check_srid(srid: int) -> None:
    if srid not in _DEGREES:
        raise UnreadableValueError(
            f"has SRID {srid}, but the map is in longitude and latitude; select ST_Transform(geom, 4326)"
        )


def _check_srid_text(digits: str) -> None:
    if len(digits) > 9:
        raise UnreadableValueError(f"has SRID {digits[:9]}…, which no reference system has")
    _check_srid(int(digits))


def _simplified(shape: Mapping[str, Any]) -> Json:
    """Return a GeoJSON geometry without heights and needless parts; what validation reports is left."""
    kind = shape.get("type")
    if kind == "Feature" and isinstance(shape.get("geometry"), Mapping):
        return _simplified(shape["geometry"])
    if "crs" in shape:
        _check_crs(shape["crs"])
    member = "geometries" if kind == "GeometryCollection" else "coordinates"
    parts = shape.get(member)
    first = _first(parts)
    is_plain = type(first) in (float, int)
    if not is_plain:
        parts = _READER.read(parts)
    if not isinstance(parts, list):
        raise UnreadableValueError("is not a GeoJSON geometry with 'type' and 'coordinates'")
    has_number = is_plain and first == first  # NaN is no number
    if not parts or (not has_number and _is_empty(parts)):
        raise UnreadableValueError("is an empty geometry; leave the value out to keep the place as it is")
    if not isinstance(kind, str):
        raise UnreadableValueError(f"is a {shown_value(kind)}; it must be a Point, Polygon or MultiPolygon")
    if kind in _PARTS and len(parts) == 1:
        kind, parts = _PARTS[kind], parts[0]
    elif kind == "GeometryCollection" and len(parts) == 1 and isinstance(parts[0], Mapping):
        return _simplified(parts[0])
    if kind not in ("Point", "Polygon", "MultiPolygon"):
        several = f" of {len(parts)} parts" if kind in ("MultiPoint", "GeometryCollection") else ""
        raise UnreadableValueError(f"is a {kind}{several}; it must be a Point, Polygon or MultiPolygon")
    return {"type": kind, "coordinates": _plane(parts, {"Point": 0, "Polygon": 2}.get(kind, 3))}


def _first(value: Any) -> Any:
    """Return the first number of nested lists, or what stands in its place."""
    while type(value) is list and value:
        value = value[0]
    return value


def _is_empty(parts: list[Any]) -> bool:
    """Return whether nested lists of coordinates hold none; a point of NaN is empty in WKB."""
    if all(isinstance(part, list) for part in parts):
        return all(not part or _is_empty(part) for part in parts)
    return len(parts) >= 2 and all(part is None or part != part for part in parts[:2])


def _plane(value: Any, depth: int) -> Any:
    """Return coordinates without heights."""
    if not isinstance(value, list):
        return value
    if depth == 1:
        return [part[:2] if isinstance(part, list) and len(part) > 2 else part for part in value]
    if depth:
        return [_plane(part, depth - 1) for part in value]
    return value[:2] if len(value) > 2 else value


def _check_crs(crs: Any) -> None:
    """Refuse the coordinate system that an older GeoJSON names, unless it is longitude and latitude."""
    if wrong := named_crs_problem(crs):
        raise UnreadableValueError(wrong)


def _from_wkt(text: str) -> Json:
    match = _WKT.fullmatch(text)
    name = match.group(2).upper() if match else ""
    kind = _NAMES.get(name) or _NAMES.get(re.sub("(ZM|Z|M)$", "", name))
    if match is None or kind is None:
        raise UnreadableValueError(f"is not WKT of a point, polygon or multipolygon: {shown_value(text)}")
    _check_srid_text(match.group(1) or "0")
    if kind in _CURVES.values():
        raise UnreadableValueError(_curve(kind))
    body = match.group(3)
    if body.upper() == "EMPTY":
        return {"type": kind, "coordinates": [], "geometries": []}
    if kind == "GeometryCollection":
        return {"type": kind, "geometries": [_from_wkt(part) for part in _top_level(body[1:-1])]}
    try:
        lists = _POSITION.sub(lambda found: f"[{','.join(map(_number, found.group().split()))}]", body)
        coordinates = json.loads(lists.replace("(", "[").replace(")", "]"))
        if kind == "MultiPoint":
            coordinates = [_point(position) for position in coordinates]
        elif kind == "Point":
            coordinates = coordinates[0] if coordinates else []
    except (ValueError, TypeError, RecursionError):
        raise UnreadableValueError(f"is not valid WKT: {shown_value(text)}") from None
    return {"type": kind, "coordinates": coordinates}


def _point(position: list[Any]) -> Any:
    """Return a position of a MultiPoint, which may be in brackets of its own.

    :raises TypeError: when it is no list.
    """
    if not isinstance(position, list):
        raise TypeError
    return position[0] if position and isinstance(position[0], list) else position


def _top_level(text: str) -> list[str]:
    """Return the parts of a text that commas outside of brackets separate."""
    cuts, depth = [-1], 0
    for found in re.finditer(r"[(),]", text):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if found.group() == "," and not depth:
            cuts.append(found.start())
    return [text[start + 1 : end] for start, end in pairwise([*cuts, len(text)])]


def _number(text: str) -> str:
    return repr(float(text))


def _curve(kind: str) -> str:
    return f"is a {kind.upper()}, a curve; select ST_CurveToLine(geom)"


class _WkbReader:
    """Reader of well-known binary, with or without heights, measures and SRID."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def whole(self) -> Json:
        """Return the geometry that all bytes are.

        :raises UnreadableValueError: when they are no geometry in degrees.
        """
        try:
            found = self._read(0)
        except (struct.error, IndexError, RecursionError):
            raise UnreadableValueError("is not WKB of a point, polygon or multipolygon") from None
        if self.at != len(self.data):
            raise UnreadableValueError(f"is not WKB: {len(self.data) - self.at} bytes follow the geometry")
        return found

    def _read(self, depth: int) -> Json:
        if self.data[self.at] > 1 or depth > 20:
            raise UnreadableValueError("is not WKB of a point, polygon or multipolygon")
        order = "<" if self.data[self.at] == 1 else ">"
        self.at += 1
        (code,) = self._take(order + "I")
        if code & 0x20000000:
            _check_srid(self._take(order + "I")[0])
        number, thousands = (code & 0x0FFFFFFF) % 1000, (code & 0x0FFFFFFF) // 1000
        size = 2 + (bool(code & 0x80000000) or thousands in (1, 3))
        size += bool(code & 0x40000000) or thousands in (2, 3)
        if number in _CURVES:
            raise UnreadableValueError(_curve(_CURVES[number]))
        kind = _KINDS.get(number)
        if kind is None:
            raise UnreadableValueError("is not WKB of a point, polygon or multipolygon")
        if kind == "Point":
            return {"type": kind, "coordinates": list(self._take(f"{order}{size}d")[:2])}
        (count,) = self._take(order + "I")
        if kind == "GeometryCollection":
            return {"type": kind, "geometries": [self._read(depth + 1) for _ in range(count)]}
        if kind.startswith("Multi"):
            return {"type": kind, "coordinates": [self._part(kind, depth) for _ in range(count)]}
        read = self._position if kind == "LineString" else self._ring
        return {"type": kind, "coordinates": [read(order, size) for _ in range(count)]}

    def _part(self, kind: str, depth: int) -> Any:
        part = self._read(depth + 1)
        if "coordinates" not in part:
            raise UnreadableValueError(f"is not WKB: a part of a {kind} is a {part['type']}")
        return part["coordinates"]

    def _ring(self, order: str, size: int) -> list[list[float]]:
        (count,) = self._take(order + "I")
        return [self._position(order, size) for _ in range(count)]

    def _position(self, order: str, size: int) -> list[float]:
        return list(self._take(f"{order}{size}d")[:2])

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
