"""Every export writes a report of its own rows, and the parts of an export have one together."""

from __future__ import annotations

import json
import logging
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from airflow_provider.amigocloud.operators import (
    AmigoCloudExportOperator,
    AmigoCloudPlanExportOperator,
)
from airflow_provider.core.pages.links import page_key
from airflow_provider.core.pages.page import REPORT, page_prefix
from airflow_provider.core.reports.earlier import read_report, report_path
from airflow_provider.core.reports.page import PREFIX
from airflow_provider.core.reports.profile import Profile, Table
from airflow_provider.core.reports.report import Report, Subject, open_report
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.operators import IoTStudioExportHistoryOperator, IoTStudioPlanHistoryOperator
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsExportGeodataOperator
from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.warehouse.operators import CommitManifestOperator
from airflow_provider.warehouse.report import subject_of, write_report
from airflow_provider.warehouse.results import PartResult
from tests.support import every_task
from tests.support.task_runner import TaskRunner

EXPORTS = [
    *sorted(name for name in every_task.public_classes() if "Export" in name and "Plan" not in name),
    "LeanIXFetchResultsOperator",
    "LeanIXRunOperator",
]


def found(uri: str) -> Profile:
    profile = read_report(uri)
    assert profile is not None
    return profile


def only(uri: str) -> Table:
    (table,) = found(uri).tables
    return table


