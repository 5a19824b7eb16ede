"""After a kill at any moment, a retry is exact, and reads no saved part again."""

from __future__ import annotations

import gzip
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from msgspec import Raw

from airflow_provider.amigocloud.export import checkpoint
from airflow_provider.amigocloud.export.export import RowCounter
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.redaction import encodings
from airflow_provider.errors import IncompleteExportError, RequestRejectedError, ServerError
from airflow_provider.sandbox.amigocloud import seed
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner
from tests.unit.amigocloud.export.test_export import lines, ordered, truth

pytestmark = pytest.mark.both_engines


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(checkpoint, "PART_ROWS", 500)


@pytest.fixture
def kill_after(monkeypatch):
    """Return a function that sets after how many rows the task is killed."""
    add = RowCounter.add

    def arm(rows: float) -> None:
        def counted(self: RowCounter, page: Any) -> None:
            add(self, page)
            if self.rows >= rows:
                raise Killed

        monkeypatch.setattr(RowCounter, "add", counted)

    return arm


@pytest.fixture
def logged(caplog, capsys):
    """Return a function that returns the log so far."""
    caplog.set_level("INFO")
    return lambda: caplog.text + "".join(capsys.readouterr())


def operator(path, **arguments):
    given = {"dataset": seed.ASSETS, "page_size": 100, **arguments}
    return AmigoCloudExportOperator(task_id="export", output_path=str(path), **given)


def disturb(sandbox):
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET name = 'changed' WHERE number % 2 = 0")
    sandbox.amigocloud.store.write(f"DELETE FROM dataset_{seed.ASSETS} WHERE number % 3 = 0")


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("rows", [0, 499, 500, 1234, 2600, 3000])
@pytest.mark.one_engine("embedded", "takes long; another test kills exports on both")
def test_a_retry_reads_only_the_missing_rows(sandbox, tmp_path, kill_after, rows, concurrency):
    task, path, expected = TaskRunner(), tmp_path / "assets.jsonl", ordered(truth(sandbox))
    kill_after(rows)
    with pytest.raises(Killed):
        task.run(operator(path, concurrency=concurrency))
    assert not path.exists()
    kept = task.store.get("amigocloud_export_parts", {}).get("rows", 0)
    assert kept >= rows - 700
    state = sandbox.amigocloud.store.master(seed.ASSETS)
    if kept:
        disturb(sandbox)
    sandbox.counters.clear()
    kill_after(float("inf"))
    manifest = task.run(operator(path, concurrency=concurrency))
    assert lines(path) == expected
    assert manifest["rows"] == 3000
    assert manifest["state"] == state
    outline = 2 if not kept and concurrency > 1 else 0
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - kept + outline
    assert list(tmp_path.iterdir()) == [path]
    assert "amigocloud_export_parts" not in task.store


@pytest.mark.long
def test_an_export_may_be_killed_repeatedly(sandbox, tmp_path, kill_after):
    task, path, expected = TaskRunner(), tmp_path / "assets.parquet", ordered(truth(sandbox))
    for rows in (700, 1300, 2100, 2900):
        kill_after(rows)
        with pytest.raises(Killed):
            task.run(operator(path))
        disturb(sandbox)
    kill_after(float("inf"))
    task.run(operator(path))
    table = pq.read_table(path)
    assert table["amigo_id"].to_pylist() == [row["amigo_id"] for row in expected]
    assert table["name"].to_pylist() == [row["name"] for row in expected]


@pytest.mark.long
def test_a_part_that_was_half_written_at_the_kill_is_removed_in_the_end(sandbox, tmp_path, kill_after):
    task, path = TaskRunner(), tmp_path / "a.jsonl"
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(path))
    (parts,) = tmp_path.iterdir()
    (parts / ".00002.jsonl.0123456789ab.part").write_bytes(b"half")
    (parts / "00009.jsonl").write_bytes(b"of a larger export")
    kill_after(float("inf"))
    assert task.run(operator(path))["rows"] == 3000
    assert list(tmp_path.iterdir()) == [path]


