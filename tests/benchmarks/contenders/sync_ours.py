"""The operator that syncs geodata."""

import requests  # noqa: F401 - a task loads it when it runs; its import is no part of the sync

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator


def run(source, **_):
    done = MapsIndoorsSyncGeodataOperator(task_id="x", source=source).execute({})
    return {"objects": done["update"] + done["unchanged"], "changed": done["update"]}
