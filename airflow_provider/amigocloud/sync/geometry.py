"""Geometries of rows in the form that a dataset stores: upper-case hex EWKB, little endian, with an SRID."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider.core.input.crs import named_crs_problem
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, hides_values, shown_value
from airflow_provider.core.json_types import Json

SRID = 4326
"""SRID of a geometry that names none, as the vendor's clients send it."""

_ROUNDING = 0.000001
"""What rounding does to coordinates at the greatest longitude and latitude."""

_NAMES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
"""Geometry types by the number that EWKB has for them."""

_CODES = {name: code for code, name in _NAMES.items()}
_BY_UPPER = {name.upper(): name for name in _CODES}
_PARTS = {"MultiPoint": "Point", "MultiLineString": "LineString", "MultiPolygon": "Polygon"}
_MULTI = {part: name for name, part in _PARTS.items()}
_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""Levels of lists around the positions of a geometry."""

_FORCE = {"": "ST_Force2D", "Z": "ST_Force3D", "M": "ST_Force3DM", "ZM": "ST_Force4D"}
"""Functions of PostGIS that make positions as a field holds them."""

_Z, _M, _WITH_SRID = 0x80000000, 0x40000000, 0x20000000
_HEX = re.compile(r"(?:\\x|0x)?((?:[0-9a-fA-F]{2}){5,})")
# Blanks are never given back, so that a text of them is read in linear time.
_WKT = re.compile(
    r"\s*+(?:SRID\s*=\s*(\d{1,9})\s*;)?\s*([A-Z]+?)\s*+(ZM|Z|M)?\s*+(EMPTY|\(.*\))\s*", re.I | re.S
)
_POSITION = re.compile(r"(?<![-+0-9.eE])[-+0-9.eE]+(?:\s+[-+0-9.eE]+)+")
_MAX_DEPTH = 20
_NO_WKB = "is no EWKB of a point, a line, a polygon, several of them, or a collection"
_READER = ValueReader()


@dataclass(frozen=True)
class Geometry:
    """A geometry, with all its numbers.

    :param kind: its type, as GeoJSON names it.
    :param coordinates: nested as in GeoJSON; the parts of a collection are geometries.
    :param has_z: whether each position has a height.
    :param has_m: whether each position has a measure, as its last number.
    :param srid: number of its reference system; None when it names none.
    """

    kind: str
    coordinates: Any
    has_z: bool = False
    has_m: bool = False
    srid: int | None = None

    def to_hex(self) -> str:
        """Return the geometry as a dataset stores it."""
        return _packed(self, self.srid or SRID).hex().upper()

    def to_geojson(self) -> Json:
        """Return the geometry as GeoJSON, without measures and reference system."""
        if self.kind == "GeometryCollection":
            return {"type": self.kind, "geometries": [part.to_geojson() for part in self.coordinates]}
        return {"type": self.kind, "coordinates": self.coordinates}


def read_geometry(value: Any) -> Geometry:
    """Return a geometry of a row.

    :param value: a GeoJSON object or its text, WKT or EWKT, WKB or EWKB as bytes or as hexadecimal text, or
        an object of a geometry library.
    :raises UnreadableValueError: when it is none of these, or empty.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        found = _Reader(data).whole() if data[:1] in (b"\0", b"\1") else _from_bytes(data)
    elif isinstance(value, str):
        found = _from_text(str.__str__(value).strip())
    elif isinstance(value, Mapping):
        found = _from_geojson(value)
    elif isinstance(wkb := getattr(value, "wkb", None), bytes):
        found = _Reader(wkb).whole()
        found = replace(found, srid=_srid_of(value) or found.srid)
    elif isinstance(shape := getattr(value, "__geo_interface__", None), Mapping):
        found = _from_geojson(shape)
    else:
        raise UnreadableValueError(f"is no geometry: {shown_value(value)}")
    points = list(_positions(found))
    if not any(points):
        raise UnreadableValueError("is an empty geometry; leave the value out, or make it null")
    if not all(points):
        raise UnreadableValueError("has an empty point among its parts; leave that part out")
    if not all(math.isfinite(number) for point in points for number in point):
        raise UnreadableValueError("has a coordinate that is no number")
    _check_rings(found)
    return found