def test_compressed_parts_of_an_earlier_release_are_read(sandbox, tmp_path, kill_after):
    task, path, expected = TaskRunner(), tmp_path / "a.jsonl", ordered(truth(sandbox))
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(path))
    saved = task.store["amigocloud_export_parts"]
    (folder,) = tmp_path.iterdir()
    for part in list(folder.iterdir()):
        part.with_suffix(".jsonl.gz").write_bytes(gzip.compress(part.read_bytes()))
        part.unlink()
    task.store["amigocloud_export_parts"] = {
        name: value for name, value in saved.items() if name not in ("compressed", "checksum")
    }
    sandbox.counters.clear()
    kill_after(float("inf"))
    task.run(operator(path))
    assert lines(path) == expected
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - saved["rows"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.one_engine("embedded", "about the storage")
def test_a_damaged_part_ends_the_attempt_and_the_next_one_starts_over(sandbox, tmp_path, kill_after):
    task, path, expected = TaskRunner(), tmp_path / "a.jsonl", ordered(truth(sandbox))
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(path))
    (folder,) = tmp_path.iterdir()
    first = folder / "00000.jsonl"
    damaged = first.read_bytes().replace(b"0", b"1", 1)
    assert damaged != first.read_bytes()
    first.write_bytes(damaged)
    kill_after(float("inf"))
    with pytest.raises(IncompleteExportError, match="saved parts of the export are damaged"):
        task.run(operator(path))
    task.run(operator(path))
    assert lines(path) == expected


@pytest.mark.one_engine("embedded", "about the storage")
def test_parts_can_be_on_object_storage(sandbox, kill_after):
    attach("memory", fs=MemoryFileSystem())
    task, folder = TaskRunner(), ObjectStoragePath("memory://bucket/twin")
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator("memory://bucket/twin/a.jsonl"))
    assert task.store["amigocloud_export_parts"]["parts"] >= 2
    kill_after(float("inf"))
    assert task.run(operator("memory://bucket/twin/a.jsonl"))["rows"] == 3000
    assert [path.name for path in folder.iterdir()] == ["a.jsonl"]
    assert len((folder / "a.jsonl").read_text().splitlines()) == 3000


JOINED = f"SELECT a.number FROM dataset_{seed.ASSETS} a JOIN dataset_1 b ON b.name = 'Bohr'"


@pytest.mark.parametrize("long", [False, True], ids=["by GET", "by POST"])
def test_a_query_without_a_key_resumes_at_its_next_link(sandbox, tmp_path, kill_after, long):
    task, path = TaskRunner(), tmp_path / "a.csv"
    some = ", ".join(str(n) for n in range(3000)) if long else "SELECT number"
    sql = f"SELECT number FROM dataset_{seed.ASSETS} WHERE number IN ({some}) ORDER BY number"
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(path, dataset=None, sql=sql))
    text = json.dumps(task.store)
    assert len(text) < 2000
    assert seed.USER_TOKEN not in text
    assert "token" not in text
    kept = task.store["amigocloud_export_parts"]["rows"]
    assert kept >= 1500
    disturb(sandbox)
    sandbox.counters.clear()
    kill_after(float("inf"))
    task.run(operator(path, dataset=None, sql=sql))
    assert path.read_text().split() == ["number", *map(str, range(3000))]
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - kept
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("key", [None, "number"])
def test_a_query_of_two_datasets_resumes_while_they_are_unchanged(sandbox, tmp_path, kill_after, key):
    task, path = TaskRunner(), tmp_path / "a.csv"
    arguments = {"dataset": None, "sql": JOINED + ("" if key else " ORDER BY a.number"), "key": key}
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(path, **arguments))
    kept = task.store["amigocloud_export_parts"]["rows"]
    assert kept >= 1500
    sandbox.counters.clear()
    kill_after(float("inf"))
    task.run(operator(path, **arguments))
    assert path.read_text().split() == ["number", *map(str, range(3000))]
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - kept


@pytest.mark.parametrize("key", [None, "number"])
def test_a_query_of_two_datasets_starts_over_when_a_dataset_has_changed(
    sandbox, tmp_path, kill_after, key, logged
):
    task, path = TaskRunner(), tmp_path / "a.csv"
    arguments = {"dataset": None, "sql": JOINED + ("" if key else " ORDER BY a.number"), "key": key}
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(path, **arguments))
    sandbox.amigocloud.store.write("UPDATE dataset_1 SET value = 17 WHERE name = 'Bohr'")
    sandbox.counters.clear()
    kill_after(float("inf"))
    task.run(operator(path, **arguments))
    assert path.read_text().split() == ["number", *map(str, range(3000))]
    assert sandbox.counters.rows_served["amigocloud"] == 3000
    assert "has changed since: starting over" in logged()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("source", [{"url": "/me/projects"}, {"sql": "SELECT 1 AS one"}], ids=["list", "sql"])
