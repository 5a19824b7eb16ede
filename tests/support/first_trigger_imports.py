"""Imports on a triggerer's event loop: print the modules that the first runs of all triggers import there.

Run it in a fresh interpreter, with the connections of a sandbox in the environment. It ends when its input
does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import airflow.jobs.triggerer_job_runner  # noqa: F401 - a triggerer has it loaded
from airflow.triggers.base import BaseTrigger

from airflow_provider.amigocloud.triggers import (
    AmigoCloudDatasetTrigger,
    AmigoCloudEventTrigger,
    AmigoCloudTrigger,
)
from airflow_provider.iotstudio.triggers import (
    IoTStudioEventPollTrigger,
    IoTStudioEventTrigger,
    IoTStudioSilenceTrigger,
    IoTStudioThingTrigger,
)
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger, LeanIXRunTrigger
from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger
from tests.support.import_recorder import ImportRecorder


def triggers() -> list[BaseTrigger]:
    """Create one trigger of each class, on the sandbox's demo data."""
    deadline = time.time() + 60
    fleet: dict[str, Any] = {
        "iotstudio_conn_id": "iotstudio_default",
        "space": None,
        "thing_ids": None,
        "category": "Sensors",
        "filters": None,
        "deadline": deadline,
        "poll_interval": 0.1,
    }
    return [
        AmigoCloudEventTrigger(events=["realtime"], dataset=2001, poll_interval=0.1),
        AmigoCloudDatasetTrigger(dataset=2001, poll_interval=0.1),
        IoTStudioThingTrigger(filters={"temperature": "gt:5000"}, poll_interval=0.1),
        IoTStudioThingTrigger(filters={"temperature": "gt:5001"}, poll_interval=0.1, mqtt=True),
        IoTStudioEventTrigger(event="highTemperature", category="Sensors", poll_interval=0.1),
        IoTStudioEventPollTrigger(
            event="highTemperature", since="2026-01-01T00:00:00+00:00", min_events=10**6, **fleet
        ),
        IoTStudioSilenceTrigger(silent_for=10.0**9, properties=None, min_matches=1, **fleet),
        AmigoCloudTrigger(
            amigocloud_conn_id="amigocloud_default",
            question="QueryIsTrue",
            about={"sql": "SELECT 0"},
            deadline=deadline,
            poll_interval=0.1,
        ),
        LeanIXRunEndedTrigger(poll_interval=0.1),
        LeanIXRunTrigger(
            leanix_conn_id="leanix_default", run_id="none", deadline=deadline, poll_interval=0.1
        ),
        MapsIndoorsGeodataTrigger(
            mapsindoors_conn_id="mapsindoors_default",
            expected=[{"id": "none"}],
            match_on="id",
            deadline=deadline,
            poll_interval=0.1,
        ),
    ]


async def run(trigger: BaseTrigger) -> None:
    """Run a trigger until it is cancelled."""
    async for _ in trigger.run():
        pass


async def main() -> list[str]:
    """Run all triggers, and return the names of the modules imported on the loop."""
    recorder = ImportRecorder()
    created = triggers()
    sys.meta_path.insert(0, recorder)  # type: ignore[arg-type]
    running = [asyncio.create_task(run(trigger)) for trigger in created]
    await asyncio.to_thread(sys.stdin.read)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    return recorder.names


if __name__ == "__main__":
    names = asyncio.run(main())
    print(json.dumps(names))
