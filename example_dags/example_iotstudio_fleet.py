"""Set the devices of a fleet, wait until they follow, and keep what they have measured.

Works on the connection `iotstudio_default`, once a day. The timetable gives each run a day as its data
interval; Airflow 3's default for `@daily` gives it none.

1. Write the set points of the file that a warehouse has made, `{"thing_id": ..., "properties": {...}}` a row;
   only what differs is written, and all of it is read back.
2. Wait in the triggerer until 100 sensors have reached 18 degrees; the service evaluates the condition.
3. Export what the sensors have measured in the data interval.
"""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider.iotstudio import operators, sensors

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
FOLDER = "{{ var.value.twin_output }}/iotstudio"

with DAG("iotstudio_fleet", schedule=DAILY, catchup=False, tags=["iotstudio"], doc_md=__doc__) as dag:
    write = operators.IoTStudioWritePropertiesOperator(
        task_id="write", writes=f"{FOLDER}/setpoints.jsonl", only_changed=True
    )
    warm = sensors.IoTStudioPropertySensor(
        task_id="warm",
        filters={"temperature": "gte:18"},
        category="Sensors",
        min_matches=100,
        deferrable=True,
    )
    export = operators.IoTStudioExportHistoryOperator(
        task_id="export",
        output_path=f"{FOLDER}/{{{{ ds }}}}/history.parquet",
        category="Sensors",
        start="{{ data_interval_start }}",
        end="{{ data_interval_end }}",
    )
    write >> warm >> export
