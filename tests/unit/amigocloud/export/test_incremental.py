"""An incremental export holds every new row once, and no row that was exported before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from msgspec import Raw

from airflow_provider.amigocloud.export import incremental
from airflow_provider.amigocloud.export.incremental import Increment
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.errors import IncompleteExportError, InputError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.amigocloud.sql.dialect import format_moment
from tests.support.per_asset import PerAsset
from tests.support.state_store import FakeAssetStateStores, FakeStateStore
from tests.unit.amigocloud.export.test_export import lines

pytestmark = pytest.mark.both_engines

ASSETS = Asset("assets", uri="x-test://assets")
NEWEST = "2025-01-15 19:53:00+00:00"


class Dag:
    """State of one DAG: its assets' state stores, and the events of the last run."""

    def __init__(self, path: Any) -> None:
        self.stores: PerAsset | None = FakeAssetStateStores()
        self.path = path
        self.runs = 0
        self.own: dict[int, FakeStateStore] = {}

    def run(self, **arguments: Any) -> list[dict[str, Any]]:
        self.events = PerAsset(lambda: SimpleNamespace(extra={}))
        self.runs += not arguments.pop("again", False)
        number, index = arguments.pop("number", self.runs), arguments.pop("index", -1)
        ti = SimpleNamespace(dag_id="dag", task_id="export", run_id=f"run {number}", map_index=index)
        own = self.own.setdefault(number, FakeStateStore())
        context = {"asset_state_store": self.stores, "outlet_events": self.events, "ti": ti}
        context |= {"task_state_store": own} if self.stores is not None else {}
        given = {"dataset": seed.ASSETS, "incremental_column": "updated_at", "outlets": [ASSETS]}
        if "sql" in arguments:
            del given["dataset"]
        operator = AmigoCloudExportOperator(
            task_id="export", output_path=str(self.path), **{**given, **arguments}
        )
        self.manifest = operator.execute(context)
        return lines(self.path)


@pytest.fixture
def dag(tmp_path):
    return Dag(tmp_path / "assets.jsonl")


def add(sandbox, number, updated_at):
    sandbox.amigocloud.store.write(
        f"INSERT INTO dataset_{seed.ASSETS} (amigo_id, number, updated_at) VALUES (?, ?, ?)",
        [f"new{number:05d}", number, updated_at],
    )


def numbers(rows):
    return sorted(row["number"] for row in rows)


def test_the_first_export_is_whole_the_next_ones_are_what_is_new(sandbox, dag):
    assert len(dag.run()) == 3000
    assert dag.manifest["watermark"] == NEWEST
    sandbox.counters.clear()
    assert dag.run() == []
    assert sandbox.counters.rows_served["amigocloud"] == 2  # how many there are, and the one that was there
    add(sandbox, 9001, "2025-01-16 00:00:00+00:00")
    sandbox.amigocloud.store.write(
        f"UPDATE dataset_{seed.ASSETS} SET updated_at = '2025-01-17 00:00:00+00:00' WHERE number = 5"
    )
    assert numbers(dag.run()) == [5, 9001]
    assert dag.manifest["rows"] == 2
    assert dag.manifest["watermark"] == "2025-01-17 00:00:00+00:00"
    assert dag.run() == []


def test_a_row_with_the_watermarks_own_value_is_not_lost(sandbox, dag):
    dag.run()
    add(sandbox, 9001, NEWEST)
    assert numbers(dag.run()) == [9001]
    add(sandbox, 9002, NEWEST)
    assert numbers(dag.run()) == [9002]


def test_rows_that_come_late_are_found_within_the_lag_and_given_once(sandbox, dag):
    lag = timedelta(days=1)
    dag.run(lag=lag)
    add(sandbox, 9001, "2025-01-15 02:00:00+00:00")
    add(sandbox, 9002, "2025-01-12 00:00:00+00:00")
    add(sandbox, 9003, "2025-01-15 23:00:00+00:00")
    assert numbers(dag.run(lag=lag)) == [9001, 9003]
    assert dag.run(lag=lag) == []
    add(sandbox, 9004, "2025-01-15 01:00:00+00:00")
    assert numbers(dag.run(lag=lag)) == [9004]


