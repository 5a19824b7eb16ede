"""Paths of parts: each part of a plan writes a file of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.files.paths.parts import part_path

PART: Any = SimpleNamespace(number=3, count=8)


@pytest.mark.parametrize(
    ("path", "template", "expected"),
    [
        ("out/", None, "out/part-00003-of-00008.jsonl"),
        ("out/{part}/", None, "out/00003-of-00008/part-00003-of-00008.jsonl"),
        ("out/x-{part}.csv", None, "out/x-00003-of-00008.csv"),
        ("out/x.csv", None, "out/x-00003-of-00008.csv"),
        ("out/x.csv.gz", None, "out/x-00003-of-00008.csv.gz"),
        ("x", None, "x-00003-of-00008"),
        ("out/x-3.csv", None, "out/x-3.csv"),
        ("out/x-03.csv", "out/x-{{ ti.map_index }}.csv", "out/x-03.csv"),
        ("out/x-3.csv", "out/x-{{ ds }}.csv", "out/x-3-00003-of-00008.csv"),
        ("out/x-2.csv", "out/x-{{ ti.map_index }}.csv", "out/x-2-00003-of-00008.csv"),
        ("out/part=3/x.csv", None, "out/part=3/x.csv"),
        ("out/x-00003-of-00008.csv", None, "out/x-00003-of-00008.csv"),
    ],
)
def test_a_part_has_a_path_of_its_own(path: str, template: str | None, expected: str) -> None:
    assert part_path(path, PART, template, ".jsonl") == expected
