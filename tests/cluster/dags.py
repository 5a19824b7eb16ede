"""DAGs of the cluster's proof. Every task is a process on one of two workers, with no retries of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetWatcher, task

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.warehouse.operators import CommitManifestOperator

NO_RETRIES = {"retries": 0}

RETRIES = {"retries": 5, "retry_delay": timedelta(seconds=1)}
"""For tasks whose processes the proof kills."""


READERS = 8
"""Tasks that read at the same time, one for each slot."""


@task
def read_map(number: int, requests: int) -> list[float]:
    """Read the map as often and as fast as the budget allows; returns the moments of the replies.

    All tasks begin together, as soon as the last of them is there.
    """
    import time

    import redis
    from airflow.sdk import BaseHook, get_current_context

    from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

    answered = []
    with MapsIndoorsHook("mapsindoors_cluster") as hook:
        hook.access_token()
        store = BaseHook.get_connection("twin_redis")
        with redis.Redis(store.host or "", store.port or 0, db=2) as together:
            run_id = get_current_context()["run_id"]
            together.incr(run_id)
            while int(together.get(run_id) or 0) < READERS:
                time.sleep(0.05)
        for _ in range(requests):
            hook.get_dataset()
            answered.append(time.time())
    return answered


@task
def list_configurations(number: int) -> int:
    """Send one request to a service that needs a token."""
    from airflow_provider.leanix.hooks import LeanIXHook

    with LeanIXHook("leanix_cluster") as hook:
        return len(hook.list_configurations())


with DAG("budgets", schedule=None, default_args=NO_RETRIES):
    read_map.partial(requests=60).expand(number=list(range(READERS)))

with DAG("redis_hangs", schedule=None, default_args=NO_RETRIES):
    read_map.partial(requests=40).expand(number=list(range(READERS)))

with DAG("tokens", schedule=None, default_args=NO_RETRIES):
    list_configurations.expand(number=list(range(40)))

with DAG("runs", schedule=None, default_args=RETRIES):
    LeanIXRunOperator.partial(
        task_id="run",
        leanix_conn_id="leanix_cluster",
        connector_id="landscape",
        connector_version="1.0.0",
        connector_type="report",
        processing_direction="outbound",
        deferrable=True,
        poll_interval=2,
        timeout=600,
    ).expand(description=[f"shard {number}" for number in range(12)])

with DAG("sharded_export", schedule=None, default_args=RETRIES):
    plan = AmigoCloudPlanExportOperator(
        task_id="plan", amigocloud_conn_id="amigocloud_cluster", dataset=2001, parts=6
    )
    parts = AmigoCloudExportOperator.partial(
        task_id="export",
        amigocloud_conn_id="amigocloud_cluster",
        dataset=2001,
        page_size=50,
        output_path="{{ var.value.twin_output }}/sharded/part.jsonl",
    ).expand(part=plan.output)
    CommitManifestOperator(
        task_id="commit", parts=parts.output, output_path="{{ var.value.twin_output }}/sharded/manifest.json"
    )

CHANGES = AssetWatcher(
    name="changes",
    trigger=AmigoCloudDatasetTrigger(amigocloud_conn_id="amigocloud_cluster", dataset=2002, poll_interval=2),
)
DATASET = AmigoCloudHook.asset(project=1234, dataset=2002, watchers=[CHANGES])

with DAG("changed", schedule=[DATASET], default_args=NO_RETRIES):

    @task
    def note(triggering_asset_events: Any = None) -> list[str]:
        """Return the states of the events that started the run."""
        events = [event for found in triggering_asset_events.values() for event in found]
        return [event.extra["payload"]["master"] for event in events]

    note()
