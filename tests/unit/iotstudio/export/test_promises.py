"""Exports keep their promise: fixed schemas, no silent selection, late values once, a writable target."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.http import rate_limit
from airflow_provider.errors import ApiError, InputError, NotFoundError, PermissionDeniedError
from airflow_provider.iotstudio.export import incremental
from airflow_provider.iotstudio.export.things import ThingColumns
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioExportThingsOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.formats import short_time
from airflow_provider.sandbox.iotstudio.seed import HISTORY_MS
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples
from tests.support.state_store import FakeStateStore

from ..conftest import THING

pytestmark = pytest.mark.slow  # promises do not depend on versions

HOUR = 3_600_000
UNKNOWN = "01GQ2E9M2Y45BX9EW0F2BM0XXX"


@pytest.fixture(autouse=True)
def without_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "CLOCK_MARGIN", 0.0)


def things(path: Path, **arguments: Any) -> dict[str, Any]:
    return IoTStudioExportThingsOperator(task_id="x", output_path=str(path), **arguments).execute({})


def history(path: Path, **arguments: Any) -> dict[str, Any]:
    return IoTStudioExportHistoryOperator(task_id="x", output_path=str(path), **arguments).execute({})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# -- selection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": {}},
        {"filters": {"mode": None}},
        {"filters": {"mode": float("nan")}},
        {"filters": {"mode": "eco", "window/open": ""}},
        {"filters": {"temperature": {"gt": 20}}},
        {"filters": {"temperature": "GT:20"}},
        {"filters": "{'mode': 'eco'}"},
        {"category": ""},
        {"category": float("nan")},
        {"space": " "},
    ],
    ids=repr,
)
def test_an_empty_condition_exports_nothing(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    for export in (things, history):
        with pytest.raises(InputError):
            export(tmp_path / "x.jsonl", **arguments)
    assert sandbox.counters.total("iotstudio") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_filter_on_a_property_that_no_thing_has_is_a_warning(
    service: IoTStudioService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for export in (things, history):
        assert export(tmp_path / "x.jsonl", filters={"temprature": "gt:0"})["rows"] == 0
        assert "did you mean 'temperature'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 1, 1), date(2026, 1, 2)),
        (1767225600, 1767312000),
        (1767225600000, "1767312000000"),
        (datetime(2026, 1, 1), "2026-01-02T01:00:00+01:00"),
        ("2026", "2026-01-02"),
    ],
    ids=repr,
)
def test_bounds_are_dates_texts_or_epoch_numbers(
    service: IoTStudioService, tmp_path: Path, start: Any, end: Any
) -> None:
    assert history(tmp_path / "x.jsonl", thing_ids=[THING], start=start, end=end)["rows"] == 48


def test_a_bound_at_the_end_of_time_is_no_error(service: IoTStudioService, tmp_path: Path) -> None:
    arguments = {"start": "0001-01-01", "end": datetime.max}
    assert history(tmp_path / "x.jsonl", thing_ids=[THING], **arguments)["rows"] == 144


# -- schemas ------------------------------------------------------------------------------------------

TYPES = {
    "uid": "string",
    "title": "string",
    "categories": "string",
    "model": "string",
    "created": "timestamp[us, tz=UTC]",
    "modified": "timestamp[us, tz=UTC]",
}


def test_the_types_of_things_are_those_they_declare_whatever_their_values(
    service: IoTStudioService, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "things.parquet"
    things(path)
    before = pq.read_schema(path)
    assert {name: str(before.field(name).type) for name in before.names[:6]} == TYPES
    assert str(before.field("co2").type) == "int64"
    assert str(before.field("limit").type) == "double"
    for thing in service.space.things.values():
        thing.status = {name: 20 for name in thing.status if name in ("temperature", "limit")}
    things(path)
    assert pq.read_schema(path).equals(before)
    row = next(row for row in pq.read_table(path).to_pylist() if row["uid"] == THING)
    assert (row["temperature"], row["mode"], row["categories"]) == (20.0, None, '["Sensors"]')
    assert row["created"] == datetime(2023, 1, 18, 0, 0, 0, 976718, tzinfo=UTC)


def test_undeclared_numbers_are_doubles(service: IoTStudioService, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    service.space.things[THING].status |= {
        "counter": 3,
        "flag": True,
        "note": "x",
        "shape": [1],
        "empty": None,
    }
    path = tmp_path / "things.parquet"
    things(path)
    schema = pq.read_schema(path)
    found = {name: str(schema.field(name).type) for name in ("counter", "flag", "note", "shape", "empty")}
    kinds = {"counter": "double", "flag": "bool", "note": "string", "shape": "string", "empty": "double"}
    assert found == kinds


def test_values_that_break_the_declaration_end_no_export(
    service: IoTStudioService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    service.space.things[THING].status |= {"co2": 600.5, "window/open": "ajar"}
    path = tmp_path / "things.parquet"
    things(path)
    row = next(row for row in pq.read_table(path).to_pylist() if row["uid"] == THING)
    assert (row["co2"], row["window/open"]) == (600.5, '"ajar"')
    assert "'co2' has values of other types" in capsys.readouterr().out


def test_a_category_is_named_in_its_export(service: IoTStudioService, tmp_path: Path) -> None:
    things(tmp_path / "x.jsonl", category="Meters")
    assert {tuple(row["categories"]) for row in lines(tmp_path / "x.jsonl")} == {("Meters",)}


KINDS = st.sampled_from(["boolean", "integer", "number", "string", "object", "array", None, "other"])
JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=2)


@settings(max_examples=examples(200))
@given(kinds=st.lists(KINDS, min_size=1, max_size=3), values=st.lists(JSON | st.lists(JSON), max_size=3))
def test_every_value_fits_its_column(kinds: list[str | None], values: list[Any]) -> None:
    pytest.importorskip("pyarrow")
    from airflow_provider.core.files.parquet import cell

    columns = ThingColumns(None)
    rows = [columns.row({"uid": "A", "properties": {"x": {"type": kind}}}) for kind in kinds]
    rows += [columns.row({"uid": "B", "status": {"x": value}}) for value in values]
    kind = columns.schema()["x"]
    types: dict[str, tuple[type, ...]] = {"boolean": (bool,), "integer": (int,), "number": (float,)}
    for row in rows:
        found = cell(row.get("x"), kind)
        assert found is None or isinstance(found, types.get(kind, (str,)))
        assert (found is None) == (row.get("x") is None)


def test_nan_in_a_reply_is_said_at_once(service: IoTStudioService, sandbox: Sandbox, tmp_path: Path) -> None:
    service.nan_literals = True
    service.space.things[THING].status["temperature"] = float("nan")
    with pytest.raises(ApiError, match=f"'temperature' 'status' of Thing {THING}"):
        things(tmp_path / "x.jsonl")
    assert sandbox.counters.total("/things") == 1
    service.space.things[THING].history = {"humidity": [(HISTORY_MS, float("inf"))]}
    with pytest.raises(ApiError, match="'humidity'"):
        history(tmp_path / "x.jsonl", thing_ids=[THING])


# -- where the file goes --------------------------------------------------------------------------------


def test_a_target_that_cannot_be_written_is_found_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.jsonl").mkdir()
    for path in (tmp_path / "file" / "x.jsonl", tmp_path / "folder.jsonl"):
        for export in (things, history):
            with pytest.raises(InputError, match="cannot be written"):
                export(path)
    assert sandbox.counters.total("iotstudio") == 0


def test_a_bucket_that_is_not_there_is_found_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, s3: Any
) -> None:
    for export in (things, history):
        with pytest.raises(InputError, match="no bucket 'nowhere'"):
            export("s3://aws_s3@nowhere/x.jsonl")  # type: ignore[arg-type]
    assert sandbox.counters.total("iotstudio") == 0
    assert things("s3://aws_s3@twin/x.jsonl")["rows"] == 264  # type: ignore[arg-type]


# -- fleets -------------------------------------------------------------------------------------------


def test_a_thing_without_the_property_ends_no_export(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    result = history(tmp_path / "x.jsonl", properties=["temperature"])
    assert result["rows"] == 20 * 72
    assert (result["things"], result["missing_things"], result["without_values"]) == (264, 0, 244)


def test_a_thing_that_is_gone_meanwhile_is_counted(
    service: IoTStudioService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = history(tmp_path / "x.jsonl", thing_ids=[THING, UNKNOWN])
    assert (result["rows"], result["missing_things"], result["without_values"]) == (144, 1, 0)
    assert UNKNOWN in capsys.readouterr().out
    result = history(tmp_path / "x.jsonl", thing_ids=[THING, UNKNOWN], properties=["temperature"])
    assert (result["rows"], result["missing_things"]) == (72, 1)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("arguments", [{}, {"properties": ["temperature"]}])
def test_a_thing_that_is_gone_ends_no_export_whatever_the_service_answers(
    service: IoTStudioService, tmp_path: Path, status: Any, arguments: dict[str, Any]
) -> None:
    service.unknown_thing_status = status
    result = history(tmp_path / "x.jsonl", thing_ids=[UNKNOWN, THING], **arguments)
    assert (result["rows"], result["missing_things"]) == (72 if arguments else 144, 1)
    with pytest.raises(NotFoundError, match="none of the histories exists") as caught:
        history(tmp_path / "x.jsonl", thing_ids=[UNKNOWN], **arguments)
    assert f"Thing {UNKNOWN} is not in the list of Things" in str(caught.value)
    assert "scope" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"properties": ["temperature"]}])
def test_a_thing_that_is_there_and_refuses_fails_the_export(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    sandbox.faults.add("status", path=f"{THING}/properties-history", status=403, times=None)
    with pytest.raises(PermissionDeniedError, match="needs the scope"):
        history(tmp_path / "x.jsonl", **arguments)
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize("arguments", [{}, {"properties": ["temperature"]}])
def test_a_single_404_is_not_believed(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    sandbox.faults.add("status", path="/properties-history", status=404, after=3, times=1)
    uids = list(service.space.things)[:10]
    result = history(tmp_path / "x.jsonl", thing_ids=uids, **arguments)
    assert (result["rows"], result["missing_things"]) == (1440 // (2 if arguments else 1), 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"thing_ids": [UNKNOWN]}, "none of the histories exists"),
        ({"thing_ids": [THING], "properties": ["temprature"]}, "did you mean 'temperature'"),
    ],
)
def test_when_no_history_is_there_the_export_fails(
    service: IoTStudioService, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotFoundError, match=said):
        history(tmp_path / "x.jsonl", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_property_that_no_thing_has_is_a_warning_beside_others(
    service: IoTStudioService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["temperature", "humidty"]
    assert history(tmp_path / "x.jsonl", thing_ids=[THING], properties=names)["rows"] == 72
    assert "no Thing has the property 'humidty'; did you mean 'humidity'?" in capsys.readouterr().out


def test_a_value_from_2099_moves_no_watermark(service: IoTStudioService, tmp_path: Path) -> None:
    service.space.things[THING].record("temperature", 4_070_908_800_000, 1.0)
    result = history(tmp_path / "x.jsonl", thing_ids=[THING])
    assert (result["rows"], result["watermark"]) == (145, "2026-01-03T23:00:00Z")


# -- incremental with a lag ---------------------------------------------------------------------------


class Memory:
    """What a DAG's incremental export remembers: on its asset, and with each of its runs."""

    def __init__(self) -> None:
        self.asset = FakeStateStore()
        self.runs: dict[str, FakeStateStore] = {}

    def __getitem__(self, _: Asset) -> FakeStateStore:
        return self.asset


