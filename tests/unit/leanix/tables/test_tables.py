"""Results of runs as tables in a folder."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import IncompleteExportError, InputError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXFetchResultsOperator, LeanIXRunOperator
from airflow_provider.leanix.tables import spool, write
from airflow_provider.warehouse.operators import SqlLoadOperator
from tests.support.task_runner import TaskRunner
from tests.unit.leanix.conftest import OUTBOUND
from tests.unit.leanix.started_runs import started

HEADER = {"connectorType": "report", "connectorId": "landscape", "connectorVersion": "1.0.0"}
ITEMS = [
    {
        "type": "Application",
        "id": "a1",
        "data": {"name": "Visitors", "cycle": {"phase": "active"}, "tags": ["x"]},
    },
    {"type": "ITComponent", "id": "c1", "data": {"name": "Платформа", "cost": 12.5}},
    {"type": "Application", "id": "a2", "data": {"name": "Energy", "cycle": None}},
]


def run_with(leanix: Any, items: list[Any], ending: bytes = b"]}") -> str:
    """Return the id of a finished run with these items as its results."""
    (run_id,) = started()
    assert leanix.run(run_id).status == "FINISHED"
    content = b",".join(json.dumps(item, ensure_ascii=False).encode() for item in items)
    run = leanix.machine.runs[run_id]
    run.result = json.dumps(HEADER)[:-1].encode() + b', "content": [' + content + ending
    return run_id


def download(run_id: str, folder: Path, output_format: str = "jsonl", **more: Any) -> Any:
    with LeanIXHook() as hook:
        return hook.download_results(run_id, f"{folder}/", output_format=output_format, **more)


def rows_of(file: dict[str, Any] | Path) -> list[dict[str, Any]]:
    path = Path(file if isinstance(file, Path) else file["uri"])
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="") as lines:
            return list(csv.DictReader(lines))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet"])
def test_each_type_gets_one_file_and_the_manifest_lists_them(
    leanix: Any, tmp_path: Path, output_format: str
) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    manifest = download(run_with(leanix, ITEMS), tmp_path / "out", output_format)
    assert (manifest["uri"], manifest["format"], manifest["rows"]) == (
        f"{tmp_path}/out/manifest.json",
        output_format,
        3,
    )
    assert [(file["type"], file["rows"]) for file in manifest["files"]] == [
        ("Application", 2),
        ("ITComponent", 1),
    ]
    for file in manifest["files"]:
        data = Path(file["uri"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        assert file["uri"].endswith(f".{output_format}")
    assert manifest["bytes"] == sum(file["bytes"] for file in manifest["files"])
    first = rows_of(manifest["files"][0])
    assert list(first[0]) == ["id", "type", "name", "cycle.phase", "tags"]
    assert first[0] == dict(zip(first[0], ["a1", "Application", "Visitors", "active", '["x"]'], strict=True))
    assert first[1]["cycle.phase"] in (None, "")
    assert rows_of(manifest["files"][1])[0]["name"] == "Платформа"
    assert manifest["columns"] == ["id", "type", "name"]
    stored = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert stored == {
        name: manifest[name] for name in ("format", "rows", "bytes", "files", "columns", "run_id")
    }


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_writes_tables(leanix: Any, task: TaskRunner, tmp_path: Path, deferrable: bool) -> None:
    operator = LeanIXRunOperator(
        task_id="run", **OUTBOUND, output_path=f"{tmp_path}/out/", output_format="csv", deferrable=deferrable
    )
    results = task.run(operator)["results"]
    assert [(file["type"], file["rows"]) for file in results["files"]] == [("Application", 65)]
    assert len(rows_of(results["files"][0])) == 65


def test_fetched_tables_keep_the_ldif_byte_for_byte(leanix: Any, task: TaskRunner, tmp_path: Path) -> None:
    run_id = run_with(leanix, ITEMS)
    fetch = LeanIXFetchResultsOperator(
        task_id="fetch",
        run_id=run_id,
        output_path=f"{tmp_path}/out/",
        output_format="csv",
        ldif_path=f"{tmp_path}/out/all.ldif",
    )
    result = task.run(fetch)
    expected = leanix.machine.runs[run_id].result
    assert (tmp_path / "out" / "all.ldif").read_bytes() == expected
    assert result["ldif"]["sha256"] == hashlib.sha256(expected).hexdigest()
    assert result["rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_path": "{}/x/"}, "'output_path' names no file, and a folder needs 'output_format'"),
        ({"output_path": "{}/x/", "output_format": "ldif"}, "needs the path of a file.*'ldif_path'"),
        ({"output_path": "{}/x/", "output_format": "xlsx"}, "must be one of jsonl, csv, parquet"),
        (
            {"output_path": "{}/x/", "output_format": "csv", "ldif_path": "{}/x.jsonl"},
            "'ldif_path' must end in .ldif or .json",
        ),
        (
            {"output_path": "{}/x/", "output_format": "csv", "ldif_path": "{}/x/manifest.json"},
            "must not end in manifest.json",
        ),
        (
            {"output_path": "{}/x/", "output_format": "csv", "ldif_path": 7},
            "'ldif_path' must be the path of a file",
        ),
        ({"output_path": "{}/x/", "output_format": "csv", "ldif_path": ""}, "'ldif_path' names no file"),
        ({"output_path": "{}/x.json", "ldif_path": "{}/y.json"}, "goes with a folder"),
        ({"output_path": "{}/x.parquet"}, "tables need a folder"),
        ({"output_path": "{}/x", "output_format": "csv"}, "tables need a folder"),
        ({"output_path": "/"}, "names no file"),
    ],
)
def test_output_arguments_that_do_not_fit_are_refused_before_any_request(
    leanix: Any, sandbox: Any, task: TaskRunner, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    given = {
        name: value.format(tmp_path) if isinstance(value, str) else value for name, value in arguments.items()
    }
    for operator in (
        LeanIXRunOperator(task_id="run", **OUTBOUND, **given),
        LeanIXFetchResultsOperator(task_id="fetch", run_id="1", **given),
    ):
        with pytest.raises(InputError, match=message):
            task.run(operator)
    assert sandbox.counters.total("") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_the_ldif_without_output_path_is_refused(sandbox: Any, task: TaskRunner) -> None:
    with pytest.raises(InputError, match="'ldif_path' goes with a folder"):
        task.run(LeanIXRunOperator(task_id="run", **OUTBOUND, ldif_path="/tmp/x.ldif"))
    assert sandbox.counters.total("") == 0


def test_a_folder_with_the_manifest_of_another_export_is_refused_before_any_request(
    leanix: Any, sandbox: Any, task: TaskRunner, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text('{"format": "csv", "rows": 0, "files": []}')
    with pytest.raises(InputError, match="not one of tables of LeanIX"):
        task.run(
            LeanIXRunOperator(task_id="run", **OUTBOUND, output_path=f"{tmp_path}/", output_format="csv")
        )
    assert sandbox.counters.total("") == 0


def test_tables_of_an_earlier_run_go_when_those_of_the_next_one_are_there(
    leanix: Any, tmp_path: Path
) -> None:
    first = download(run_with(leanix, ITEMS), tmp_path)
    (tmp_path / "notes-12345678.jsonl").write_text("somebody's own\n")
    second = download(run_with(leanix, ITEMS[:1]), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "manifest.json",
        "Application.manifest.json",
        "notes-12345678.jsonl",
        Path(second["files"][0]["uri"]).name,
    }
    assert first["files"][0]["uri"] != second["files"][0]["uri"]


class Killed(BaseException):
    """End of a process between two files."""


@pytest.mark.parametrize("kind", ["Temp", "a/b", "temp/x", "", "Application-0123abcd"])
def test_a_type_of_a_killed_run_does_not_load_after_the_next_run_without_it(
    leanix: Any, task: TaskRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip("airflow.providers.sqlite")
    download(run_with(leanix, ITEMS), tmp_path)
    before = {path.name for path in tmp_path.iterdir()}

    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(write, "_remove", kill)
        download(run_with(leanix, [ITEMS[0], {"type": kind, "id": "t", "data": {}}]), tmp_path)
    added = {path.name for path in tmp_path.iterdir()} - before
    (manifest,) = (name for name in added if name.endswith(".manifest.json"))
    last = download(run_with(leanix, ITEMS[:1]), tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_FILE", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}.db"}))
    names = {"manifest.json", "Application.manifest.json", Path(last["files"][0]["uri"]).name}
    assert {path.name for path in tmp_path.iterdir()} == names
    load = SqlLoadOperator(task_id="load", source=f"{tmp_path}/{manifest}", sql_conn_id="file", table="t")
    with pytest.raises(InputError, match="source: there is no file"):
        task.run(load)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"format":"jsonl","run_id":"1","type":"Other"}'])
def test_another_manifest_in_the_folder_is_kept(leanix: Any, tmp_path: Path, content: str) -> None:
    own = tmp_path / "orders.manifest.json"
    own.write_text(content)
    download(run_with(leanix, ITEMS), tmp_path)
    assert own.read_text() == content


@pytest.mark.parametrize("types", [("Application",), ("Application", "B"), ("C",)])
def test_two_runs_at_once_in_one_folder_do_not_both_succeed(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, types: tuple[str, ...]
) -> None:
    first = run_with(leanix, ITEMS)
    second = run_with(leanix, [{"type": name, "id": "1", "data": {}} for name in types])
    plain = write._write_json

    def write_json(uri: str, value: Any) -> None:
        plain(uri, value)
        if value["run_id"] == first and value.get("type") == "ITComponent":
            monkeypatch.setattr(write, "_write_json", plain)
            download(second, tmp_path)

    monkeypatch.setattr(write, "_write_json", write_json)
    with pytest.raises(IncompleteExportError, match="another run has written into .* at the same time"):
        download(first, tmp_path)
    manifest = download(first, tmp_path)
    names = {Path(file[name]).name for file in manifest["files"] for name in ("uri", "manifest")}
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", *names}


@pytest.mark.parametrize("name", ["v{ds}", "v{}", "v{0}", "v{", "100%s"])
def test_a_folder_may_have_any_name(leanix: Any, tmp_path: Path, name: str) -> None:
    manifest = download(run_with(leanix, ITEMS), tmp_path / name)
    assert [Path(file["uri"]).parent for file in manifest["files"]] == [tmp_path / name] * 2
    assert len(list((tmp_path / name).iterdir())) == 5


def test_columns_with_a_hash_are_in_the_log(
    leanix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(run_with(leanix, [{"type": "A", "id": "1", "data": {"a.b": 1, "a": {"b": 2}}}]), tmp_path)
    assert "because others have the same name when case does not count: a.b~" in capsys.readouterr().out


def test_a_changed_manifest_cannot_remove_other_files(leanix: Any, tmp_path: Path) -> None:
    folder, other = tmp_path / "out", tmp_path / "other.jsonl"
    other.write_text("kept")
    download(run_with(leanix, ITEMS), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = "/../../other.jsonl"
    manifest["files"][0] |= {"uri": str(other), "manifest": str(other)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    download(run_with(leanix, ITEMS[:1]), folder)
    assert other.read_text() == "kept"


def test_a_retry_of_a_run_writes_the_same_bytes(leanix: Any, tmp_path: Path) -> None:
    run_id = run_with(leanix, ITEMS)
    before = download(run_id, tmp_path)
    after = download(run_id, tmp_path)
    assert before["files"] == after["files"]


def test_results_that_are_no_complete_ldif_leave_the_tables_before(leanix: Any, tmp_path: Path) -> None:
    download(run_with(leanix, ITEMS), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(IncompleteExportError, match="nothing was written"):
        download(run_with(leanix, ITEMS, ending=b""), tmp_path)
    with pytest.raises(IncompleteExportError, match="item 2 of its content has no 'type'"):
        download(run_with(leanix, [ITEMS[0], {"id": "x"}]), tmp_path)
    with pytest.raises(IncompleteExportError, match="item 1 of its content is no JSON object"):
        download(run_with(leanix, [[]]), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_download_that_breaks_off_starts_over(leanix: Any, sandbox: Any, tmp_path: Path) -> None:
    run_id = run_with(leanix, ITEMS * 3000)
    sandbox.faults.add("truncate", times=1, path="/results")
    assert download(run_id, tmp_path)["rows"] == 9000
    assert sandbox.counters.total("results") > 2


def test_a_run_without_items_has_a_manifest_without_files(
    leanix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = download(run_with(leanix, []), tmp_path)
    assert (manifest["rows"], manifest["files"]) == (0, [])
    assert "no items" in capsys.readouterr().out


def test_fields_that_tables_leave_out_are_in_the_log(
    leanix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(run_with(leanix, [{**ITEMS[0], "note": 1}]), tmp_path)
    assert "which tables leave out: note (1)" in capsys.readouterr().out


def test_thousands_of_types_need_one_open_file(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_BUFFERED_BYTES", 1000)
    items = [{"type": f"T/{n % 150}", "id": f"{n}", "data": {"n": n}} for n in range(600)]
    manifest = download(run_with(leanix, items), tmp_path)
    assert len(manifest["files"]) == 150
    for file in manifest["files"]:
        numbers = [row["n"] for row in rows_of(file)]
        assert numbers == sorted(numbers)
        assert len(numbers) == 4
        assert all(f"T/{n % 150}" == file["type"] for n in numbers)


@pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet"])
def test_a_type_is_loaded_into_a_table_by_its_manifest(
    leanix: Any, task: TaskRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output_format: str
) -> None:
    pytest.importorskip("airflow.providers.sqlite")
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setenv("AIRFLOW_CONN_FILE", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/t.db"}))
    download(run_with(leanix, ITEMS), tmp_path / "out", output_format)
    load = SqlLoadOperator(
        task_id="load",
        source=f"{tmp_path}/out/Application.manifest.json",
        sql_conn_id="file",
        table="applications",
        columns={"cycle.phase": "phase"},
        create=True,
    )
    assert task.run(load)["rows"] == 2
    import sqlite3

    with sqlite3.connect(tmp_path / "t.db") as database:
        found = database.execute("SELECT id, name, phase, tags FROM applications ORDER BY id").fetchall()
    assert found == [("a1", "Visitors", "active", '["x"]'), ("a2", "Energy", None, None)]


def test_a_replaced_file_is_not_loaded_by_the_manifest(
    leanix: Any, task: TaskRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("airflow.providers.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_FILE", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/t.db"}))
    manifest = download(run_with(leanix, ITEMS), tmp_path / "out")
    path = Path(manifest["files"][0]["uri"])
    path.write_bytes(path.read_bytes().replace(b"Visitors", b"Wisitors"))
    load = SqlLoadOperator(
        task_id="load", source=manifest["files"][0]["manifest"], sql_conn_id="file", table="t", create=True
    )
    with pytest.raises(InputError, match="other bytes than its manifest says"):
        task.run(load)


def test_what_a_killed_attempt_of_another_run_has_left_half_written_is_removed(leanix, tmp_path):
    left = tmp_path / ".ITComponent-ab99c7f8.jsonl.38201b86c5b1.part"
    other = tmp_path / ".notes.jsonl.38201b86c5b1.part"
    for path in (left, other):
        path.write_bytes(b"half")
    download(run_with(leanix, ITEMS), tmp_path)
    assert not left.exists()
    assert other.exists()
