"""Export of the sync log against the emulated service."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.errors import IncompleteExportError, InputError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXExportSyncLogOperator
from airflow_provider.leanix.sync_log import increment
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
        self.own: dict[Path, FakeStateStore] = {}

    def next(self, path: Path, **arguments: Any) -> dict[str, Any]:
        task = TaskRunner()
        task.store = self.own.setdefault(path, task.store)
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


@pytest.mark.parametrize("cleared", [0, 1, 2])
def test_a_cleared_run_exports_the_same_items_whatever_runs_have_followed(
    leanix: Any, tmp_path: Path, cleared: int
) -> None:
    runs, found = Runs(), []
    add_items(leanix, 40)
    late = leanix.sync_items[35] | {"id": "late"}
    for number in range(3):
        runs.next(tmp_path / f"{number}.jsonl")
        found.append(rows_of(tmp_path / f"{number}.jsonl"))
        add_items(leanix, 7 * number + 1)
        leanix.sync_items += [late] if number == 0 else []
    first = runs.store.copy()
    result = runs.next(tmp_path / f"{cleared}.jsonl")
    assert rows_of(tmp_path / f"{cleared}.jsonl") == found[cleared]
    assert (result["rows"], runs.store) == (len(found[cleared]), first)
    runs.next(tmp_path / "last.jsonl")
    found.append(rows_of(tmp_path / "last.jsonl"))
    ids = [row["id"] for rows in found for row in rows]
    assert sorted(ids) == sorted(row["id"] for row in leanix.sync_items)


def test_a_cleared_run_without_items_stays_empty(leanix: Any, tmp_path: Path) -> None:
    runs = Runs()
    runs.next(tmp_path / "1.jsonl")
    add_items(leanix, 5)
    assert runs.next(tmp_path / "2.jsonl")["rows"] == 5
    assert runs.next(tmp_path / "1.jsonl")["rows"] == 0
    assert runs.next(tmp_path / "3.jsonl")["rows"] == 0


@pytest.mark.parametrize("first", [0, 20])
@pytest.mark.parametrize("time", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", 4070908800000])
def test_an_item_of_the_future_is_exported_once_and_stops_no_export(
    leanix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], time: Any, first: int
) -> None:
    runs = Runs()
    add_items(leanix, first)
    rows = []
    for number in range(4):
        if number == 1:
            leanix.sync_items.append({"id": "future", "status": "ERROR", "createdAt": time})
        if number > 1:
            add_items(leanix, 30)
        rows.append(runs.next(tmp_path / f"{number}.jsonl")["rows"])
    assert rows == [first, 1, 30, 30]
    assert "a time that has not come yet" in capsys.readouterr().out


def test_the_watermark_of_a_full_export_is_no_time_of_the_future(
    leanix: Any, task: TaskRunner, tmp_path: Path
) -> None:
    add_items(leanix, 3)
    leanix.sync_items.append({"id": "future", "status": "ERROR", "createdAt": "2099-01-01T00:00:00Z"})
    result = task.run(LeanIXExportSyncLogOperator(task_id="log", output_path=f"{tmp_path}/l.jsonl"))
    assert (result["rows"], result["watermark"]) == (4, (START + timedelta(minutes=2)).isoformat())


def test_a_stored_watermark_of_the_future_starts_over(
    leanix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs()
    add_items(leanix, 30)
    runs.next(tmp_path / "1.jsonl")
    (key,) = (key for key in runs.store if not key.endswith("_0"))
    runs.store[key]["latest"] |= dict.fromkeys(("until", "since"), "2090-01-01T00:00:00+00:00")
    assert runs.next(tmp_path / "2.jsonl")["rows"] == 30
    assert "the export starts over" in capsys.readouterr().out
    assert runs.next(tmp_path / "3.jsonl")["rows"] == 0


def test_items_in_several_values_of_the_store_are_known_by_the_next_run(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increment, "_MARKS_PER_CHUNK", 100)
    runs = Runs()
    add_items(leanix, 350, 0)
    assert runs.next(tmp_path / "1.jsonl")["rows"] == 350
    add_items(leanix, 100, 0)
    assert runs.next(tmp_path / "2.jsonl")["rows"] == 100
    assert runs.next(tmp_path / "1.jsonl")["rows"] == 350
    assert runs.next(tmp_path / "3.jsonl")["rows"] == 0
    stores = (runs.store, *runs.own.values())
    assert max(len(json.dumps(value)) for store in stores for value in store.values()) < 1500


def test_thousands_of_marks_fit_into_values_of_the_store() -> None:
    store = FakeStateStore()
    marks = {number.to_bytes(8, "big") for number in range(9000)}
    saved = increment.MarkStore(store, "log").save(1, marks)
    assert increment.MarkStore(store, "log").load(saved) == marks
    assert max(len(json.dumps(value)) for value in store.values()) < 64 * 1024


@pytest.mark.parametrize("newest_first", [True, False])
def test_more_items_within_the_lag_than_the_state_holds_fail(
    leanix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(increment, "_MAX_MARKS", 20)
    add_items(leanix, 60)
    if not newest_first:
        leanix.sync_items.reverse()
    runs = Runs()
    assert runs.next(tmp_path / "1.jsonl")["rows"] == 60
    before = runs.store.copy()
    add_items(leanix, 21, 0.1)
    leanix.sync_items[-21:] = [
        {**row, "createdAt": (START + timedelta(minutes=60, seconds=n)).isoformat()}
        for n, row in enumerate(leanix.sync_items[-21:])
    ]
    with pytest.raises(IncompleteExportError, match=r"more than 20 items within 0:10:00"):
        runs.next(tmp_path / "2.jsonl")
    assert runs.store == before
    assert not (tmp_path / "2.jsonl").exists()


def test_the_order_of_statuses_is_nothing_new(leanix: Any, tmp_path: Path) -> None:
    runs = Runs()
    add_items(leanix, 80)
    orders = (["WARNING", "ERROR"], ["ERROR", "WARNING"], ["error", "Warning", "ERROR"])
    rows = [runs.next(tmp_path / f"{n}.jsonl", statuses=order)["rows"] for n, order in enumerate(orders)]
    assert rows == [40, 0, 0]


def test_tasks_with_other_statuses_on_one_asset_have_watermarks_of_their_own(
    leanix: Any, tmp_path: Path
) -> None:
    runs, rows = Runs(), []
    for number in range(3):
        add_items(leanix, 40)
        for statuses in (["ERROR"], None):
            path = tmp_path / f"{number}-{statuses}.jsonl"
            rows.append(runs.next(path, statuses=statuses)["rows"])
    assert rows == [10, 40] * 3


@pytest.mark.parametrize("time", [None, "", "soon"])
def test_an_item_without_time_is_refused_in_the_first_incremental_run(
    leanix: Any, task: TaskRunner, tmp_path: Path, time: Any
) -> None:
    add_items(leanix, 5)
    leanix.sync_items[2]["createdAt"] = time
    with pytest.raises(IncompleteExportError, match="without 'since' and 'incremental' it is exported"):
        Runs().next(tmp_path / "1.jsonl")
    assert not (tmp_path / "1.jsonl").exists()
    result = task.run(LeanIXExportSyncLogOperator(task_id="log", output_path=f"{tmp_path}/all.jsonl"))
    assert result["rows"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statuses": ["FAILED"]}, "there are OK, INFO, WARNING, ERROR"),
        ({"statuses": "ERROR"}, "statuses"),
        ({"statuses": []}, "statuses is empty"),
        ({"since": "yesterday"}, "'since'"),
        ({"since": ""}, "since is empty"),
        ({"since": " "}, "since is empty"),
        ({"since": float("nan")}, "since is empty"),
        ({"since": "None"}, "'since' must be a date"),
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
