"""Export a dataset of AmigoCloud.

Writes the campus assets into one compressed file of JSON lines, through the connection `amigocloud_default`,
below the folder or bucket that the Airflow variable `twin_output` names.

The file is complete or it is not there: rows are read inside of one state of the dataset, whatever is written
meanwhile, and are counted against what the service says. The task returns the manifest: where the file is,
its rows, bytes and columns, and the state that was read. The path's ending chooses the format.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

with DAG("amigocloud_export_dataset", schedule=None, tags=["amigocloud"], doc_md=__doc__) as dag:
    AmigoCloudExportOperator(
        task_id="export_assets",
        dataset=2001,
        output_path="{{ var.value.twin_output }}/amigocloud/assets.jsonl.gz",
    )
