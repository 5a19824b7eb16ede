"""One trigger for assets per public class, each of which fires for a change of the seeded sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger, IoTStudioThingTrigger
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger
from tests.support import every_task

WATCHERS: dict[str, Callable[[], Any]] = {
    "amigocloud event": lambda: AmigoCloudEventTrigger(events=["*"], dataset=1, poll_interval=0.05),
    "amigocloud dataset": lambda: AmigoCloudDatasetTrigger(dataset=1, poll_interval=0.05),
    "iotstudio thing": lambda: IoTStudioThingTrigger(
        filters={"temperature": f"gt:{every_task.HOT - 1}"}, poll_interval=0.05
    ),
    "iotstudio event": lambda: IoTStudioEventTrigger(
        event=every_task.EVENT, thing_id=every_task.THING, poll_interval=0.05
    ),
    "leanix run": lambda: LeanIXRunEndedTrigger(poll_interval=0.05),
}
"""Watchers by vendor and what they watch."""
