"""Exports of events: every event of the span once, in a file that is complete or not there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.errors import InputError, NotFoundError, PermissionDeniedError, ServerError
from airflow_provider.iotstudio.events import incremental
from airflow_provider.iotstudio.export import incremental as export_incremental
from airflow_provider.iotstudio.operators import IoTStudioExportEventsOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.state_store import FakeAssetStateStores, FakeStateStore

from .conftest import EVENT, EVENTS, Report

pytestmark = pytest.mark.slow  # promises do not depend on versions

START = datetime(2026, 2, 1, tzinfo=UTC)
UNKNOWN = "01GQ2E9M2Y45BX9EW0F2BM0XXX"


def export(path: Path, **arguments: Any) -> dict[str, Any]:
    return IoTStudioExportEventsOperator(task_id="x", output_path=str(path), **arguments).execute({})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_row_is_an_event_of_a_thing_newest_first(
    service: IoTStudioService, sensors: list[str], report: Report, tmp_path: Path, order: str
) -> None:
    service.event_order = order  # type: ignore[assignment]
    first = report(sensors[1], 61.5, START)
    second = report(sensors[1], None, START + timedelta(seconds=5))
    other = report(sensors[0], 70, START)
    result = export(tmp_path / "events.jsonl")
    assert lines(tmp_path / "events.jsonl") == [
        {
            "thing_id": sensors[0],
            "at": "2026-02-01T00:00:00Z",
            "event": EVENT,
            "event_id": other,
            "data": 70,
        },
        {
            "thing_id": sensors[1],
            "at": "2026-02-01T00:00:05Z",
            "event": EVENT,
            "event_id": second,
            "data": None,
        },
        {
            "thing_id": sensors[1],
            "at": "2026-02-01T00:00:00Z",
            "event": EVENT,
            "event_id": first,
            "data": 61.5,
        },
    ]
    assert result["columns"] == ["thing_id", "at", "event", "event_id", "data"]
    assert (result["rows"], result["things"], result["missing_things"]) == (3, len(sensors), 0)
    assert result["without_events"] == len(sensors) - 2
    assert result["watermark"] == "2026-02-01T00:00:05Z"


def test_columns_in_parquet_do_not_depend_on_the_data(
    sensors: list[str], report: Report, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    for number, data in enumerate(["warm", 61.5, 3, True, {"a": [1]}, None]):
        report(sensors[0], data, START + timedelta(seconds=number))
    export(tmp_path / "events.parquet")
    table = pq.read_table(tmp_path / "events.parquet")
    assert [str(field.type) for field in table.schema] == [
        "string",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
        "string",
        "double",
    ]
    rows = table.to_pylist()
    assert [row["data"] for row in rows] == [None, '{"a":[1]}', "true", "3", "61.5", '"warm"']
    assert [row["number"] for row in rows] == [None, None, None, 3.0, 61.5, None]
    empty = tmp_path / "empty.parquet"
    export(empty, events=[])
    assert pq.read_schema(empty).equals(table.schema)


def test_csv_has_the_same_columns(sensors: list[str], report: Report, tmp_path: Path) -> None:
    report(sensors[0], {"a": 1}, START)
    export(tmp_path / "events.csv")
    (row,) = csv.DictReader((tmp_path / "events.csv").read_text().splitlines())
    assert json.loads(row["data"]) == {"a": 1}


def test_a_span_includes_its_start_and_excludes_its_end(
    sensors: list[str], report: Report, tmp_path: Path
) -> None:
    ids = [report(sensors[0], number, START + timedelta(seconds=number)) for number in range(4)]
    export(tmp_path / "e.jsonl", start="2026-02-01T00:00:01Z", end=START + timedelta(seconds=3))
    assert [row["event_id"] for row in lines(tmp_path / "e.jsonl")] == [ids[2], ids[1]]


def test_only_things_that_declare_an_event_are_asked(
    service: IoTStudioService, sandbox: Sandbox, sensors: list[str], tmp_path: Path
) -> None:
    before = sandbox.counters.total("iotstudio")
    export(tmp_path / "e.jsonl", events=[EVENT])
    assert sandbox.counters.requests[EVENTS] == len(sensors)
    # A list of the Things, and a token.
    assert sandbox.counters.total("iotstudio") - before <= len(sensors) + 2


def test_events_are_selected_by_names_and_things(
    service: IoTStudioService, sensors: list[str], report: Report, tmp_path: Path
) -> None:
    thing = service.space.things[sensors[0]]
    thing.fields["events"] = {**thing.fields["events"], "opened": {}, "closed": {}}
    wanted = [report(sensors[0], 1, START, "opened"), report(sensors[0], 1, START, EVENT)]
    report(sensors[0], 1, START, "closed")
    report(sensors[1], 1, START)
    export(tmp_path / "e.jsonl", thing_ids=[sensors[0], sensors[0]], events=["opened", EVENT])
    assert {row["event_id"] for row in lines(tmp_path / "e.jsonl")} == set(wanted)
    assert export(tmp_path / "e.jsonl", thing_ids=[])["rows"] == 0
    assert export(tmp_path / "e.jsonl", category="Meters")["things"] == 0


def test_a_name_that_no_thing_declares_is_a_warning(
    sensors: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tmp_path / "e.jsonl", events=["highTemprature"])["rows"] == 0
    assert "did you mean 'highTemperature'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        {"events": "highTemperature"},
        {"events": [""]},
        {"thing_ids": [None]},
        {"thing_ids": [UNKNOWN], "category": "Sensors"},
        {"category": ""},
        {"filters": {}},
        {"start": ""},
        {"start": "2026-02-02", "end": "2026-02-01"},
        {"lag": 60},
        {"lag": "None", "incremental": True},
        {"filters": {"mode": "eco"}, "incremental": True},
        {"filters": {"mode": "eco"}, "incremental": "true"},
        {"concurrency": 0},
        {"incremental": "maybe"},
    ],
    ids=repr,
)
def test_a_wrong_argument_is_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        export(tmp_path / "e.jsonl", **arguments)
    assert sandbox.counters.total("iotstudio") == 0


def test_a_thing_that_is_gone_ends_no_export(sensors: list[str], report: Report, tmp_path: Path) -> None:
    report(sensors[0], 1, START)
    result = export(tmp_path / "e.jsonl", thing_ids=[sensors[0], UNKNOWN])
    assert (result["rows"], result["missing_things"]) == (1, 1)


def test_when_none_of_the_things_is_there_the_export_fails_and_leaves_no_file(
    service: IoTStudioService, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="none of the Things"):
        export(tmp_path / "e.jsonl", thing_ids=[UNKNOWN])
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_in_the_middle_leaves_no_file(
    sandbox: Sandbox, sensors: list[str], report: Report, tmp_path: Path
) -> None:
    report(sensors[0], 1, START)
    sandbox.faults.add("status", path="/events", status=500, times=None, after=2)
    with pytest.raises(ServerError):
        export(tmp_path / "e.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_events_that_have_rolled_off_are_a_warning_and_a_count(
    sensors: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(100):
        report(sensors[0], number, START + timedelta(seconds=number))
    assert export(tmp_path / "e.jsonl", start=START)["rolled_off"] == 1
    assert "older ones are gone" in capsys.readouterr().out
    assert "rolled_off" not in export(tmp_path / "e.jsonl", start=START + timedelta(seconds=1))


def test_a_full_list_is_a_warning_and_a_count_without_a_start_too(
    sensors: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(99):
        report(sensors[0], number, START + timedelta(seconds=number))
    assert "rolled_off" not in export(tmp_path / "e.jsonl")
    report(sensors[0], 99, START + timedelta(seconds=99))
    assert export(tmp_path / "e.jsonl", events=[EVENT])["rolled_off"] == 1
    assert "older ones are gone" in capsys.readouterr().out


@pytest.mark.parametrize("status", [400, 403])
def test_a_thing_that_is_gone_ends_no_export_whatever_the_service_answers(
    service: IoTStudioService, sensors: list[str], report: Report, tmp_path: Path, status: int
) -> None:
    service.unknown_thing_status = status  # type: ignore[assignment]
    report(sensors[0], 1, START)
    result = export(tmp_path / "e.jsonl", thing_ids=[UNKNOWN, sensors[0]])
    assert (result["rows"], result["missing_things"]) == (1, 1)
    with pytest.raises(NotFoundError, match="none of the Things"):
        export(tmp_path / "e.jsonl", thing_ids=[UNKNOWN])


def test_a_thing_that_is_there_and_refuses_fails_the_export(
    sandbox: Sandbox, sensors: list[str], tmp_path: Path
) -> None:
    sandbox.faults.add("status", path=f"{sensors[1]}/events", status=403, times=None)
    with pytest.raises(PermissionDeniedError, match="403"):
        export(tmp_path / "e.jsonl", thing_ids=sensors)


def item(data: Any, day: int, href: str, **more: Any) -> dict[str, Any]:
    return {EVENT: {"data": data, "timestamp": f"2026-01-{day:02} 00:00:00+0000", "href": href, **more}}


def answer(sandbox: Sandbox, uid: str, items: list[Any]) -> None:
    """Let the events of a Thing be these items."""
    sandbox.faults.clear()
    body = json.dumps({"data": items, "paging": {"next_cursor": ""}})
    path = f"{uid}/events"
    kind = "application/json"
    sandbox.faults.add("status", path=path, times=None, status=200, content_type=kind, body=body)


@pytest.mark.parametrize("other", [1, {"x": 2}, None, [1]], ids=repr)
def test_an_event_that_is_listed_twice_is_one_row(
    sandbox: Sandbox, sensors: list[str], tmp_path: Path, other: Any
) -> None:
    answer(sandbox, sensors[0], [item({"x": 1}, 1, "/e/b"), item(1, 2, "/e/c"), item(other, 1, "/e/b")])
    export(tmp_path / "e.jsonl", thing_ids=[sensors[0]])
    assert [(row["event_id"], row["data"]) for row in lines(tmp_path / "e.jsonl")] == [
        ("c", 1),
        ("b", {"x": 1}),
    ]


NO_ID: list[dict[str, Any]] = [{"href": "/x/events/"}, {"href": "/x/e", "id": ""}, {"href": "/e", "id": None}]


@pytest.mark.parametrize("ending", NO_ID, ids=repr)
def test_events_without_ids_are_told_apart_by_time_and_data(
    sandbox: Sandbox, sensors: list[str], tmp_path: Path, ending: dict[str, Any]
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    answer(sandbox, sensors[0], [item(1, 1, **ending)])
    first = memory.run(path, "1")
    items = [item(3, 3, **ending), item({"a": 2}, 2, **ending), item(2, 2, **ending), item(1, 1, **ending)]
    answer(sandbox, sensors[0], [*items, items[0]])
    memory.run(path, "2")
    found = lines(path)
    assert sorted(str(row["data"]) for row in found) == ["2", "3", "{'a': 2}"]
    assert len({*first, *(row["event_id"] for row in found)}) == 4
    assert memory.run(path, "3") == []


def test_a_slash_after_an_id_is_no_part_of_it(sandbox: Sandbox, sensors: list[str], tmp_path: Path) -> None:
    answer(
        sandbox, sensors[0], [item(1, 1, "/x/events/e/01EDCEZDTJX50SQTCJST5EW5NX/"), item(1, 2, "/e/1", id=7)]
    )
    export(tmp_path / "e.jsonl", thing_ids=[sensors[0]])
    found = [row["event_id"] for row in lines(tmp_path / "e.jsonl")]
    assert found == ["7", "01EDCEZDTJX50SQTCJST5EW5NX"]


class Memory:
    """What a DAG's incremental export remembers."""

    def __init__(self) -> None:
        self.assets = FakeAssetStateStores()
        self.runs: dict[str, FakeStateStore] = {}

    def run(self, path: Path, run: str, **arguments: Any) -> list[str]:
        """Run an export as a run of a DAG; return the ids of its events."""
        operator = IoTStudioExportEventsOperator(
            task_id="x", output_path=str(path), incremental=True, outlets=[Asset("events")], **arguments
        )
        ti = SimpleNamespace(dag_id="d", task_id="x", run_id=run, map_index=-1)
        own = self.runs.setdefault(run, FakeStateStore())
        operator.execute({"ti": ti, "asset_state_store": self.assets, "task_state_store": own})
        return [row["event_id"] for row in lines(path)]


