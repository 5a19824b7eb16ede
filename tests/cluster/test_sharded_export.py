"""An export in parts on two workers, while the dataset changes and a worker is killed."""

from __future__ import annotations

import json
import signal
from typing import Any

from airflow_provider.sandbox.amigocloud import seed
from dev.cluster import BUCKET
from tests.cluster.conftest import Proof
from tests.cluster.processes import signal_part


def test_an_export_in_parts_is_one_state_over_two_workers(proof: Proof) -> None:
    store, counters = proof.sandbox.amigocloud.store, proof.sandbox.counters
    found = store.select(f"SELECT amigo_id FROM dataset_{seed.ASSETS}", -1, 0)
    before = {row["amigo_id"] for row in found.rows}
    proof.sandbox.faults.add("delay", path="/sql", times=None, seconds=1.0)
    counters.clear()
    run_id = proof.runs.start("sharded_export")
    proof.runs.wait(lambda: _exporting(proof, run_id), 120, "parts are exported")
    store.write(f"DELETE FROM dataset_{seed.ASSETS} WHERE number % 3 = 0")
    signal_part(proof.cluster.parts["worker host-a"], signal.SIGKILL)
    proof.cluster.start_part("worker host-a")
    proof.runs.finish("sharded_export", run_id, 400)
    proof.sandbox.faults.clear()
    manifest = proof.runs.returned("sharded_export", run_id, "commit")
    exported = [row["amigo_id"] for file in manifest["files"] for row in _rows(proof, file["uri"])]
    hosts = {task["hostname"] for task in proof.runs.tasks("sharded_export", run_id)}
    print(f"\n{len(exported)} rows in {len(manifest['files'])} files, by {sorted(hosts)}")
    assert len(exported) == len(set(exported)) == manifest["rows"]
    assert set(exported) == before
    assert hosts == {"host-a", "host-b"}


def _exporting(proof: Proof, run_id: str) -> bool:
    tasks = proof.runs.tasks("sharded_export", run_id)
    return sum(task["task_id"] == "export" and task["state"] == "running" for task in tasks) >= 3


def _rows(proof: Proof, uri: str) -> list[dict[str, Any]]:
    import boto3

    key = uri.partition(f"{BUCKET}/")[2]
    body = boto3.client("s3", **proof.cluster.s3_options).get_object(Bucket=BUCKET, Key=key)["Body"]
    return [json.loads(line) for line in body.read().splitlines()]
