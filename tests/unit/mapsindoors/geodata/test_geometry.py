"""Geometry: validity, equality and anchors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geodata import geometry

SQUARE = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [0.0, 0.0]]
HOLE = [[0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [0.5, 0.5]]
U_SHAPE = [[0, 0], [3, 0], [3, 3], [2, 3], [2, 1], [1, 1], [1, 3], [0, 3], [0, 0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [list(ring) for ring in rings]}


def point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


@pytest.mark.parametrize(
    ("shape", "base_type", "words"),
    [
        (None, None, "not a GeoJSON geometry"),
        ({"type": "LineString", "coordinates": []}, None, "must be a Point or Polygon or MultiPolygon"),
        (point(0, 0), "room", "must be a Polygon for a room"),
        (polygon(SQUARE), "poi", "must be a Point for a poi"),
        (point(55.0, 112.0), "poi", "is the order wrong"),
        ({"type": "Point", "coordinates": ["9", "57"]}, "poi", "not [longitude, latitude]"),
        (polygon(SQUARE[:-1]), "room", "open ring"),
        (polygon(SQUARE[:2]), "room", "ring of 2 positions"),
        (polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]), "room", "crosses itself"),
        (polygon([[0, 0], [2, 0], [0, 2], [2, 2], [0, 0]]), "room", "crosses itself"),
        (polygon(), "room", "has no ring"),
    ],
)
def test_bad_geometry_is_named(shape: Any, base_type: str | None, words: str) -> None:
    assert words in " ".join(geometry.problems(shape, base_type))


@pytest.mark.parametrize(
    ("shape", "base_type"),
    [
        (point(12.5, 55.7), "poi"),
        (polygon(SQUARE, HOLE), "room"),
        (polygon(U_SHAPE), "area"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE]]}, "floor"),
    ],
)
def test_good_geometry_passes(shape: Any, base_type: str) -> None:
    assert list(geometry.problems(shape, base_type)) == []


@given(
    start=st.integers(0, 7),
    backwards=st.booleans(),
    shift=st.floats(-1e-7, 1e-7, allow_nan=False),
    box=st.booleans(),
)
def test_ring_start_winding_rounding_and_bbox_make_no_difference(
    start: int, backwards: bool, shift: float, box: bool
) -> None:
    corners = U_SHAPE[:-1]
    turned = corners[start:] + corners[:start]
    turned = turned[::-1] if backwards else turned
    moved = [[x + shift, y - shift] for x, y in turned]
    other: dict[str, Any] = polygon([*moved, moved[0]])
    if box:
        other["bbox"] = [0, 0, 3, 3]
    assert geometry.is_same_place(polygon(U_SHAPE), other)


@given(corner=st.integers(0, 7), shift=st.sampled_from([1e-6, -1e-6, 0.5]), axis=st.integers(0, 1))
def test_a_moved_corner_is_a_difference(corner: int, shift: float, axis: int) -> None:
    corners = [list(position) for position in U_SHAPE[:-1]]
    corners[corner][axis] += shift
    assert not geometry.is_same_place(polygon(U_SHAPE), polygon([*corners, corners[0]]))


def test_other_kinds_and_holes_are_differences() -> None:
    assert not geometry.is_same_place(point(0, 0), polygon(SQUARE))
    assert not geometry.is_same_place(polygon(SQUARE), polygon(SQUARE, HOLE))
    assert geometry.is_same_place(polygon(SQUARE, HOLE), polygon(SQUARE, HOLE[::-1]))
    assert geometry.is_same_place(point(9.95688874041662, 57.0), point(9.9568887, 57.0))


@pytest.mark.parametrize(
    "rings", [[SQUARE], [U_SHAPE], [SQUARE, [[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5], [0.5, 0.5]]]]
)
def test_an_anchor_is_inside(rings: Any) -> None:
    shape = polygon(*rings)
    place = geometry.anchor(shape)["coordinates"]
    assert geometry.contains(geometry.polygons(shape)[0], tuple(place))


def test_the_anchor_of_a_point_is_the_point() -> None:
    assert geometry.anchor({"type": "Point", "coordinates": [9.9, 57.1, 3.0]}) == point(9.9, 57.1)
