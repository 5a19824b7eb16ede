"""Bring a dataset of AmigoCloud in step with a list of zones.

Compares the rows with the campus zones by their name, writes the differences as change sets, and reads the
dataset again to verify them. The plan, a JSON document, and its page with a map are written below the folder
or bucket that the Airflow variable `twin_output` names.

The source may also be a file, a folder, or a query on any database (`sql`, `sql_conn_id`). A second run
changes nothing. More than 100 changes are refused, and each deletion, unless `missing` and `max_deletes`
allow it.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator

SQUARE = "SRID=4326;POLYGON((12.57 55.785, 12.572 55.785, 12.572 55.786, 12.57 55.786, 12.57 55.785))"
ZONES = [
    {"name": "Zone 00", "area_m2": 14000},
    {"name": "Zone 24", "area_m2": 13900.5, "wkb_geometry": SQUARE},
]

with DAG("amigocloud_sync_dataset", schedule=None, tags=["amigocloud"], doc_md=__doc__) as dag:
    AmigoCloudSyncDatasetOperator(
        task_id="sync_zones",
        dataset=2002,
        key="name",
        source=ZONES,
        max_changes=100,
        plan_output="{{ var.value.twin_output }}/amigocloud/{{ dag_run.run_after | ts_nodash }}/zones.json",
    )
