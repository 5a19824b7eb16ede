"""Geometry formats: GeoJSON, WKT, EWKT, WKB and EWKB are the same place, or are refused with the cause."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry
from tests.support.hypothesis_sizes import examples

POINT = {"type": "Point", "coordinates": [9.91, 57.1]}
RING = [[9.0, 57.0], [9.2, 57.0], [9.2, 57.2], [9.0, 57.2], [9.0, 57.0]]
HOLE = [[9.05, 57.05], [9.1, 57.05], [9.1, 57.1], [9.05, 57.05]]
SQUARE = {"type": "Polygon", "coordinates": [RING, HOLE]}


def forms(shape: shapely.Geometry) -> list[Any]:
    """Return a geometry in every form that is read."""
    out: list[Any] = [
        shape,
        shapely.to_wkt(shape, rounding_precision=-1),
        json.loads(shapely.to_geojson(shape)),
    ]
    out += [shapely.to_geojson(shape), shape.__geo_interface__]
    for srid in (None, 4326, 4979, 0):
        given = shape if srid is None else shapely.set_srid(shape, srid)
        for order in (0, 1):
            wkb = shapely.to_wkb(given, include_srid=srid is not None, byte_order=order)
            out += [
                wkb,
                bytearray(wkb),
                memoryview(wkb),
                wkb.hex(),
                wkb.hex().upper().encode(),
                f"\\x{wkb.hex()}",
            ]
    out += [f"SRID=4326;{shapely.to_wkt(shape, rounding_precision=-1)}", shapely.to_wkb(shape, flavor="iso")]
    return out


def area(heights: bool, parts: int) -> shapely.Geometry:
    shape = shapely.Polygon(RING, [HOLE])
    shape = shapely.force_3d(shape, 7.0) if heights else shape
    return shape if not parts else shapely.MultiPolygon([shape])


@pytest.mark.parametrize("heights", [False, True])
@pytest.mark.parametrize("kind", ["point", "multipoint", "collection", "polygon", "multipolygon"])
def test_every_form_is_the_same_place(kind: str, heights: bool) -> None:
    point = shapely.Point(9.91, 57.1, 7.0) if heights else shapely.Point(9.91, 57.1)
    shapes = {
        "point": point,
        "multipoint": shapely.MultiPoint([point]),
        "collection": shapely.GeometryCollection([shapely.GeometryCollection([point])]),
        "polygon": area(heights, 0),
        "multipolygon": area(heights, 1),
    }
    wanted = SQUARE if kind in ("polygon", "multipolygon") else POINT
    for form in forms(shapes[kind]):
        assert parse_geometry(form) == wanted, form


@pytest.mark.parametrize(
    "text",
    [
        "POINTZ(9.91 57.1 3)",
        "point zm (9.91 57.1 3 4)",
        "POINT M (9.91 57.1 4)",
        "  SRID = 4979 ; POINT(9.91 57.1)",
    ],
)
def test_wkt_as_databases_write_it_is_read(text: str) -> None:
    assert parse_geometry(text) == POINT


def test_a_measure_is_no_height_and_both_are_dropped() -> None:
    iso = struct.pack("<BI4d", 1, 3001, 9.91, 57.1, 3.0, 4.0)
    extended = struct.pack("<BI3d", 1, 0x40000001, 9.91, 57.1, 4.0)
    assert parse_geometry(iso) == parse_geometry(extended) == POINT


@pytest.mark.parametrize(
    "coordinates", [(9.91, 57.1), np.array([9.91, 57.1]), [np.float64(9.91), 57.1, float("nan")]]
)
def test_coordinates_of_other_sequences_are_read(coordinates: Any) -> None:
    assert parse_geometry({"type": "Point", "coordinates": coordinates, "bbox": [0, 0, 1, 1]}) == POINT


@pytest.mark.parametrize("srid", [3857, 25832, 4258, 2154])
def test_another_reference_system_is_refused_with_the_cure(srid: int) -> None:
    shape = shapely.set_srid(shapely.Point(9.91, 57.1), srid)
    named = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{srid}"}}
    given = [shape, shapely.to_wkb(shape, include_srid=True), f"SRID={srid};POINT (9.91 57.1)"]
    for value in [*given, {**POINT, "crs": named}]:
        with pytest.raises(UnreadableValueError, match=rf"SRID {srid}.*ST_Transform\(geom, 4326\)"):
            parse_geometry(value)


def test_longitude_and_latitude_may_be_named() -> None:
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"):
        assert parse_geometry({**POINT, "crs": {"type": "name", "properties": {"name": name}}}) == POINT


def nested(kind: str, member: str, depth: int) -> dict[str, Any]:
    """Return a geometry within this many others."""
    shape: dict[str, Any] = POINT
    for _ in range(depth):
        shape = {"type": kind, member: [shape]}
    return shape


def nested_list(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


CURVE = struct.pack("<BIIBII", 1, 10, 1, 1, 8, 3) + struct.pack("<6d", 0, 0, 1, 1, 0, 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("CURVEPOLYGON (CIRCULARSTRING (0 0, 1 1, 0 0))", "is a CURVEPOLYGON, a curve"),
        ("CIRCULARSTRING Z (0 0 1, 1 1 1, 0 0 1)", "is a CIRCULARSTRING, a curve"),
        ("COMPOUNDCURVE EMPTY", "a curve"),
        (CURVE, "is a CURVEPOLYGON, a curve; select ST_CurveToLine"),
        (CURVE.hex(), "a curve"),
        ("POINT EMPTY", "is an empty geometry"),
        ("MULTIPOLYGON EMPTY", "is an empty geometry"),
        (shapely.to_wkb(shapely.Point()), "is an empty geometry"),
        (shapely.to_wkb(shapely.Polygon()), "is an empty geometry"),
        ({"type": "Point", "coordinates": []}, "is an empty geometry"),
        ({"type": "Polygon", "coordinates": [[]]}, "is an empty geometry"),
        ({"type": "GeometryCollection", "geometries": []}, "is an empty geometry"),
        ("", "is not WKT"),
        ("LINESTRING (0 0, 1 1)", "is a LineString"),
        ("MULTIPOINT ((0 0), (1 1))", "is a MultiPoint of 2 parts"),
        (
            shapely.to_wkb(shapely.GeometryCollection([shapely.Point(0, 1)] * 2)),
            "GeometryCollection of 2 parts",
        ),
        ("GEOMETRYCOLLECTION (POINT (1 2), POINT (3 4))", "GeometryCollection of 2 parts"),
        ("TIN (((0 0 0, 0 0 1, 0 1 0, 0 0 0)))", "is not WKT"),
        ("0101000000000000000000F0", "is not WKB"),
        ("01010000000000000000000", "cut short"),
        (shapely.to_wkb(shapely.Point(1, 2)) + b"\0", "1 bytes follow the geometry"),
        (b"\xff\xfe", "is not WKB"),
        ("{broken", "is not GeoJSON"),
        ({"coordinates": "9.9 57.1"}, "is not a GeoJSON geometry"),
        ({"type": "Topology"}, "is not a GeoJSON geometry"),
        (12, "is no geometry"),
        ("GEOMETRYCOLLECTION (" * 3_000 + "POINT (1 2)" + ")" * 3_000, "is not valid WKT"),
        ("MULTIPOINT (112)", "is not valid WKT"),
        ("MULTIPOINT (())", "is an empty geometry"),
        ("POINT ()", "is an empty geometry"),
        ("POINT (1)", "is not a GeoJSON geometry"),
        ("POINT (1E 2)", "is not valid WKT"),
        (f"SRID={'9' * 5000};POINT (1 2)", "has SRID 99"),
        ({"type": [], "coordinates": [1, 2]}, "is a \\[\\]; it must be"),
        ({"type": {"a": 1}, "geometries": []}, "is not a GeoJSON geometry"),
        (f'{{"type": "Point", "coordinates": [{"9" * 5000}, 1]}}', "is not GeoJSON"),
        (
            struct.pack("<BIIBIIBI2d", 1, 6, 1, 1, 7, 1, 1, 1, 9.91, 57.1),
            "is not WKB: a part of a MultiPolygon is a GeometryCollection",
        ),
        (nested("GeometryCollection", "geometries", 5_000), "is nested (too deeply|more than)"),
        ({"type": "Polygon", "coordinates": nested_list(5_000)}, "is nested more than"),
    ],
)
def test_what_is_no_place_is_refused_with_the_cause(value: Any, words: str) -> None:
    with pytest.raises(UnreadableValueError, match=words) as caught:
        parse_geometry(value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "position", [[float("nan"), 57.1], [9.9, None], [9.9, float("inf")], ["9.9", 57.1], [9.9]]
)
def test_a_position_that_is_none_is_refused(position: Any) -> None:
    ring = [[9.0, 57.0], position, [9.2, 57.2], [9.0, 57.0]]
    for shape in ({"type": "Point", "coordinates": position}, {"type": "Polygon", "coordinates": [ring]}):
        assert "position" in " ".join(geometry.problems(parse_geometry(shape)))


@pytest.mark.parametrize(
    ("rings", "words"),
    [
        ([[[9, 57], [9.1, 57.1], [9.2, 57.2], [9, 57]]], "a ring without area"),
        ([[[9, 57], [9, 57], [9, 57], [9, 57]]], "a ring without area"),
        ([[[9, 57], [9.1, 57], [9.2, 57], [9.1, 57], [9, 57]]], "a ring without area"),
        ([RING, [[8, 57.05], [8.1, 57.05], [8.1, 57.1], [8, 57.05]]], "not inside of its ring"),
        ([RING, [[9.1, 57.1], [9.3, 57.1], [9.1, 57.15], [9.1, 57.1]]], "not inside of its ring"),
        ([HOLE, RING], "not inside of its ring"),
        ([RING, RING], "not inside of its ring"),
        ([RING, HOLE, HOLE], "holes that overlap"),
    ],
)
def test_a_surface_that_is_none_is_named(rings: Any, words: str) -> None:
    shape = {"type": "Polygon", "coordinates": rings}
    assert words in geometry.surface_problem(shape)
    assert words in geometry.surface_problem({"type": "MultiPolygon", "coordinates": [[RING], rings]})


@settings(max_examples=examples(60), deadline=None)
@given(lon=st.floats(-170, 170), lat=st.floats(-80, 80), size=st.floats(1e-5, 0.1), turns=st.integers(3, 40))
def test_a_polygon_with_a_hole_of_any_size_has_a_surface(
    lon: float, lat: float, size: float, turns: int
) -> None:
    outer = shapely.Point(lon, lat).buffer(size, quad_segs=turns)
    shape = shapely.Polygon(
        outer.exterior, [shapely.Point(lon, lat).buffer(size / 2, quad_segs=turns).exterior]
    )
    found = parse_geometry(shapely.to_wkb(shape))
    assert list(geometry.problems(found)) == []
    assert geometry.surface_problem(found) == ""
