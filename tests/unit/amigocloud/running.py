"""Task runner: run tasks the way Airflow does, without a scheduler."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from airflow_provider.amigocloud.triggers import AmigoCloudTrigger
from tests.support.airflow_names import TaskDeferred


class Store(dict[str, Any]):
    """State store as in Airflow 3.3; it holds JSON only."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Task:
    """One task instance, whose state store outlives its attempts.

    :param seen: what the task returned in its previous run.
    """

    def __init__(self, seen: Any = None) -> None:
        self.store = Store()
        self.ti = SimpleNamespace(
            dag_id="dag", task_id="task", run_id="run", map_index=-1, xcom_pull=lambda **_: seen
        )

    def context(self) -> Any:
        return {"ti": self.ti, "task_state_store": self.store}

    def run(self, operator: Any) -> Any:
        """Run the next attempt; a deferred one waits like the triggerer, and ends like a new worker."""
        try:
            return operator.execute(self.context())
        except TaskDeferred as deferral:
            path, arguments = deferral.trigger.serialize()
            assert path.endswith("triggers.AmigoCloudTrigger")
            trigger = AmigoCloudTrigger(**json.loads(json.dumps(arguments)))
            event = asyncio.run(first_event(trigger))
            return getattr(operator, deferral.method_name)(self.context(), event=event)


async def first_event(trigger: AmigoCloudTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")
