"""A report is written beside the file, compares itself with the last one, and never fails an export."""

from __future__ import annotations

import json
import logging
import os
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.core.reports.earlier import read_report, report_path
from airflow_provider.core.reports.report import Report, Subject, open_report
from airflow_provider.core.reports.rows import Focus
from airflow_provider.errors import InputError
from tests.support.state_store import FakeAssetStateStores

FOCUS = Focus(times=("at",), types=("type",), geometries=("g",))
ROWS = [
    {"id": number, "type": "a" if number % 3 else "b", "at": "2026-01-02T10:00:00Z"} for number in range(30)
]


class Ti(SimpleNamespace):
    """Task instance that records its XComs."""

    def __init__(self, run: str = "run 1") -> None:
        super().__init__(dag_id="dag", task_id="export", run_id=run, map_index=-1, xcoms={})

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def task(*outlets: Any) -> Any:
    return SimpleNamespace(report=True, outlets=outlets, log=logging.getLogger("task"))


def opened(path: Path | str, context: Any = None, **more: Any) -> Report:
    found = open_report(task(), context or {}, str(path), Subject("T", "S", FOCUS, **more))
    assert found is not None
    return found


def manifest(path: Path | str, rows: int) -> dict[str, Any]:
    return {"uri": str(path), "format": "jsonl", "rows": rows, "bytes": 10, "files": [{}]}


def write(path: Path | str, rows: list[dict[str, Any]], **more: Any) -> Any:
    report = opened(path, **more)
    report.add_rows(rows)
    return report.finish(manifest(path, len(rows)))


def page_of(path: Path | str) -> str:
    return Path(report_path(str(path))).read_text()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/rows.jsonl", "a/rows.jsonl.report.html"),
        ("a/rows.csv.gz", "a/rows.csv.report.html"),
        ("s3://b/rows.parquet", "s3://b/rows.parquet.report.html"),
        ("tables/", "tables/tables.report.html"),
    ],
)
def test_the_page_stands_beside_the_file(path: str, expected: str) -> None:
    assert report_path(path) == expected


def test_without_the_argument_there_is_no_report(tmp_path: Path) -> None:
    given = SimpleNamespace(report=False, log=logging.getLogger("task"))
    assert open_report(given, {}, str(tmp_path / "a.jsonl"), Subject("T", "S")) is None


def test_the_result_and_the_xcom_name_the_page_and_its_fingerprint(tmp_path: Path) -> None:
    path, ti = tmp_path / "a.jsonl", Ti()
    result = write(path, ROWS, context={"ti": ti})
    assert result == {**manifest(path, 30), "report": f"{path}.report.html"}
    location, _, mark = ti.xcoms["report_page"].rpartition("#")
    assert location == result["report"]
    assert page_of(path).startswith(f'<!doctype html><html lang="en" data-report="{mark}">')


def test_the_page_has_counts_a_chart_of_days_and_types_and_all_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    page = page_of(tmp_path / "a.jsonl")
    assert "<b>30</b>rows" in page
    assert "<title>2026-01-02: 30 rows</title>" in page
    assert re.search(r"Rows by <bdi>type</bdi>.*<bdi>a</bdi>.*20 .*67%.*<bdi>b</bdi>.*10 ", page, re.S)
    for name in ROWS[0]:
        assert f"<b><bdi>{name}</bdi></b>" in page
    assert "There is no earlier report" in page


def test_lines_and_rows_make_the_same_profile(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", ROWS)
    report = opened(tmp_path / "lines.jsonl")
    report.add_lines(b"\n".join(json.dumps(row).encode() for row in ROWS))
    report.finish(manifest(tmp_path / "lines.jsonl", 30))
    first, second = (read_report(report_path(str(tmp_path / f"{n}.jsonl"))) for n in ("rows", "lines"))
    assert first is not None
    assert second is not None
    assert first.tables == second.tables


def test_the_next_report_says_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, ROWS)
    write(path, [*ROWS, {"id": 99, "type": "new"}])
    page = page_of(path)
    assert "<b>+1</b>since the last export" in page
    assert "<bdi>type: new values</bdi>" in page
    write(path, [*ROWS, {"id": 99, "type": "new"}])
    assert "are as they were" in page_of(path)


def test_a_slice_says_that_it_is_one(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS, is_slice=True)
    assert "The file is a slice" in page_of(tmp_path / "a.jsonl")


def test_a_path_with_a_date_is_compared_with_the_page_that_the_last_run_stored(tmp_path: Path) -> None:
    stores, asset = FakeAssetStateStores(), Asset("assets", uri="x-test://assets")

    def run(name: str, rows: list[dict[str, Any]]) -> str:
        context = {"ti": Ti(name), "asset_state_store": stores}
        path = tmp_path / f"{name}.jsonl"
        report = open_report(task(asset), context, str(path), Subject("T", "S", FOCUS))
        assert report is not None
        report.add_rows(rows)
        report.finish(manifest(path, len(rows)))
        return page_of(path)

    assert "There is no earlier report" in run("monday", ROWS)
    assert "<b>−10</b>since the last export" in run("tuesday", ROWS[:20])
    # A run that is repeated has the same page before it.
    assert "<b>−11</b>since the last export" in run("tuesday", ROWS[:19])
    assert "<b>+1</b>since the last export" in run("wednesday", ROWS[:20])


