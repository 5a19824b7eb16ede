"""Exports of Things and of their history, over TCP."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, overload

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time import context as task_context

from airflow_provider.errors import InputError, RequestRejectedError, ServerError
from airflow_provider.iotstudio.export import incremental
from airflow_provider.iotstudio.export.history import Span
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioExportThingsOperator,
)
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.seed import HISTORY_MS
from airflow_provider.sandbox.server import Sandbox
from tests.support.state_store import FakeStateStore

from ..conftest import THING

REMEMBERS = hasattr(task_context, "AssetStateStoreAccessors")
HISTORY = "iotstudio GET /spaces/{space}/things/{thing}/properties-history"
ONE = f"{HISTORY}/{{property}}"


@pytest.fixture(autouse=True)
def without_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "CLOCK_MARGIN", 0.0)


def things(path: Path, **arguments: Any) -> dict[str, Any]:
    return IoTStudioExportThingsOperator(task_id="x", output_path=str(path), **arguments).execute({})


def history(path: Path, **arguments: Any) -> dict[str, Any]:
    return IoTStudioExportHistoryOperator(task_id="x", output_path=str(path), **arguments).execute({})


def lines(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


# -- Things -------------------------------------------------------------------------------------------


def test_things_come_with_their_values_one_row_each(service: IoTStudioService, tmp_path: Path) -> None:
    path = tmp_path / "things.jsonl"
    result = things(path)
    rows = {row["uid"]: row for row in lines(path)}
    assert len(rows) == result["rows"] == 264
    for uid, thing in service.space.things.items():
        described = {"title": thing.title, "categories": thing.categories, "model": None}
        times = {"created": thing.created, "modified": thing.modified}
        assert rows[uid] == {"uid": uid, **described, **times, **thing.status}
    assert result["columns"][:6] == ["uid", "title", "categories", "model", "created", "modified"]
    assert set(result["columns"][6:]) == {name for t in service.space.things.values() for name in t.status}
    assert result["bytes"] == path.stat().st_size
    assert (result["requests"], result["format"]) == (2, "jsonl")  # a token, and one page


def test_a_csv_has_a_column_for_every_property_of_any_thing(
    service: IoTStudioService, tmp_path: Path
) -> None:
    path = tmp_path / "things.csv.gz"
    result = things(path)
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == result["columns"]
    assert {"temperature", "energy", "tariff"} <= set(rows[0])
    first = next(row for row in rows if row["uid"] == THING)
    assert (first["temperature"], first["energy"], first["window/open"]) == ("21.0", "", "false")


def test_parquet_has_the_types_of_the_values(service: IoTStudioService, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    service.space.things[THING].status["mixed"] = 1
    service.space.things[list(service.space.things)[1]].status["mixed"] = "one"
    path = tmp_path / "things.parquet"
    result = things(path)
    table = pq.read_table(path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert table.column_names == result["columns"]
    wanted = {
        "temperature": "double",
        "co2": "int64",
        "window/open": "bool",
        "mode": "string",
        "limit": "double",
        "tariff": "string",
        "mixed": "string",
    }
    assert {name: kinds[name] for name in wanted} == wanted
    row = next(row for row in table.to_pylist() if row["uid"] == THING)
    assert (row["temperature"], row["co2"], row["mixed"], row["energy"]) == (21.0, 600, "1", None)


@pytest.mark.parametrize("declared", [{"type": "number"}, {}, {"type": "integer"}])
@pytest.mark.parametrize("others", [[1.5], [1], []])
def test_parquet_rounds_no_whole_number(
    service: IoTStudioService, tmp_path: Path, declared: dict[str, str], others: list[float]
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for thing, value in zip(service.space.things.values(), [2**53 + 1, *others], strict=False):
        thing.fields = {**thing.fields, "properties": {"serial": declared}}
        thing.status = {"serial": value}
    things(tmp_path / "things.parquet")
    column = pq.read_table(tmp_path / "things.parquet")["serial"]
    assert sorted(json.loads(str(value)) for value in column.to_pylist() if value is not None) == sorted(
        [2**53 + 1, *others]
    )


def test_category_and_filters_are_the_services_own(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "things.jsonl"
    result = things(path, category="Sensors", filters={"mode": "eco", "temperature": "gt:21"})
    rows = lines(path)
    assert 0 < len(rows) == result["rows"] == sandbox.counters.rows_served["iotstudio"]
    assert all(row["mode"] == "eco" and row["temperature"] > 21 for row in rows)


def test_a_property_called_uid_does_not_hide_the_uid(service: IoTStudioService, tmp_path: Path) -> None:
    service.space.things[THING].status["uid"] = "other"
    path = tmp_path / "things.jsonl"
    things(path)
    row = next(row for row in lines(path) if row["uid"] == THING)
    assert row["property:uid"] == "other"


def test_no_things_are_an_empty_file(service: IoTStudioService, tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.csv", "none.parquet"):
        assert things(tmp_path / name, filters={"temperature": "gt:1000"})["rows"] == 0
        assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x.txt", "x", "x.parquet.gz"])
def test_a_path_without_a_known_suffix_is_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    for export in (things, history):
        with pytest.raises(InputError, match="must end in"):
            export(tmp_path / name)
    assert sandbox.counters.total("iotstudio") == 0


def test_a_list_that_breaks_off_leaves_no_file(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider.iotstudio.api.PAGE_SIZE", 100)
    path = tmp_path / "things.jsonl"
    path.write_text("what was there before")
    sandbox.faults.add("html", path="/things$", status=502, after=1, times=None)
    with pytest.raises(ServerError):
        things(path)
    assert path.read_text() == "what was there before"
    assert [one.name for one in tmp_path.iterdir()] == ["things.jsonl"]


# -- history ------------------------------------------------------------------------------------------


def test_history_is_one_row_a_value(service: IoTStudioService, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    result = history(path, thing_ids=[THING])
    rows = lines(path)
    series = service.space.things[THING].history
    assert result["rows"] == len(rows) == 144
    assert result["columns"] == ["thing_id", "at", "property", "value"] == list(rows[0])
    found = sorted(row["value"] for row in rows if row["property"] == "temperature")
    assert found == sorted(value for _, value in series["temperature"])
    assert (result["things"], result["watermark"]) == (1, "2026-01-03T23:00:00Z")


def test_consecutive_spans_miss_and_repeat_nothing(service: IoTStudioService, tmp_path: Path) -> None:
    days = ["2026-01-01", "2026-01-02T00:00:00+00:00", datetime(2026, 1, 3, tzinfo=UTC), "2026-01-04"]
    rows = []
    for start, end in pairwise(days):
        path = tmp_path / "day.jsonl"
        assert history(path, thing_ids=[THING], start=start, end=end)["rows"] == 48
        rows += [(row["at"], row["property"]) for row in lines(path)]
    assert len(rows) == len(set(rows)) == 144


def test_bounds_hold_whether_the_service_includes_them_or_not() -> None:
    span = Span.parse("2026-01-01 00:00:00+00:00", "2026-01-02")
    bounds = span.query_bounds()
    assert span.start
    assert span.end
    assert bounds[0]
    assert bounds[1]
    assert bounds[0] < span.start
    assert bounds[1] > span.end
    assert span.contains("2026-01-01T00:00:00Z")
    assert span.contains("2026-01-01T23:59:59.999999999Z")
    assert not span.contains("2026-01-02T00:00:00.000Z")
    assert not span.contains("2025-12-31T23:59:59.999Z")


def test_all_things_of_a_space_are_read_concurrently(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults.add("delay", path="/properties-history", times=None, seconds=0.01)
    path = tmp_path / "history.csv"
    result = history(path, category="Sensors", concurrency=6)
    assert (result["rows"], result["things"]) == (20 * 144, 240)
    assert sandbox.counters.requests[HISTORY] == 240
    assert sandbox.counters.total("/categories/{category}/things") == 1
    assert 3 <= sandbox.counters.peak_in_flight <= 6
    with path.open(newline="") as file:
        assert len({(row["thing_id"], row["at"], row["property"]) for row in csv.DictReader(file)}) == 2880


def test_named_properties_are_read_alone(service: IoTStudioService, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history(path, thing_ids=[THING], properties=["humidity"])
    assert {row["property"] for row in lines(path)} == {"humidity"}
    assert (sandbox.counters.requests[ONE], sandbox.counters.requests[HISTORY]) == (1, 0)


HISTORY_TYPES = {
    "thing_id": "string",
    "at": "timestamp[us, tz=UTC]",
    "property": "string",
    "value": "string",
    "number": "double",
}


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (70, "70", 70.0),
        (70.5, "70.5", 70.5),
        (True, "true", None),
        ("eco", '"eco"', None),
        ("70", '"70"', None),
        ({"a": [1]}, '{"a":[1]}', None),
        (None, "null", None),
    ],
)
def test_the_schema_of_a_parquet_history_does_not_depend_on_its_values(
    service: IoTStudioService, tmp_path: Path, value: Any, text: str, number: float | None
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    service.space.things[THING].history = {"temperature": [(HISTORY_MS, value)]}
    path = tmp_path / "history.parquet"
    result = history(path, thing_ids=[THING])
    table = pq.read_table(path)
    assert {field.name: str(field.type) for field in table.schema} == HISTORY_TYPES
    assert result["columns"] == list(HISTORY_TYPES)
    (row,) = table.to_pylist()
    assert (row["value"], row["number"]) == (text, number)
    assert row["at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_parquet_history_without_values_has_the_same_schema(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for arguments in ({"thing_ids": []}, {"thing_ids": [THING], "properties": []}, {"properties": []}):
        path = tmp_path / "history.parquet"
        assert history(path, **arguments)["rows"] == 0
        assert {field.name: str(field.type) for field in pq.read_schema(path)} == HISTORY_TYPES
    assert sandbox.counters.total("iotstudio") == 0


def test_an_empty_page_in_the_middle_does_not_end_a_history(
    service: IoTStudioService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider.iotstudio.api.PAGE_SIZE", 50)
    service.empty_page_in_the_middle = True
    assert history(tmp_path / "history.jsonl", thing_ids=[THING])["rows"] == 144


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": "yesterday"}, "'start' is not a time"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "is not before end"),
        ({"thing_ids": THING}, "'thing_ids' must be a list of texts"),
        ({"thing_ids": [THING, None]}, "'thing_ids' must be a list of texts"),
        ({"thing_ids": [THING], "category": "Sensors"}, "not both"),
        ({"concurrency": 0}, "'concurrency' must be a whole number from 1 to 32"),
        ({"concurrency": "many"}, "'concurrency' must be a whole number"),
        ({"thing_ids": f"['{THING}']"}, "render_template_as_native_obj"),
        ({"properties": "['temperature']"}, "render_template_as_native_obj"),
        ({"thing_ids": [THING, ""]}, "'thing_ids' must be a list of texts"),
        ({"properties": [None]}, "'properties' must be a list of texts"),
        ({"filters": {}}, "'filters'"),
        ({"filters": {"mode": None}}, "'filters'"),
        ({"filters": {"temperature": ">20"}}, "gt:20"),
        ({"thing_ids": [THING], "filters": {}}, "not both"),
        ({"category": ""}, "'category' is empty"),
        ({"start": ""}, "'start' is empty"),
        ({"end": " "}, "'end' is empty"),
        ({"start": float("nan")}, "'start' is empty"),
        ({"space": ""}, "'space' is empty"),
        ({"lag": 60}, "'lag' goes with incremental=True only"),
        ({"lag": 60, "incremental": "maybe"}, "'incremental' must be true or false"),
        ({"filters": {"mode": "eco"}, "incremental": True}, "'filters' do not go with incremental=True"),
        ({"filters": {"mode": "eco"}, "incremental": "True"}, "'filters' do not go with incremental=True"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        history(tmp_path / "history.jsonl", **arguments)
    assert sandbox.counters.total("iotstudio") == 0


def test_when_one_history_fails_all_fail_and_no_file_is_left(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults.add("status", path="/properties-history", status=400, after=30, times=1)
    with pytest.raises(RequestRejectedError):
        history(tmp_path / "history.jsonl", category="Sensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("status", {"status": 401}),
        ("html", {"status": 503}),
        ("reset_before", {}),
        ("truncate", {}),
    ],
)
def test_transient_faults_lose_no_rows(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    # A request that is refused with two tokens in a row fails permanently.
    times = 1 if options.get("status") == 401 else 3
    sandbox.faults.add(kind, path="/properties-history", after=5, times=times, **options)
    path = tmp_path / "history.jsonl"
    history(path, category="Sensors", filters={"temperature": "gt:0"})
    rows = [(row["thing_id"], row["at"], row["property"]) for row in lines(path)]
    assert len(rows) == len(set(rows)) == 2880


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_start_before_the_oldest_stored_value_is_reported(
    service: IoTStudioService, tmp_path: Path, capsys: pytest.CaptureFixture[str], order: Any
) -> None:
    service.history_order = order
    service.forgotten_before = "2026-01-02T12:00:00Z"
    path = tmp_path / "history.jsonl"
    things = list(service.space.things)[:20]
    result = history(path, thing_ids=things, start="2026-01-02", end="2026-01-03")
    assert min(row["at"] for row in lines(path)) == "2026-01-02T12:00:00Z"
    retention = result["retention"]
    recorded = [uid for uid in things if service.space.things[uid].history]
    assert (retention["start"], retention["things"]) == ("2026-01-02T00:00:00+00:00", 20)
    assert {uid for uid, at in retention["kept_from"].items() if at} == set(recorded)
    assert retention["kept_from"][THING] == "2026-01-02T12:00:00Z"
    logged = capsys.readouterr().out
    assert "20 of 20 Things have no stored value from before 2026-01-02T00:00:00+00:00" in logged
    assert "the oldest value is from 2026-01-02T12:00:00Z" in logged


@pytest.mark.slow
def test_the_report_of_a_whole_fleet_stays_small(service: IoTStudioService, tmp_path: Path) -> None:
    service.forgotten_before = "2026-01-03T00:00:00Z"
    result = history(tmp_path / "history.jsonl", category="Sensors", start="2026-01-02", end="2026-01-04")
    assert result["retention"]["things"] == 240
    assert len(result["retention"]["kept_from"]) == 20
    assert len(json.dumps(result)) < 2500


@pytest.mark.parametrize("start", ["2026-01-01", "2026-01-02T12:34:56Z", None])
def test_nothing_is_reported_when_nothing_can_be_missing(
    service: IoTStudioService, tmp_path: Path, start: str | None
) -> None:
    assert "retention" not in history(tmp_path / "history.jsonl", thing_ids=[THING], start=start)


def test_a_recent_start_costs_no_further_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    result = history(tmp_path / "history.jsonl", thing_ids=[THING], start=yesterday)
    assert "retention" not in result
    assert sandbox.counters.requests[HISTORY] == 1


def test_of_several_properties_the_shortest_history_is_reported(
    service: IoTStudioService, tmp_path: Path
) -> None:
    series = service.space.things[THING].history
    series["temperature"] = series["temperature"][30:]
    series["humidity"] = series["humidity"][40:]
    result = history(
        tmp_path / "history.jsonl",
        thing_ids=[THING],
        properties=["humidity", "temperature"],
        start="2026-01-01",
    )
    assert result["retention"]["kept_from"] == {THING: "2026-01-02T16:00:00Z"}


def test_a_thing_named_twice_is_read_once(service: IoTStudioService, tmp_path: Path) -> None:
    result = history(tmp_path / "history.jsonl", thing_ids=[THING, THING], properties=["humidity"] * 2)
    assert (result["rows"], result["things"]) == (72, 1)


class Ramp(Sequence[tuple[int, Any]]):
    """A long history that takes no memory."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> tuple[int, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[int, Any]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice) or not 0 <= index < self.count:
            raise IndexError(index)
        return HISTORY_MS + index * 1000, index / 8


