"""The triggerer of a real Airflow is killed while a LeanIX run is waited for, and another one takes over."""

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
from tests.system.parts import Part, Played

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
# After so many silent seconds a triggerer is dead, and its triggers belong to another one.
SILENT = {"AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5"}


class TriggererKilled(Part):
    """Waits for a run in one triggerer, and after its death in another."""

    alone = True

    def dags(self) -> Mapping[str, str]:
        return {"leanix_triggerer.py": CODE}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        self.sandbox = stack.enter_context(Sandbox(kinds=[LeanIXService]))
        self.sandbox.leanix.queue_seconds = 0.5
        self.sandbox.leanix.stuck_in = "IN_PROGRESS"
        return {DAG_ID: self.sandbox.connections["leanix_default"]}

    def play(self, airflow: LocalAirflow) -> dict[str, Any]:
        airflow.wait_for_dags(DAG_ID)
        airflow.api.unpause(DAG_ID)
        airflow.api.trigger(DAG_ID, "once")
        self._wait_for(lambda: self._state(airflow) == "deferred" and self.looks() > 2)
        environment = kill_triggerer(airflow)
        before = self.looks()
        command = [str(Path(sys.executable).parent / "airflow"), "triggerer"]
        log = airflow.home / "triggerer.log"
        other = Started.run(command, {**environment, **SILENT}, log, airflow.home)
        try:
            self._wait_for(lambda: self.looks() > before)
            self.sandbox.leanix.runs[0].stuck_in = None
            self._wait_for(lambda: self._state(airflow) in {"success", "failed"})
        finally:
            other.stop()
        (task,) = airflow.api.tasks(DAG_ID, "once")
        return {**task, "returned": airflow.api.returned(DAG_ID, "once", "run")}

    def looks(self) -> int:
        """Count the requests of whoever waits for the run."""
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
    """Kill the triggerer and all it has started, at once; gives the environment it had."""
    assert airflow.started
    parts = airflow.started.children()
    (triggerer,) = [part for part in parts if "triggerer" in " ".join(part.cmdline()).split()]
    environment: dict[str, str] = triggerer.environ()
    for victim in [triggerer, *triggerer.children(recursive=True)]:
        with suppress(ProcessLookupError):
            os.kill(victim.pid, 9)
    return environment


PART = TriggererKilled()


def test_a_run_is_waited_for_by_another_triggerer_when_the_first_one_is_killed(played: Played) -> None:
    task, leanix = played.result(PART), PART.sandbox.leanix
    (run,) = leanix.runs
    assert (task["state"], task["try_number"]) == ("success", 1)
    assert (task["returned"]["run_id"], task["returned"]["status"]) == (run.id, "FINISHED")
    assert (played.output / "triggerer" / "landscape.json").read_bytes() == run.result
    assert leanix.starts == 1
    assert PART.sandbox.counters.total("/stop") == 0
