"""When a sensor exceeds a limit, report it to the application landscape.

The DAG starts when a Thing of the connection `iotstudio_default` becomes warmer than 60 degrees.
`IoTStudioThingTrigger` polls every 30 seconds in the triggerer, and fires once per Thing until the Thing has
cooled down.

1. Build an item for each Thing that became too warm; the event that started the run has their ids.
2. LeanIX: import the items into the workspace of the connection `leanix_default`, and wait for the run in the
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
        """Build LDIF items from the Things that the events name."""
        events = [event for events in triggering_asset_events.values() for event in events]
        ids = {thing_id for event in events for thing_id in event.extra["payload"]["thing_ids"]}
        return [
            {"type": "ITComponent", "id": uid, "data": {"name": f"Too warm: {uid}"}} for uid in sorted(ids)
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
