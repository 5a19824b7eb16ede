"""Rows are observed by column, day and place: exactly, and with bounds."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from airflow_provider.core.reports.days import MOST_DAYS, DayCounts, fold_to
from airflow_provider.core.reports.profile import Table
from airflow_provider.core.reports.rows import MOST_COLUMNS, ColumnBudget, Focus, RowObserver
from airflow_provider.core.reports.shapes import MOST_SHAPES, ShapeSample, of_geojson, simplify


def observe(*batches: list[dict[str, Any]], focus: Focus | None = None) -> Table:
    observer = RowObserver(focus or Focus(), ColumnBudget())
    for batch in batches:
        observer.add(batch)
    return observer.profile()


def test_a_missing_field_is_not_a_null_and_a_late_column_is_seen() -> None:
    found = observe([{"a": 1, "b": 2}, {"a": None}], [{"a": 3, "c": 4}], [{}, {"b": 5, "a": 6}])
    columns = {column.name: (column.filled, column.nulls) for column in found.columns}
    assert columns == {"a": (3, 1), "b": (2, 0), "c": (1, 0)}
    assert found.rows == 5


@pytest.mark.parametrize("names", [["a"], ["a", "b"], list("abcdef")])
def test_rows_of_one_shape_are_read_like_rows_of_many(names: list[str]) -> None:
    rows = [dict.fromkeys(names, number) for number in range(100)]
    alike = observe(rows[:50], rows[50:])
    mixed = observe(rows[:50], [*rows[50:], {}])
    assert [column.filled for column in alike.columns] == [100] * len(names)
    assert alike.columns == mixed.columns


def test_of_two_thousand_columns_some_are_observed_and_the_others_counted() -> None:
    row = {f"column {number}": number for number in range(2_000)}
    found = observe([row] * 3, [row] * 2)
    assert len(found.columns) == MOST_COLUMNS
    assert found.more_columns == 2_000 - MOST_COLUMNS
    assert all(column.filled == 5 for column in found.columns)


def test_the_first_named_column_of_times_is_counted_by_day() -> None:
    focus = Focus(times=("at", "created"))
    rows: list[dict[str, Any]] = [
        {"created": "2020-01-01", "at": "2026-01-02T10:00:00Z"},
        {"created": "2020-01-01", "at": "2026-01-02 11:00"},
        {"created": "2020-01-01", "at": "never<b>"},
        {"created": "2020-01-01", "at": None},
        {"created": "2020-01-01", "at": 17},
    ]
    found = observe(rows, focus=focus)
    assert (found.day_column, found.days, found.not_days) == ("at", {"2026-01-02": 2}, 3)


def test_more_days_than_the_limit_become_months() -> None:
    counts = DayCounts("at")
    first = date(1990, 1, 1)
    days = [str(first + timedelta(days=number)) for number in range(MOST_DAYS + 300)]
    counts.add(days[:MOST_DAYS])
    assert len(counts.days) == MOST_DAYS
    counts.add(days[MOST_DAYS:])
    assert counts.days == Counter(day[:7] for day in days)


def test_bars_are_days_months_or_years_as_fits() -> None:
    days = {f"2026-{month:02}-{day:02}": 1 for month in range(1, 13) for day in range(1, 29)}
    assert len(fold_to(days, 400)) == 336
    assert fold_to(days, 100) == {f"2026-{month:02}": 28 for month in range(1, 13)}
    assert fold_to(days, 5) == {"2026": 336}
    assert fold_to({}, 5) == {}


def point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


def test_a_map_has_an_even_sample_of_all_rows() -> None:
    sample = ShapeSample("g", ("type",), of_geojson)
    total = 50_000
    rows = [{"g": point(number / total * 100, 1), "type": "t"} for number in range(total)]
    for start in range(0, total, 777):
        sample.add(rows[start : start + 777])
    outlines, off_map = sample.outlines()
    assert MOST_SHAPES / 2 <= len(outlines) <= MOST_SHAPES
    assert off_map == 0
    xs = [outline.shape["coordinates"][0][0] for outline in outlines]
    gaps = {round(after - before, 3) for before, after in itertools.pairwise(xs)}
    assert max(gaps) < 0.1
    assert xs[-1] > 99


@pytest.mark.parametrize(
    "shape",
    [
        {},
        "POINT(1 2)",
        point(500, 0),
        point(float("nan"), 0),
        {"type": "Point", "coordinates": []},
        {"type": "Polygon", "coordinates": "abc"},
        {"type": "Curve", "coordinates": [[1, 2]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point"}]},
        {"type": "Point", "coordinates": [{"x": 1}, 2]},
    ],
)
def test_what_is_no_place_is_left_out_of_the_map(shape: Any) -> None:
    found = observe([{"g": shape}, {"g": point(1, 2)}], focus=Focus(geometries=("g",)))
    assert (len(found.outlines), found.off_map) == (1, 1)


def test_collections_within_collections_without_end_are_no_place() -> None:
    shape: dict[str, Any] = point(1, 2)
    for _ in range(100_000):
        shape = {"type": "GeometryCollection", "geometries": [shape]}
    assert observe([{"g": shape}], focus=Focus(geometries=("g",))).off_map == 1


def test_a_geometry_of_a_million_positions_becomes_a_small_one() -> None:
    ring = [[number % 1000 / 10, number / 1e5] for number in range(800_000)]
    found = simplify({"type": "MultiPolygon", "coordinates": [[ring], [ring[::2]]]}, 600)
    assert found["type"] == "Polygon"
    assert sum(map(len, found["coordinates"])) <= 610
    assert len(json.dumps(found)) < 20_000


def test_lines_of_any_shapes_are_read_like_rows() -> None:
    dice = random.Random(3)
    focus = Focus(times=("at",), types=("a",), geometries=("g",))
    rows: list[dict[str, Any]] = []
    for number in range(4_000):
        row: dict[str, Any] = {"a": dice.choice("xyz"), "at": f"2026-01-{number % 28 + 1:02}", "b": number}
        row |= {"g": point(number % 90, 1)} if number % 3 else {"g": None}
        if 1_000 < number < 1_400 or dice.random() < 0.001:
            row[dice.choice(["b", "c", "</x>", "a b"])] = dice.choice([None, 1, "x" * 300, [1], True])
        if dice.random() < 0.001:
            del row["a"]
        rows.append(row)
    observer = RowObserver(focus, ColumnBudget())
    for start in range(0, 4_000, 1_000):
        observer.add_lines(b"\n".join(json.dumps(row).encode() for row in rows[start : start + 1_000]))
    found, expected = observer.profile(), observe(rows, focus=focus)
    assert sorted(found.columns, key=by_name) == sorted(expected.columns, key=by_name)
    assert (found.rows, found.days, found.not_days) == (expected.rows, expected.days, expected.not_days)
    assert len(found.outlines) > 1_000


def by_name(column: Any) -> str:
    return str(column.name)