def test_a_history_is_read_a_thousand_values_at_a_time(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    service.space.things[THING].history = {"temperature": Ramp(2_500)}
    assert history(tmp_path / "long.jsonl", thing_ids=[THING])["rows"] == 2_500
    assert sandbox.counters.requests[HISTORY] == 3


@pytest.mark.nightly
def test_memory_is_flat_over_long_histories(service: IoTStudioService, tmp_path: Path) -> None:
    uids = list(service.space.things)[:4]

    def peak(count: int) -> int:
        for uid in uids:
            service.space.things[uid].history = {"temperature": Ramp(count)}
        tracemalloc.start()
        try:
            assert history(tmp_path / "long.jsonl", thing_ids=uids, concurrency=2)["rows"] == 4 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(6_000) < 1.5 * peak(2_000)


class Memory:
    """State stores of a DAG's incremental export: one of its asset, and one of each run."""

    def __init__(self) -> None:
        self.asset = FakeStateStore()
        self.runs: dict[str, FakeStateStore] = {}

    def __getitem__(self, _: Asset) -> FakeStateStore:
        return self.asset


def increment(path: Path, memory: Memory | None, run: str, **arguments: Any) -> dict[str, Any]:
    """Run an incremental export as a run of a DAG."""
    operator = IoTStudioExportHistoryOperator(
        task_id="x",
        output_path=str(path),
        thing_ids=[THING],
        incremental=True,
        outlets=[Asset("history")],
        **arguments,
    )
    ti = SimpleNamespace(dag_id="d", task_id="x", run_id=run, map_index=-1)
    own = None if memory is None else memory.runs.setdefault(run, FakeStateStore())
    context: Any = {"ti": ti, "asset_state_store": memory, "task_state_store": own}
    return operator.execute(context)


def test_an_incremental_export_starts_where_the_last_export_ended(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    thing = service.space.things[THING]
    assert increment(path, memory, "first", start="2026-01-03")["rows"] == 48
    assert increment(path, memory, "second")["rows"] == 0
    thing.record("temperature", HISTORY_MS + 80 * 3_600_000, 25.5)
    assert increment(path, memory, "third")["rows"] == 1
    assert lines(path)[0]["value"] == 25.5


def test_values_recorded_during_an_export_are_left_to_the_next_export(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    thing, now = service.space.things[THING], int(datetime.now(UTC).timestamp() * 1000)
    thing.record("temperature", now - 1000, 30.5)
    thing.record("temperature", now + 3_600_000, 31.5)
    assert increment(path, memory, "first", start="2026-01-04")["rows"] == 1
    assert lines(path)[0]["value"] == 30.5
    thing.record("temperature", now - 500, 32.5)
    assert increment(path, memory, "second")["rows"] == 1
    assert lines(path)[0]["value"] == 32.5


def test_the_services_time_ends_the_span_not_that_of_a_worker_whose_clock_is_ahead(
    service: IoTStudioService,
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    sandbox.clock.advance(-300)
    thing, now = service.space.things[THING], int(sandbox.clock.now() * 1000)
    thing.record("temperature", now - 10_000, 30.5)
    thing.record("temperature", now + 60_000, 32.5)  # While the Things are read one after the other.
    assert increment(path, memory, "first", start="2026-02-01")["rows"] == 1
    assert "behind this worker's" in caplog.text + capsys.readouterr().out
    thing.record("temperature", now + 30_000, 31.5)
    sandbox.clock.advance(300)
    assert increment(path, memory, "second")["rows"] == 2
    assert sorted(line["value"] for line in lines(path)) == [31.5, 32.5]


@pytest.mark.parametrize("status", [403, 404])
def test_a_service_that_does_not_tell_its_time_has_the_workers(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, status: int
) -> None:
    sandbox.faults.add("status", status=status, path="/things$", times=None)
    assert increment(tmp_path / "history.jsonl", Memory(), "first", start="2026-01-03")["rows"] == 48


def test_an_end_in_the_past_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "CLOCK_MARGIN", 60.0)
    end = datetime(2026, 1, 2, tzinfo=UTC)
    assert incremental.closed_span(None, end, datetime.now(UTC)).end == end


def test_a_run_that_is_cleared_exports_its_own_span_again(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    thing = service.space.things[THING]
    increment(path, memory, "first", end="2026-01-02")
    second = increment(path, memory, "second", end="2026-01-03")
    of_second = path.read_bytes()
    for run, rows in (("third", 48), ("fourth", 0)):
        assert increment(path, memory, run)["rows"] == rows
    thing.record("temperature", HISTORY_MS + 80 * 3_600_000, 25.5)
    again = increment(path, memory, "second", end="2026-01-03")
    assert (again["rows"], again["watermark"]) == (48, second["watermark"])
    assert path.read_bytes() == of_second
    assert increment(path, memory, "fourth")["rows"] == 0
    assert increment(path, memory, "first")["rows"] == 48
    assert increment(path, memory, "fifth")["rows"] == 1


def test_the_last_run_when_cleared_leaves_newer_values_to_the_next_run(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    assert increment(path, memory, "first")["rows"] == 144
    service.space.things[THING].record("temperature", HISTORY_MS + 80 * 3_600_000, 25.5)
    assert increment(path, memory, "first")["rows"] == 144
    assert increment(path, memory, "second")["rows"] == 1


def test_a_first_run_that_found_nothing_finds_nothing_when_cleared(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    assert increment(path, memory, "first", end="2025-12-01")["rows"] == 0
    assert increment(path, memory, "second")["rows"] == 144
    assert increment(path, memory, "first")["rows"] == 0


def test_a_cleared_run_whose_source_has_changed_starts_over(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    assert increment(path, memory, "first")["rows"] == 144
    assert increment(path, memory, "first", properties=["humidity"])["rows"] == 72


def test_a_run_that_died_before_its_span_was_stored_repeats_the_span(
    service: IoTStudioService, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    increment(path, memory, "first", end="2026-01-02")
    assert increment(path, memory, "second")["rows"] == 96
    memory.runs["second"].clear()
    assert increment(path, memory, "second")["rows"] == 96


def test_the_watermark_moves_only_after_the_file_has_its_final_name(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    memory, path = Memory(), tmp_path / "history.jsonl"
    increment(path, memory, "first", end="2026-01-02")
    known = dict(memory.asset)
    sandbox.faults.add("status", path="/properties-history", status=400)
    with pytest.raises(RequestRejectedError):
        increment(path, memory, "second")
    assert memory.asset == known
    assert increment(path, memory, "second")["rows"] == 96


def test_the_watermark_needs_an_outlet_asset(service: IoTStudioService, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs one outlet asset"):
        history(tmp_path / "history.jsonl", thing_ids=[THING], incremental=True)


def test_without_a_state_store_everything_since_start_is_exported(
    service: IoTStudioService, tmp_path: Path
) -> None:
    for run in ("first", "second"):
        assert increment(tmp_path / "history.jsonl", None, run, start="2026-01-03")["rows"] == 48


@pytest.mark.skipif(not REMEMBERS, reason="state stores for assets came with Airflow 3.3")
def test_the_watermark_is_stored_by_a_real_airflow(
    service: IoTStudioService, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    with DAG("iotstudio_incremental", schedule=None) as dag:
        IoTStudioExportHistoryOperator(
            task_id="history",
            output_path=f"{tmp_path}/history.jsonl",
            thing_ids=[THING],
            incremental=True,
            outlets=[Asset("iotstudio_history_of_one")],
        )
    rows = []
    for _ in range(2):
        run = run_dag(dag)
        assert run.state == "success"
        rows.append(run.get_task_instance("history").xcom_pull(task_ids="history")["rows"])
    assert rows == [144, 0]


def test_exports_run_in_a_dag_with_the_data_interval(
    service: IoTStudioService, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    with DAG("iotstudio_exports", schedule=None) as dag:
        IoTStudioExportThingsOperator(task_id="things", output_path=f"{tmp_path}/{{{{ ds }}}}.parquet")
        IoTStudioExportHistoryOperator(
            task_id="history",
            output_path=f"{tmp_path}/history.jsonl",
            thing_ids=[THING],
            start="{{ logical_date }}",
            end="{{ logical_date.add(days=1) }}",
        )
    run = run_dag(dag, logical_date=datetime(2026, 1, 2, tzinfo=UTC))
    assert run.state == "success"
    result = run.get_task_instance("history").xcom_pull(task_ids="history")
    assert (result["rows"], result["watermark"]) == (48, "2026-01-02T23:00:00Z")
    assert (tmp_path / "2026-01-02.parquet").exists()


def test_the_fleet_example_sets_waits_and_exports(
    service: IoTStudioService,
    run_dag: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    rows = tmp_path / "iotstudio" / "setpoints.jsonl"
    rows.parent.mkdir()
    rows.write_text(json.dumps({"thing_id": THING, "properties": {"setpoint": 19.5}}))
    path = Path(__file__).resolve().parents[4] / "example_dags" / "example_iotstudio_fleet.py"
    spec = importlib.util.spec_from_file_location("example_iotstudio_fleet", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run = run_dag(module.dag, logical_date=datetime(2026, 1, 2, tzinfo=UTC))
    assert run.state == "success"
    assert service.space.things[THING].status["setpoint"] == 19.5
    assert pq.read_table(tmp_path / "iotstudio" / "2026-01-02" / "history.parquet").num_rows == 48 * 20
