"""Synchronise the four systems with a warehouse every night: queries do what code would have to do.

1. AmigoCloud and LeanIX: export to files, and load the files into tables.
2. MapsIndoors and Altair IoT Studio: the labels of the map and the set points of the devices are queries on
   these tables.

Nothing is reshaped by hand, so every step keeps its guarantees: rows are read in one state, a load is one
transaction, a retry gives the same result. Set a `schedule`, such as `"0 3 * * *"`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.retries import ServiceRetryPolicy
from airflow_provider.warehouse.operators import SqlLoadOperator

FOLDER = "{{ var.value.twin_output }}/night/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1), "retry_policy": ServiceRetryPolicy()}
TABLES = """
CREATE SCHEMA IF NOT EXISTS twin;
CREATE TABLE IF NOT EXISTS twin.asset_counts (category text PRIMARY KEY, assets integer NOT NULL);
CREATE TABLE IF NOT EXISTS twin.night_landscape (type text, id text, data jsonb, PRIMARY KEY (type, id));
"""
COUNTS = "SELECT category, count(*) AS assets FROM dataset_2001 WHERE in_service GROUP BY category"
LABELS = """
SELECT 'c88c996b231746d096db5eaa' AS id, 'Printing, ' || sum(assets) || ' assets' AS "name@en"
FROM twin.asset_counts
"""
SET_POINTS = """
SELECT '01GQ2E9M2Y45BX9EW0F2BM032Q' AS thing_id,
    CASE WHEN data->>'lifecycle' = 'active' THEN 21.5 ELSE 17 END AS setpoint
FROM twin.night_landscape WHERE data->>'name' = 'Facilities Planner'
"""

with DAG("warehouse_nightly", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__) as dag:
    create_tables = SQLExecuteQueryOperator(task_id="create_tables", conn_id="warehouse", sql=TABLES)
    export_counts = AmigoCloudExportOperator(
        task_id="export_counts", sql=COUNTS, output_path=f"{FOLDER}/counts.parquet"
    )
    load_counts = SqlLoadOperator(
        task_id="load_counts",
        source=f"{FOLDER}/counts.parquet",
        sql_conn_id="warehouse",
        table="twin.asset_counts",
        key=["category"],
    )
    fetch_landscape = LeanIXRunOperator(
        task_id="fetch_landscape",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path=f"{FOLDER}/landscape.jsonl",
        deferrable=True,
    )
    load_landscape = SqlLoadOperator(
        task_id="load_landscape",
        source=f"{FOLDER}/landscape.jsonl",
        sql_conn_id="warehouse",
        table="twin.night_landscape",
        key=["type", "id"],
        max_shrink=0.5,
    )
    update_map = MapsIndoorsUpdateGeodataOperator(
        task_id="update_map", sql=LABELS, sql_conn_id="warehouse", min_rows=1
    )
    set_devices = IoTStudioWritePropertiesOperator(
        task_id="set_devices", sql=SET_POINTS, sql_conn_id="warehouse", min_rows=1
    )

    create_tables >> [export_counts, fetch_landscape]
    export_counts >> load_counts
    fetch_landscape >> load_landscape
    [load_counts, load_landscape] >> update_map
    [load_counts, load_landscape] >> set_devices
