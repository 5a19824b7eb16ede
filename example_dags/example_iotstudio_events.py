"""When devices report an event, append the new events to a folder of files.

The DAG starts when a Thing of the connection `iotstudio_default` reports `highTemperature`. The watcher
polls every 30 seconds in the triggerer, and fires once for each event; what was reported while no triggerer
ran fires afterwards.

The export continues where the last run ended, so that each event is in one file. Where it ended is kept on
the outlet asset (Airflow 3.3). One run at a time, because the runs share that state.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioExportEventsOperator
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger

TOO_WARM = AssetWatcher(
    name="sensors_report_heat", trigger=IoTStudioEventTrigger(event="highTemperature", category="Sensors")
)
REPORTS = IoTStudioHook.asset(space="my-iot-project", watchers=[TOO_WARM])

with DAG(
    "iotstudio_events", schedule=[REPORTS], max_active_runs=1, tags=["iotstudio", "event"], doc_md=__doc__
) as dag:
    IoTStudioExportEventsOperator(
        task_id="export",
        output_path="{{ var.value.twin_output }}/iotstudio/events/{{ dag_run.run_after | ts_nodash }}.jsonl",
        category="Sensors",
        incremental=True,
        lag=300,
        outlets=[Asset("iotstudio_events_exported")],
    )
