"""Started runs, and triggers that wait for them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.triggers import LeanIXRunTrigger
from tests.support.task_runner import first_event

OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
}


def started(count: int = 1) -> list[str]:
    with LeanIXHook() as hook:
        ids = [hook.create_run(OUTBOUND) for _ in range(count)]
        for run_id in ids:
            hook.start_run(run_id)
    return ids


def trigger_for(
    run_id: str, seconds: float = 60, poll_interval: float = 0.05, results_seconds: float = 0.0
) -> LeanIXRunTrigger:
    return LeanIXRunTrigger(
        leanix_conn_id="leanix_default",
        run_id=run_id,
        deadline=time.time() + seconds,
        poll_interval=poll_interval,
        results_seconds=results_seconds,
    )


def wait_for_all(ids: list[str], **options: float) -> list[dict[str, Any]]:
    """Wait for all runs in one event loop."""

    async def wait() -> list[dict[str, Any]]:
        return await asyncio.gather(*(first_event(trigger_for(one, **options)) for one in ids))

    return asyncio.run(wait())
