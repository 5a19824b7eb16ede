"""The export operator with a state store, so that it writes checkpoints as in Airflow.

All that it imports while it runs is loaded before, as that of its peers is.
"""

import airflow.sdk.execution_time.supervisor  # noqa: F401
import requests  # noqa: F401
import tenacity  # noqa: F401

import airflow_provider.amigocloud.export.request
import airflow_provider.amigocloud.hooks
import airflow_provider.amigocloud.report
import airflow_provider.core.limits.machine  # noqa: F401
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from tests.support.state_store import FakeStateStore


def run(folder, dataset, name, threads, page, **_):
    task = AmigoCloudExportOperator(
        task_id="x", output_path=f"{folder}/{name}", dataset=dataset, page_size=page, concurrency=threads
    )
    return {"rows": task.execute({"task_state_store": FakeStateStore()})["rows"]}
