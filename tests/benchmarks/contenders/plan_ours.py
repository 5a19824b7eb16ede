"""The operator that plans a sync; of the package in the checkout that is the first on the path."""

import time

import requests  # noqa: F401 - a task loads it when it runs; its import is no part of the plan

import airflow_provider
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator


def run(source, plan_output, runs, **_):
    """Plan once to load all modules, then several times; returns the least seconds of CPU."""
    spent = []
    for _ in range(runs + 1):
        cpu = time.process_time()
        done = MapsIndoorsSyncGeodataOperator(
            task_id="x", source=source, mode="plan", plan_output=plan_output
        ).execute({})
        spent.append(time.process_time() - cpu)
    found = {name: done[name] for name in ("create", "update", "unchanged", "failed")}
    return {**found, "least": min(spent[1:]), "code": airflow_provider.__file__}
