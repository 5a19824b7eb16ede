"""Runs the tries of a task the way Airflow does, without a scheduler."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from tests.support.airflow_names import TaskDeferred


class Store(dict[str, Any]):
    """A state store, as Airflow 3.3 lends it; keeps JSON only."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        """Keep a value."""
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.pop(key, None)


class Tries:
    """One task instance: each :meth:`run` is its next try, on a worker that knows nothing of the one before.

    :param remembers: whether there is a state store (there is none before Airflow 3.3).
    """

    def __init__(self, *, remembers: bool = True) -> None:
        self.store = Store()
        self.remembers = remembers
        self.number = 0

    def context(self) -> Any:
        """Give what a task gets of Airflow."""
        ti = SimpleNamespace(
            dag_id="dag",
            task_id="task",
            run_id="manual__1",
            map_index=-1,
            try_number=self.number,
            max_tries=1,
            xcom_pull=lambda **_: None,
            xcom_push=lambda *_, **__: None,
        )
        extra = defaultdict(lambda: SimpleNamespace(extra={}))
        store = {"task_state_store": self.store} if self.remembers else {}
        return {"ti": ti, "outlet_events": extra, **store}

    def run(self, operator: Any) -> Any:
        """Run the next try; when it defers, wait as the triggerer does and go on as another worker does."""
        self.number += 1
        try:
            return operator.execute(self.context())
        except TaskDeferred as deferral:
            event = asyncio.run(first_event(again(deferral.trigger)))
            kwargs = json.loads(json.dumps(deferral.kwargs or {}))
            return getattr(operator, deferral.method_name)(self.context(), event=event, **kwargs)


def again(trigger: Any) -> Any:
    """Make a trigger anew from what Airflow's database would hold of it."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))


async def first_event(trigger: Any) -> Any:
    """Wait for a trigger's first event; gives its payload as Airflow's database would hold it."""
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")
