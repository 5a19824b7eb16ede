"""A manifest lists all parts of one plan, in one state, or it is not written."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.operators import IoTStudioExportThingsOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsExportGeodataOperator
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.warehouse.manifest import read_manifest
from airflow_provider.warehouse.operators import CommitManifestOperator
from tests.support.per_asset import PerAsset

pytestmark = pytest.mark.usefixtures("sandbox")


def export(folder: Path | str, count: int = 4, suffix: str = "jsonl", **more: Any) -> list[dict[str, Any]]:
    parts = AmigoCloudPlanExportOperator(task_id="p", dataset=seed.ASSETS, parts=count).execute({})
    path = f"{folder}/a.{suffix}"
    return [
        AmigoCloudExportOperator(task_id="e", output_path=path, part=part, **more).execute({})
        for part in parts
    ]


def commit(parts: Any, path: Any, **more: Any) -> Any:
    return CommitManifestOperator(task_id="c", parts=parts, output_path=str(path), **more).execute({})


def problems(parts: Any, path: Any, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        commit(parts, path, **more)
    return caught.value.problems


def change(sandbox: Any) -> None:
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET name = 'x' WHERE number = 1")


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_the_manifest_lists_all_files_in_the_order_of_their_parts(tmp_path, suffix):
    results = export(tmp_path, suffix=suffix)
    path = tmp_path / "_manifest.json"
    found = commit(results[::-1], path)
    content = {
        "format": suffix.removesuffix(".gz"),
        "rows": 3000,
        "bytes": sum(result["bytes"] for result in results),
        "files": [{**result["files"][0], "sha256": result["sha256"]} for result in results],
        "columns": results[0]["columns"],
        "dataset": seed.ASSETS,
        "state": results[0]["state"],
        "plan": results[0]["plan"],
    }
    assert read_manifest(str(path)) == content
    requests = sum(result["requests"] for result in results)
    assert found == {"uri": str(path), **content, "requests": requests, "seconds": found["seconds"]}


def test_a_repeated_commit_writes_the_same_bytes(tmp_path):
    results, path = export(tmp_path), tmp_path / "_manifest.json"
    commit(results, path)
    before = path.read_bytes()
    commit(results, path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 5


def test_files_that_are_not_in_the_folder_of_the_manifest_are_a_warning(tmp_path, capsys):
    results = export(tmp_path / "parts", 2)
    commit(results, tmp_path / "_manifest.json")
    assert "not in the manifest's folder" not in capsys.readouterr().out
    commit(results, tmp_path / "other" / "_manifest.json")
    assert "not in the manifest's folder" in capsys.readouterr().out


def test_a_plan_with_one_empty_part_is_committed(tmp_path, sandbox):
    sandbox.amigocloud.store.write(f"DELETE FROM dataset_{seed.ASSETS}")
    found = commit(export(tmp_path), tmp_path / "m.json")
    assert (found["rows"], len(found["files"])) == (0, 1)
    assert found["columns"][0] == "amigo_id"


class Lazy(Sequence[Any]):
    """A sequence that is no list, as Airflow passes the results of a mapped task."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


@pytest.mark.parametrize("kind", [Lazy, tuple, iter])
def test_the_results_may_be_any_sequence(tmp_path, kind):
    assert commit(kind(export(tmp_path)), tmp_path / "m.json")["rows"] == 3000


BAD = {
    "text": "[{'uri': 'a'}]",
    "one result": {"uri": "a"},
    "number": 7,
    "none": None,
    "empty": [],
}


@pytest.mark.parametrize("parts", BAD.values(), ids=BAD)
def test_parts_that_are_no_results_are_refused(tmp_path, parts):
    (problem,) = problems(parts, tmp_path / "m.json")
    assert problem.startswith("'parts'")
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_none_or_lacks_a_field_is_named(tmp_path):
    results = export(tmp_path)
    found = problems([results[0], None, {"uri": "b"}, {**results[3], "rows": -1}], tmp_path / "m.json")
    assert "'parts', item 1 is None" in found[0]
    assert (
        "'parts', item 2 is not the result of an export: Object missing required field `format`" in found[1]
    )
    assert "'parts', item 3 is not the result of an export" in found[2]


def test_missing_and_doubled_parts_are_refused_together(tmp_path):
    results, path = export(tmp_path, 6), tmp_path / "m.json"
    found = problems([*results[:2], results[1], *results[4:]], path)
    assert found == [
        "parts 2, 3 of 6 are missing",
        "part 1 is there 2 times",
        f"2 parts have the file '{results[1]['uri']}'",
    ]
    assert not path.exists()