@pytest.mark.parametrize(
    "content", [b"", b'<!doctype html><html lang="en" data-report="x">', None, b"cut"], ids=str
)
def test_a_damaged_earlier_report_is_a_warning_and_no_comparison(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    write(path, ROWS)
    page = Path(report_path(str(path)))
    whole = page.read_bytes()
    damaged = whole.replace(b'"version":1', b'"version":99') if content is None else content
    page.write_bytes(whole[:-200] if content == b"cut" else damaged)
    result = write(path, ROWS)
    assert result["report"] == str(page)
    assert "cannot be read" in caplog.text
    assert "The earlier report cannot be read" in page.read_text()
    assert read_report(str(page)) is not None


@pytest.mark.parametrize("kind", ["folder", "other file", "report of another file"])
def test_a_path_that_is_taken_is_refused_before_the_export(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jsonl"
    page = Path(report_path(str(path)))
    if kind == "folder":
        page.mkdir()
    elif kind == "other file":
        page.write_text("<html>mine</html>")
    else:
        write(tmp_path / "a.jsonl.gz", ROWS)
    before = None if kind == "folder" else page.read_bytes()
    with pytest.raises(InputError, match="report"):
        opened(path)
    assert kind == "folder" or page.read_bytes() == before


def test_a_page_that_cannot_be_written_does_not_fail_the_export(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    report = opened(path)
    report.add_rows(ROWS)
    Path(report.uri).mkdir()
    result = report.finish(manifest(path, 30))
    assert result["report"] is None
    assert "IsADirectoryError" in result["report_error"]
    assert [record.levelname for record in caplog.records if "no report" in record.message] == ["ERROR"]
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


def test_rows_that_cannot_be_observed_do_not_fail_the_export(tmp_path: Path) -> None:
    report = opened(tmp_path / "a.jsonl")
    report.add_lines(b'{"a": 1}\nnot JSON')
    report.add_lines(b'{"a": 1}')
    result = report.finish(manifest(tmp_path / "a.jsonl", 30))
    assert result["report"] is None
    assert "the rows cannot be observed" in result["report_error"]


class Reader(HTMLParser):
    """Reader that notes the tags of a page, and the text that is no data."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.data.append(data)


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "a\u202eb\u0000\u0007\x1b[31m\n\r",
    "\ud800",
    "x" * 100_000,
    "<!-- ",
    "&lt;",
]


def test_hostile_values_names_and_titles_are_texts(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"type": value, value: value} for value in HOSTILE]
    rows += [{"type": value, "n": 10**400, "nan": float("nan"), "deep": {"a": [{}] * 9}} for value in HOSTILE]
    path = tmp_path / "a.jsonl"
    subject = Subject(HOSTILE[1], HOSTILE[0], Focus(times=("type",), types=("type",)))
    for _ in range(2):
        report = open_report(task(), {}, str(path), subject)
        assert report is not None
        report.add_rows(rows)
        assert report.finish(manifest(path, len(rows)))["report"]
        rows = rows[:-3]
    page = page_of(path)
    reader = Reader()
    reader.feed(page)
    assert reader.tags & {"img", "iframe", "link", "object", "form", "a"} == set()
    assert not {name for name in reader.attributes if name.startswith("on") or name in ("src", "href")}
    assert page.count("<script") == page.count("</script>") == 1
    assert not re.search("[\u202e\u0000\u0007\x1b\r]", page)
    assert len(page) < 200_000


@pytest.mark.slow
def test_the_page_is_bounded_whatever_the_rows_are(tmp_path: Path) -> None:
    ring = [[number % 360 - 180, number % 180 - 90] for number in range(3_000)]
    rows = [
        {
            "g": {"type": "Polygon", "coordinates": [ring]},
            **{f"c{column}": f"{'y' * 200}{(number + column) % 40}" for column in range(250)},
        }
        for number in range(300)
    ]
    write(tmp_path / "a.jsonl", rows)
    assert Path(report_path(str(tmp_path / "a.jsonl"))).stat().st_size < 4_000_000


def test_a_path_with_credentials_is_not_in_the_page(tmp_path: Path) -> None:
    report = opened(tmp_path / "a.jsonl")
    report._output_path = "s3://key:secret@bucket/a.jsonl"
    report.add_rows(ROWS)
    report.finish(manifest("s3://key:secret@bucket/a.jsonl", 30))
    assert "secret" not in page_of(tmp_path / "a.jsonl")


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    report = opened(tmp_path / "a.jsonl")

    def add(batch: int) -> None:
        rows = (
            {
                "id": f"{batch}-{number}",
                "type": f"t{number % 5}",
                "at": f"2026-01-{number % 28 + 1:02}",
                "text": f"{batch}-{number}" * 40,
                "g": {"type": "Point", "coordinates": [number % 180, batch % 90]},
            }
            for number in range(1_000)
        )
        report.add_lines(b"\n".join(json.dumps(row).encode() for row in rows))

    tracemalloc.start()
    try:
        for batch in range(5):
            add(batch)
        before = tracemalloc.get_traced_memory()[0]
        for batch in range(5, 40):
            add(batch)
        assert tracemalloc.get_traced_memory()[0] - before < 500_000
    finally:
        tracemalloc.stop()
    assert report.finish(manifest(tmp_path / "a.jsonl", 40_000))["report"]


def test_a_location_that_cannot_be_stored_leaves_the_page(tmp_path: Path) -> None:
    class Broken(Ti):
        def xcom_push(self, key: str, value: Any) -> None:
            raise RuntimeError("no API server")

    assert write(tmp_path / "a.jsonl", ROWS, context={"ti": Broken()})["report"]
    assert "<b>30</b>rows" in page_of(tmp_path / "a.jsonl")
