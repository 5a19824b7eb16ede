"""Read the temperature that every sensor had an hour ago, all sensors at once.

1. `temperatures` is an `async` task (Airflow 3.2 or newer): the twins `a<name>` of the hook's methods send
   the requests of all sensors at the same time, over one pool of connections, from one worker slot.
2. `warmest` gets them as its argument, and returns the warmest sensor.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider.iotstudio.hooks import IoTStudioHook

with DAG("async_task", schedule=None, tags=["iotstudio"], doc_md=__doc__) as dag:

    @task
    async def temperatures() -> dict[str, float]:
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        async with IoTStudioHook() as hook:
            sensors = [thing["uid"] async for thing in hook.alist_things(category="Sensors")]
            reads = (hook.alast_values(sensor, an_hour_ago, name="temperature") for sensor in sensors)
            found = await asyncio.gather(*reads)
        pairs = zip(sensors, found, strict=True)
        return {sensor: rows[0]["properties"]["temperature"] for sensor, rows in pairs if rows}

    @task
    def warmest(values: dict[str, float]) -> str | None:
        return max(values, key=lambda sensor: values[sensor], default=None)

    warmest(temperatures())
