"""LeanIX runs and a killed triggerer, in a real Airflow: another triggerer continues the wait."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.leanix import LeanIXService
from dev.local_airflow import LocalAirflow
from dev.processes import Started
from tests.system.scenarios import CompletedRun, Scenario

pytestmark = pytest.mark.system

DAG_ID = "leanix_triggerer_killed"
CODE = f"""
from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator

with DAG("{DAG_ID}", schedule=None):
    LeanIXRunOperator(
        task_id="run",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path="{{{{ var.value.twin_output }}}}/triggerer/landscape.json",
        poll_interval=1,
        timeout=300,
        deferrable=True,
        leanix_conn_id="{DAG_ID}",
    )
"""
# After this many seconds without a heartbeat, another triggerer takes over the triggers.
SHORT_HEARTBEAT_TIMEOUT = {"AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5"}


class TriggererKilled(Scenario):
    """Wait for a run in one triggerer, kill it, and wait in another."""

    exclusive = True

    def dags(self) -> Mapping[str, str]:
        return {"leanix_triggerer.py": CODE}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        self.sandbox = stack.enter_context(Sandbox(kinds=[LeanIXService]))
        self.sandbox.leanix.queue_seconds = 0.5
        self.sandbox.leanix.stuck_in = "IN_PROGRESS"
        return {DAG_ID: self.sandbox.connections["leanix_default"]}

    def run(self, airflow: LocalAirflow) -> dict[str, Any]:
        airflow.wait_for_dags(DAG_ID)
        airflow.api.unpause(DAG_ID)
        airflow.api.trigger(DAG_ID, "once")
        self._wait_for(lambda: self._state(airflow) == "deferred" and self.polls() > 2)
        environment = kill_triggerer(airflow)
        before = self.polls()
        command = [str(Path(sys.executable).parent / "airflow"), "triggerer"]
        log = airflow.home / "triggerer.log"
        other = Started.run(command, {**environment, **SHORT_HEARTBEAT_TIMEOUT}, log, airflow.home)
        try:
            self._wait_for(lambda: self.polls() > before)
            self.sandbox.leanix.runs[0].stuck_in = None
            self._wait_for(lambda: self._state(airflow) in {"success", "failed"})
        finally:
            other.stop()
        (task,) = airflow.api.tasks(DAG_ID, "once")
        return {**task, "returned": airflow.api.returned(DAG_ID, "once", "run")}

    def polls(self) -> int:
        """Return the number of status requests."""
        return self.sandbox.counters.total("/status")

    def _state(self, airflow: LocalAirflow) -> str:
        (task,) = airflow.api.tasks(DAG_ID, "once")
        return str(task["state"])

    @staticmethod
    def _wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.2)


def kill_triggerer(airflow: LocalAirflow) -> dict[str, str]:
    """Kill the triggerer with all its child processes, and return its environment."""
    assert airflow.started
    children = airflow.started.children()
    (triggerer,) = [child for child in children if "triggerer" in " ".join(child.cmdline()).split()]
    environment: dict[str, str] = triggerer.environ()
    for process in [triggerer, *triggerer.children(recursive=True)]:
        with suppress(ProcessLookupError):
            os.kill(process.pid, 9)
    return environment


SCENARIO = TriggererKilled()


def test_a_run_is_waited_for_by_another_triggerer_when_the_first_one_is_killed(
    completed: CompletedRun,
) -> None:
    task, leanix = completed.result(SCENARIO), SCENARIO.sandbox.leanix
    (run,) = leanix.runs
    assert (task["state"], task["try_number"]) == ("success", 1)
    assert (task["returned"]["run_id"], task["returned"]["status"]) == (run.id, "FINISHED")
    assert (completed.output / "triggerer" / "landscape.json").read_bytes() == run.result
    assert leanix.starts == 1
    assert SCENARIO.sandbox.counters.total("/stop") == 0
