"""DAG runs of the cluster: started, waited for, and read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dev.cluster import Cluster
from dev.local_airflow import PARSED_SECONDS

RUN_SECONDS = 300.0


class Runs:
    """Starts runs and reads what they returned.

    :param cluster: the running cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.api = cluster.api
        self._number = 0

    def start(self, dag_id: str) -> str:
        """Start a run; returns its id."""
        self.wait(lambda: self._is_parsed(dag_id), PARSED_SECONDS, f"{dag_id} is parsed")
        self._number += 1
        run_id = f"{dag_id}_{self._number}"
        self.api.unpause(dag_id)
        self.api.trigger(dag_id, run_id)
        return run_id

    def finish(self, dag_id: str, run_id: str, seconds: float = RUN_SECONDS) -> None:
        """Wait until a run has succeeded; fail with the logs of its failed tasks."""
        states = ("success", "failed")
        self.wait(lambda: self.api.run(dag_id, run_id)["state"] in states, seconds, f"{dag_id} has ended")
        if self.api.run(dag_id, run_id)["state"] == "failed":
            tasks = [task for task in self.tasks(dag_id, run_id) if task["state"] == "failed"]
            raise AssertionError("\n".join(line for task in tasks for line in self.log(dag_id, run_id, task)))

    def run(self, dag_id: str, seconds: float = RUN_SECONDS) -> str:
        """Start a run and wait until it has succeeded; returns its id."""
        run_id = self.start(dag_id)
        self.finish(dag_id, run_id, seconds)
        return run_id

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return a run's task instances."""
        return self.api.tasks(dag_id, run_id)

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """Return the log of a task's last attempt."""
        return self.api.log(dag_id, run_id, task)

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task instance returned."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        entry = self.api.get(path, map_index=map_index, deserialize="true", stringify="false")
        return entry["value"]

    @staticmethod
    def wait(condition: Callable[[], Any], seconds: float, event: str) -> None:
        """Wait until a condition holds, and fail when it does not hold in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s until {event}"
            time.sleep(0.5)

    def _is_parsed(self, dag_id: str) -> bool:
        assert not (errors := self.api.import_errors()), "\n".join(errors)
        return self.api.get(f"/dags/{dag_id}") is not None
