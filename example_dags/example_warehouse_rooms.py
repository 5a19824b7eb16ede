"""Synchronise the rooms on the map with a table, after a person has approved the changes.

1. `plan` reads the rows with a query, compares them with the map, and writes the plan with its page.
2. `approve` waits for a person, without holding a worker slot.
3. `apply` writes exactly the approved plan.

The query runs once, in a transaction that is never committed: it can change nothing. A room that the query
does not return stays as it is; to delete it, set `missing="delete"` with a limit.

The connection `warehouse` is any Airflow connection for SQL: PostgreSQL, Snowflake, BigQuery, DuckDB, ...
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

PLAN = "{{ var.value.twin_output }}/rooms/{{ dag_run.run_after | ts_nodash }}/plan.json"
BODY = """{% set plan = ti.xcom_pull('plan') %}[The plan]({{ ti.xcom_pull('plan', key='plan_link') }}):
{{ plan['create'] }} new, {{ plan['update'] }} changed, {{ plan['delete'] }} deleted"""
ROOMS = "SELECT external_id, title, seats FROM twin.rooms WHERE site = %(site)s ORDER BY external_id"

with DAG("warehouse_rooms", schedule=None, tags=["warehouse"], doc_md=__doc__) as dag:
    plan = MapsIndoorsSyncGeodataOperator(
        task_id="plan",
        sql=ROOMS,
        sql_conn_id="warehouse",
        parameters={"site": "Campus"},
        columns={"external_id": "externalId", "title": "name@en", "seats": "capacity"},
        mode="plan",
        plan_output=PLAN,
        min_rows=1,
    )
    approve = ApprovalOperator(task_id="approve", subject="Change the map?", body=BODY)
    apply = MapsIndoorsSyncGeodataOperator(task_id="apply", plan=PLAN, max_changes=100)
    plan >> approve >> apply
