"""Keep a category of Things in step with a table, such as an export of the asset register.

Each row is a device: the Thing of its title in the category `Meters`, on the connection `iotstudio_default`.
Only fields that a row has are compared. New devices are created, and changed fields are updated; devices that
are in no row stay as they are. A second run writes nothing.

Beside the plan is a page for readers, `things.html`. With `mode="plan"` the task writes only these, and
another task applies the plan after its approval.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.iotstudio.operators import IoTStudioSyncThingsOperator

DEVICES = [
    {"title": "Meter A-0", "description": "Main meter of building A"},
    {"title": "Meter A-9", "description": "New on the roof"},
]

with DAG("iotstudio_sync_things", schedule=None, tags=["iotstudio"], doc_md=__doc__) as dag:
    IoTStudioSyncThingsOperator(
        task_id="sync",
        source=DEVICES,
        match_on="title",
        category="Meters",
        max_changes=100,
        plan_output="{{ var.value.twin_output }}/iotstudio/things.json",
    )
