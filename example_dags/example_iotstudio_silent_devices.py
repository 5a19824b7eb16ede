"""Find the devices that have fallen silent, and list them for the maintenance crew.

1. `silent` waits in the triggerer until at least one sensor has recorded no temperature for an hour.
2. `list` writes all Things with their current values, model and time of change to a file for the crew.

When all devices report, the sensor ends after ten minutes, and the run is skipped.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.iotstudio.operators import IoTStudioExportThingsOperator
from airflow_provider.iotstudio.sensors import IoTStudioSilenceSensor

with DAG("iotstudio_silent_devices", schedule=None, tags=["iotstudio"], doc_md=__doc__) as dag:
    silent = IoTStudioSilenceSensor(
        task_id="silent",
        silent_for=3600,
        properties=["temperature"],
        category="Sensors",
        timeout=600,
        soft_fail=True,
        deferrable=True,
    )
    silent >> IoTStudioExportThingsOperator(
        task_id="list", output_path="{{ var.value.twin_output }}/iotstudio/devices.csv", category="Sensors"
    )
