"""DAGs of the crash tests: long tasks of many small requests. The connection of a DAG has its id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider.amigocloud import api, uploads
from airflow_provider.amigocloud.export import checkpoint
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudUploadOperator
from airflow_provider.iotstudio.operators import (
    IoTStudioExportHistoryOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

checkpoint.PART_ROWS = 400
api.SIMPLE_UPLOAD, uploads.CHUNK = 40_000, 10_000

FOLDER = "{{ var.value.twin_output }}/crash/{{ dag.dag_id }}/{{ run_id }}"
RETRIES: dict[str, Any] = {"task_id": "task", "retries": 5, "retry_delay": timedelta(seconds=1)}
RUN: dict[str, Any] = {
    "connector_type": "report",
    "connector_id": "landscape",
    "connector_version": "1.0.0",
    "processing_direction": "outbound",
    "poll_interval": 0.5,
    "timeout": 300,
}

with DAG("crash_amigocloud_export", schedule=None):
    AmigoCloudExportOperator(
        dataset=2001,
        output_path=f"{FOLDER}/assets.jsonl.gz",
        page_size=100,
        amigocloud_conn_id="crash_amigocloud_export",
        **RETRIES,
    )

with DAG("crash_amigocloud_upload", schedule=None):
    AmigoCloudUploadOperator(
        source=f"{FOLDER}/{{{{ run_id }}}}.csv",
        poll_interval=0.5,
        deferrable=False,
        amigocloud_conn_id="crash_amigocloud_upload",
        **RETRIES,
    )

with DAG("crash_mapsindoors_sync", schedule=None):
    MapsIndoorsSyncGeodataOperator(
        source=f"{FOLDER}/rows.json",
        scope={"base_types": ["room", "poi"]},
        missing="delete",
        max_deletes=100,
        max_delete_ratio=1.0,
        batch_size=3,
        mapsindoors_conn_id="crash_mapsindoors_sync",
        **RETRIES,
    )

with DAG("crash_iotstudio_writes", schedule=None):
    IoTStudioWritePropertiesOperator(
        writes=f"{FOLDER}/writes.json", concurrency=4, iotstudio_conn_id="crash_iotstudio_writes", **RETRIES
    )

with DAG("crash_iotstudio_history", schedule=None):
    IoTStudioExportHistoryOperator(
        category="Sensors",
        start="2026-01-01",
        output_path=f"{FOLDER}/history.jsonl",
        concurrency=4,
        iotstudio_conn_id="crash_iotstudio_history",
        **RETRIES,
    )

for name, deferrable in {"leanix_run": False, "leanix_run_deferred": True}.items():
    with DAG(f"crash_{name}", schedule=None):
        LeanIXRunOperator(
            output_path=f"{FOLDER}/landscape.json",
            deferrable=deferrable,
            leanix_conn_id=f"crash_{name}",
            **RUN,
            **RETRIES,
        )
