"""Chain: run the nights one after the other, as an operator of Airflow does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.soak.model import Model
from tests.soak.nights import Night
from tests.soak.parts import Parts
from tests.soak.warehouse import write_night
from tests.support.postgres import Database

DAG_ID = "soak_night"
NIGHT_SECONDS = 1800.0
"""Maximum seconds of a night."""

CLEARS = 5
"""How often an operator clears the failed tasks of a night."""


class NightFailedError(RuntimeError):
    """A night that has not succeeded."""


class Chain:
    """The nights' chain of tasks in Airflow.

    :param parts: the running Airflow.
    :param warehouse: the tables that it reads.
    :param model: takes note of each night that has succeeded.
    :param tick: called every second or so while a night runs.
    """

    def __init__(self, parts: Parts, warehouse: Database, model: Model, tick: Callable[[], None]) -> None:
        self.parts, self.warehouse, self.model, self.tick = parts, warehouse, model, tick
        self.cleared: list[str] = []
        self.attempts = 0
        self.seconds: list[float] = []
        self.state = ""

    def run(self, night: Night) -> None:
        """Run a night, until it has succeeded.

        :raises NightFailedError: when it takes too long, or fails in spite of an operator.
        """
        began, clears = time.monotonic(), 0
        run_id = f"night_{night.number:03d}"
        write_night(self.warehouse, night)
        self.parts.api.trigger(DAG_ID, run_id)
        while (state := self._state(run_id)) != "success":
            if state == "failed":
                clears += self._clear(run_id, clears)
            if time.monotonic() - began > NIGHT_SECONDS:
                raise NightFailedError(f"{run_id} has not ended after {NIGHT_SECONDS:.0f} s: {self.state}")
            self.tick()
            time.sleep(1)
        self.attempts += sum(task["try_number"] for task in self.parts.api.tasks(DAG_ID, run_id))
        self.seconds.append(time.monotonic() - began)
        self.model.night_done(night)

    def _state(self, run_id: str) -> str:
        try:
            state = str(self.parts.api.run(DAG_ID, run_id)["state"])
            tasks = self.parts.api.tasks(DAG_ID, run_id)
        except (httpx.HTTPError, TypeError):
            return "unknown"
        running = [
            f"{task['task_id']} {task['state']}" for task in tasks if task["state"] not in {None, "success"}
        ]
        self.state = f"{run_id}: {', '.join(running) or state}"
        return state

    def _clear(self, run_id: str, clears: int) -> bool:
        """Clear the failed tasks; return whether the API server has done so."""
        tasks = self.parts.api.tasks(DAG_ID, run_id)
        failed = [task for task in tasks if task["state"] == "failed"]
        reasons = [
            f"{run_id} {task['task_id']} attempt {task['try_number']}: {self._reason(run_id, task)}"
            for task in failed
        ]
        if clears >= CLEARS:
            raise NightFailedError("\n".join(reasons))
        body = {"dag_run_id": run_id, "only_failed": True, "dry_run": False, "reset_dag_runs": True}
        url = f"/api/v2/dags/{DAG_ID}/clearTaskInstances"
        try:
            done = self.parts.api.http.post(url, json=body).is_success
        except httpx.TransportError:  # the API server is paused
            done = False
        self.cleared += reasons if done else []
        return done

    def _reason(self, run_id: str, task: dict[str, Any]) -> str:
        lines = self.parts.api.log(DAG_ID, run_id, task)
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or ["no log"])[-1].strip()[:600]
