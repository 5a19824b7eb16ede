"""Delay and requests of a watcher whose values are pushed, beside one that polls.

Run: ``python -m tests.benchmarks.iotstudio_push [changes]``. A hundred Things publish a value every second.
One of them passes the limit at intervals, written over REST. Broker, sandbox and watcher run on this machine,
the sandbox in a thread of this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from dev.mosquitto_server import MosquittoServer, User

USER = User("service", "service-password", ["spaces/#"], ["spaces/#"])
LIST = "iotstudio GET /spaces/{space}/things"
THINGS, LIMIT = 100, 60


async def measure(
    sandbox: Sandbox, broker: MosquittoServer, changes: int, **arguments: Any
) -> dict[str, Any]:
    """Return the delays between write and event, and the requests of the watcher."""
    things = sorted(sandbox.iotstudio.space.things)[:THINGS]
    fired: list[float] = []

    async def run() -> None:
        trigger = IoTStudioThingTrigger(filters={"temperature": f"gt:{LIMIT}"}, **arguments)
        async for _ in trigger.run():
            fired.extend([time.monotonic()])

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(USER.name, USER.password)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    async def publish() -> None:
        while True:
            for thing in things[1:]:
                values = json.dumps({"temperature": random.uniform(15, 30)})
                client.publish(f"spaces/my-iot-project/things/{thing}/properties", values)
            await asyncio.sleep(1)

    tasks = [asyncio.create_task(run()), asyncio.create_task(publish())]
    await asyncio.sleep(3)
    before, began, delays = sandbox.counters.requests[LIST], time.monotonic(), []
    with IoTStudioHook() as hook:
        for _ in range(changes):
            count = len(fired)
            written = time.monotonic()
            await asyncio.to_thread(hook.set_properties, things[0], {"temperature": LIMIT + 10})
            while len(fired) == count:
                await asyncio.sleep(0.001)
            delays.append(fired[-1] - written)
            await asyncio.sleep(random.uniform(1.0, 3.0))
            await asyncio.to_thread(hook.set_properties, things[0], {"temperature": 20})
            await asyncio.sleep(2.0 if arguments.get("mqtt") else 1.2 * arguments["poll_interval"])
    seconds = time.monotonic() - began
    requests = sandbox.counters.requests[LIST] - before
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    client.disconnect()
    client.loop_stop()
    return {
        "delay_median_s": round(statistics.median(delays), 3),
        "delay_max_s": round(max(delays), 3),
        "requests": requests,
        "seconds": round(seconds),
        "messages": round(seconds) * (THINGS - 1),
    }


def main() -> None:
    """Measure both ways, and print the results."""
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    broker = MosquittoServer(Path(tempfile.mkdtemp()), [USER])
    broker.start()
    address = f"mqtt://{USER.name}:{USER.password}@127.0.0.1:{broker.port}"
    pushed: dict[str, Any] = {"mqtt": True, "poll_interval": 3600.0}
    polled = {"poll_interval": 30.0}
    try:
        with Sandbox(kinds=[IoTStudioService], iot_mqtt=address) as sandbox:
            for conn_id, text in sandbox.connections.items():
                os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = text
            for name, count, arguments in [("pushed", changes, pushed), ("polled", changes // 4, polled)]:
                sandbox.reset()
                result = asyncio.run(measure(sandbox, broker, count, **arguments))
                print(name, json.dumps(result), flush=True)
    finally:
        broker.kill()


if __name__ == "__main__":
    main()
