"""Within a second after a sensor exceeds a limit, export all sensors that exceed it.

With `mqtt=True` the watcher hears of a change from the broker that the connection `iotstudio_default` names,
by its extras `mqtt_url`, `mqtt_username` and `mqtt_password`. It needs the package's extra `[mqtt]`. It then
asks the service which Things match, and fires once per Thing until the Thing has dried.

The poll is the net below: every hour while values are pushed. Without a broker, as in the demo, the watcher
polls every 30 seconds instead, and its log says why.
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetWatcher

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioExportThingsOperator
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger

LIMIT = {"humidity": "gt:90"}
TOO_HUMID = AssetWatcher(
    name="sensors_too_humid_now",
    trigger=IoTStudioThingTrigger(filters=LIMIT, category="Sensors", mqtt=True, poll_interval=3600),
)
SENSORS = IoTStudioHook.asset(space="my-iot-project", category="Humidity", watchers=[TOO_HUMID])

with DAG("iotstudio_pushed_values", schedule=[SENSORS], tags=["iotstudio", "event"], doc_md=__doc__) as dag:
    IoTStudioExportThingsOperator(
        task_id="export",
        output_path="{{ var.value.twin_output }}/iotstudio/humid/{{ dag_run.run_after | ts_nodash }}.csv",
        category="Sensors",
        filters=LIMIT,
    )
