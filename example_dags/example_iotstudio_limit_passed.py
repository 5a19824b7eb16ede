"""When a sensor passes a limit, tell the application landscape.

Starts by itself when a Thing of the connection `iotstudio_default` begins to be warmer than 60 degrees:
`IoTStudioThingTrigger` looks every 30 seconds, in the triggerer, and fires once for each Thing, not again
while it stays warm.

1. Make an item of each Thing that became too warm; the event that started the run names them.
2. LeanIX: bring the items into the workspace of the connection `leanix_default`, and wait for the run in the
   triggerer.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetWatcher, task

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger
from airflow_provider.leanix.operators import LeanIXRunOperator

TOO_WARM = AssetWatcher(
    name="sensors_too_warm", trigger=IoTStudioThingTrigger(filters={"temperature": "gt:60"})
)
SENSORS = IoTStudioHook.asset(space="my-iot-project", category="Sensors", watchers=[TOO_WARM])

with DAG("iotstudio_limit_passed", schedule=[SENSORS], tags=["twin", "event"], doc_md=__doc__) as dag:

    @task
    def name_sensors(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Make LDIF items of the Things that the events name."""
        events = [event for some in triggering_asset_events.values() for event in some]
        ids = {thing_id for event in events for thing_id in event.extra["payload"]["thing_ids"]}
        return [
            {"type": "ITComponent", "id": one, "data": {"name": f"Too warm: {one}"}} for one in sorted(ids)
        ]

    LeanIXRunOperator(
        task_id="tell_landscape",
        connector_type="cmdb",
        connector_id="campus",
        connector_version="1.0.0",
        processing_direction="inbound",
        content=name_sensors(),
        deferrable=True,
    )