def test_numbers_can_be_the_watermark(sandbox, dag):
    sql = f"SELECT number, name FROM dataset_{seed.ASSETS}"
    arguments = {"sql": sql, "key": "number", "incremental_column": "number", "lag": 2}
    assert len(dag.run(**arguments)) == 3000
    add(sandbox, 3001, None)
    assert numbers(dag.run(**arguments)) == [3001]
    assert dag.manifest["watermark"] == 3001


def test_dates_can_be_the_watermark(sandbox, dag):
    arguments = {"incremental_column": "installed_on", "lag": timedelta(days=30)}
    dag.run(**arguments)
    newest = dag.manifest["watermark"]
    sandbox.amigocloud.store.write(
        f"INSERT INTO dataset_{seed.ASSETS} (number, installed_on) VALUES (7777, '{newest}')"
    )
    assert numbers(dag.run(**arguments)) == [7777]


def test_everything_can_be_exported_again(dag):
    dag.run()
    assert dag.run(full_refresh="False") == []
    assert len(dag.run(full_refresh="True")) == 3000
    assert dag.run() == []


def test_mapped_tasks_share_an_asset_and_each_source_has_a_watermark(sandbox, dag):
    sql, lag = f"SELECT * FROM dataset_{seed.ASSETS}", timedelta(days=3650)
    sources = [{"sql": one, "key": "amigo_id", "lag": lag} for one in (sql, f"{sql} WHERE number < 100")]
    for index, source in enumerate(sources):
        assert dag.run(index=index, **source)
    for index, source in enumerate(reversed(sources)):  # in another order in the next run
        assert dag.run(index=index, **source) == []
    add(sandbox, 9001, "2025-02-01 00:00:00+00:00")
    assert [numbers(dag.run(index=0, **source)) for source in sources] == [[9001], []]


def test_another_source_starts_over(dag):
    dag.run()
    sql = f"SELECT amigo_id, updated_at FROM dataset_{seed.ASSETS}"
    assert len(dag.run(sql=sql, key="amigo_id")) == 3000


def test_the_watermark_moves_only_after_the_publish(sandbox, dag):
    dag.run()
    before = json.dumps(dag.stores[ASSETS])
    add(sandbox, 9001, "2025-02-01 00:00:00+00:00")
    sandbox.amigocloud.count_error = 1
    with pytest.raises(IncompleteExportError):
        dag.run()
    assert json.dumps(dag.stores[ASSETS]) == before
    sandbox.amigocloud.count_error = 0
    assert numbers(dag.run()) == [9001]


def test_a_crash_while_the_memory_is_written_repeats_nothing_it_should_not(sandbox, dag, monkeypatch):
    dag.run(lag=timedelta(days=2))
    add(sandbox, 9001, "2025-02-01 00:00:00+00:00")
    monkeypatch.setattr(incremental, "_CHUNK", 1)
    store = dag.stores[ASSETS]
    written = store.set

    def crash(key, value, **_):
        if isinstance(value, dict):
            raise KeyboardInterrupt
        written(key, value)

    store.set = crash
    with pytest.raises(KeyboardInterrupt):
        dag.run(lag=timedelta(days=2))
    store.set = written
    assert numbers(dag.run(lag=timedelta(days=2))) == [9001]


def test_a_run_that_is_done_again_gives_its_rows_again(sandbox, dag):
    dag.run()
    add(sandbox, 9001, "2025-02-01 00:00:00+00:00")
    assert numbers(dag.run()) == [9001]
    add(sandbox, 9002, "2025-02-02 00:00:00+00:00")
    for _ in range(2):
        assert numbers(dag.run(again=True)) == [9001, 9002]
    assert dag.run() == []
    add(sandbox, 9003, "2025-02-02 00:00:00+00:00")
    assert numbers(dag.run()) == [9003]


@pytest.mark.parametrize("lag", [None, timedelta(days=2)])
def test_a_run_that_is_cleared_after_later_ones_gives_its_rows_again_and_moves_nothing(sandbox, dag, lag):
    for day in range(1, 5):
        dag.run(lag=lag)
        add(sandbox, 9000 + day, f"2025-02-0{day} 00:00:00+00:00")
    before = json.dumps(dag.stores[ASSETS])
    for _ in range(2):
        assert numbers(dag.run(lag=lag, again=True, number=2)) == [9001, 9002, 9003, 9004]
        assert json.dumps(dag.stores[ASSETS]) == before
    assert numbers(dag.run(lag=lag, again=True, number=3)) == [9002, 9003, 9004]
    assert len(dag.run(lag=lag, again=True, number=1)) == 3004
    assert numbers(dag.run(lag=lag)) == [9004]


