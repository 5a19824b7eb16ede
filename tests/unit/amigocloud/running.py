"""Runs tasks the way Airflow does, without a scheduler."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from airflow_provider.amigocloud.triggers import AmigoCloudTrigger
from tests.support.airflow_names import TaskDeferred


class Store(dict[str, Any]):
    """A state store, as Airflow 3.3 lends it; keeps JSON only."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Task:
    """One task instance, whose memory survives its tries.

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
        """Run the next try; when it defers, wait as the triggerer does and finish as a fresh worker does."""
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
