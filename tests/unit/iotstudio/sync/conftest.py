"""A small space to bring in step with rows, and a sync of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.iotstudio.operators import IoTStudioSyncThingsOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from tests.unit.iotstudio.conftest import THING


def sync(source: Any = None, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    operator = IoTStudioSyncThingsOperator(task_id="x", source=source, **arguments)
    return operator.execute(context or {})  # type: ignore[arg-type]


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[name] for name in ("create", "update", "delete", "unchanged", "failed"))


@pytest.fixture
def fleet(service: IoTStudioService) -> list[str]:
    """Return the ids of the Things of a small space: eight sensors and two meters."""
    things = service.space.things
    others = (uid for uid, thing in things.items() if "Sensors" in thing.categories and uid != THING)
    sensors = [THING, *sorted(others)[:7]]
    meters = sorted(uid for uid, thing in things.items() if "Meters" in thing.categories)[:2]
    service.space.things = {uid: things[uid] for uid in (*sensors, *meters)}
    return [*sensors, *meters]


def titles(service: IoTStudioService) -> list[str]:
    return sorted(thing.title for thing in service.space.things.values())
