"""Synchronise rooms and desks on the map with a list, after a person has approved the changes.

1. Plan: compare the rows with the map. The plan is a JSON document with an HTML page beside it that shows the
   changes on the map; the task has a link to the page. This step writes nothing to the map.
2. Approve: wait for a person, without holding a worker slot.
3. Apply: write exactly the approved plan. When the map has changed in the meantime, the plan is refused.

The source may also be a path of a JSON Lines, GeoJSON, CSV or GeoParquet file. A second run changes nothing.

The service allows 10 requests per second and solution. All tasks of a machine share this budget; for workers
on several machines, set the connection's extra `rate_limit_store`.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

POOL = "default_pool"  # A dedicated pool is better: airflow pools set mapsindoors 2 "syncs of our map"
PLAN = "{{ var.value.twin_output }}/mapsindoors/{{ dag_run.run_after | ts_nodash }}/plan.json"
BODY = """{% set plan = ti.xcom_pull('plan') %}[The plan]({{ ti.xcom_pull('plan', key='plan_link') }}):
{{ plan['create'] }} new, {{ plan['update'] }} changed, {{ plan['delete'] }} deleted"""
ROOM = {"externalId": "A-0-01", "name": "Reception", "capacity": 4}
DESK = {"externalId": "DESK-17", "name": "Desk 17", "lon": 12.57052, "lat": 55.78051}
NEW_DESK = {"baseType": "poi", "displayType": "Workspace", "parentBuilding": "BLD-A", "parentFloor": 0}

with DAG("mapsindoors_sync_with_approval", schedule=None, tags=["mapsindoors"], doc_md=__doc__) as dag:
    plan = MapsIndoorsSyncGeodataOperator(
        task_id="plan", source=[ROOM, {**DESK, **NEW_DESK}], mode="plan", plan_output=PLAN, pool=POOL
    )
    approve = ApprovalOperator(task_id="approve", subject="Change the map?", body=BODY)
    apply = MapsIndoorsSyncGeodataOperator(task_id="apply", plan=PLAN, max_changes=100, pool=POOL)
    plan >> approve >> apply