def test_an_incremental_export_has_each_event_once(
    sensors: list[str], report: Report, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    first = report(sensors[0], 1, START)
    assert memory.run(path, "1") == [first]
    assert memory.run(path, "2") == []
    # In the same second, on another Thing.
    second = report(sensors[1], 2, START)
    third = report(sensors[0], 3, START + timedelta(hours=1))
    assert sorted(memory.run(path, "3")) == sorted([second, third])
    assert memory.run(path, "4") == []


def test_late_events_are_exported_within_the_lag(sensors: list[str], report: Report, tmp_path: Path) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    report(sensors[0], 1, START)
    memory.run(path, "1", start=START - timedelta(days=1), lag=timedelta(hours=2))
    late = report(sensors[1], 2, START - timedelta(hours=1))
    report(sensors[1], 2, START - timedelta(hours=3))
    assert memory.run(path, "2", lag=timedelta(hours=2)) == [late]


def test_a_cleared_run_exports_its_own_span_again(sensors: list[str], report: Report, tmp_path: Path) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    first = report(sensors[0], 1, START)
    memory.run(path, "1")
    second = report(sensors[0], 2, START + timedelta(hours=1))
    assert memory.run(path, "2") == [second]
    assert memory.run(path, "1") == [first]
    assert memory.run(path, "3") == []


def test_a_run_that_failed_moves_no_watermark(
    sandbox: Sandbox, sensors: list[str], report: Report, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    first = report(sensors[0], 1, START)
    sandbox.faults.add("status", path="/events", status=403, after=2)
    with pytest.raises(Exception, match="403"):
        memory.run(path, "1")
    assert memory.run(path, "2") == [first]


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


Absence = Callable[[], None]


@pytest.fixture(params=["answers 404", "is not in the list", "lost the category"])
def absence(
    request: pytest.FixtureRequest, service: IoTStudioService, sandbox: Sandbox, sensors: list[str]
) -> tuple[Absence, Absence]:
    """Return functions that let the first Thing disappear and come back."""
    uid = sensors[0]
    thing = service.space.things[uid]

    def back() -> None:
        sandbox.faults.clear()
        service.space.things = {uid: thing, **service.space.things}
        thing.categories = ["Sensors"]

    def leave() -> None:
        if request.param == "answers 404":
            sandbox.faults.add("stray_404", path=f"{uid}/events", times=None)
        elif request.param == "is not in the list":
            service.space.things = {other: it for other, it in service.space.things.items() if other != uid}
        else:
            thing.categories = []

    return leave, back


def test_events_of_a_thing_that_was_missing_are_exported_once_it_is_back(
    sensors: list[str],
    report: Report,
    tmp_path: Path,
    absence: tuple[Absence, Absence],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (leave, back), memory, path = absence, Memory(), tmp_path / "e.jsonl"
    memory.run(path, "0", category="Sensors")
    before = [report(sensors[0], 1, hour(0)), report(sensors[1], 1, hour(0))]
    assert sorted(memory.run(path, "1", category="Sensors")) == sorted(before)
    missed = [report(sensors[0], 2, hour(0)), report(sensors[0], 2, hour(1))]
    for run in range(2, 5):
        leave()
        other = report(sensors[1], run, hour(run))
        assert memory.run(path, str(run), category="Sensors") == [other]
        back()
    shown = capsys.readouterr().out
    assert (
        shown.count(
            f"Things are missing; a run in which they are back exports their events since then: {sensors[0]}"
        )
        == 3
    )
    late = [*missed, report(sensors[0], 3, hour(3))]
    assert sorted(memory.run(path, "5", category="Sensors")) == sorted(late)
    assert memory.run(path, "6", category="Sensors") == []
    assert sorted(memory.run(path, "5", category="Sensors")) == sorted(late)
    assert set(before) <= set(memory.run(path, "1", category="Sensors"))


def test_a_thing_that_was_missing_from_the_first_list_is_exported_from_the_start(
    service: IoTStudioService, sensors: list[str], report: Report, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    report(sensors[0], 0, hour(-3))
    late = report(sensors[0], 1, hour(0))
    thing = service.space.things.pop(sensors[0])
    first = report(sensors[1], 1, hour(1))
    assert memory.run(path, "1", start=hour(-1)) == [first]
    service.space.things[thing.uid] = thing
    assert memory.run(path, "2", start=hour(-1)) == [late]
    assert memory.run(path, "3", start=hour(-1)) == []


def test_a_given_thing_that_answers_404_for_a_run_loses_no_event(
    sandbox: Sandbox, sensors: list[str], report: Report, tmp_path: Path
) -> None:
    memory, path, arguments = Memory(), tmp_path / "e.jsonl", {"thing_ids": sensors[:2], "lag": 7200}
    report(sensors[0], 1, hour(0))
    memory.run(path, "1", **arguments)
    missed, other = report(sensors[0], 2, hour(1)), report(sensors[1], 2, hour(9))
    sandbox.faults.add("stray_404", path=f"{sensors[0]}/events", times=2)
    assert memory.run(path, "2", **arguments) == [other]
    assert memory.run(path, "3", **arguments) == [missed]
    assert memory.run(path, "4", **arguments) == []


def test_a_thing_that_is_gone_for_a_month_is_forgotten(
    service: IoTStudioService,
    sensors: list[str],
    report: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    for number, uid in enumerate(sensors):
        report(uid, 1, hour(number))
    memory.run(path, "1")
    del service.space.things[sensors[0]]
    report(sensors[1], 1, hour(5))
    monkeypatch.setattr(incremental, "FORGET_AFTER", timedelta(0))
    memory.run(path, "2")
    assert "Things are missing" not in capsys.readouterr().out


def test_the_state_of_an_earlier_version_is_understood(
    sensors: list[str], report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, path = Memory(), tmp_path / "e.jsonl"
    report(sensors[0], 1, hour(0))
    # It noted no Things, and marks of another form.
    now, older = export_incremental._marks, export_incremental.HistoryWatermark
    with monkeypatch.context() as patch:
        patch.setattr(export_incremental, "_marks", lambda row: now(row)[1:])
        patch.setattr(incremental.EventsWatermark, "_save_marks", older._save_marks)
        memory.run(path, "1", lag=3600)
    second = report(sensors[1], 2, hour(0))
    assert memory.run(path, "2", lag=3600) == [second]
    assert memory.run(path, "3", lag=3600) == []
