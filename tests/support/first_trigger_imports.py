"""Prints what a triggerer's event loop has to import itself when our triggers run there for the first time.

Run it in a fresh interpreter, with the connections of a sandbox in the environment. It ends when its input
does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

import airflow.jobs.triggerer_job_runner  # noqa: F401 - what a triggerer has loaded
from airflow.triggers.base import BaseTrigger

from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger
from airflow_provider.leanix.triggers import LeanIXRunEndedTrigger, LeanIXRunTrigger
from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger


class Noting:
    """Sees what the main thread imports, and finds nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            self.names.append(name)


def triggers() -> list[BaseTrigger]:
    """Make one of each, that looks at the sandbox's demo data."""
    ends = time.time() + 60
    return [
        AmigoCloudEventTrigger(events=["realtime"], dataset=2001, poll_interval=0.1),
        AmigoCloudDatasetTrigger(dataset=2001, poll_interval=0.1),
        IoTStudioThingTrigger(filters={"temperature": "gt:5000"}, poll_interval=0.1),
        LeanIXRunEndedTrigger(poll_interval=0.1),
        LeanIXRunTrigger(leanix_conn_id="leanix_default", run_id="none", deadline=ends, poll_interval=0.1),
        MapsIndoorsGeodataTrigger(
            mapsindoors_conn_id="mapsindoors_default",
            expected=[{"id": "none"}],
            match_on="id",
            deadline=ends,
            poll_interval=0.1,
        ),
    ]


async def look(trigger: BaseTrigger) -> None:
    """Let a trigger run."""
    async for _ in trigger.run():
        pass


async def main() -> list[str]:
    """Let them all run, and give the names of what they imported on the loop."""
    noting = Noting()
    made = triggers()
    sys.meta_path.insert(0, noting)  # type: ignore[arg-type]
    running = [asyncio.create_task(look(trigger)) for trigger in made]
    await asyncio.to_thread(sys.stdin.read)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    return noting.names


if __name__ == "__main__":
    names = asyncio.run(main())
    print(json.dumps(names))
