"""Geometries: every form of a row is the hex EWKB that a dataset stores."""

from __future__ import annotations

import struct

import pytest
import shapely

from airflow_provider.amigocloud.sync.geometry import fitted, read_geometry, read_stored
from airflow_provider.core.input.values import UnreadableValueError

pytestmark = pytest.mark.slow  # nothing of it depends on versions

SHAPES = [
    "POINT (12.5 -50)",
    "POINT Z (1 2 3)",
    "LINESTRING (0 0, 1 1, 2 0.1)",
    "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1, 1 0.5))",
    "MULTIPOINT ((0 0), (1 1))",
    "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
]

NAN = float("nan")
EMPTY_PARTS = [
    {"type": "Point", "coordinates": []},
    {"type": "MultiPoint", "coordinates": [[], [1, 2]]},
    {"type": "LineString", "coordinates": [[1, 2], []]},
    {"type": "Feature", "crs": {"properties": {"name": "EPSG:3857"}}, "geometry": {"type": "Point"}},
    "GEOMETRYCOLLECTION(POINT EMPTY, POINT(1 2))",
    shapely.Point(),
    struct.pack("<BIdd", 1, 1, NAN, NAN),
    struct.pack("<BIIBIddBIdd", 1, 4, 2, 1, 1, NAN, NAN, 1, 1, 1.0, 2.0),
]
OTHER_SRIDS = [
    "SRID=4326;GEOMETRYCOLLECTION(SRID=3857;POINT(1 2))",
    struct.pack("<BIIBIIdd", 1, 4, 1, 1, 1 | 0x20000000, 3857, 1.0, 2.0),
]


@pytest.mark.parametrize("text", SHAPES)
def test_all_forms_are_the_same_hex_ewkb(text: str) -> None:
    shape = shapely.set_srid(shapely.from_wkt(text), 4326)
    stored = shapely.to_wkb(shape, hex=True, include_srid=True, flavor="extended", byte_order=1)
    forms = [
        text,
        f"SRID=4326;{text}",
        stored,
        stored.lower(),
        f"\\x{stored}",
        bytes.fromhex(stored),
        shapely.to_wkb(shape, byte_order=0),
        shapely.to_wkb(shape, flavor="iso"),
        shapely.to_geojson(shape),
        shape.__geo_interface__,
        shape,
    ]
    assert {read_geometry(form).to_hex() for form in forms} == {stored}
    assert read_stored(stored).to_hex() == stored


def test_a_reference_system_is_kept() -> None:
    assert read_geometry("SRID=25832;POINT(1 2)").srid == 25832
    assert shapely.get_srid(shapely.from_wkb(read_geometry("SRID=25832;POINT(1 2)").to_hex())) == 25832


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "POINT",
            "POINT(1)",
            "POINT(1 x)",
            "POINT EMPTY",
            "POLYGON EMPTY",
            "0101",
            "zz",
            "{}",
            "[1, 2]",
        ),
        *(5, [1, 2], {"type": "Point"}, {"type": "Point", "coordinates": ["1", "2"]}, b"\xff\xfe"),
        *("POINT(1e999 0)", "LINESTRING(0 0, 1 1 1)", "0101000020E61000000000000000002940", b"\x01"),
        {"type": "Polygon", "coordinates": 5},
        {"type": "Point", "coordinates": [1, 2], "crs": {"properties": {"name": "EPSG:25832"}}},
        "0108000000" + "00" * 20,
        *EMPTY_PARTS,
        *OTHER_SRIDS,
    ],
    ids=repr,
)
def test_what_is_no_geometry_is_refused(value: object) -> None:
    with pytest.raises(UnreadableValueError):
        read_geometry(value)


def test_an_empty_part_that_a_dataset_stores_is_read_as_it_is() -> None:
    for text in (
        "POINT EMPTY",
        "POINT Z EMPTY",
        "GEOMETRYCOLLECTION (POINT EMPTY, POINT (1 2))",
        "POLYGON EMPTY",
    ):
        shape = shapely.set_srid(shapely.from_wkt(text), 4326)
        stored = shapely.to_wkb(shape, hex=True, include_srid=True, flavor="extended", byte_order=1)
        assert read_stored(stored).to_hex() == stored


class Shape:
    """Geometry of a library that keeps the SRID beside the bytes."""

    wkb = shapely.to_wkb(shapely.Point(1, 2))
    srid = 25832


def test_the_srid_beside_the_bytes_of_a_library_is_read() -> None:
    assert read_geometry(Shape()).srid == 25832


def test_a_single_part_fits_a_field_of_several_parts_and_back() -> None:
    polygon = read_geometry(SHAPES[3])
    several = fitted(polygon, "MULTIPOLYGON")
    assert (several.kind, fitted(several, "POLYGON")) == ("MultiPolygon", polygon)
    assert fitted(polygon, "") is fitted(polygon, "GEOMETRY") is polygon
    for declared, words in (("POINT", "but the field holds POINT"), ("POLYGONZ", "has no heights")):
        with pytest.raises(UnreadableValueError, match=words):
            fitted(polygon, declared)
    with pytest.raises(UnreadableValueError, match="ST_Force2D"):
        fitted(read_geometry(SHAPES[1]), "POINT")
    with pytest.raises(UnreadableValueError, match="has measures, .*POINT; select ST_Force2D"):
        fitted(read_geometry("POINT M (1 2 3)"), "POINT")
    with pytest.raises(UnreadableValueError, match="has no measures, .*POINTM; select ST_Force3DM"):
        fitted(read_geometry("POINT (1 2)"), "POINTM")
    assert fitted(read_geometry("POINT ZM (1 2 3 4)"), "POINTZM").has_m


OPEN = [
    "POLYGON ((0 0, 1 0, 1 1, 0 1))",
    "POLYGON ((0 0, 1 0, 0 0))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 6)))",
    "GEOMETRYCOLLECTION (POINT (1 2), POLYGON ((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1)))",
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
]


@pytest.mark.parametrize("shape", OPEN, ids=str)
def test_an_open_ring_is_refused_before_the_service_refuses_it(shape: object) -> None:
    with pytest.raises(UnreadableValueError, match="has an open ring of [34] positions"):
        read_geometry(shape)


def test_a_ring_may_end_at_another_height() -> None:
    assert read_geometry("POLYGON Z ((0 0 1, 1 0 1, 1 1 1, 0 0 2))").has_z
