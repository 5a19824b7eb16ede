"""Export a large dataset of AmigoCloud with several workers, all of them in one state.

1. `plan` reads the state of the campus assets, and cuts their keys into parts of equal numbers of rows.
2. One mapped task for each part exports it in that state, whatever is written meanwhile, to its own file.
3. `commit` checks that all files are there and belong together, and writes the list of them last.

Readers take the manifest, never the folder: they get all parts of one state, or none. A part that fails is
retried alone. When the service cannot read the state any more, the part says so: clear `plan` with all tasks
downstream. Each run has a folder of its own, so that no run overwrites files that a manifest lists.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.warehouse.operators import CommitManifestOperator

FOLDER = "{{ var.value.twin_output }}/amigocloud/{{ dag_run.run_after | ts_nodash }}"
RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}

with DAG("amigocloud_sharded_export", schedule=None, default_args=RETRIES, doc_md=__doc__) as dag:
    plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=2001, parts=4)
    export = AmigoCloudExportOperator.partial(
        task_id="export", output_path=FOLDER + "/assets-{part}.parquet"
    ).expand(part=plan.output)
    CommitManifestOperator(task_id="commit", parts=export.output, output_path=f"{FOLDER}/_manifest.json")