FUTURE = "2099-01-01 00:00:00+00:00"


def ago(sandbox, **distance):
    return format_moment(
        datetime.fromtimestamp(sandbox.clock.now(), UTC).replace(microsecond=0) - timedelta(**distance)
    )


def test_one_row_from_the_future_does_not_end_the_export(sandbox, dag):
    dag.run()
    add(sandbox, 9001, FUTURE)
    assert numbers(dag.run()) == [9001]
    assert dag.manifest["watermark"] == NEWEST
    assert dag.run() == []
    hour_ago = ago(sandbox, hours=1)
    add(sandbox, 9002, hour_ago)
    assert numbers(dag.run()) == [9002]
    assert dag.manifest["watermark"] == hour_ago
    add(sandbox, 9003, ago(sandbox, minutes=1))
    assert numbers(dag.run()) == [9003]
    assert dag.run() == []


def test_a_future_row_is_the_watermark_when_its_time_is_over(sandbox, dag):
    later = ago(sandbox, hours=-2)
    add(sandbox, 9001, later)
    assert len(dag.run()) == 3001
    assert dag.manifest["watermark"] == NEWEST
    sandbox.clock.advance(3 * 3600)
    assert dag.run() == []
    assert dag.manifest["watermark"] == later


def test_future_rows_only_are_exported_once(sandbox, dag):
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET updated_at = '{FUTURE}'")
    assert len(dag.run()) == 3000
    watermark = datetime.fromisoformat(dag.manifest["watermark"])
    assert watermark < datetime.fromtimestamp(sandbox.clock.now(), UTC)
    assert dag.run() == []
    add(sandbox, 9001, ago(sandbox, seconds=30))
    assert numbers(dag.run()) == [9001]


def test_future_dates_do_not_end_the_export(sandbox, dag):
    arguments = {"incremental_column": "installed_on"}
    dag.run(**arguments)
    newest = dag.manifest["watermark"]
    sandbox.amigocloud.store.write(
        f"INSERT INTO dataset_{seed.ASSETS} (number, installed_on) VALUES (7777, '2099-12-31')"
    )
    assert numbers(dag.run(**arguments)) == [7777]
    assert dag.manifest["watermark"] == newest
    assert dag.run(**arguments) == []


def test_the_services_time_counts_not_the_workers(sandbox, dag):
    sandbox.clock.advance(-100 * 24 * 3600)
    add(sandbox, 9001, ago(sandbox, days=-1))
    dag.run()
    assert dag.manifest["watermark"] == NEWEST


def test_a_future_row_is_logged():
    log = SimpleNamespace(warnings=[])
    log.warning = lambda text, *values: log.warnings.append(text % values)
    increment = Increment("v", "k", None)
    increment.new_rows(page_of([("a", "2025-01-01"), ("b", "2099-01-01"), ("c", "2098-01-01")]))
    increment.finish(log)
    (warning,) = log.warnings
    assert warning.startswith("2 rows have a value of 'v' after the service's time")
    assert "up to 2099-01-01: the watermark stays at 2025-01-01" in warning


def page_of(rows, kind="datetime"):
    lines = [json.dumps({"k": key, "v": value}).encode() for key, value in rows]
    return Page([Raw(line) for line in lines], columns=[Column("k", "string"), Column("v", kind)])


def test_a_watermark_that_was_stored_in_the_future_starts_over(sandbox, dag):
    dag.run()
    store = dag.stores[ASSETS]
    (key,) = (key for key, value in store.items() if isinstance(value, dict))
    known = store[key]
    store.set(key, {**known, "latest": {**known["latest"], "watermark": FUTURE}})
    add(sandbox, 9001, NEWEST)
    assert len(dag.run()) == 3001
    assert dag.manifest["watermark"] == NEWEST
    assert dag.run() == []