def _check_rings(shape: Geometry) -> None:
    for ring in _rings(shape):
        if len(ring) < 4 or ring[0][:2] != ring[-1][:2]:
            problem = f"has an open ring of {len(ring)} positions"
            raise UnreadableValueError(f"{problem}; at least 4 are needed, the last equal to the first")


def _rings(shape: Geometry) -> Iterator[list[list[float]]]:
    """Yield the rings of all polygons: PostGIS refuses open ones, and with them their change set."""
    if shape.kind == "GeometryCollection":
        for part in shape.coordinates:
            yield from _rings(part)
    elif shape.kind == "Polygon":
        yield from shape.coordinates
    elif shape.kind == "MultiPolygon":
        for rings in shape.coordinates:
            yield from rings


def _srid_of(value: Any) -> int | None:
    """Return the SRID that an object of a geometry library has beside its bytes."""
    import sys

    found = getattr(value, "srid", None)
    shapely = sys.modules.get("shapely")
    if shapely and isinstance(value, getattr(shapely, "Geometry", ())):
        found = int(shapely.get_srid(value))
    return found or None if isinstance(found, int) else None


def in_degrees(shape: Geometry) -> Geometry:
    """Return a geometry of a row, which is in longitude and latitude.

    :raises UnreadableValueError: when it names another reference system, or is outside of them.
    """
    if shape.srid not in (None, SRID):
        raise UnreadableValueError(named_crs_problem({"properties": {"name": f"EPSG:{shape.srid}"}}))
    for x, y, *_ in _positions(shape):
        if abs(x) > 180 + _ROUNDING or abs(y) > 90 + _ROUNDING:
            at = "" if hides_values() else f" ({x:.12g}, {y:.12g})"
            raise UnreadableValueError(
                f"is outside of longitude and latitude{at}, which SRID {SRID} is; select"
                " ST_Transform(geom, 4326), or reproject the file to EPSG:4326"
            )
    return shape


def read_stored(text: Any) -> Geometry:
    """Return a geometry of a dataset, from hex EWKB.

    :raises UnreadableValueError: when it is none that this module reads, such as a curve.
    """
    if not isinstance(text, str) or not (found := _HEX.fullmatch(text)):
        raise UnreadableValueError(_NO_WKB)
    return _Reader(bytes.fromhex(found[1])).whole()


def fitted(shape: Geometry, declared: str) -> Geometry:
    """Return a geometry in the type that a field declares: a single part as a multi-geometry, or back.

    :param shape: the geometry.
    :param declared: the type of the field, such as ``MULTIPOLYGON`` or ``POINTZ``; empty for any.
    :raises UnreadableValueError: when it is of another type.
    """
    match = re.fullmatch(r"([A-Z]+?)\s*+(ZM|Z|M)?", declared.upper().strip())
    kind = _BY_UPPER.get(match[1]) if match else None
    if match is None or kind is None:
        return shape
    if shape.kind != kind and _MULTI.get(shape.kind) == kind:
        shape = replace(shape, kind=kind, coordinates=[shape.coordinates])
    elif shape.kind != kind and _PARTS.get(shape.kind) == kind and len(shape.coordinates) == 1:
        shape = replace(shape, kind=kind, coordinates=shape.coordinates[0])
    if shape.kind != kind:
        raise UnreadableValueError(f"is a {shape.kind}, but the field holds {declared}")
    flags = match[2] or ""
    state = ""
    if shape.has_z != ("Z" in flags):
        state = "has heights" if shape.has_z else "has no heights"
    elif shape.has_m != ("M" in flags):
        state = "has measures" if shape.has_m else "has no measures"
    if state:
        advice = _FORCE[flags]
        raise UnreadableValueError(f"{state}, but the field holds {declared}; select {advice}(geom)")
    return shape


def _positions(shape: Geometry) -> Iterator[list[float]]:
    if shape.kind == "GeometryCollection":
        for part in shape.coordinates:
            yield from _positions(part)
    else:
        yield from _flat(shape.coordinates, _DEPTHS[shape.kind])


def _flat(coordinates: Any, depth: int) -> Iterator[Any]:
    if depth:
        if not isinstance(coordinates, list):  # The parts of a text are texts, without end.
            raise TypeError("a list was expected")
        for part in coordinates:
            yield from _flat(part, depth - 1)
    else:
        yield coordinates


