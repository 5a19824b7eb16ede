"""The chart of days: bars where rows are, gaps where none are."""

from __future__ import annotations

import re

import pytest

from airflow_provider.core.reports.charts import WIDEST_GAP, day_chart
from airflow_provider.core.reports.days import count_between


def lefts(chart: str, css: str) -> list[float]:
    """Return the left ends of the bars, or of the gaps."""
    return [float(left) for left in re.findall(rf'class="{css}" x="([\d.]+)"', chart)]


def test_days_without_rows_leave_a_gap() -> None:
    chart = day_chart({"2026-02-27": 5, "2026-02-28": 4, "2026-03-02": 3})
    assert lefts(chart, "bar") == [0.1, 1.1, 3.1]
    assert lefts(chart, "gap") == [2.1]
    assert "2026-02-27 to 2026-03-02, at most 5 rows a day, 1 day without rows<" in chart


def test_days_in_a_row_have_no_gap() -> None:
    chart = day_chart({"2026-12-31": 1, "2027-01-01": 1})
    assert (lefts(chart, "bar"), lefts(chart, "gap")) == ([0.1, 1.1], [])
    assert "without rows" not in chart


def test_a_long_gap_is_no_wider_than_some_bars() -> None:
    chart = day_chart({"1970-01-01": 1, "2026-01-01": 9})
    assert lefts(chart, "bar") == [0.1, 1.1 + WIDEST_GAP]
    assert "20,453 days without rows</title>" in chart


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ("2026-01-31", "2026-02-01", 0),
        ("2024-02-28", "2024-03-01", 1),
        ("2025-12", "2026-03", 2),
        ("1999", "2026", 26),
        ("2026-02-30", "2026-03-03", 0),
        ("0000-01-01", "0001-01-02", 0),
    ],
)
def test_periods_between_two_are_counted_by_the_calendar(first: str, second: str, count: int) -> None:
    assert count_between(first, second) == count
