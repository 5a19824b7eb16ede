"""DAGs of the soak: the chain of a night, and watchers of the three services that have events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudSyncDatasetOperator
from airflow_provider.amigocloud.triggers import AmigoCloudEventTrigger
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.iotstudio.sensors import IoTStudioPropertySensor
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger, IoTStudioThingTrigger
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.retries import ServiceRetryPolicy
from airflow_provider.warehouse.operators import SqlLoadOperator

DATASET, WATCHED_DATASET = 3001, 1
EVENT, REPORTER = "highTemperature", "01GQ2E9M2Y45BX9EW0F2BM032Q"
FOLDER = "{{ var.value.twin_output }}/{{ run_id }}"
PLAN = f"{FOLDER}/plan.json"
RETRIES: dict[str, Any] = {
    "retries": 20,
    "retry_delay": timedelta(seconds=3),
    "retry_policy": ServiceRetryPolicy(),
}
SQL = {"sql_conn_id": "warehouse", "min_rows": 1}
RUN: dict[str, Any] = {
    "connector_version": "1.0.0",
    "poll_interval": 1,
    "timeout": 900,
    "deferrable": True,
    "description": "soak {{ run_id }}",
}

with DAG("soak_night", schedule=None, default_args=RETRIES, max_active_runs=1):
    plan = MapsIndoorsSyncGeodataOperator(
        task_id="plan",
        sql="SELECT external_id, title, seats FROM soak.desks ORDER BY external_id",
        columns={"external_id": "externalId", "title": "name", "seats": "capacity"},
        defaults={
            "baseType": "poi",
            "displayTypeId": "Workspace",
            "categories": ["WORK"],
            "parentExternalId": "A-0",
            "lon": 12.5705,
            "lat": 55.7805,
        },
        scope={"base_types": ["poi"]},
        missing="delete",
        max_deletes=200,
        max_delete_ratio=1.0,
        mode="plan",
        plan_output=PLAN,
        batch_size=10,
        **SQL,
    )
    apply = MapsIndoorsSyncGeodataOperator(
        task_id="apply", plan=PLAN, max_deletes=200, max_delete_ratio=1.0, batch_size=5
    )
    sync_assets = AmigoCloudSyncDatasetOperator(
        task_id="sync_assets",
        dataset=DATASET,
        key="number",
        sql="SELECT number, name, floor, updated_at FROM soak.assets ORDER BY number",
        missing="delete",
        max_deletes=500,
        max_delete_ratio=1.0,
        batch_size=20,
        poll_interval=1,
        **SQL,
    )
    export_assets = AmigoCloudExportOperator(
        task_id="export_assets", dataset=DATASET, output_path=f"{FOLDER}/assets.parquet", page_size=40
    )
    export_changes = AmigoCloudExportOperator(
        task_id="export_changes",
        dataset=DATASET,
        incremental_column="updated_at",
        output_path=f"{FOLDER}/changes.jsonl",
        outlets=[Asset("soak_changes")],
    )
    load_assets = SqlLoadOperator(
        task_id="load_assets",
        source=export_assets.output,
        sql_conn_id="warehouse",
        table="soak.assets_copy",
        mode="replace",
        key=["number"],
        ignore=[
            "amigo_id", "building", "category", "maker", "power_w", "price", "in_service", "installed_on",
            "inspected_at", "notes", "wkb_geometry",
        ],
    )  # fmt: skip
    set_devices = IoTStudioWritePropertiesOperator(
        task_id="set_devices",
        sql="SELECT thing_id, setpoint FROM soak.set_points ORDER BY thing_id",
        only_changed=True,
        concurrency=4,
        **SQL,
    )
    are_set = IoTStudioPropertySensor(
        task_id="are_set",
        filters={"setpoint": "gte:5"},
        category="Sensors",
        min_matches=60,
        poke_interval=2,
        timeout=900,
        deferrable=True,
    )
    export_history = IoTStudioExportHistoryOperator(
        task_id="export_history",
        category="Meters",
        properties=["power"],
        start="2026-01-01",
        incremental=True,
        lag=timedelta(minutes=10),  # a meter may wait for a service that is away
        output_path=f"{FOLDER}/history.jsonl",
        outlets=[Asset("soak_history")],
    )
    send_components = LeanIXRunOperator(
        task_id="send_components",
        connector_type="cmdb",
        connector_id="campus",
        processing_direction="inbound",
        processing_mode="full",
        sql="SELECT id, label FROM soak.components ORDER BY id",
        mapping={"type": {"constant": "ITComponent"}, "id": "id", "data": {"name": "label"}},
        **{**SQL, **RUN},
    )
    fetch_components = LeanIXRunOperator(
        task_id="fetch_components",
        connector_type="soak",
        connector_id="components",
        processing_direction="outbound",
        output_path=f"{FOLDER}/components/",
        output_format="parquet",
        **RUN,
    )
    load_components = SqlLoadOperator(
        task_id="load_components",
        source=f"{FOLDER}/components/ITComponent.manifest.json",
        sql_conn_id="warehouse",
        table="soak.components_copy",
        mode="replace",
        key=["id"],
        columns={"name": "label"},
        ignore=["type"],
    )
    plan >> apply >> send_components >> fetch_components >> load_components
    sync_assets >> export_assets >> [export_changes, load_assets] >> set_devices >> are_set >> export_history

WATCHED = {
    "dataset": AmigoCloudEventTrigger(events=["realtime"], dataset=WATCHED_DATASET, poll_interval=3),
    "things": IoTStudioThingTrigger(filters={"temperature": "gt:50"}, poll_interval=3),
    "events": IoTStudioEventTrigger(event=EVENT, thing_id=REPORTER, poll_interval=3),
    "runs": LeanIXRunEndedTrigger(description="soak *", poll_interval=3),
}
ASSETS = [
    Asset(f"soak_{name}", uri=f"x-soak://{name}", watchers=[AssetWatcher(name=name, trigger=trigger)])
    for name, trigger in WATCHED.items()
]
with DAG("soak_watchers", schedule=ASSETS):
    pass
