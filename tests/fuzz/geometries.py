"""Fuzz targets of geometries: WKB and EWKB, WKT, GeoJSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from airflow_provider.amigocloud.sync import geometry as dataset
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.mapsindoors.geodata import geometry, wkt_wkb
from tests.fuzz.mutations import damage, mutate_json
from tests.fuzz.target import Target

_INSTRUMENTED = (
    "airflow_provider.mapsindoors.geodata.wkt_wkb",
    "airflow_provider.mapsindoors.geodata.geometry",
)


def _use(shape: object) -> None:
    """Check a geometry as a sync does, and compute with one that is right."""
    if list(geometry.problems(shape)) or not isinstance(shape, dict):
        return
    geometry.bounds(shape)
    geometry.anchor(shape)
    geometry.is_same_place(shape, shape)
    again = wkt_wkb.parse_geometry(wkt_wkb.to_wkb(shape))
    if not geometry.is_same_place(shape, again):
        raise AssertionError(f"{shape} is {again} after a round trip")


def _wkb(data: bytes) -> None:
    _use(wkt_wkb.parse_geometry(data))


def _wkt(data: bytes) -> None:
    _use(wkt_wkb.parse_geometry(data.decode("utf-8", "surrogateescape")))


def _geojson(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = text
    if isinstance(given, dict):
        _each(lambda: _use(wkt_wkb.parse_geometry(given)))
    _use(wkt_wkb.parse_geometry(text))


def _dataset(data: bytes) -> None:
    """Read a geometry as a sync of a dataset does, as bytes, text and object, and store it."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = text
    for value in (data, given):
        _each(lambda value=value: _store(dataset.read_geometry(value)))
    _store(dataset.read_geometry(text))


def _store(shape: dataset.Geometry) -> None:
    """Check that a geometry is the same after it was stored."""
    dataset.in_degrees(shape)
    stored = dataset.read_stored(shape.to_hex())
    if (stored.kind, stored.to_geojson()) != (shape.kind, shape.to_geojson()):
        raise AssertionError(f"{shape} is {stored} after a round trip")
    for declared in ("POINT", "MULTIPOLYGON", "GEOMETRYZ"):
        _each(lambda declared=declared: dataset.fitted(shape, declared))


def _each(step: Callable[[], None]) -> None:
    try:
        step()
    except UnreadableValueError:
        return


def mutate_geometry(data: bytes, number: int) -> bytes:
    """Return GeoJSON with its structure changed, and other texts and bytes damaged."""
    return mutate_json(data, number) if data[:1] == b"{" else damage(data, random.Random(number))


TARGETS = [
    Target("wkb", _wkb, _INSTRUMENTED, (UnreadableValueError,), max_bytes=1024),
    Target("wkt", _wkt, _INSTRUMENTED, (UnreadableValueError,), max_bytes=2048),
    Target("geojson", _geojson, _INSTRUMENTED, (UnreadableValueError,), mutate_json, max_bytes=30_000),
    Target(
        "geometry",
        _dataset,
        ("airflow_provider.amigocloud.sync.geometry",),
        (UnreadableValueError,),
        mutate_geometry,
        max_bytes=30_000,
    ),
]