def test_a_source_without_a_state_logs_that_a_retry_starts_over(tmp_path, logged, source):
    TaskRunner().run(operator(tmp_path / "a.jsonl", dataset=None, **source))
    assert "a retry after a crash starts from the beginning" in logged()


def test_without_a_state_store_the_log_says_that_a_retry_starts_over(tmp_path, logged):
    operator(tmp_path / "a.jsonl", dataset=1).execute({})
    assert "after a crash, a retry starts over" in logged()


def test_parts_are_saved_by_their_bytes_too(tmp_path, kill_after, monkeypatch):
    monkeypatch.setattr(checkpoint, "PART_ROWS", 10**6)
    monkeypatch.setattr(checkpoint, "PART_BYTES", 100_000)
    task = TaskRunner()
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(tmp_path / "a.jsonl"))
    assert task.store["amigocloud_export_parts"]["parts"] >= 3


def test_a_query_with_a_key_resumes_too(sandbox, tmp_path, kill_after):
    task, path = TaskRunner(), tmp_path / "a.csv"
    arguments = {"dataset": None, "sql": f"SELECT number FROM dataset_{seed.ASSETS}", "key": "number"}
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(path, **arguments))
    disturb(sandbox)
    kill_after(float("inf"))
    task.run(operator(path, **arguments))
    assert path.read_text().split() == ["number", *map(str, range(3000))]


def test_a_service_that_is_down_for_long_costs_no_finished_part(sandbox, tmp_path, logged):
    task, path = TaskRunner(), tmp_path / "a.jsonl"
    sandbox.faults.add("html", path="/sql", after=20, times=None)
    with pytest.raises(ServerError):
        task.run(operator(path, concurrency=1))
    assert "2000 rows are saved: a retry resumes after them" in logged()
    sandbox.faults.clear()
    sandbox.counters.clear()
    assert task.run(operator(path))["rows"] == len(lines(path)) == 3000
    assert sandbox.counters.rows_served["amigocloud"] == 1000


def test_another_request_does_not_take_the_parts(sandbox, tmp_path, kill_after):
    task = TaskRunner()
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(tmp_path / "a.jsonl"))
    kill_after(float("inf"))
    sandbox.counters.clear()
    assert task.run(operator(tmp_path / "b.jsonl"))["rows"] == 3000
    assert sandbox.counters.rows_served["amigocloud"] == 3000 + 2


def test_the_parts_of_a_changed_request_are_deleted(sandbox, tmp_path, kill_after):
    task, path = TaskRunner(), tmp_path / "a.jsonl"
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(path))
    assert [one.suffix for one in tmp_path.iterdir()] == [".parts"]
    kill_after(float("inf"))
    task.run(operator(path, dataset=1))
    assert list(tmp_path.iterdir()) == [path]
    assert task.store == {}


@pytest.mark.parametrize("trouble", ["state", "count"])
def test_parts_that_cannot_be_used_are_deleted(sandbox, tmp_path, kill_after, logged, trouble):
    task, path = TaskRunner(), tmp_path / "a.jsonl"
    kill_after(1500)
    with pytest.raises(Killed):
        task.run(operator(path))
    kill_after(float("inf"))
    kept = task.store["amigocloud_export_parts"]
    kept.update({"state": "f" * 40} if trouble == "state" else {"count": 2999})
    with pytest.raises((RequestRejectedError, IncompleteExportError)):
        task.run(operator(path))
    assert "saved rows cannot be used: a retry starts over" in logged()
    assert list(tmp_path.iterdir()) == []
    assert task.run(operator(path))["rows"] == 3000


def test_small_exports_leave_no_parts_behind(sandbox, tmp_path):
    task = TaskRunner()
    task.run(operator(tmp_path / "a.jsonl", dataset=1))
    assert task.store == {}
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    "source",
    [{}, {"dataset": None, "sql": JOINED}, {"dataset": None, "sql": JOINED, "key": "number"}],
    ids=["dataset", "sql", "sql with key"],
)
def test_neither_parts_nor_memory_hold_the_token(sandbox, tmp_path, kill_after, connect, source):
    token = seed.AWKWARD_TOKEN
    conn_id = connect(password=token)
    task = TaskRunner()
    kill_after(2000)
    with pytest.raises(Killed):
        task.run(operator(tmp_path / "a.jsonl", amigocloud_conn_id=conn_id, **source))
    parts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(parts) >= 3
    held = [json.dumps(task.store), *map(str, parts)]
    held += [path.read_text() for path in parts]
    assert not [form for form in encodings(token) for text in held if form in text]


