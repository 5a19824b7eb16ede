"""Flat rows: columns of tables and map tools become geodata objects."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from airflow_provider.mapsindoors.geodata.rows import PropertyLanguages, RowReader
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry

SQUARE = [[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 0.0]]]


def wkb(order: str = "<", z: bool = False) -> bytes:
    flag = b"\x01" if order == "<" else b"\x00"
    body = b"".join(
        struct.pack(order + "2d", *p) + (struct.pack(order + "d", 7) if z else b"") for p in SQUARE[0]
    )
    return flag + struct.pack(order + "III", 1003 if z else 3, 1, 4) + body


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ("POINT (12.5 55.7)", {"type": "Point", "coordinates": [12.5, 55.7]}),
        ("SRID=4326;point z(12.5 -55.7 3)", {"type": "Point", "coordinates": [12.5, -55.7]}),
        ("POLYGON((0 0, 2 0, 2 2, 0 0))", {"type": "Polygon", "coordinates": SQUARE}),
        ("MULTIPOLYGON(((0 0,2 0,2 2,0 0)))", {"type": "Polygon", "coordinates": SQUARE}),
        ('{"type": "Point", "coordinates": [1, 2]}', {"type": "Point", "coordinates": [1, 2]}),
        (wkb(), {"type": "Polygon", "coordinates": SQUARE}),
        (wkb(">", z=True), {"type": "Polygon", "coordinates": SQUARE}),
    ],
)
def test_shapes_are_read(given: Any, shape: dict[str, Any]) -> None:
    assert parse_geometry(given) == shape


@pytest.mark.parametrize("given", ["somewhere", "POINT (1 (2)", b"\x01\x02", b""])
def test_other_shapes_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_geometry(given)


def read(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    item, references, problems = RowReader().read(row)
    return item, references, [*problems, *PropertyLanguages("en", ["en", "da"]).apply(item)]


def test_columns_become_fields() -> None:
    row = {
        "externalId": "D-1",
        "name": "Desk",
        "name@da": "Bord",
        "capacity": 2,
        "status": "3",
        "aliases": "a; b",
        "displayType": "Office",
        "lon": "12.5",
        "lat": "55.7",
        "parentBuilding": "BLD-A",
        "parentFloor": 10,
        "_note": "not mine",
        "categories": None,
    }
    item, references, problems = read(row)
    assert not problems
    assert references == {"parentBuilding": "BLD-A", "parentFloor": "10"}
    assert item == {
        "externalId": "D-1",
        "properties": {"name@en": "Desk", "name@da": "Bord"},
        "baseTypeProperties": {"capacity": "2"},
        "status": 3,
        "aliases": ["a", "b"],
        "displayTypeId": "Office",
        "geometry": {"type": "Point", "coordinates": [12.5, 55.7]},
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"colour": "red"}, "'colour' is not a field of geodata"),
        ({"lon": 1}, "one longitude and one latitude"),
        ({"lon": "x", "lat": 2}, "lon must be a number"),
        ({"wkt": "here"}, "wkt is not WKT"),
        ({"properties": "text"}, "properties must be an object"),
        ({"name": "A", "name@en": "B"}, "'name@en' is given twice"),
        ({"name@en": "B", "properties": {"name@en": "A"}}, "'name@en' is given twice"),
    ],
)
def test_columns_that_fit_nothing_are_named(row: dict[str, Any], words: str) -> None:
    assert words in read(row)[2][0]
