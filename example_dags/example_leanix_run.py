"""Fetch the application landscape from LeanIX.

Runs a stored outbound processor through the connection `leanix_default`, and writes its LDIF result below the
folder or bucket that the Airflow variable `twin_output` names.

The task waits in the triggerer and holds no worker slot. When the worker dies, the retry resumes the same run
instead of starting a second run. When the run fails, is stopped or skips invalid items, the task fails, and
the error names the items. The task returns its counts and the file's manifest.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator

with DAG("leanix_run", schedule=None, tags=["leanix"], doc_md=__doc__) as dag:
    LeanIXRunOperator(
        task_id="fetch_landscape",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        description="Nightly copy of the application landscape",
        output_path="{{ var.value.twin_output }}/leanix/landscape.json",
        timeout=3600,
        deferrable=True,
    )
