"""Export of the sync log against the emulated service."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.errors import InputError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXExportSyncLogOperator
from airflow_provider.leanix.sync_log import export
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.per_asset import PerAsset
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner
from tests.unit.leanix.conftest import INBOUND

LOG = Asset("sync_log")
START = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = ("OK", "INFO", "WARNING", "ERROR")


def add_items(leanix: Any, count: int, minutes: float = 1.0) -> None:
    """Add items to the emulated log, each some minutes after the one before."""
    first = len(leanix.sync_items)
    for number in range(first, first + count):
        at = (START + timedelta(minutes=number * minutes)).isoformat().replace("+00:00", "Z")
        status = STATUSES[number % 4]
        leanix.sync_items.append(
            {"id": f"i{number}", "type": "T", "status": status, "source": "s", "createdAt": at}
        )


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Runs:
    """Runs of a DAG with an incremental export, one attempt each."""

    def __init__(self) -> None:
        self.store = FakeStateStore()

    def next(self, path: Path, **arguments: Any) -> dict[str, Any]:
        task = TaskRunner()
        task.extra_context = {"asset_state_store": PerAsset(lambda: self.store)}
        operator = LeanIXExportSyncLogOperator(
            task_id="log", output_path=str(path), incremental=True, outlets=[LOG], **arguments
        )
        context = task.context()
        context["ti"].run_id = str(path)
        result: dict[str, Any] = operator.execute(context)
        return result


@pytest.mark.parametrize("ending", ["jsonl", "csv", "csv.gz", "parquet"])
def test_the_log_is_exported_newest_first(leanix: Any, task: TaskRunner, tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    add_items(leanix, 250)
    leanix.sync_items[7] |= {"detail": {"row": 1}, "count": 5}
    path = tmp_path / f"log.{ending}"
    result = task.run(LeanIXExportSyncLogOperator(task_id="log", output_path=str(path)))
    assert (result["rows"], result["requests"]) == (250, 1 + 3 + 1)
    assert result["columns"][:4] == ["type", "status", "source", "createdAt"]
    assert set(result["columns"]) == {"type", "status", "source", "createdAt", "id", "detail", "count"}
    assert result["watermark"] == (START + timedelta(minutes=249)).isoformat()
    if ending == "jsonl":
        rows = rows_of(path)
        assert [row["id"] for row in rows] == [f"i{n}" for n in reversed(range(250))]
        assert (rows[-8]["detail"], rows[-8]["count"]) == ('{"row":1}', 5)
    if ending == "csv":
        assert len(list(csv.DictReader(path.open()))) == 250


def test_a_finished_run_is_in_the_log_with_its_warnings(
    leanix: Any, task: TaskRunner, tmp_path: Path
) -> None:
    from airflow_provider.leanix.operators import LeanIXRunOperator

    leanix.bad_items = 1
    task.run(LeanIXRunOperator(task_id="run", **INBOUND, content=tutorial_items(), fail_on="failed"))
    path = tmp_path / "log.jsonl"
    export_log = LeanIXExportSyncLogOperator(task_id="log", output_path=str(path), statuses=["error"])
    TaskRunner().run(export_log)
    assert [row["status"] for row in rows_of(path)] == ["ERROR"]
    with LeanIXHook() as hook:
        (found,) = hook.list_synchronizations()
    assert found["errorCount"] == 1


@pytest.mark.parametrize(("statuses", "rows"), [(["ERROR"], 25), (["warning", "ERROR"], 50), (None, 100)])
def test_statuses_select_the_items(
    leanix: Any, task: TaskRunner, tmp_path: Path, statuses: Any, rows: int
) -> None:
    add_items(leanix, 100)
    path = tmp_path / "log.jsonl"
    operator = LeanIXExportSyncLogOperator(task_id="log", output_path=str(path), statuses=statuses)
    assert task.run(operator)["rows"] == rows
    assert {row["status"] for row in rows_of(path)} == {one.upper() for one in statuses or STATUSES}


def test_items_added_while_the_pages_are_read_neither_lose_nor_double_others(leanix: Any) -> None:
    add_items(leanix, 350)
    with LeanIXHook() as hook:
        found = []
        for number, row in enumerate(hook.iter_sync_items()):
            found.append(row["id"])
            if number % 60 == 0:
                add_items(leanix, 17)
    assert found == [f"i{n}" for n in reversed(range(350))]


def test_since_leaves_out_older_items_and_reads_few_pages(
    leanix: Any, task: TaskRunner, tmp_path: Path
) -> None:
    add_items(leanix, 2000)
    since = (START + timedelta(minutes=1950)).isoformat()
    operator = LeanIXExportSyncLogOperator(task_id="log", output_path=f"{tmp_path}/l.jsonl", since=since)
    result = task.run(operator)
    assert (result["rows"], result["requests"]) == (50, 1 + 1)


def test_incremental_runs_export_each_item_once(leanix: Any, tmp_path: Path) -> None:
    runs, found = Runs(), []
    for number, minutes in enumerate((1, 1, 0.001, 0.001)):
        add_items(leanix, 130, minutes if number < 2 else 1)
        path = tmp_path / f"{number}.jsonl"
        runs.next(path)
        found += [row["id"] for row in rows_of(path)]
    runs.next(tmp_path / "last.jsonl")
    assert rows_of(tmp_path / "last.jsonl") == []
    assert sorted(found) == sorted(f"i{n}" for n in range(520))


def test_an_item_that_shows_late_is_exported_by_the_next_run(leanix: Any, tmp_path: Path) -> None:
    runs = Runs()
    add_items(leanix, 30)
    late = leanix.sync_items.pop(25)
    runs.next(tmp_path / "1.jsonl")
    leanix.sync_items.append(late)
    runs.next(tmp_path / "2.jsonl")
    assert [row["id"] for row in rows_of(tmp_path / "2.jsonl")] == ["i25"]


def test_a_repeated_run_exports_the_same_again(leanix: Any, tmp_path: Path) -> None:
    runs = Runs()
    add_items(leanix, 30)
    runs.next(tmp_path / "1.jsonl")
    add_items(leanix, 5)
    first = runs.next(tmp_path / "2.jsonl")
    again = runs.next(tmp_path / "2.jsonl")
    assert first["rows"] == again["rows"] == 5


def test_more_items_than_the_state_holds_are_exported_once(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_MAX_KEYS", 20)
    runs, found = Runs(), []
    for number in range(3):
        add_items(leanix, 60, 0.01)
        runs.next(tmp_path / f"{number}.jsonl")
        found += [row["id"] for row in rows_of(tmp_path / f"{number}.jsonl")]
    assert sorted(found) == sorted(f"i{n}" for n in range(180))
    assert len(json.dumps(runs.store.get(export.STATE))) < 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statuses": ["FAILED"]}, "there are OK, INFO, WARNING, ERROR"),
        ({"statuses": "ERROR"}, "statuses"),
        ({"statuses": []}, "statuses is empty"),
        ({"since": "yesterday"}, "'since'"),
        ({"incremental": "maybe"}, "incremental"),
        ({"incremental": True}, "one outlet asset"),
        ({"output_path": "/tmp/log.xlsx"}, "must end in one of"),
        ({"output_path": ""}, "output_path"),
    ],
)
def test_arguments_that_select_nothing_are_refused_before_any_request(
    leanix: Any, sandbox: Any, task: TaskRunner, tmp_path: Path, arguments: Any, message: str
) -> None:
    given = {"output_path": f"{tmp_path}/log.jsonl", **arguments}
    with pytest.raises(InputError, match=message):
        task.run(LeanIXExportSyncLogOperator(task_id="log", **given))
    assert sandbox.counters.total("") == 0


def test_a_workspace_that_nothing_names_is_refused(
    leanix: Any, monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    leanix.token_claims = False
    connection = json.loads(sandbox.connections["leanix_default"])
    connection["extra"].pop("workspace_id")
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps(connection))
    with LeanIXHook() as hook, pytest.raises(InputError, match="set the extra 'workspace_id'"):
        next(hook.iter_sync_items())


def test_a_reply_of_another_form_is_an_error_and_no_empty_log() -> None:
    from airflow_provider.core.http.reply import Reply
    from airflow_provider.leanix import api

    read = api.list_synchronizations().read
    assert read(Reply(200, {}, b"[]")) == read(Reply(200, {}, b'{"data": []}')) == []
    for body in (b"{}", b'{"data": null}', b'{"data": [1]}', b"7"):
        with pytest.raises(ValueError, match="no list of JSON objects"):
            read(Reply(200, {}, body))


def test_an_empty_log_makes_an_empty_file_with_the_known_columns(
    leanix: Any, task: TaskRunner, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    result = task.run(LeanIXExportSyncLogOperator(task_id="log", output_path=str(path)))
    assert (result["rows"], result["watermark"]) == (0, None)
    assert path.read_text() == "type,status,source,createdAt\n"
