"""Runs LeanIX tasks the way Airflow does, without a scheduler."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider.core.state.submission import Submission
from airflow_provider.leanix.triggers import LeanIXRunTrigger
from tests.support.airflow_names import TaskDeferred

INBOUND = {
    "connector_type": "cmdb",
    "connector_id": "campus",
    "connector_version": "1.0.0",
    "processing_direction": "inbound",
}
OUTBOUND = {
    "connector_type": "report",
    "connector_id": "landscape",
    "connector_version": "1.0.0",
    "processing_direction": "outbound",
}


class Store(dict[str, Any]):
    """A task's state store, as Airflow 3.3 lends it; keeps JSON only."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = json.loads(json.dumps(value))


class Task:
    """One task instance: its memory survives its tries.

    :param remembers: whether there is a state store (there is none before Airflow 3.3).
    :param forgets_arguments: whether a task resumes without the arguments it deferred with, as in a DAG test.
    """

    def __init__(
        self, *, remembers: bool = True, task_id: str = "run", forgets_arguments: bool = False
    ) -> None:
        self.forgets_arguments = forgets_arguments
        self.store = Store()
        self.more: dict[str, Any] = {}
        self.tries = 0
        self.last_try = 3
        self.remembers = remembers
        self.task_id = task_id

    def context(self) -> Any:
        ti = SimpleNamespace(
            dag_id="landscape",
            task_id=self.task_id,
            run_id="manual__1",
            map_index=-1,
            try_number=self.tries,
            max_tries=self.last_try,
        )
        return {"ti": ti, **self.more, **({"task_state_store": self.store} if self.remembers else {})}

    def submission(self) -> Submission:
        """Give what the task remembers of a piece of work."""
        return Submission(self.context(), "request", logging.getLogger(__name__))

    def clear(self) -> None:
        """Do what Airflow does when a user clears the task: it gets all its tries once more."""
        self.last_try = self.tries + 3

    def run(self, operator: BaseOperator) -> Any:
        """Run the next try; through a trigger when it defers."""
        deferral = self.begin(operator)
        return self.resume(operator, deferral) if isinstance(deferral, TaskDeferred) else deferral

    def begin(self, operator: BaseOperator) -> Any:
        """Run the next try until it ends or defers."""
        self.tries += 1
        try:
            return operator.execute(self.context())
        except TaskDeferred as deferral:
            return deferral

    def resume(self, operator: BaseOperator, deferral: TaskDeferred) -> Any:
        """Wait as the triggerer does, and finish as a fresh worker does."""
        event = asyncio.run(first_event(again(deferral.trigger)))
        kwargs = json.loads(json.dumps(deferral.kwargs or {}))
        if self.forgets_arguments:
            kwargs = {}
        return getattr(operator, deferral.method_name)(self.context(), event=event, **kwargs)


def again(trigger: Any) -> LeanIXRunTrigger:
    """Make a trigger anew from what the database would hold of it."""
    path, arguments = trigger.serialize()
    assert path == "airflow_provider.leanix.triggers.LeanIXRunTrigger"
    return LeanIXRunTrigger(**json.loads(json.dumps(arguments)))


async def first_event(trigger: LeanIXRunTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def leanix(sandbox: Any) -> Any:
    """The emulated workspace, with runs that are over as soon as anybody looks."""
    sandbox.leanix.queue_seconds = 0.0
    sandbox.leanix.run_seconds = 0.0
    sandbox.leanix.seconds_per_item = 0.0
    return sandbox.leanix


@pytest.fixture(autouse=True)
def no_waiting_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once, so that bad days are short."""
    from airflow_provider.core.http import retry

    monkeypatch.setattr(retry, "backoff_seconds", lambda *_: 0.001)
    from airflow_provider.core.http import retry

    monkeypatch.setattr(retry, "backoff_seconds", lambda *_: 0.001)


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    """No test uses the token of another."""
    from airflow_provider.core.http import auth

    auth._slots.clear()
