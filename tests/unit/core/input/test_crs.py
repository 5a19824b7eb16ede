"""Of the coordinate systems that a GeoJSON names, those of longitude and latitude are accepted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.input.crs import named_crs_problem


def named(name: Any, member: str = "name") -> dict[str, Any]:
    return {"type": "name", "properties": {member: name}}


@pytest.mark.parametrize(
    "crs",
    [
        None,
        named("urn:ogc:def:crs:OGC:1.3:CRS84"),
        named("urn:ogc:def:crs:OGC::crs84h"),
        named("EPSG:4326"),
        named("EPSG:4979"),
        named("http://www.opengis.net/def/crs/EPSG/0/4326", "href"),
    ],
    ids=str,
)
def test_degrees_are_accepted(crs: Any) -> None:
    assert named_crs_problem(crs) == ""


@pytest.mark.parametrize(
    ("crs", "what"),
    [
        (named("EPSG:3857"), "SRID 3857"),
        (named("urn:ogc:def:crs:EPSG::25832"), "SRID 25832"),
        (named("https://epsg.example/4326x"), "the coordinate system https://epsg.example/4326x"),
        (named("L" * 90), f"the coordinate system {'L' * 80}"),
        (named("OGC:CRS84x"), "the coordinate system OGC:CRS84x"),
        ("EPSG:4326", "the coordinate system None"),
        ({"properties": "EPSG:4326"}, "the coordinate system None"),
        ({"name": "EPSG:4326"}, "the coordinate system None"),
    ],
    ids=str,
)
def test_any_other_system_is_named_in_the_problem(crs: Any, what: str) -> None:
    assert named_crs_problem(crs) == (
        f"has {what}, but longitude and latitude are needed; select ST_Transform(geom, 4326), or reproject"
        " the file to EPSG:4326"
    )
