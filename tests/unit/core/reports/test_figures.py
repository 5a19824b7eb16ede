"""The figures of a report are true for any rows, and no earlier page or store spoils them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.core.reports.earlier import read_report, report_path
from airflow_provider.core.reports.profile import Column, Table
from airflow_provider.core.reports.report import Subject, open_report
from airflow_provider.core.reports.rows import Focus
from airflow_provider.core.reports.texts import key_text
from airflow_provider.warehouse.report import subject_of, write_report
from tests.support.per_asset import PerAsset
from tests.unit.core.reports.test_report import Ti, manifest, opened, page_of, task, write

POINT = {"type": "Point", "coordinates": [1, 2]}


def table_of(path: Path) -> Table:
    profile = read_report(report_path(str(path)))
    assert profile is not None
    (table,) = profile.tables
    return table


def column_of(path: Path, name: str) -> Column:
    column = table_of(path).column(name)
    assert column is not None
    return column


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Any:
    report = opened(path)
    report.add_lines(b"\n".join(json.dumps(row).encode() for row in rows))
    return report.finish(manifest(path, len(rows)))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", ""])
def test_a_column_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = [{name: "x" * 100, "n": number} for number in range(3_000)]
    assert write_lines(tmp_path / "a.jsonl", rows)["report"]
    assert [column.filled for column in table_of(tmp_path / "a.jsonl").columns] == [3_000, 3_000]


@pytest.mark.parametrize("add", [write, write_lines])
def test_rows_without_the_time_are_counted_when_they_lack_the_field_too(tmp_path: Path, add: Any) -> None:
    rows = [{"at": "2026-01-01", "n": "x" * 90}, {"n": ""}, {"at": None}, {"at": "?"}] * 1_500
    add(tmp_path / "a.jsonl", rows)
    assert table_of(tmp_path / "a.jsonl").days == {"2026-01-01": 1_500}
    assert table_of(tmp_path / "a.jsonl").not_days == 4_500
    assert "4,500 rows without such a time" in page_of(tmp_path / "a.jsonl")


def test_a_time_that_comes_late_is_counted_by_day(tmp_path: Path) -> None:
    report = opened(tmp_path / "a.jsonl")
    for rows in ([{"n": 1}] * 1_000, [{"at": "2026-01-01"}] * 5):
        report.add_rows(rows)
    report.finish(manifest(tmp_path / "a.jsonl", 1_005))
    table = table_of(tmp_path / "a.jsonl")
    assert (table.days, table.not_days) == ({"2026-01-01": 5}, 1_000)


def test_years_that_are_not_drawn_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"at": f"{year:04}-01-01"} for year in range(1, 2_001)])
    assert "1,900 rows of the years before" in page_of(tmp_path / "a.jsonl")


def test_large_integers_are_exact_and_no_change(tmp_path: Path) -> None:
    rows = [{"id": 9_007_199_254_740_993 + number} for number in range(3)]
    for _ in range(2):
        write(tmp_path / "a.jsonl", rows)
    assert "are as they were" in page_of(tmp_path / "a.jsonl")
    assert "9,007,199,254,740,993" in page_of(tmp_path / "a.jsonl")
    assert column_of(tmp_path / "a.jsonl", "id").numbers == (2**53 + 1, 2**53 + 3)


def test_a_range_that_moves_a_little_shows_how(tmp_path: Path) -> None:
    for least in (0.123411, 0.123412):
        write(tmp_path / "a.jsonl", [{"n": least}, {"n": 1.5}])
    assert "0.123411 to 1.5" in page_of(tmp_path / "a.jsonl")
    assert "0.123412 to 1.5" in page_of(tmp_path / "a.jsonl")


def test_different_numbers_have_different_texts() -> None:
    numbers = [0.12341, 0.12342, 1e15, 1e15 + 1, 2**63, 2**63 + 1, 1e-9, 1.0000001e-9, 1e308, True, 12]
    assert len({key_text(number) for number in numbers}) == len(numbers)
    assert [key_text(number) for number in (10**5000, -(10**5000), 1e309, 1234.5)] == [
        "beyond 1.8e+308",
        "beyond -1.8e+308",
        "beyond 1.8e+308",
        "1,234.5",
    ]


def legend(page: str) -> list[str]:
    (found,) = re.findall(r'<p class="legend">(.*?)</p>', page)
    return re.findall(r'<span class="chip (.*?)">(?:<bdi>)?(.*?)(?:</bdi>)?</span>', found)


@pytest.mark.parametrize(
    ("types", "shown"),
    [
        ([True, False], ["true", "false"]),
        ([1_000, 2_000], ["1,000", "2,000"]),
        ([0.12341, 2], ["0.12341", "2"]),
        (["x" * 70, "y" * 90], ["x" * 70, "y" * 79 + "…"]),
        (["", "a"], ["<i>empty text</i>", "a"]),
        ([10**5000, 2], ["beyond 1.8e+308", "2"]),
        (["a", "b", None], ["a", "b", "others"]),
        (["a", "b", []], []),
    ],
    ids=["booleans", "integers", "numbers", "long", "empty", "huge", "null", "lists"],
)
def test_the_map_has_the_colours_of_the_types_as_they_are_counted(
    tmp_path: Path, types: list[Any], shown: list[str]
) -> None:
    rows = [{"type": kind, "g": POINT} for kind in types]
    assert write(tmp_path / "a.jsonl", rows)["report"]
    page = page_of(tmp_path / "a.jsonl")
    assert [name for _, name in legend(page)] == shown if shown else "legend" not in page.split("</style>")[1]


def test_the_map_has_the_types_of_the_column_by_which_rows_are_counted(tmp_path: Path) -> None:
    focus = Focus(types=("type", "category"), geometries=("g",))
    path = tmp_path / "a.jsonl"
    report = open_report(task(), {}, str(path), Subject("T", "S", focus))
    assert report is not None
    report.add_rows([{"type": "same", "category": kind, "g": POINT} for kind in "aab"])
    report.finish(manifest(path, 3))
    assert legend(page_of(path)) == [("c0", "a"), ("c1", "b")]


def test_columns_that_are_not_all_counted_are_over_a_number(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{f"c{number}": 1 for number in range(12_000)}])
    assert "<b>over 10,200</b>columns" in page_of(tmp_path / "a.jsonl")
    assert "And over 10,000 columns more" in page_of(tmp_path / "a.jsonl")


def test_a_report_that_did_not_see_all_rows_is_none(tmp_path: Path) -> None:
    report = opened(tmp_path / "a.jsonl")
    report.add_rows([{"a": 1}])
    result = report.finish(manifest(tmp_path / "a.jsonl", 2))
    assert (result["report"], result["report_error"]) == (None, "1 of 2 rows were observed")
    assert not Path(report.uri).exists()


def test_a_state_store_that_fails_leaves_the_comparison_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def get(self, *_: Any) -> Any:
            raise RuntimeError("no API server")

    asset, path = Asset("a", uri="x-test://a"), tmp_path / "a.jsonl"
    context = {"ti": Ti(), "asset_state_store": PerAsset(Broken)}
    report = open_report(task(asset), context, str(path), Subject("T", "S"))
    assert report is not None
    report.add_rows([{"a": 1}])
    assert report.finish(manifest(path, 1))["report"]
    assert "location of the last report cannot be read" in caplog.text


def parts_of(tmp_path: Path, *parts: list[dict[str, Any]]) -> list[Any]:
    found = []
    for number, rows in enumerate(parts):
        path = tmp_path / f"part-{number}.jsonl"
        result = write(path, rows, is_part=True)
        found.append(SimpleNamespace(report=result["report"], label=f"part {number}", rows=len(rows)))
    return found


def merged(tmp_path: Path, parts: list[Any]) -> Any:
    path = str(tmp_path / "m.json")
    report = open_report(task(), {}, path, subject_of(path))
    assert report is not None
    return write_report(report, manifest(path, sum(part.rows for part in parts)), parts)


def test_values_that_look_alike_are_not_merged_into_one(tmp_path: Path) -> None:
    rows = [
        {"url": f"x://{'x' * 80}{number}", "n": 0.1234 + number / 100_000, "id": 10**17 + number}
        for number in range(10)
    ]
    merged(tmp_path, parts_of(tmp_path, rows[:6], rows[4:]))
    found = {name: column_of(tmp_path / "m.json", name) for name in rows[0]}
    assert (found["url"].distinct, found["url"].is_more) == (6, True)
    assert (found["n"].distinct, found["n"].is_more) == (10, False)
    assert (found["id"].distinct, found["id"].is_more) == (10, False)


def test_rows_of_a_part_without_any_time_are_counted(tmp_path: Path) -> None:
    merged(tmp_path, parts_of(tmp_path, [{"n": 1}] * 4, [{"at": "2026-01-01"}, {"at": "?"}]))
    table = table_of(tmp_path / "m.json")
    assert (table.days, table.not_days) == ({"2026-01-01": 1}, 5)


def test_a_day_that_is_none_is_no_markup_of_the_whole(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, [{"at": "2026-01-01"}])
    page = Path(parts[0].report)
    page.write_text(page.read_text().replace('"2026-01-01":1', r'"\u003cscript\u003e/*":1'))
    result = merged(tmp_path, parts)
    assert result["report"] is None
    assert "a day is none" in result["report_error"]
