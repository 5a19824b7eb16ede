"""Keep a processor configuration as code, and export fact sheets with it.

1. `plan` compares the configuration with the stored one, and writes the difference as JSON and as a page. An
   approval after it lets a person read the page first.
2. `apply` stores exactly what was planned, or fails when the stored configuration has changed since.
3. `export` starts the configuration's `writeToLdif` processor, and writes what it finds, an item a line.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXPutConfigurationOperator, LeanIXRunOperator

FOLDER = "{{ var.value.twin_output }}/leanix"
KEY = {"connectorType": "export", "connectorId": "campus", "connectorVersion": "1.0.0"}
EXPORT = {**KEY, "processingDirection": "inbound", "processors": [{"processorType": "writeToLdif"}]}

with DAG("leanix_configuration", schedule=None, tags=["leanix"], doc_md=__doc__) as dag:
    plan = LeanIXPutConfigurationOperator(
        task_id="plan", configuration=EXPORT, mode="plan", plan_output=f"{FOLDER}/plan.json"
    )
    apply = LeanIXPutConfigurationOperator(task_id="apply", plan=f"{FOLDER}/plan.json")
    export = LeanIXRunOperator(
        task_id="export",
        connector_type="export",
        connector_id="campus",
        connector_version="1.0.0",
        processing_direction="inbound",
        output_path=f"{FOLDER}/applications.jsonl",
        deferrable=True,
    )
    plan >> apply >> export