def test_a_number_of_parts_that_no_task_has_is_refused_at_once(tmp_path):
    results = export(tmp_path, 2)
    found = problems([results[0], {**results[1], "parts": 2**53 + 1}], tmp_path / "m.json")
    assert "'parts', item 1 is not the result of an export: Expected `int` <= 1000000" in found[0]


def test_parts_of_two_states_are_refused(tmp_path, sandbox):
    old = export(tmp_path / "old")
    change(sandbox)
    new = export(tmp_path / "new")
    found = problems([*old[:3], new[3]], tmp_path / "m.json")
    assert [problem.split(" (")[0] for problem in found] == [
        "the parts differ in 'plan'",
        "the parts differ in 'state'",
    ]
    assert old[0]["state"] in found[1]
    assert "parts 0, 1, 2: " in found[1]
    assert "clear the task that planned them" in found[1]


def test_a_part_of_a_cleared_plan_with_the_same_file_is_noticed(tmp_path, sandbox):
    old = export(tmp_path)
    change(sandbox)
    new = export(tmp_path)
    changed = next(n for n in range(4) if old[n]["sha256"] != new[n]["sha256"])
    mixed = [*new[:changed], old[changed], *new[changed + 1 :]]
    found = problems(mixed, tmp_path / "m.json")
    assert len(found) == 3
    assert f"part {changed}: the file" in found[2]


def test_parts_of_plans_of_other_sizes_are_refused(tmp_path):
    four, five = export(tmp_path / "4"), export(tmp_path / "5", 5)
    found = problems([*four, five[4]], tmp_path / "m.json")
    assert any("differ in 'parts'" in problem for problem in found)


def test_parts_of_other_formats_and_columns_are_refused(tmp_path):
    results, other = export(tmp_path), export(tmp_path, suffix="csv")
    narrow = {**results[2], "columns": ["amigo_id"]}
    found = problems([results[0], other[1], narrow, results[3]], tmp_path / "m.json")
    assert [problem.split(":")[0] for problem in found] == [
        "the parts differ in 'format'",
        "the parts differ in 'columns'",
    ]


def test_files_that_are_gone_shorter_or_changed_are_refused_together(tmp_path):
    results = export(tmp_path, 5)
    files = [Path(result["uri"]) for result in results]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    files[2].write_bytes(files[2].read_bytes()[:-2] + b"]\n")
    files[3].unlink()
    files[3].mkdir()
    found = problems(results, tmp_path / "m.json")
    assert len(found) == 4
    assert "part 0" in found[0]
    assert "is not there" in found[0]
    assert f"has {results[1]['bytes'] - 1} bytes, and its task wrote {results[1]['bytes']}" in found[1]
    assert "part 2" in found[2]
    assert "has other bytes" in found[2]
    assert "part 3" in found[3]
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("checksums", [False, "False", "no"])
def test_without_checksums_only_the_sizes_are_compared(tmp_path, checksums):
    results = export(tmp_path)
    file = Path(results[2]["uri"])
    file.write_bytes(file.read_bytes()[:-2] + b"]\n")
    assert commit(results, tmp_path / "m.json", checksums=checksums)["rows"] == 3000
    file.write_bytes(b"")
    assert "has 0 bytes" in problems(results, tmp_path / "m.json", checksums=checksums)[0]


def test_a_parquet_file_with_other_rows_than_its_task_wrote_is_refused(tmp_path):
    results = export(tmp_path, suffix="parquet")
    results[1] = {**results[1], "rows": 1, "files": [{**results[1]["files"][0], "rows": 1}]}
    assert "has 750 rows, and its task wrote 1" in problems(results, tmp_path / "m.json")[0]


def test_all_problems_of_arguments_parts_and_files_come_at_once(tmp_path):
    results = export(tmp_path)
    Path(results[0]["uri"]).unlink()
    found = problems([*results[:2], None], f"{tmp_path}/", checksums="perhaps")
    assert [problem.split(" ")[0] for problem in found] == [
        "'checksums'",
        "'output_path':",
        "'parts',",
        "parts",
        "part",
    ]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_manifest_never_replaces_the_file_of_a_part(tmp_path, scheme):
    results = export(tmp_path)
    found = problems(results, scheme + results[1]["uri"])
    assert found == [f"'output_path' is the file of part 1: '{results[1]['uri']}'"]
    assert Path(results[1]["uri"]).stat().st_size == results[1]["bytes"]


