"""Chain: run the nights one after the other, as an operator of Airflow does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
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
"""How often an operator clears tasks of a night."""

QUEUED_SECONDS = 300.0
"""Seconds after which an operator takes a queued task for lost."""


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
        self._tasks: list[dict[str, Any]] = []

    def run(self, night: Night) -> None:
        """Run a night, until it has succeeded.

        :raises NightFailedError: when it takes too long, or fails in spite of an operator.
        """
        began, clears = time.monotonic(), 0
        run_id = f"night_{night.number:03d}"
        write_night(self.warehouse, night)
        self.parts.api.trigger(DAG_ID, run_id)
        while (state := self._state(run_id)) != "success":
            if stuck := stuck_tasks(state, self._tasks, datetime.now(UTC)):
                clears += self._clear(run_id, stuck, clears)
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
            self._tasks = self.parts.api.tasks(DAG_ID, run_id)
        except (httpx.HTTPError, TypeError):
            self._tasks = []
            return "unknown"
        running = [
            f"{task['task_id']} {task['state']}"
            for task in self._tasks
            if task["state"] not in {None, "success"}
        ]
        self.state = f"{run_id}: {', '.join(running) or state}"
        return state

    def _clear(self, run_id: str, tasks: Sequence[dict[str, Any]], clears: int) -> bool:
        """Clear tasks; return whether the API server has done so."""
        reasons = [
            f"{run_id} {task['task_id']} attempt {task['try_number']}: {self._reason(run_id, task)}"
            for task in tasks
        ]
        if clears >= CLEARS:
            raise NightFailedError("\n".join(reasons))
        names = [task["task_id"] for task in tasks]
        body = {"dag_run_id": run_id, "task_ids": names, "only_failed": False, "dry_run": False}
        url = f"/api/v2/dags/{DAG_ID}/clearTaskInstances"
        try:
            done = self.parts.api.http.post(url, json=body).is_success
        except httpx.TransportError:  # the API server is paused
            done = False
        self.cleared += reasons if done else []
        return done

    def _reason(self, run_id: str, task: dict[str, Any]) -> str:
        if task["state"] == "queued":
            return "lost by the executor"
        lines = self.parts.api.log(DAG_ID, run_id, task)
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or ["no log"])[-1].strip()[:600]


def stuck_tasks(state: str, tasks: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return the tasks of a run that need an operator: the failed ones, and those that the executor has lost.

    A worker of LocalExecutor that is killed when it has taken a task, and has not begun it, takes it along:
    Airflow 3.3 cannot revoke it, and leaves it queued until the scheduler restarts.

    :param state: the run's state; tasks that have failed count when it has.
    :param tasks: its tasks.
    :param now: time of now.
    """
    if state == "failed":
        return [task for task in tasks if task["state"] == "failed"]
    queued = [task for task in tasks if task["state"] == "queued" and task["queued_when"]]
    return [
        task
        for task in queued
        if (now - datetime.fromisoformat(task["queued_when"])).total_seconds() > QUEUED_SECONDS
    ]