# -- texts


def _from_bytes(data: bytes) -> Geometry:
    try:
        return _from_text(data.decode().strip())
    except UnicodeDecodeError:
        raise UnreadableValueError(_NO_WKB) from None


def _from_text(text: str) -> Geometry:
    if text.startswith("{"):
        try:
            return _from_geojson(json.loads(text))
        except UnreadableValueError:
            raise
        except (ValueError, RecursionError):  # A number of thousands of digits is no JSONDecodeError.
            raise UnreadableValueError(f"is no GeoJSON: {shown_value(text)}") from None
    if found := _HEX.fullmatch(text):
        return _Reader(bytes.fromhex(found[1])).whole()
    return _from_wkt(text)


def _from_wkt(text: str, depth: int = 0) -> Geometry:
    match = _WKT.fullmatch(text)
    kind = _BY_UPPER.get(match[2].upper()) if match else None
    if match is None or kind is None or depth > _MAX_DEPTH:
        raise UnreadableValueError(f"is no geometry: {shown_value(text)}")
    srid, flags, body = int(match[1] or 0) or None, (match[3] or "").upper(), match[4]
    if body.upper() == "EMPTY":
        return Geometry(kind, [], srid=srid)
    if kind == "GeometryCollection":
        return _collection([_from_wkt(part, depth + 1) for part in _top_level(body[1:-1])], srid)
    try:
        lists = _POSITION.sub(lambda found: f"[{','.join(repr(float(n)) for n in found[0].split())}]", body)
        coordinates = json.loads(lists.replace("(", "[").replace(")", "]"))
        if kind == "Point":
            (coordinates,) = coordinates
    except (ValueError, RecursionError):
        raise UnreadableValueError(f"is no geometry: {shown_value(text)}") from None
    if kind == "MultiPoint":
        coordinates = [point[0] if _is_enclosed(point) else point for point in coordinates]
    return _checked(kind, coordinates, srid, measured=flags == "M")


def _is_enclosed(point: Any) -> bool:
    """Return whether a point of a MULTIPOINT has brackets of its own, as the standard has them."""
    return isinstance(point, list) and point != [] and isinstance(point[0], list)


