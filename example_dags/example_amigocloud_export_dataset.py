"""Export a dataset of AmigoCloud.

Writes the campus assets to one compressed JSON Lines file, through the connection `amigocloud_default`, below
the folder or bucket that the Airflow variable `twin_output` names.

All rows come from one state of the dataset, regardless of concurrent writes, and their number is checked
against the service's count. When the task fails, no file is left behind. The task returns the manifest: the
file's location, rows, bytes and columns, and the state that was read. The path's ending sets the format.

Beside the file is a report, `assets.jsonl.report.html`: a page with counts, nulls, ranges, a map, and what
has changed since the last export.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

with DAG("amigocloud_export_dataset", schedule=None, tags=["amigocloud"], doc_md=__doc__) as dag:
    AmigoCloudExportOperator(
        task_id="export_assets",
        dataset=2001,
        output_path="{{ var.value.twin_output }}/amigocloud/assets.jsonl.gz",
        report=True,
    )
