"""Start other DAGs when applications in LeanIX have changed, without a webhook.

The Integration API has no list of changes. So a run exports what was updated in the last days: the stored
configuration has `updatedInDuration` in the filter of its processor. The days overlap from run to run, so
that none is missed when a run fails; items that are the same as in the last run are no news.

1. `recent` runs the configuration, and writes its items, one a line.
2. `has_changed` compares the hash of each item with those of the last run, and skips the rest when none is
   new.
3. `publish` stores the hashes, and its asset starts the DAGs that are scheduled on it.
"""

from __future__ import annotations

import hashlib

from airflow.sdk import DAG, Asset, ObjectStoragePath, Variable, task

from airflow_provider.leanix.operators import LeanIXRunOperator

CHANGED = Asset("leanix_applications_changed")
KNOWN = "leanix_known_applications"


def hashes(run: dict) -> list[str]:
    lines = ObjectStoragePath(run["results"]["uri"]).read_bytes().splitlines()
    return sorted(hashlib.sha256(line).hexdigest()[:16] for line in lines)


@task.short_circuit
def has_changed(run: dict) -> bool:
    return not set(hashes(run)) <= set(Variable.get(KNOWN, default=[], deserialize_json=True))


@task(outlets=[CHANGED])
def publish(run: dict) -> None:
    Variable.set(KNOWN, hashes(run), serialize_json=True)


with DAG(
    "leanix_changed_fact_sheets", schedule="@hourly", catchup=False, max_active_runs=1, doc_md=__doc__
) as dag:
    recent = LeanIXRunOperator(
        task_id="recent",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path="{{ var.value.twin_output }}/leanix/{{ run_id | replace(':', '') }}.jsonl",
        deferrable=True,
    )
    has_changed(recent.output) >> publish(recent.output)
