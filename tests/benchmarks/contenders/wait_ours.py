"""The triggers in one event loop, as in a triggerer."""

import asyncio
import time

import httpx  # noqa: F401 - a triggerer has it loaded

from airflow_provider.leanix.triggers import LeanIXRunTrigger


async def fire(run_id, interval):
    trigger = LeanIXRunTrigger(
        leanix_conn_id="leanix_default",
        run_id=run_id,
        deadline=time.time() + 600,
        poll_interval=interval,
    )
    async for event in trigger.run():
        return event.payload["run_status"]
    raise AssertionError("no event")


async def fire_all(run_ids, interval):
    return await asyncio.gather(*(fire(run_id, interval) for run_id in run_ids))


def run(run_ids, interval, **_):
    statuses = asyncio.run(fire_all(run_ids, interval))
    return {"finished": statuses.count("FINISHED")}
