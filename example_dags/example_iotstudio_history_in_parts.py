"""Export the recorded values of all Things with several workers.

1. `plan` lists the Things, and cuts them into parts of equal numbers of Things, all with one span of time.
2. One mapped task for each part exports the histories of its Things to its own file in the run's folder.
3. `commit` checks that all files are there and belong together, and writes the list of them last.

Readers take the manifest, never the folder: they get all parts, or none. A part that fails or is cleared
reads the same Things and the same span again, alone. Each run has a folder of its own.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.iotstudio.operators import IoTStudioExportHistoryOperator, IoTStudioPlanHistoryOperator
from airflow_provider.warehouse.operators import CommitManifestOperator

FOLDER = "{{ var.value.twin_output }}/iotstudio/history/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}

with DAG("iotstudio_history_in_parts", schedule=None, default_args=RETRIES, doc_md=__doc__) as dag:
    plan = IoTStudioPlanHistoryOperator(task_id="plan", category="Sensors", parts=4)
    export = IoTStudioExportHistoryOperator.partial(
        task_id="export", output_path=f"{FOLDER}/", concurrency=4
    ).expand(part=plan.output)
    CommitManifestOperator(task_id="commit", parts=export.output, output_path=f"{FOLDER}/_manifest.json")