def test_every_export_is_covered() -> None:
    assert EXPORTS == [
        "AmigoCloudExportOperator",
        "AmigoCloudExportPhotosOperator",
        "IoTStudioExportEventsOperator",
        "IoTStudioExportHistoryOperator",
        "IoTStudioExportThingsOperator",
        "LeanIXExportSyncLogOperator",
        "MapsIndoorsExportGeodataOperator",
        "LeanIXFetchResultsOperator",
        "LeanIXRunOperator",
    ]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_writes_a_page_about_its_rows(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    make = every_task.tasks(sandbox, tmp_path)[name]
    operator = make(task_id="export", report=True)
    result = TaskRunner().run(operator)
    result = result.get("results", result)
    path = f"{operator.output_path}/photos.jsonl" if "Photos" in name else operator.output_path
    assert result["report"] == report_path(path)
    assert Path(path).exists()
    profile = found(result["report"])
    assert profile.rows == result["rows"] == sum(table.rows for table in profile.tables) > 0
    assert profile.bytes == result["bytes"]
    assert "without" not in profile.title


@pytest.mark.parametrize("name", EXPORTS)
def test_a_report_whose_path_is_taken_is_refused_before_any_request(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    operator = every_task.tasks(sandbox, tmp_path)[name](task_id="export", report="true")
    path = f"{operator.output_path}/photos.jsonl" if "Photos" in name else operator.output_path
    Path(report_path(path)).mkdir(parents=True)
    sandbox.counters.clear()
    with pytest.raises(InputError, match="report"):
        TaskRunner().run(operator)
    assert sum(sandbox.counters.requests.values()) == 0
    assert not Path(path).exists()


def export(path: Path, **more: Any) -> Any:
    return AmigoCloudExportOperator(
        task_id="e", output_path=str(path), **{"dataset": seed.ASSETS, "report": True, **more}
    ).execute({})


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet", "geojson", "geoparquet"])
def test_the_profile_of_a_dataset_is_that_of_its_rows_in_every_format(
    sandbox: Sandbox, tmp_path: Path, suffix: str
) -> None:
    result = export(tmp_path / f"a.{suffix}")
    table = only(result["report"])
    rows = list(seed.assets())
    assert table.rows == len(rows) == 3000
    columns = {column.name: column for column in table.columns}
    assert list(columns) == result["columns"]
    for name, column in columns.items():
        if name != "amigo_id":
            assert column.nulls == sum(row[name] is None for row in rows)
    assert columns["category"].as_values() == Counter(row["category"] for row in rows)
    prices = [row["price"] for row in rows if row["price"] is not None]
    assert columns["price"].numbers == (min(prices), max(prices))
    assert table.geometry == "wkb_geometry"
    assert table.off_map == 0


def test_a_map_is_drawn_of_the_geometries(sandbox: Sandbox, tmp_path: Path) -> None:
    page = Path(export(tmp_path / "zones.jsonl", dataset=seed.ZONES)["report"]).read_text()
    assert page.count("<path ") == 24
    page = Path(
        MapsIndoorsExportGeodataOperator(
            task_id="e", output_path=str(tmp_path / "map.geojson"), report=True
        ).execute({})["report"]
    ).read_text()
    assert page.count("<path ") + page.count("<circle ") == 101


def test_the_days_of_an_incremental_column_are_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    operator = AmigoCloudExportOperator(
        task_id="e",
        dataset=seed.ASSETS,
        output_path=str(tmp_path / "a.jsonl"),
        incremental_column="updated_at",
        outlets=[Asset("a", uri="x-test://a")],
        report=True,
    )
    result = TaskRunner().run(operator)
    profile = found(result["report"])
    expected = Counter(row["updated_at"][:10] for row in seed.assets())
    assert profile.tables[0].days == expected
    assert profile.is_slice


def test_a_page_that_does_not_fit_on_the_disk_is_no_failure_of_the_task(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, before[1]))
    try:
        result = export(tmp_path / "a.jsonl", dataset=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result["rows"] == len((tmp_path / "a.jsonl").read_text().splitlines()) == 8
    assert result["report"] is None
    assert "File too large" in result["report_error"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def amigocloud_parts(folder: Path, **more: Any) -> list[Any]:
    plan = AmigoCloudPlanExportOperator(task_id="p", dataset=seed.ASSETS, parts=3).execute({})
    return [export(folder / "a.jsonl", dataset=None, part=part, **more) for part in plan]


def history_parts(folder: Path, **more: Any) -> list[Any]:
    span = {"start": "2026-01-01", "end": "2026-02-01"}
    plan = IoTStudioPlanHistoryOperator(task_id="p", parts=3, **span).execute({})
    given = {"report": True, **more}
    return [
        IoTStudioExportHistoryOperator(
            task_id="e", output_path=str(folder / "a.jsonl"), part=part, **given
        ).execute({})
        for part in plan
    ]


def commit(parts: list[Any], path: Path) -> Any:
    return CommitManifestOperator(task_id="c", parts=parts, output_path=str(path), report=True).execute({})


@pytest.mark.parametrize("make", [amigocloud_parts, history_parts])
def test_the_reports_of_parts_become_one_beside_the_manifest(
    sandbox: Sandbox, tmp_path: Path, make: Callable[[Path], list[Any]]
) -> None:
    parts = make(tmp_path)
    result = commit(parts, tmp_path / "m.json")
    assert result["report"] == f"{tmp_path}/m.json.report.html"
    whole = only(result["report"])
    lines = [json.loads(line) for part in parts for line in Path(part["uri"]).read_text().splitlines()]
    assert whole.rows == result["rows"] == len(lines) > 0
    for column in whole.columns:
        assert column.nulls == sum(line[column.name] is None for line in lines)
    page = Path(result["report"]).read_text()
    assert f"<b>{len(parts)}</b>files" in page
    if make is amigocloud_parts:
        # Of each part the geometries of 400 rows are kept, at most.
        assert 600 < page.count("<circle ") <= 1200
    assert commit(parts, tmp_path / "m.json")["report"] == result["report"]


def test_a_part_without_a_report_leaves_the_manifest_without_one(sandbox: Sandbox, tmp_path: Path) -> None:
    parts = amigocloud_parts(tmp_path)
    Path(parts[1]["report"]).unlink()
    result = commit(parts, tmp_path / "m.json")
    assert (tmp_path / "m.json").exists()
    assert result["report"] is None
    assert "part 1 has no report" in result["report_error"]
    export(tmp_path / "other.jsonl", dataset=1)
    (tmp_path / "other.jsonl.report.html").replace(parts[1]["report"])
    assert "about 8 rows, and the part has 1000" in commit(parts, tmp_path / "m.json")["report_error"]


def test_tables_have_a_report_with_a_section_for_each(sandbox: Sandbox, tmp_path: Path) -> None:
    operator = LeanIXRunOperator(
        task_id="run",
        output_path=f"{tmp_path}/tables/",
        output_format="jsonl",
        poll_interval=0.2,
        report=True,
        **every_task.REPORT,
    )
    for _ in range(2):
        result = TaskRunner().run(operator)["results"]
    assert result["report"] == f"{tmp_path}/tables/tables.report.html"
    profile = found(result["report"])
    assert {table.name: table.rows for table in profile.tables} == {
        file["type"]: file["rows"] for file in result["files"]
    }
    assert profile.tables
    for table, file in zip(profile.tables, result["files"], strict=True):
        rows = [json.loads(line) for line in Path(file["uri"]).read_text().splitlines()]
        for column in table.columns:
            assert column.filled == sum(row[column.name] is not None for row in rows)


def test_a_folder_with_reports_is_read_without_them(sandbox: Sandbox, tmp_path: Path) -> None:
    from airflow_provider.core.files.listing import find_files

    export(tmp_path / "rows" / "a.jsonl")
    files = find_files(f"{tmp_path}/rows/", "source")
    assert [file.name for file in files] == ["a.jsonl"]
    assert find_files(f"{tmp_path}/rows/*", "source", source_format="csv")[0].name == "a.jsonl"


def test_every_task_with_a_report_has_a_link_to_it() -> None:
    """The link reads the attribute that the report sets; the API server serves pages with its beginning."""
    assert page_key(REPORT) == "report_page"
    assert (
        page_prefix("f00d", REPORT)
        == f'{PREFIX}f00d">'
        == '<!doctype html><html lang="en" data-report="f00d">'
    )
    classes = every_task.public_classes()
    writing = [classes[name] for name in every_task.classes_with("report")]
    for kind in (CommitManifestOperator, *writing):
        assert "Report" in [link.name for link in kind.operator_extra_links]


def test_a_run_without_a_file_has_nothing_to_report(sandbox: Sandbox) -> None:
    sandbox.counters.clear()
    operator = LeanIXRunOperator(task_id="run", report=True, **every_task.REPORT)
    with pytest.raises(InputError, match="'report' goes with 'output_path'"):
        TaskRunner().run(operator)
    assert sum(sandbox.counters.requests.values()) == 0


@pytest.mark.parametrize(
    "properties",
    [b'{"n": 1e400}', b"[" * 200_000 + b"]" * 200_000, rb'"\ud800"'],
    ids=["1e400", "deep", "half"],
)
def test_an_object_that_cannot_be_observed_does_not_fail_the_export(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, properties: bytes
) -> None:
    raw = b'{"id": "1", "baseType": "room", "geometry": null, "properties": ' + properties + b"}"
    monkeypatch.setattr("airflow_provider.mapsindoors.geodata.export._read", lambda *_: [msgspec.Raw(raw)])
    path = tmp_path / "a.jsonl"
    result = MapsIndoorsExportGeodataOperator(task_id="e", output_path=str(path), report=True).execute({})
    assert result["rows"] == 1
    assert path.exists()
    assert result["report"] is None
    assert "the rows cannot be observed" in result["report_error"]


def test_parts_with_tables_have_a_section_for_each_table(tmp_path: Path) -> None:
    given: Any = SimpleNamespace(report=True, outlets=(), log=logging.getLogger("task"))

    def opened(uri: str, subject: Subject) -> Report:
        report = open_report(given, {}, uri, subject)
        assert report is not None
        return report

    parts = []
    made: dict[str, Any] = {"format": "csv", "rows": 2, "bytes": 1, "files": [{}]}
    for number in range(2):
        uri = f"{tmp_path}/{number}/"
        report = opened(uri, Subject("T", "S"))
        for table in ("a", "b"):
            report.add_rows([{table: number}], table)
        page = report.finish(made)["report"]
        parts.append(PartResult(uri=uri, format="csv", rows=2, bytes=1, columns=[], report=page))
    whole = opened(f"{tmp_path}/m.json", subject_of("m.json"))
    result = write_report(whole, {**made, "rows": 4}, parts)
    assert {table.name: table.rows for table in found(result["report"]).tables} == {"a": 2, "b": 2}
