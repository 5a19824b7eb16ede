"""Bring the application landscape of LeanIX into tables, one for each type of fact sheet.

1. `fetch` runs a stored outbound processor, and writes its items as Parquet into a folder, one file for each
   type: a field of nested data is a column such as `lifecycle.phase`, and a list is JSON text. The task waits
   in the triggerer and holds no worker slot.
2. `load_applications` replaces the table's rows in one transaction. Its source is the manifest of the type,
   whose name is the same for all runs; size and hash of the file are checked. When fewer than half of the
   rows are left, it refuses. Another type needs one more such task.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.warehouse.operators import SqlLoadOperator

FOLDER = "{{ var.value.twin_output }}/landscape/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}
TABLE = """
CREATE SCHEMA IF NOT EXISTS twin;
CREATE TABLE IF NOT EXISTS twin.applications (
    id text PRIMARY KEY, name text, lifecycle text, components jsonb
);
"""

with DAG(
    "warehouse_landscape", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__
) as dag:
    create_table = SQLExecuteQueryOperator(task_id="create_table", conn_id="warehouse", sql=TABLE)
    fetch = LeanIXRunOperator(
        task_id="fetch",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path=f"{FOLDER}/",
        output_format="parquet",
        deferrable=True,
    )
    load = SqlLoadOperator(
        task_id="load_applications",
        source=f"{FOLDER}/Application.manifest.json",
        sql_conn_id="warehouse",
        table="twin.applications",
        key=["id"],
        columns={"itComponents": "components"},
        ignore=["type", "description"],
        max_shrink=0.5,
    )
    create_table >> fetch >> load