def increment(path: Path, memory: Memory, run: str, **arguments: Any) -> list[tuple[str, str, str]]:
    """Run an incremental export as a run of a DAG; return the values in its file."""
    given = {"thing_ids": [THING], **arguments}
    operator = IoTStudioExportHistoryOperator(
        task_id="x", output_path=str(path), incremental=True, outlets=[Asset("history")], **given
    )
    ti = SimpleNamespace(dag_id="d", task_id="x", run_id=run, map_index=-1)
    own = memory.runs.setdefault(run, FakeStateStore())
    context: Any = {"ti": ti, "asset_state_store": memory, "task_state_store": own}
    result = operator.execute(context)
    rows = [(row["thing_id"], row["property"], row["at"]) for row in lines(path)]
    assert result["rows"] == len(rows)
    return rows


def at(milliseconds: int) -> str:
    return short_time(milliseconds)


@pytest.mark.parametrize("lag", [timedelta(hours=6), 21_600, 21_600.0, "21600"])
def test_late_values_are_exported_once(service: IoTStudioService, tmp_path: Path, lag: Any) -> None:
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    assert len(increment(path, memory, "first", lag=lag)) == 144
    assert increment(path, memory, "second", lag=lag) == []
    late = HISTORY_MS + 70 * HOUR + 1
    thing.record("temperature", late, 1.0)
    thing.record("temperature", HISTORY_MS + 10 * HOUR + 1, 2.0)  # later than the lag allows
    assert increment(path, memory, "third", lag=lag) == [(THING, "temperature", at(late))]
    assert increment(path, memory, "fourth", lag=lag) == []
    new = HISTORY_MS + 80 * HOUR
    thing.record("temperature", new, 3.0)
    assert increment(path, memory, "fifth", lag=lag) == [(THING, "temperature", at(new))]


