"""Keep rooms and desks on the map in step with a list, after somebody has looked at what would change.

1. Plan: compare the rows with the map. The plan is a JSON document, and beside it a page that shows the
   changes on the map; the task has a link to it. Nothing is written yet.
2. Approve: wait for a person, without holding a worker slot.
3. Apply: write exactly that plan. If the map changed in the meantime, the plan is refused.

Rows may also be the path of a JSON Lines, GeoJSON, CSV or GeoParquet file. A second run finds nothing to do.

The service allows 10 requests a second and solution. All tasks of one worker process share that budget;
where several workers use the same solution, give its tasks a pool of their own, and divide the connection's
`requests_per_second` by the pool's slots: with 2 slots, 5.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator

POOL = "default_pool"  # Better one of its own: airflow pools set mapsindoors 2 "syncs of our map"
PLAN = "{{ var.value.twin_output }}/mapsindoors/{{ dag_run.run_after | ts_nodash }}/plan.json"
BODY = "[The plan]({{ ti.xcom_pull('plan', key='plan_link') }}): {{ ti.xcom_pull('plan') }}"
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
