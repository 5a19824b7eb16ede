"""Asset events carry the counts of the task that updated the asset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.http import auth
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioExportThingsOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsSyncGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from tests.support import every_task
from tests.support.per_asset import PerAsset
from tests.support.task_runner import TaskRunner

PRINTER = {"id": "c88c996b231746d096db5eaa", "properties": {"name@en": "Printing"}}
MAP = MapsIndoorsHook.asset(solution="6b1f8f0e2c5d4a7b9e3f1d20")
THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
SENSOR = IoTStudioHook.asset(space="my-iot-project", thing_id=THING)
RUNS = LeanIXHook.asset(host="acme.leanix.net", connector_type="report", connector_id="landscape")


def event_extra(operator: Any, asset: Asset) -> Any:
    events = PerAsset(lambda: SimpleNamespace(extra={}))
    ids = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "try_number": 1}
    ti = SimpleNamespace(xcom_push=lambda *_: None, **ids)
    result = operator.execute({"ti": ti, "outlet_events": events})
    extra = events[asset].extra
    assert extra == {name: result[name] for name in extra}
    return extra


def test_an_update_reports_its_count(sandbox: Any) -> None:
    operator = MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[PRINTER], outlets=[MAP])
    assert event_extra(operator, MAP) == {"updated": 1}


def test_a_sync_reports_its_counts(sandbox: Any) -> None:
    operator = MapsIndoorsSyncGeodataOperator(task_id="t", source=[PRINTER], match_on="id", outlets=[MAP])
    extra = event_extra(operator, MAP)
    assert (extra["update"], extra["create"], extra["unchanged"]) == (1, 0, 0)


def test_creating_and_deleting_places_report_their_counts(sandbox: Any) -> None:
    create = MapsIndoorsCreateGeodataOperator(task_id="t", geodata=[PRINTER], match_on="id", outlets=[MAP])
    assert event_extra(create, MAP) == {"created": 0, "existing": 1}
    delete = MapsIndoorsDeleteGeodataOperator(task_id="t", ids=[PRINTER["id"]], outlets=[MAP])
    assert event_extra(delete, MAP) == {"deleted": 1, "gone": 0}


def test_an_export_of_the_map_reports_its_file(sandbox: Any, tmp_path: Any) -> None:
    path = f"{tmp_path}/map.jsonl"
    export = MapsIndoorsExportGeodataOperator(task_id="t", output_path=path, outlets=[MAP])
    extra = event_extra(export, MAP)
    assert (extra["uri"], extra["rows"]) == (path, len(sandbox.mapsindoors.campus.geodata))


def test_a_write_reports_the_verified_things(sandbox: Any) -> None:
    operator = IoTStudioWritePropertiesOperator(
        task_id="t", thing_id=THING, properties={"temperature": 18}, outlets=[SENSOR]
    )
    assert event_extra(operator, SENSOR)["verified"] == 1


def test_exports_report_file_rows_and_watermark(sandbox: Any, tmp_path: Any) -> None:
    things = IoTStudioExportThingsOperator(task_id="t", output_path=f"{tmp_path}/t.csv", outlets=[SENSOR])
    extra = event_extra(things, SENSOR)
    assert (extra["rows"], extra["uri"]) == (264, f"{tmp_path}/t.csv")
    history = IoTStudioExportHistoryOperator(
        task_id="t", output_path=f"{tmp_path}/h.csv", thing_ids=[THING], outlets=[SENSOR]
    )
    extra = event_extra(history, SENSOR)
    assert (extra["rows"], extra["watermark"]) == (144, "2026-01-03T23:00:00Z")


def test_a_run_reports_id_status_and_counts_but_no_lists(sandbox: Any) -> None:
    sandbox.leanix.run_seconds = sandbox.leanix.queue_seconds = 0.0
    operator = LeanIXRunOperator(
        task_id="t",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        outlets=[RUNS],
    )
    extra = event_extra(operator, RUNS)
    assert (extra["status"], extra["errors"]) == ("FINISHED", 0)
    assert "results" not in extra


@pytest.mark.parametrize("name", [name for name in every_task.public_classes() if name.endswith("Operator")])
def test_every_operator_reports_the_scalars_of_its_result(
    name: str, sandbox: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_slots", {})
    sandbox.amigocloud.job_latency = sandbox.iotstudio.device_seconds = 0.0
    sandbox.leanix.run_seconds = sandbox.leanix.queue_seconds = 0.0
    operator = every_task.tasks(sandbox, tmp_path)[name](task_id="t", outlets=[MAP])
    events = PerAsset(lambda: SimpleNamespace(extra={}))
    result = operator.execute({**TaskRunner().context(), "outlet_events": events})
    plans = ("AmigoCloudPlanExportOperator", "IoTStudioPlanHistoryOperator")
    if name in ("LeanIXStartRunOperator", *plans):  # nothing is counted yet
        assert isinstance(result, (str, list))
        return
    single = {key: value for key, value in result.items() if isinstance(value, (str, int, float))}
    assert events[MAP].extra == single != {}


def test_without_outlets_or_with_an_old_context_the_result_is_returned() -> None:
    result = {"rows": 1}
    assert (
        add_to_outlet_events({}, [MAP], result)
        is add_to_outlet_events({"outlet_events": {}}, None, result)
        is result
    )
