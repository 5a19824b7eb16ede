"""Drawings: shapes of all types, with numbers that link to the table."""

from __future__ import annotations

from airflow_provider.core.sync.drawing import Shape, bounds, draw
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


def test_each_limit_has_a_sentence() -> None:
    limits = Limits(max_changes=1, max_deletes=0, max_delete_ratio=0.1)
    found = limits.exceeded(changes=2, deletes=1, removals=1, compared=5, removed="rows would go")
    assert found == [
        "2 changes are more than max_changes=1",
        "1 deletions are more than max_deletes=0",
        "1 of 5 compared rows would go, more than max_delete_ratio=0.1",
    ]
    assert Limits().exceeded(changes=9, deletes=0, removals=0, compared=0) == []
