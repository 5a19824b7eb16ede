"""Keep a PostGIS table in step with a dataset of AmigoCloud.

1. `create_table` makes the table, unless it is there. Its columns decide what is loaded.
2. `export` writes the assets that are new or changed since the last run to a file.
3. `load` merges the file into the table by key, in one transaction: readers see the old rows or the new ones.
   Rows that are equal already are not written again. Geometries are loaded as the export has them.

A merge does not see what was deleted from the dataset. Once a week, export with `full_refresh` and load with
`mode="replace"`: a run with the configuration `{"everything": true}` does both.

The connection `warehouse` is any PostgreSQL with PostGIS.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.warehouse.operators import SqlLoadOperator

FOLDER = "{{ var.value.twin_output }}/assets/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}
EVERYTHING = "{{ dag_run.conf.get('everything', False) }}"
MODE = "{{ 'replace' if dag_run.conf.get('everything') else 'merge' }}"
MAX_SHRINK = "{{ 0.5 if dag_run.conf.get('everything') else 1 }}"
TABLE = """
CREATE SCHEMA IF NOT EXISTS twin;
CREATE TABLE IF NOT EXISTS twin.assets (
    amigo_id text PRIMARY KEY, name text NOT NULL, building text, floor integer, category text, maker text,
    power_w integer, price numeric(10, 2), in_service boolean, installed_on date, inspected_at timestamptz,
    updated_at timestamptz, place geometry(Point, 4326)
);
"""

with DAG("warehouse_assets", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__) as dag:
    create_table = SQLExecuteQueryOperator(task_id="create_table", conn_id="warehouse", sql=TABLE)
    export = AmigoCloudExportOperator(
        task_id="export",
        dataset=2001,
        incremental_column="updated_at",
        full_refresh=EVERYTHING,
        output_path=f"{FOLDER}/assets.jsonl.gz",
        outlets=[Asset("amigocloud_campus_assets")],
    )
    load = SqlLoadOperator(
        task_id="load",
        source="{{ ti.xcom_pull('export')['uri'] }}",
        sql_conn_id="warehouse",
        table="twin.assets",
        mode=MODE,
        key=["amigo_id"],
        columns={"wkb_geometry": "place"},
        ignore=["number", "notes"],
        max_shrink=MAX_SHRINK,
    )
    create_table >> export >> load
