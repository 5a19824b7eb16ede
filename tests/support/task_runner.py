"""Run the attempts of a task as Airflow does, without a scheduler."""

from __future__ import annotations

import asyncio
import json
import logging
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from airflow_provider.core.state.submission import Submission
from tests.support.airflow_names import TaskDeferred
from tests.support.per_asset import PerAsset
from tests.support.state_store import FakeStateStore

MAX_TRIES = 3
"""Retries of a task, and further ones each time it is cleared."""


class TaskRunner:
    """One task instance: each :meth:`run` is its next attempt, on a worker that knows what Airflow stores.

    :param previous_result: what the task returned in the previous DAG run.
    :param remembers: whether there is a task state store (none before Airflow 3.3).
    :param task_id: name of the task in its DAG.
    :param forgets_arguments: whether the task resumes without the arguments it deferred with, as in
        ``dag.test()``.
    """

    def __init__(
        self,
        previous_result: Any = None,
        *,
        remembers: bool = True,
        task_id: str = "task",
        forgets_arguments: bool = False,
    ) -> None:
        self.store = FakeStateStore()
        self.extra_context: dict[str, Any] = {}
        self.attempts = 0
        self.max_tries = MAX_TRIES
        self._previous_result = previous_result
        self._remembers = remembers
        self._task_id = task_id
        self._forgets_arguments = forgets_arguments

    @property
    def ti(self) -> Any:
        """Task instance as an operator reads it from the context."""
        return SimpleNamespace(
            dag_id="dag",
            task_id=self._task_id,
            run_id="manual__1",
            map_index=-1,
            try_number=self.attempts,
            max_tries=self.max_tries,
            xcom_pull=lambda **_: self._previous_result,
            xcom_push=lambda *_, **__: None,
        )

    def context(self) -> Any:
        """Return the context of the current attempt."""
        events = PerAsset(lambda: SimpleNamespace(extra={}))
        store = {"task_state_store": self.store} if self._remembers else {}
        return {"ti": self.ti, "outlet_events": events, **store, **self.extra_context}

    def submission(self) -> Submission:
        """Return the submission that the task would use for the request ``"request"``."""
        return Submission(self.context(), "request", logging.getLogger(__name__))

    def clear(self) -> None:
        """Clear the task as a user does: it gets all its retries once more."""
        self.max_tries = self.attempts + MAX_TRIES

    def run(self, operator: Any) -> Any:
        """Run the next attempt, through its trigger when it defers; return its result."""
        result = self.begin(operator)
        return self.resume(operator, result) if isinstance(result, TaskDeferred) else result

    def begin(self, operator: Any) -> Any:
        """Run the next attempt until it ends or defers; return its result or the deferral."""
        self.attempts += 1
        try:
            return operator.execute(self.context())
        except TaskDeferred as deferral:
            return deferral

    def resume(self, operator: Any, deferral: TaskDeferred) -> Any:
        """Wait as the triggerer does, and finish the attempt as another worker does."""
        event = asyncio.run(first_event(rebuild_trigger(deferral.trigger)))
        arguments = {} if self._forgets_arguments else json.loads(json.dumps(deferral.kwargs or {}))
        return getattr(operator, deferral.method_name)(self.context(), event=event, **arguments)


def rebuild_trigger(trigger: Any) -> Any:
    """Return the trigger that a triggerer builds from the database row of this one."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))


async def first_event(trigger: Any) -> Any:
    """Run a trigger until its first event; return the payload as the database stores it."""
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")