def test_a_resumed_export_has_the_time_of_its_snapshot(sandbox, dag):
    increment = Increment("v", "k", None)
    then = datetime(2025, 1, 1, 12, tzinfo=UTC)
    first = page_of([("a", "2025-01-01 11:00:00+00:00"), ("b", "2025-01-01 12:10:00+00:00")])
    first.served_at = then
    second = page_of([("c", "2025-01-01 12:05:00+00:00")])
    second.served_at = then + timedelta(hours=1)
    for page in (first, second):
        increment.new_rows(page)
    assert increment.watermark == "2025-01-01 11:00:00+00:00"


LATE = ["infinity", "20250-01-15 19:53:00+00:00", "10000-01-01"]


@pytest.mark.parametrize("value", LATE[:2])
def test_a_time_beyond_all_calendars_does_not_end_the_export(sandbox, dag, value):
    dag.run()
    add(sandbox, 9001, value)
    for again in ([9001], []):
        assert numbers(dag.run()) == again
        assert dag.manifest["watermark"] == NEWEST


@pytest.mark.parametrize("value", LATE)
def test_only_times_beyond_all_calendars_leave_the_services_time(value):
    increment = Increment("v", "k", timedelta(hours=1))
    page = page_of([("a", value), ("b", value)])
    page.served_at = datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert len(increment.new_rows(page).rows) == 2
    increment.finish(SimpleNamespace(warning=lambda *_: None))
    assert increment.watermark == "2025-01-01 11:59:00+00:00"
    assert len(increment.marks()) == 2


def test_dates_beyond_all_calendars_leave_a_date():
    increment = Increment("v", "k", None)
    page = page_of([("a", "infinity")], "date")
    page.served_at = datetime(2025, 1, 1, 12, tzinfo=UTC)
    increment.new_rows(page)
    increment.finish(SimpleNamespace(warning=lambda *_: None))
    assert increment.watermark == "2025-01-01"


@pytest.mark.parametrize("value", ["-infinity", "0044-03-15 00:00:00 BC"])
def test_a_time_before_all_calendars_is_the_least(value):
    increment = Increment("v", "k", timedelta(hours=1))
    increment.new_rows(page_of([("a", value)]))
    assert (increment.watermark, increment.condition()) == (value, "\"v\" >= '-infinity'")
    increment.new_rows(page_of([("b", "2025-01-01 12:00:00+00:00")]))
    assert increment.condition() == "\"v\" >= '2025-01-01 11:00:00+00:00'"


@pytest.mark.parametrize("kind", ["bigint", "number", "unknown(1700)", "unknown(20)"])
def test_numbers_that_come_as_texts_are_compared_as_numbers(kind):
    increment = Increment("v", "k", 1)
    increment.new_rows(page_of([("a", "20250101"), ("b", "9"), ("c", "100.0")], kind))
    assert increment.watermark == 20250101
    assert increment.condition() == '"v" >= 20250100'
    assert len(increment.marks()) == 1


@pytest.mark.parametrize("text", ["0.1", "0.3", "1e-7", "123456789012345678.123", "-0.7", "9" * 40])
def test_a_watermark_of_a_number_never_passes_its_value(text):
    for value in (text, float(text)):
        increment = Increment("v", "k", None)
        increment.new_rows(page_of([("a", value)], "unknown(1700)"))
        since = Decimal((increment.condition() or "").partition(">= ")[2])
        assert since <= Decimal(text) <= since + abs(since) * Decimal("1e-6")
        assert len(increment.marks()) == 1


def test_rows_at_a_rounded_watermark_are_not_lost(sandbox, dag):
    """A column of single precision holds 0.699999988 where the reply says 0.7."""
    arguments = {"incremental_column": "price"}
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET price = 1e6 + 0.7 WHERE number = 1")
    dag.run(**arguments)
    sandbox.amigocloud.store.write(
        f"UPDATE dataset_{seed.ASSETS} SET price = 1e6 + 0.699999988 WHERE number = 2"
    )
    assert numbers(dag.run(**arguments)) == [2]
    assert dag.run(**arguments) == []


