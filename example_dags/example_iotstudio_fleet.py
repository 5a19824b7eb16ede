"""Set the devices of a fleet, wait for their reaction, and export their measurements.

Runs once a day on the connection `iotstudio_default`. With this timetable the data interval of a run is a
day; with Airflow 3's default for `@daily` it is empty.

1. Write set points from a file, one `{"thing_id": ..., "properties": {...}}` per row. Only values that differ
   are written, and all are read back.
2. Wait in the triggerer until 100 sensors have reached 18 degrees; the service evaluates the condition.
3. Export the sensors' measurements of the data interval.
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