def test_without_a_lag_late_values_are_missed(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    assert len(increment(path, memory, "first")) == 144
    thing.record("temperature", HISTORY_MS + 70 * HOUR + 1, 1.0)
    assert increment(path, memory, "second") == []


def test_a_lag_exports_nothing_from_before_the_first_start(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path = Memory(), tmp_path / "x.jsonl"
    day = timedelta(days=30)
    assert len(increment(path, memory, "first", start="2026-01-03", lag=day)) == 48
    assert increment(path, memory, "second", start="2026-01-03", lag=day) == []


def test_a_lag_that_is_set_later_repeats_nothing(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    assert len(increment(path, memory, "first")) == 144
    assert increment(path, memory, "second", lag=86_400) == []
    thing.record("temperature", HISTORY_MS + 90 * HOUR, 1.0)
    assert len(increment(path, memory, "third", lag=86_400)) == 1
    thing.record("temperature", HISTORY_MS + 89 * HOUR, 1.0)
    assert len(increment(path, memory, "fourth", lag=864_000)) == 1
    assert increment(path, memory, "fifth", lag=864_000) == []


def test_a_cleared_run_exports_its_late_values_again(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    lag = 86_400
    first = increment(path, memory, "first", lag=lag)
    thing.record("temperature", HISTORY_MS + 60 * HOUR + 1, 1.0)
    thing.record("temperature", HISTORY_MS + 80 * HOUR, 2.0)
    second = increment(path, memory, "second", lag=lag)
    assert len(second) == 2
    thing.record("temperature", HISTORY_MS + 61 * HOUR + 1, 3.0)
    third = increment(path, memory, "third", lag=lag)
    assert len(third) == 1
    assert sorted(increment(path, memory, "second", lag=lag)) == sorted(second)
    assert increment(path, memory, "third", lag=lag) == third
    assert increment(path, memory, "fourth", lag=lag) == []
    assert set(first) <= set(increment(path, memory, "first", lag=lag))


def test_the_marks_of_a_lag_fit_into_the_store(
    service: IoTStudioService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "MARKS_PER_CHUNK", 50)
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    increment(path, memory, "first", lag=86_400 * 10)
    assert sum(isinstance(value, str) for value in memory.asset.values()) == 3
    assert max(len(json.dumps(value)) for value in memory.asset.values()) < 65_536
    assert increment(path, memory, "second", lag=86_400 * 10) == []
    thing.record("temperature", HISTORY_MS + HOUR + 1, 1.0)
    assert len(increment(path, memory, "third", lag=86_400 * 10)) == 1
    monkeypatch.setattr(incremental, "MAX_MARKS", 100)
    with pytest.raises(InputError, match="holds more than 100 values"):
        increment(path, memory, "fourth", lag=86_400 * 10)


def test_a_watermark_from_the_future_stops_no_export(service: IoTStudioService, tmp_path: Path) -> None:
    memory, path, thing = Memory(), tmp_path / "x.jsonl", service.space.things[THING]
    increment(path, memory, "first")
    (state,) = memory.asset.values()
    state["latest"]["until"] = "2099-01-01T00:00:00+00:00"
    assert len(increment(path, memory, "second")) == 144
    thing.record("temperature", HISTORY_MS + 80 * HOUR, 1.0)
    assert len(increment(path, memory, "third")) == 1


@pytest.mark.parametrize("lag", [-1, 0, "soon", float("nan"), 1e12, float("inf")])
def test_a_lag_that_is_none_is_refused(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path, lag: Any
) -> None:
    with pytest.raises(InputError, match="'lag'"):
        increment(tmp_path / "x.jsonl", Memory(), "first", lag=lag)
    assert sandbox.counters.total("iotstudio") == 0


@settings(max_examples=examples(15))
@given(arrivals=st.lists(st.lists(st.integers(0, 5 * 24), max_size=6, unique=True), min_size=2, max_size=4))
def test_every_value_of_the_lag_is_in_one_file(
    running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, arrivals: list[list[int]]
) -> None:
    running_sandbox.reset()
    thing = running_sandbox.iotstudio.space.things[THING]
    thing.history = {"temperature": []}
    memory, path = Memory(), tmp_path_factory.mktemp("lag") / "x.jsonl"
    exported: Counter[Any] = Counter()
    stored = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", running_sandbox.connections["iotstudio_default"])
        patch.setattr(rate_limit, "TOKENS_PER_SECOND", 1000.0)  # Each example needs a new token.
        for number, hours in enumerate(arrivals):
            for hour in hours:
                if thing.record("temperature", HISTORY_MS + hour * HOUR, float(hour)):
                    stored.add((THING, "temperature", at(HISTORY_MS + hour * HOUR)))
            exported.update(increment(path, memory, f"run {number}", lag=timedelta(days=30)))
    assert set(exported) == stored
    assert set(exported.values()) <= {1}


# -- the Things export, written back --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet", "x.csv.gz"])
def test_the_things_export_is_a_source_of_writes(
    service: IoTStudioService, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.space.things[THING].status["uid"] = "own"
    service.unknown_property = "accept"
    before = {uid: dict(thing.status) for uid, thing in service.space.things.items()}
    things(tmp_path / name)
    for thing in service.space.things.values():
        for one, value in thing.status.items():
            thing.status[one] = {bool: not value, str: "off", dict: {}}.get(type(value), 0)
    writing = IoTStudioWritePropertiesOperator(task_id="w", writes=str(tmp_path / name))
    result = writing.execute({"ti": SimpleNamespace(try_number=1)})  # type: ignore[typeddict-item]
    assert result["written"] == result["verified"] == sum(map(len, before.values()))
    after = {uid: thing.status for uid, thing in service.space.things.items()}
    assert after == before
    assert "not written: title, categories" in capsys.readouterr().out


def test_an_edited_spreadsheet_is_written_back(service: IoTStudioService, tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    things(path, category="Sensors")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["uid"] == THING:
            row |= {"setpoint": "19", "window/open": "TRUE", "mode": "eco", "co2": "700", "humidity": ""}
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    writing = IoTStudioWritePropertiesOperator(task_id="w", writes=str(path), only_changed=True)
    result = writing.execute({"ti": SimpleNamespace(try_number=1)})  # type: ignore[typeddict-item]
    status = service.space.things[THING].status
    changed = {name: status[name] for name in ("setpoint", "window/open", "mode", "co2")}
    assert changed == {"setpoint": 19, "window/open": True, "mode": "eco", "co2": 700}
    assert result["written"] == 3 + (status["mode"] != "auto")
