"""The operator that writes properties."""

import requests  # noqa: F401 - a task loads it when it runs; its import is no part of the writes

from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator


def run(uids, value, threads, verify, **_):
    writes = [{"thing_id": uid, "properties": {"setpoint": value}} for uid in uids]
    task = IoTStudioWritePropertiesOperator(task_id="x", writes=writes, concurrency=threads, verify=verify)
    return {"written": task.execute({})["written"]}
