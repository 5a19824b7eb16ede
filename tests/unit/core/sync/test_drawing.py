"""Drawings: shapes of all types, with numbers that link to the table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider.core.sync.drawing import Shape, area, bounds, draw
from airflow_provider.core.sync.limits import Limits


def test_all_types_of_geometries_are_drawn() -> None:
    line = [[0.0, 0.0], [1.0, 1.0]]
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    outlines = [
        {"type": "Point", "coordinates": [0.5, 0.5]},
        {"type": "MultiPoint", "coordinates": line},
        {"type": "LineString", "coordinates": line},
        {"type": "MultiLineString", "coordinates": [line, line]},
        {"type": "Polygon", "coordinates": [ring]},
        {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
    ]
    outlines.append({"type": "GeometryCollection", "geometries": outlines[:3]})
    drawn = draw([Shape("update", one, "<b>", "<i>", number) for number, one in enumerate(outlines, 1)])
    for number in range(1, len(outlines) + 1):
        assert f'href="#change-{number}"' in drawn
    assert drawn.count("<circle") == 1 + 2 + 3
    assert drawn.count('class="update line"') == 3
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert bounds(outlines[-1]) == (0, 0, 1, 1)
    assert draw([]) == ""


def square(west: float, south: float, size: float) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_smaller_shapes_are_known_by_the_area_of_their_bounds_and_each_is_a_line_of_the_drawing() -> None:
    wide = {"type": "LineString", "coordinates": [[10.0, 50.0], [14.0, 50.5]]}
    areas = [area(Shape("update", outline, "", "", 0)) for outline in (square(10.0, 50.0, 2.0), wide)]
    assert areas == [4.0, 2.0]
    head, *lines, tail = draw([Shape("update", square(0.0, 0.0, 1.0), "", "", 0)] * 3).split("\n")
    assert (head[:5], tail, len(lines)) == ("<svg ", "</svg>", 3)
    assert {line[0] + line[-1] for line in lines} == {"<>"}


@pytest.mark.parametrize(
    ("number", "size", "label", "shown"),
    [
        (7, 8.0, "Hall", ["7 Hall"]),
        (0, 8.0, "Hall", ["Hall"]),
        (7, 8.0, "x" * 300, ["7 " + "x" * 74 + "…"]),
        (0, 8.0, "x" * 300, ["x" * 76 + "…"]),
        (7, 0.5, "x" * 300, ["7"]),
        (0, 0.5, "x" * 300, []),
        (0, 8.0, "x" * 77, ["x" * 77]),
        (0, 0.83, "x" * 300, ["x" * 7 + "…"]),
        (0, 0.82, "x" * 300, []),
        (7, 0.01, "", ["7"]),
        (0, 8.0, "", []),
    ],
)
def test_a_label_has_the_number_and_as_much_of_the_name_as_fits(
    number: int, size: float, label: str, shown: list[str]
) -> None:
    frame = Shape("floor", square(0.0, 0.0, 10.0), "the frame", "", 0)
    drawn = draw([frame, Shape("update", square(1.0, 1.0, size), label, "", number)])
    assert re.findall(r"<text[^>]*>([^<]*)</text>", drawn) == shown


@pytest.mark.parametrize(
    ("east", "north", "width", "height", "path"),
    [
        (10.0, 10.0, 650, 652, "M16.0,636.0 L633.6,636.0 L633.6,16.0 L16.0,16.0 L16.0,636.0Z"),
        (40.0, 10.0, 1072, 293, "M16.0,277.0 L1056.0,277.0 L1056.0,16.0 L16.0,16.0 L16.0,277.0Z"),
    ],
)
def test_a_map_is_as_wide_or_as_high_as_allowed(
    east: float, north: float, width: int, height: int, path: str
) -> None:
    ring = [[0.0, 0.0], [east, 0.0], [east, north], [0.0, north], [0.0, 0.0]]
    drawn = draw([Shape("floor", {"type": "Polygon", "coordinates": [ring]}, "", "", 0)])
    assert f'viewBox="0 0 {width} {height}"' in drawn
    assert f'd="{path}"' in drawn


def test_labels_do_not_overlap() -> None:
    shapes = [Shape("update", square(1.0, 1.0, 8.0), f"Hall {n}", "", n) for n in range(1, 7)]
    drawn = draw([Shape("floor", square(0.0, 0.0, 10.0), "", "", 0), *shapes])
    lines = re.findall(r'<text class="changed" x="([\d.]+)" y="([\d.]+)">(\d)', drawn)
    assert [number for _, _, number in lines] == ["1", "2", "3", "4"]
    assert lines[0][:2] == ("324.8", "326.0")
    assert len({y for _, y, _ in lines}) == 4
    assert len({x for x, _, _ in lines}) == 1


@pytest.mark.parametrize(("apart", "same_line"), [(0.09, False), (0.12, True)])
def test_labels_that_fit_beside_each_other_are_on_one_line(apart: float, same_line: bool) -> None:
    # A digit is 6.4 wide, and a degree 61.8 here.
    small = [Shape("update", square(4.0 + n * apart, 4.0, 0.01), "", "", n) for n in (1, 2)]
    drawn = draw([Shape("floor", square(0.0, 0.0, 10.0), "", "", 0), *small])
    first, second = re.findall(r'<text class="changed" x="[\d.]+" y="([\d.]+)">', drawn)
    assert (first == second) is same_line


def test_a_map_far_from_zero_keeps_the_proportions_of_its_latitude() -> None:
    shapes = [Shape("update", square(10.0, 40.0, 10.0)), Shape("delete", square(20.0, 50.0, 10.0))]
    drawn = draw(shapes)
    assert 'viewBox="0 0 431 652"' in drawn
    assert 'd="M16.0,636.0 L215.3,636.0 L215.3,326.0 L16.0,326.0 L16.0,636.0Z"' in drawn
    assert 'd="M215.3,326.0 L414.5,326.0 L414.5,16.0 L215.3,16.0 L215.3,326.0Z"' in drawn
    pole = {"type": "LineString", "coordinates": [[0.0, 90.0], [100.0, 90.0]]}
    assert 'd="M16.0,16.0 L1056.0,16.0"' in draw([Shape("update", pole)])
    assert 'viewBox="0 0 652 652"' in draw([Shape("update", {"type": "Point", "coordinates": [7.0, 8.0]})])


def test_each_element_has_its_class_its_title_and_its_link() -> None:
    point = {"type": "Point", "coordinates": [10.0, 0.0]}
    line = {"type": "LineString", "coordinates": [[0.0, 0.0], [10.0, 10.0]]}
    rings = {"type": "MultiPolygon", "coordinates": [square(0.0, 0.0, 5.0)["coordinates"]] * 2}
    both = {"type": "GeometryCollection", "geometries": [point, line]}
    shapes = [
        Shape("calm", point, "", "A & B"),
        Shape("update", point, "", "", 2),
        Shape("old", line, "Old", "", 3),
        Shape("create", rings),
        Shape("moved", both, "", "T"),
    ]
    ring = "M16.0,636.0 L324.8,636.0 L324.8,326.0 L16.0,326.0 L16.0,636.0Z"
    place, path = 'cx="633.6" cy="636.0"', 'd="M16.0,636.0 L633.6,16.0"'
    assert draw(shapes).split("\n")[1:-1] == [
        f'<circle class="calm" {place} r="4"><title>A &amp; B</title></circle>',
        f'<a href="#change-2"><circle class="update" {place} r="9"></circle></a>',
        f'<a href="#change-3"><path class="old line" fill-rule="evenodd" {path}></path></a>',
        f'<path class="create" fill-rule="evenodd" d="{ring} {ring}"></path>',
        f'<circle class="moved" {place} r="4"><title>T</title></circle>'
        f'<path class="moved line" fill-rule="evenodd" {path}><title>T</title></path>',
        '<text class="changed" x="633.6" y="640.0">2</text>',
    ]


def test_changes_are_labelled_first_and_lines_are_taken_from_the_nearest_on() -> None:
    frame, inner = Shape("floor", square(0.0, 0.0, 10.0)), square(1.0, 1.0, 8.0)
    calm = [Shape("calm", inner, name) for name in ("A", "B")]
    drawn = draw([frame, *calm, Shape("update", inner, "C", "", 2), Shape("update", inner, "D", "", 1)])
    assert re.findall("<text.*", drawn) == [
        '<text class="changed" x="324.8" y="326.0">2 C</text>',
        '<text class="changed" x="324.8" y="340.0">1 D</text>',
        '<text x="324.8" y="312.0">A</text>',
        '<text x="324.8" y="354.0">B</text>',
    ]


@pytest.mark.parametrize(("number", "shown"), [(7, ["7"]), (0, [])])
def test_a_shape_that_is_too_flat_for_a_line_has_no_name(number: int, shown: list[str]) -> None:
    ring = [[1.0, 1.0], [9.0, 1.0], [9.0, 1.1], [1.0, 1.1], [1.0, 1.0]]
    flat = Shape("update", {"type": "Polygon", "coordinates": [ring]}, "A", "", number)
    drawn = draw([Shape("floor", square(0.0, 0.0, 10.0)), flat])
    assert re.findall(r"<text[^>]*>([^<]*)</text>", drawn) == shown


def test_each_limit_has_a_sentence() -> None:
    limits = Limits(max_changes=1, max_deletes=0, max_delete_ratio=0.1)
    found = limits.exceeded(changes=2, deletes=1, removals=1, compared=5, removed="rows would go")
    assert found == [
        "2 changes are more than max_changes=1",
        "1 deletions are more than max_deletes=0",
        "1 of 5 compared rows would go, more than max_delete_ratio=0.1",
    ]
    assert Limits().exceeded(changes=9, deletes=0, removals=0, compared=0) == []
