"""The export operator with a state store, so that it writes checkpoints as in Airflow."""

import requests  # noqa: F401 - a task loads it when it runs; its import is no part of the export

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from tests.support.state_store import FakeStateStore


def run(folder, dataset, name, threads, page, **_):
    task = AmigoCloudExportOperator(
        task_id="x", output_path=f"{folder}/{name}", dataset=dataset, page_size=page, concurrency=threads
    )
    return {"rows": task.execute({"task_state_store": FakeStateStore()})["rows"]}
