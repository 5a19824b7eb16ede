"""Bring the application landscape of LeanIX into a table, one row an item.

1. `fetch` runs a stored outbound processor, and writes its items as JSON Lines; the task waits in the
   triggerer and holds no worker slot.
2. `load` replaces the table's rows in one transaction. When fewer than half of the rows are left, it refuses.

`data` holds the fields of each fact sheet as JSON; a view names the ones that reports need.
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
CREATE TABLE IF NOT EXISTS twin.landscape (type text, id text, data jsonb, PRIMARY KEY (type, id));
CREATE OR REPLACE VIEW twin.applications AS
    SELECT id, data->>'name' AS name, data->>'lifecycle' AS lifecycle FROM twin.landscape
    WHERE type = 'Application';
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
        output_path=f"{FOLDER}/landscape.jsonl",
        deferrable=True,
    )
    load = SqlLoadOperator(
        task_id="load",
        source=f"{FOLDER}/landscape.jsonl",
        sql_conn_id="warehouse",
        table="twin.landscape",
        key=["type", "id"],
        max_shrink=0.5,
    )
    create_table >> fetch >> load