def test_what_is_remembered_is_small_and_holds_no_rows(sandbox, tmp_path, kill_after):
    task = TaskRunner()
    kill_after(2500)
    with pytest.raises(Killed):
        task.run(operator(tmp_path / "a.jsonl"))
    text = json.dumps(task.store)
    assert len(text) < 2000
    assert seed.USER_TOKEN not in text


@pytest.mark.parametrize("request_", ["../../other", "x" * 300, "", "0123456789ABCDEF"])
def test_a_state_whose_request_is_no_fingerprint_deletes_nothing(sandbox, tmp_path, kill_after, request_):
    task = TaskRunner()
    kill_after(1234)
    with pytest.raises(Killed):
        task.run(operator(tmp_path / "a.jsonl"))
    (key,) = task.store
    task.store.set(key, {**task.store[key], "request": request_})
    before = sorted(tmp_path.rglob("*"))
    made = checkpoint.Checkpoint(task.store, str(tmp_path / "b.jsonl"), {}, logging.getLogger("x"))
    assert made.saved is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_compressed_part_that_is_damaged_in_any_way_is_an_incomplete_export() -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 100)
    assert checkpoint._unpacked(whole) == b'{"a": 1}\n' * 100
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for damaged in (b"rows", whole[:-5], whole[:20], flipped):
        with pytest.raises(IncompleteExportError, match="a saved part of the export is damaged"):
            checkpoint._unpacked(damaged)


@pytest.mark.parametrize("folder", ["", "memory://bucket/checkpoints"])
def test_saved_pages_are_replayed_as_the_first_page_described_them(tmp_path, monkeypatch, folder):
    attach("memory", fs=MemoryFileSystem())
    monkeypatch.setattr(checkpoint, "PART_ROWS", 2)
    store, log = FakeStateStore(), logging.getLogger("checkpoint")
    path = f"{folder or tmp_path}/a.jsonl"
    columns, at = [Column("k", "integer")], datetime(2026, 3, 1, tzinfo=UTC)
    pages = [
        Page([Raw(b'{"k":%d}' % number)], None, 5, 1, columns, None, at + number * timedelta(minutes=1))
        for number in range(5)
    ]
    first = checkpoint.Checkpoint(store, path, {"a": 1}, log)
    assert first.saved is None
    assert list(first.record(iter(pages), "state", lambda page: page.decoded()[-1]["k"])) == pages

    again = checkpoint.Checkpoint(store, path, {"a": 1}, log)
    assert again.saved
    assert (again.saved.rows, again.saved.parts, again.saved.resume_point) == (4, 2, 3)
    found = list(again.replay())
    assert [page.decoded() for page in found] == [[{"k": 0}, {"k": 1}], [{"k": 2}, {"k": 3}]]
    assert {(page.count, page.limit, page.served_at) for page in found} == {(5, 1, at)}
    assert all(page.columns == columns for page in found)
    again.discard_unless("state", "")
    assert again.saved
    again.discard_unless("other", "the dataset has changed")
    assert again.saved is None
    assert checkpoint.Checkpoint(store, path, {"a": 1}, log).saved is None


@pytest.mark.parametrize(("count", "parts"), [(4, 1), (5, 2), (None, 2)])
def test_the_part_that_completes_the_export_is_not_saved(tmp_path, monkeypatch, count, parts):
    monkeypatch.setattr(checkpoint, "PART_ROWS", 2)
    store = FakeStateStore()
    saving = checkpoint.Checkpoint(store, f"{tmp_path}/a.jsonl", {"a": 1}, logging.getLogger("checkpoint"))
    pages = [Page([Raw(b'{"k":%d}' % number)], None, count) for number in range(4)]
    list(saving.record(iter(pages), "state", lambda page: page.decoded()[-1]["k"]))
    assert store["amigocloud_export_parts"]["parts"] == parts
    assert store["amigocloud_export_parts"]["rows"] == 2 * parts
    assert len(list(tmp_path.glob("*/*.jsonl"))) == parts


def test_rows_that_are_read_at_once_are_not_saved():
    pages = [Page([Raw(b"{}")], None, 1), Page([])]
    unsaved = checkpoint.NoCheckpoint()
    assert list(unsaved.replay()) == []
    assert list(unsaved.record(iter(pages), "state", lambda _: 1)) == pages
    assert unsaved.saved is None
