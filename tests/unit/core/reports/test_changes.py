"""Changes since the last export, and the profiles of parts as one."""

from __future__ import annotations

import random
from typing import Any

from airflow_provider.core.reports.changes import Change, changes
from airflow_provider.core.reports.merge import merge_tables
from airflow_provider.core.reports.profile import VERSION, Profile, Table
from airflow_provider.core.reports.rows import ColumnBudget, Focus, RowObserver

FOCUS = Focus(times=("at",), types=("type",), geometries=("g",))


def table(rows: list[dict[str, Any]], name: str = "") -> Table:
    observer = RowObserver(FOCUS, ColumnBudget(), name)
    observer.add(rows)
    return observer.profile()


def profile(rows: list[dict[str, Any]], **more: Any) -> Profile:
    return Profile(VERSION, "t", "s", "u", "now", rows=len(rows), tables=[table(rows)], **more)


def differences(before: list[dict[str, Any]], now: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    found = changes(profile(before), profile(now, **more))
    return {change.what: (change.before, change.now) for change in found}


def test_equal_exports_have_no_changes() -> None:
    rows = [{"a": number, "b": "x", "at": "2026-01-01"} for number in range(10)]
    assert differences(rows, rows) == {}


def test_rows_columns_types_ranges_nulls_values_and_days_that_differ_are_named() -> None:
    before = [{"gone": 1, "n": 1, "v": "a", "at": "2026-01-01", "k": 1}] * 10
    now = [{"came": True, "n": 9, "v": "b", "at": "2026-01-02", "k": "x"}] * 14
    now += [{"came": True, "n": None, "v": "b", "at": "2026-01-02", "k": "x"}]
    assert differences(before, now) == {
        "rows": ("10", "15 (+5, +50%)"),
        "column came": ("not there", "boolean"),
        "column gone": ("integer", "not there"),
        "n: without a value": ("0 (0%)", "1 (7%)"),
        "n: range": ("1 to 1", "9 to 9"),
        "n: new values": ("not there", "9"),
        "n: values that are gone": ("1", "not there"),
        "v: new values": ("not there", "b"),
        "v: values that are gone": ("a", "not there"),
        "at: new values": ("not there", "2026-01-02"),
        "at: values that are gone": ("2026-01-01", "not there"),
        "k: types": ("integer", "text"),
        "k: new values": ("not there", "x"),
        "k: values that are gone": ("1", "not there"),
        "at: new days": ("not there", "2026-01-02"),
        "at: days that are gone": ("2026-01-01", "not there"),
    }


def test_a_slice_is_not_blamed_for_the_days_that_it_does_not_have() -> None:
    before = [{"at": f"2026-01-{day:02}T10:{minute:02}"} for day in range(1, 9) for minute in range(60)]
    now = [{"at": f"2026-02-01T10:{minute:02}"} for minute in range(60)]
    assert "at: days that are gone" in differences(before, now)
    assert "at: days that are gone" not in differences(before, now, is_slice=True)


def test_a_table_that_came_or_went_is_named() -> None:
    before = Profile(VERSION, "t", "s", "u", "now", tables=[table([{"a": 1}], "A"), table([{"a": 1}], "B")])
    now = Profile(VERSION, "t", "s", "u", "now", tables=[table([{"a": 1}], "B"), table([{"a": 1}], "C")])
    assert changes(before, now) == [
        Change("C: table", "not there", "1 row"),
        Change("A: table", "1 row", "not there"),
    ]


def test_parts_that_are_merged_are_the_profile_of_all_rows() -> None:
    random.seed(2)
    rows = [
        {
            "n": random.choice([None, 1, 2.5, -7]),
            "type": random.choice("abc"),
            "at": f"2026-01-{random.randint(1, 28):02}",
            "long": f"{random.random()}",
            "g": {"type": "Point", "coordinates": [random.random(), 1]},
        }
        for _ in range(900)
    ]
    merged = merge_tables([table(rows[at : at + 300]) for at in range(0, 900, 300)])
    whole = table(rows)
    for column, expected in zip(merged.columns, whole.columns, strict=True):
        assert (column.kinds, column.nulls, column.numbers) == (
            expected.kinds,
            expected.nulls,
            expected.numbers,
        )
        assert (column.times, column.lengths) == (expected.times, expected.lengths)
        assert column.as_values() == expected.as_values() or column.name == "long"
    assert merged.column("long").is_more  # type: ignore[union-attr]
    assert (merged.rows, merged.days, merged.type_columns) == (900, whole.days, ["type"])
    assert len(merged.outlines) == 900