@pytest.mark.parametrize("kind", ["string", "uuid", "unknown(25)", "unknown(3802)", "unknown(16999)", "json"])
def test_a_type_of_another_order_is_no_watermark(kind):
    with pytest.raises(InputError, match=r"of type .*; it must hold dates, timestamps or numbers"):
        Increment("v", "k", None).new_rows(page_of([("a", "2025-01-01 00:00:00+00:00")], kind))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "soon", "", True, [1]])
def test_a_value_that_is_no_number_is_no_watermark(value):
    with pytest.raises(InputError, match="must hold dates, timestamps or numbers"):
        Increment("v", "k", None).new_rows(page_of([("a", value)], "unknown(1700)"))


def test_times_without_a_zone_stay_without_one():
    increment = Increment("v", "k", timedelta(hours=1), "2025-01-31 14:00:00")
    assert increment.condition() == "\"v\" >= '2025-01-31 13:00:00'"
    increment.new_rows(page_of([("a", "2025-01-31 15:00:00")]))
    assert increment.watermark == "2025-01-31 15:00:00"


def test_a_text_is_no_watermark_however_it_looks(sandbox, dag):
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET notes = updated_at")
    with pytest.raises(InputError, match=r"'notes' is of type string; .*notes::timestamptz AS notes"):
        dag.run(incremental_column="notes")
    assert not dag.path.exists()


def test_a_saved_query_is_exported_incrementally(sandbox, dag):
    query = {"id": 91, "name": "q", "query": f"TABLE dataset_{seed.ASSETS};", "project": seed.PROJECT}
    sandbox.amigocloud.queries[91] = query
    arguments = {"dataset": None, "saved_query": 91, "key": "amigo_id"}
    assert len(dag.run(**arguments)) == 3000
    add(sandbox, 9001, NEWEST)
    assert numbers(dag.run(**arguments)) == [9001]


def test_comments_in_the_sql_do_not_start_over(sandbox, dag):
    sql = f"SELECT * FROM dataset_{seed.ASSETS}"
    assert len(dag.run(sql=sql, key="amigo_id")) == 3000
    assert dag.run(sql=f"-- run 2\n{sql};", key="amigo_id") == []


def test_stored_values_stay_small(dag):
    dag.run(lag=timedelta(days=3650))
    sizes = [len(json.dumps(value)) for value in dag.stores[ASSETS].values()]
    assert max(sizes) < 64 * 1024
    assert sum(sizes) > 3000 * 16
    assert dag.run(lag=timedelta(days=3650)) == []


def test_the_asset_event_holds_rows_bytes_watermark_and_state(sandbox, dag):
    dag.run()
    extra = dag.events[ASSETS].extra
    assert (extra["rows"], extra["bytes"]) == (3000, dag.manifest["bytes"])
    assert (extra["watermark"], extra["state"]) == (NEWEST, sandbox.amigocloud.store.master(seed.ASSETS))


def test_without_a_state_store_everything_is_exported_and_the_log_says_why(tmp_path, caplog):
    dag = Dag(tmp_path / "a.jsonl")
    dag.stores = None
    for _ in range(2):
        assert len(dag.run()) == 3000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"outlets": []}, "needs one outlet asset"),
        ({"outlets": [ASSETS, Asset("b", uri="x-test://b")]}, "the task has 2"),
        ({"sql": "SELECT 1"}, "needs a 'key'"),
        ({"dataset": None, "url": "/me/projects"}, "a list cannot be filtered"),
        ({"incremental_column": None, "lag": timedelta(1)}, "'lag' is used with 'incremental_column'"),
    ],
)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_bad_arguments_are_named_before_any_request(sandbox, dag, arguments, said):
    with pytest.raises(InputError, match=said):
        dag.run(**arguments)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("column", "lag", "said"),
    [
        ("nope", None, "have no column nope"),
        ("name", None, "must hold dates, timestamps or numbers"),
        ("in_service", None, "must hold dates, timestamps or numbers"),
        ("number", timedelta(1), "cannot be subtracted from column 'number'"),
        ("updated_at", 5, "cannot be subtracted from column 'updated_at'"),
    ],
)
def test_a_column_that_cannot_be_a_watermark_is_named(dag, column, lag, said):
    with pytest.raises(InputError, match=said):
        dag.run(incremental_column=column, lag=lag)
    assert not dag.path.exists()
