"""Many files are the content of a run; they stay as they were checked, or nothing more is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.operators import LeanIXRunOperator
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND

HEADER = make_header(**INBOUND)


def write(folder: Path, count: int) -> str:
    for number in range(1, count + 1):
        item = {"type": "ITComponent", "id": str(number), "data": {"name": f"n{number}"}}
        (folder / f"part-{number}.jsonl").write_text(json.dumps(item) + "\n")
    return f"{folder}/"


def content_of(content: Any, options: RowOptions = NO_OPTIONS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(b"".join(prepare(HEADER, content, options=options).open()))[
        "content"
    ]
    return found


def test_a_folder_and_a_wildcard_are_the_content_of_a_run(tmp_path: Path) -> None:
    source = write(tmp_path, 11)
    for content in (source, f"{source}part-*.jsonl"):
        assert [item["id"] for item in content_of(content)] == [str(number) for number in range(1, 12)]


def test_flat_rows_of_many_csv_files_are_items(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("key,name\n1,a\n")
    (tmp_path / "2.csv").write_text("key,name\n2,b\n")
    (tmp_path / "type=ITComponent").mkdir()
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).rename(tmp_path / "type=ITComponent" / name)
    items = content_of(f"{tmp_path}/", RowOptions(hive=True, columns={"key": "id"}))
    assert items == [
        {"type": "ITComponent", "id": "1", "data": {"name": "a"}},
        {"type": "ITComponent", "id": "2", "data": {"name": "b"}},
    ]


def test_problems_of_items_name_the_file_and_the_row(tmp_path: Path) -> None:
    source = write(tmp_path, 2)
    (tmp_path / "part-2.jsonl").write_text('{"type": "ITComponent", "id": "1", "data": {}}\n')
    with pytest.raises(InputError, match=r"item part-2\.jsonl:1 .*1"):
        prepare(HEADER, source)


def test_whole_ldif_files_are_read_one_at_a_time(tmp_path: Path) -> None:
    ldif = {"connectorType": "cmdb", "content": []}
    (tmp_path / "a.ldif").write_text(json.dumps(ldif))
    (tmp_path / "b.json").write_text(json.dumps({**ldif, "files": [], "entries": []}))
    with pytest.raises(InputError, match="ends in none of"):
        prepare(HEADER, f"{tmp_path}/*.ldif")
    with pytest.raises(InputError, match=r"b\.json: must be a JSON list"):
        prepare(HEADER, f"{tmp_path}/*.json")
    assert content_of(f"{tmp_path}/a.ldif") == []


def test_a_whole_ldif_with_the_names_of_a_manifest_is_an_ldif(tmp_path: Path) -> None:
    item = {"type": "ITComponent", "id": "1", "data": {"files": [], "entries": []}}
    (tmp_path / "x.json").write_text(json.dumps({"content": [item]}))
    assert content_of(f"{tmp_path}/x.json") == [item]


def test_a_manifest_is_the_content_of_a_run(tmp_path: Path) -> None:
    source = write(tmp_path, 2)
    files = [
        {"uri": f"{source}{path.name}", "bytes": path.stat().st_size, "rows": 1}
        for path in tmp_path.iterdir()
    ]
    manifest = {"format": "jsonl", "rows": 2, "files": sorted(files, key=lambda file: str(file["uri"]))}
    (tmp_path / "_manifest.json").write_text(json.dumps(manifest))
    assert [item["id"] for item in content_of(f"{source}_manifest.json")] == ["1", "2"]


def test_a_part_that_changes_before_it_is_sent_ends_the_request(tmp_path: Path) -> None:
    ldif = prepare(HEADER, write(tmp_path, 3))
    (tmp_path / "part-1.jsonl").unlink()
    (tmp_path / "part-4.jsonl").write_text("{}\n")
    with pytest.raises(InputError) as caught:
        b"".join(ldif.open())
    assert caught.value.problems == ["'part-1.jsonl' is not there any more", "'part-4.jsonl' is new"]


def test_options_of_files_are_refused_with_a_list() -> None:
    for content in ([], None, [{"type": "a", "id": "b", "data": {}}]):
        with pytest.raises(InputError, match="can only be given with files"):
            prepare(HEADER, content, options=RowOptions(complete="_SUCCESS"))


def test_a_run_takes_the_rows_of_a_folder(leanix: Any, task: TaskRunner, tmp_path: Path) -> None:
    source = write(tmp_path, 3)
    (tmp_path / "_SUCCESS").touch()
    operator = LeanIXRunOperator(
        task_id="task", content=source, complete="_SUCCESS", poll_interval=0.05, deferrable=False, **INBOUND
    )
    assert task.run(operator)["processed"] == 3
