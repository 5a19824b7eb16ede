"""Our export operator, with a state store, so that it remembers finished parts as it does in Airflow."""

import json

import requests  # noqa: F401 - a task loads it when it runs; what it costs is no part of the export

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator


class Store(dict):
    """A state store, as Airflow lends it."""

    def set(self, key, value, **_):
        self[key] = json.loads(json.dumps(value))

    def delete(self, key):
        self.pop(key, None)


def run(folder, dataset, name, threads, page, **_):
    task = AmigoCloudExportOperator(
        task_id="x", output_path=f"{folder}/{name}", dataset=dataset, page_size=page, concurrency=threads
    )
    return {"rows": task.execute({"task_state_store": Store()})["rows"]}