def test_an_earlier_manifest_stays_when_the_parts_are_refused(tmp_path):
    results, path = export(tmp_path), tmp_path / "m.json"
    commit(results, path)
    before = path.read_bytes()
    problems(results[1:], path)
    assert path.read_bytes() == before


def test_results_of_other_exports_are_committed_if_they_agree(tmp_path):
    maps = [
        MapsIndoorsExportGeodataOperator(
            task_id="m", output_path=f"{tmp_path}/{kind}.jsonl", base_types=[kind]
        ).execute({})
        for kind in ("room", "poi")
    ]
    found = commit(maps, tmp_path / "m.json")
    assert found["rows"] == sum(one["rows"] for one in maps)
    assert "state" not in found
    things = IoTStudioExportThingsOperator(task_id="t", output_path=f"{tmp_path}/t.jsonl").execute({})
    assert "differ in 'columns'" in problems([*maps, things], tmp_path / "m.json")[0]


def test_results_of_queries_that_were_read_in_two_states_are_refused(tmp_path, sandbox):
    results = []
    for number in range(2):
        results.append(
            AmigoCloudExportOperator(
                task_id="e",
                output_path=f"{tmp_path}/{number}.jsonl",
                sql=f"SELECT * FROM dataset_{seed.ASSETS} WHERE number % 2 = {number}",
                key="amigo_id",
            ).execute({})
        )
        change(sandbox)
    assert "differ in 'state'" in problems(results, tmp_path / "m.json")[0]


def test_parts_beside_an_export_that_was_not_planned_are_refused(tmp_path):
    results = export(tmp_path / "a")
    whole = AmigoCloudExportOperator(
        task_id="e", output_path=f"{tmp_path}/whole.jsonl", dataset=seed.ASSETS
    ).execute({})
    found = problems([*results, whole], tmp_path / "m.json")
    assert f"'{whole['uri']}' is no part of a plan" in found[0]


def test_the_event_of_an_outlet_has_the_counts_of_all_parts(tmp_path):
    asset, events = Asset(name="assets", uri="file:///assets"), PerAsset(lambda: SimpleNamespace(extra={}))
    task = CommitManifestOperator(
        task_id="c", parts=export(tmp_path), output_path=str(tmp_path / "m.json"), outlets=[asset]
    )
    context: Any = {"outlet_events": events}
    result = task.execute(context)
    extra = events[asset].extra
    assert (extra["rows"], extra["state"], extra["uri"]) == (3000, result["state"], result["uri"])
    assert "files" not in extra


def test_parts_on_object_storage_are_committed_there(tmp_path, s3):
    results = export("s3://aws_s3@twin/run", 3, "parquet")
    path = "s3://aws_s3@twin/run/_manifest.json"
    commit(results, path)
    body = s3.get_object(Bucket="twin", Key="run/_manifest.json")["Body"].read()
    assert json.loads(body)["rows"] == 3000
    s3.delete_object(Bucket="twin", Key="run/a-00001-of-00003.parquet")
    assert "part 1" in problems(results, path)[0]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_storage_that_refuses_a_part_is_no_invalid_argument(tmp_path, suffix):
    """It was an `InputError`, which the service's retry policy never retries."""
    results = export(tmp_path, count=1, suffix=suffix)
    for call in ("info", "open"):
        attach("s3", f"busy{call}", fs=_Busy(call, Path(results[0]["uri"]).read_bytes()))
        uri = f"s3://busy{call}@twin/a.{suffix}"
        result = {**results[0], "uri": uri, "files": [{**results[0]["files"][0], "uri": uri}]}
        with pytest.raises(OSError, match=rf"cannot be read: OSError: .*reduce.*: '{uri}'"):
            commit([result], tmp_path / "_manifest.json")


class _Busy(MemoryFileSystem):
    """A storage that is busy at one kind of request, and has one file."""

    cachable = False

    def __init__(self, refused: str, content: bytes) -> None:
        super().__init__()
        self.refused, self.content = refused, content

    def info(self, path: str, **_: Any) -> Any:
        self._answer("info")
        return {"name": path, "size": len(self.content), "type": "file"}

    def open(self, *_: Any, **__: Any) -> Any:
        self._answer("open")
        return io.BytesIO(self.content)

    def _answer(self, request: str) -> None:
        if request == self.refused:
            raise OSError(errno.EBUSY, "Please reduce your request rate.")


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"files": [{"uri": 1}]}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(InputError, match="'.*' is no"):
        read_manifest(str(path))