def _top_level(text: str) -> list[str]:
    """Return the parts of a text that commas outside of brackets separate."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _from_geojson(shape: Mapping[str, Any], depth: int = 0) -> Geometry:
    kind = shape.get("type")
    if wrong := named_crs_problem(shape.get("crs")):
        raise UnreadableValueError(wrong)
    if kind == "Feature" and isinstance(shape.get("geometry"), Mapping) and not depth:
        return _from_geojson(shape["geometry"], 1)
    if kind == "GeometryCollection" and isinstance(parts := shape.get("geometries"), (list, tuple)):
        if depth > _MAX_DEPTH or not all(isinstance(part, Mapping) for part in parts):
            raise UnreadableValueError("is no GeoJSON geometry")
        return _collection([_from_geojson(part, depth + 1) for part in parts], None)
    if not isinstance(kind, str) or kind not in _DEPTHS:
        raise UnreadableValueError("is no GeoJSON geometry with 'type' and 'coordinates'")
    return _checked(kind, _READER.read(shape.get("coordinates")), None)


def _collection(parts: list[Geometry], srid: int | None) -> Geometry:
    if any(part.srid not in (None, srid) for part in parts):
        raise UnreadableValueError("has parts with an SRID of their own")
    first = parts[0] if parts else Geometry("Point", [])
    if any((part.has_z, part.has_m) != (first.has_z, first.has_m) for part in parts):
        raise UnreadableValueError("has positions of different lengths")
    return Geometry("GeometryCollection", parts, first.has_z, first.has_m, srid)


def _checked(kind: str, coordinates: Any, srid: int | None, *, measured: bool = False) -> Geometry:
    """Return a geometry whose positions are numbers, all of the same length."""
    wrong = UnreadableValueError(f"has coordinates that are not those of a {kind}")
    sizes: set[int] = set()
    try:
        for position in _flat(coordinates, _DEPTHS[kind]):
            if not isinstance(position, list) or not all(type(n) in (int, float) for n in position):
                raise wrong
            sizes.add(len(position))
    except TypeError:
        raise wrong from None
    sizes.discard(0)
    if len(sizes) > 1 or not sizes <= ({3} if measured else {2, 3, 4}):
        raise wrong
    size = max(sizes, default=2)
    return Geometry(kind, coordinates, size > 2 and not measured, size > 3 or measured, srid)


# -- EWKB


class _Reader:
    """Reader of (extended) well-known binary."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def whole(self) -> Geometry:
        """Return the geometry that all bytes are.

        :raises UnreadableValueError: when they are none.
        """
        try:
            found = self._read(0)
        except (struct.error, IndexError, MemoryError):
            raise UnreadableValueError(_NO_WKB) from None
        if self.at != len(self.data):
            raise UnreadableValueError(f"{_NO_WKB}: {len(self.data) - self.at} bytes follow it")
        return found

    def _read(self, depth: int, outer: int | None = None) -> Geometry:
        if self.data[self.at] > 1 or depth > _MAX_DEPTH:
            raise UnreadableValueError(_NO_WKB)
        order = "<" if self.data[self.at] == 1 else ">"
        self.at += 1
        (code,) = self._take(order + "I")
        srid = self._take(order + "I")[0] if code & _WITH_SRID else None
        if depth and srid not in (None, outer):
            raise UnreadableValueError("has parts with an SRID of their own")
        number, thousands = (code & 0x0FFFFFFF) % 1000, (code & 0x0FFFFFFF) // 1000
        has_z, has_m = bool(code & _Z) or thousands in (1, 3), bool(code & _M) or thousands in (2, 3)
        if (kind := _NAMES.get(number)) is None:
            raise UnreadableValueError(f"{_NO_WKB} (a curve: select ST_CurveToLine(geom))")
        if kind == "GeometryCollection" or kind in _PARTS:
            parts = [self._read(depth + 1, srid) for _ in range(self._count(order))]
            if kind != "GeometryCollection" and any(part.kind != _PARTS[kind] for part in parts):
                raise UnreadableValueError(f"{_NO_WKB}: it has a part of another type")
            if any((part.has_z, part.has_m) != (has_z, has_m) for part in parts):
                raise UnreadableValueError("has positions of different lengths")
            held = parts if kind == "GeometryCollection" else [part.coordinates for part in parts]
            return Geometry(kind, held, has_z, has_m, srid)
        return Geometry(kind, self._lists(order, _DEPTHS[kind], 2 + has_z + has_m), has_z, has_m, srid)

    def _lists(self, order: str, depth: int, size: int) -> Any:
        if not depth:
            found = list(self._take(f"{order}{size}d"))
            return [] if all(math.isnan(number) for number in found) else found
        return [self._lists(order, depth - 1, size) for _ in range(self._count(order))]

    def _count(self, order: str) -> int:
        (count,) = self._take(order + "I")
        if count > len(self.data):
            raise UnreadableValueError(_NO_WKB)
        return int(count)

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found


def _packed(shape: Geometry, srid: int | None) -> bytes:
    code = _CODES[shape.kind] | (_Z if shape.has_z else 0) | (_M if shape.has_m else 0)
    head = struct.pack("<BI", 1, code | (_WITH_SRID if srid else 0))
    head += struct.pack("<I", srid) if srid else b""
    if shape.kind == "GeometryCollection":
        return (
            head
            + struct.pack("<I", len(shape.coordinates))
            + b"".join(_packed(part, None) for part in shape.coordinates)
        )
    if (part := _PARTS.get(shape.kind)) is not None:
        parts = (replace(shape, kind=part, coordinates=one) for one in shape.coordinates)
        return (
            head + struct.pack("<I", len(shape.coordinates)) + b"".join(_packed(one, None) for one in parts)
        )
    return head + _packed_lists(shape.coordinates, _DEPTHS[shape.kind], 2 + shape.has_z + shape.has_m)


def _packed_lists(coordinates: Any, depth: int, size: int) -> bytes:
    if not depth:
        # An empty point has NaN for each number.
        return struct.pack(f"<{size}d", *(coordinates or [math.nan] * size))
    return struct.pack("<I", len(coordinates)) + b"".join(
        _packed_lists(part, depth - 1, size) for part in coordinates
    )
