"""Partitions: the columns in the names of folders, and whether a row's own value is the same."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider.core.files.paths.partitions import agrees, partition_of


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/b.csv", {}),
        ("s3://bucket/year=2026/month=01/a=b.csv", {"year": "2026", "month": "01"}),
        ("x=__HIVE_DEFAULT_PARTITION__/a.csv", {"x": None}),
        ("x%20y=a%3Db/a.csv", {"x y": "a=b"}),
        ("x=a=b/a.csv", {"x": "a=b"}),
        ("x=/a.csv", {"x": ""}),
        ("=5/a.csv", {}),
        ("a=1://b/c.csv", {}),
    ],
)
def test_columns_are_in_the_names_of_folders(path: str, found: dict[str, Any]) -> None:
    assert partition_of(path) == found


@pytest.mark.parametrize(
    ("value", "text", "same"),
    [
        (None, None, True),
        (None, "", False),
        ("", None, False),
        (True, "TRUE", True),
        (True, "1", False),
        (False, "false", True),
        (1, "01", True),
        (1.5, "1.50", True),
        (Decimal("1.5"), "1.6", False),
        (1, "one", False),
        ("01", "1", False),
        ("a", "a", True),
        (date(2026, 1, 31), "2026-01-31", True),
        (time(1, 2), "01:02:00", True),
        (datetime(2026, 1, 31, 1), "2026-01-31T01:00:00", True),
        (datetime(2026, 1, 31, 1), "2026-01-31 01:00:00", True),
        (datetime(2026, 1, 31, 1), "2026-01-31", False),
        ([1], "[1]", True),
        (b"x", "x", False),
    ],
    ids=repr,
)
def test_a_value_of_a_row_is_compared_with_the_folders_text(value: Any, text: str | None, same: bool) -> None:
    assert agrees(value, text) is same
