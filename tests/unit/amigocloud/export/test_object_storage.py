"""Files on a real S3 server: an export is complete or absent, and uploads read from it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider.amigocloud.api import SIMPLE_UPLOAD
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudUploadOperator
from airflow_provider.errors import IncompleteExportError, InputError, ServerError
from airflow_provider.sandbox.amigocloud import seed
from tests.support.task_runner import TaskRunner
from tests.unit.amigocloud.export.test_checkpoint import Killed, kill_after, small_parts
from tests.unit.amigocloud.export.test_export import ordered, truth

__all__ = ["kill_after", "small_parts"]

FOLDER = "s3://aws_s3@twin/nightly"


def keys(s3: Any) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket="twin").get("Contents", [])]


def content(s3: Any, key: str) -> bytes:
    return s3.get_object(Bucket="twin", Key=key)["Body"].read()


def operator(name: str, **arguments: Any) -> AmigoCloudExportOperator:
    given = {"dataset": seed.ASSETS, "page_size": 100, **arguments}
    return AmigoCloudExportOperator(task_id="export", output_path=f"{FOLDER}/{name}", **given)


def test_an_export_is_one_complete_object(sandbox, s3):
    manifest = TaskRunner().run(operator("assets.jsonl"))
    data = content(s3, "nightly/assets.jsonl")
    assert [json.loads(line) for line in data.splitlines()] == ordered(truth(sandbox))
    assert (manifest["uri"], manifest["bytes"]) == (f"{FOLDER}/assets.jsonl", len(data))
    assert keys(s3) == ["nightly/assets.jsonl"]


def test_a_parquet_file_on_s3_can_be_read(sandbox, s3, tmp_path):
    TaskRunner().run(operator("assets.geoparquet"))
    (tmp_path / "a").write_bytes(content(s3, "nightly/assets.geoparquet"))
    assert pq.read_table(tmp_path / "a")["amigo_id"].to_pylist() == [
        row["amigo_id"] for row in ordered(truth(sandbox))
    ]


@pytest.mark.parametrize("trouble", ["the service", "the count"])
def test_a_failed_export_leaves_nothing_new_on_s3(sandbox, s3, trouble):
    s3.put_object(Bucket="twin", Key="nightly/old.jsonl", Body=b"yesterday's")
    if trouble == "the service":
        sandbox.faults.add("html", path="/sql", after=2, times=None)
    else:
        sandbox.amigocloud.count_error = 1
    for name in ("old.jsonl", "new.jsonl"):
        with pytest.raises((ServerError, IncompleteExportError)):
            AmigoCloudExportOperator(
                task_id="export", output_path=f"{FOLDER}/{name}", dataset=seed.ASSETS
            ).execute({})
    assert keys(s3) == ["nightly/old.jsonl"]
    assert content(s3, "nightly/old.jsonl") == b"yesterday's"


def test_a_bucket_that_is_missing_fails_the_export_before_any_request_and_leaves_nothing(sandbox, s3):
    missing = "s3://aws_s3@no-such-bucket/a.jsonl"
    with pytest.raises(InputError, match="no bucket 'no-such-bucket'"):
        AmigoCloudExportOperator(task_id="export", output_path=missing, dataset=1).execute({})
    assert keys(s3) == []
    assert sandbox.counters.total() == 0


def test_a_killed_export_to_s3_resumes(sandbox, s3, kill_after, small_parts):
    task, expected = TaskRunner(), ordered(truth(sandbox))
    kill_after(1700)
    with pytest.raises(Killed):
        task.run(operator("assets.jsonl"))
    kept = task.store["amigocloud_export_parts"]
    assert kept["rows"] >= 1000
    assert len(keys(s3)) == kept["parts"]
    assert "nightly/assets.jsonl" not in keys(s3)
    sandbox.counters.clear()
    kill_after(float("inf"))
    task.run(operator("assets.jsonl"))
    assert [json.loads(line) for line in content(s3, "nightly/assets.jsonl").splitlines()] == expected
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - kept["rows"]
    assert keys(s3) == ["nightly/assets.jsonl"]


@pytest.mark.parametrize("rows", [10, 2200], ids=["in one piece", "in chunks"])
def test_a_file_on_s3_is_uploaded(sandbox, s3, rows):
    data = b"name,value\n" + (b"x" * 4000 + b",1\n") * rows
    s3.put_object(Bucket="twin", Key="in/values.csv", Body=data)
    task = AmigoCloudUploadOperator(
        task_id="upload", source="s3://aws_s3@twin/in/values.csv", deferrable=False, poll_interval=0.1
    )
    sandbox.amigocloud.job_latency = 0
    made = TaskRunner().run(task)["dataset_ids"]
    assert sandbox.amigocloud.store.count(made[0]) == rows
    assert bool(sandbox.counters.total("complete")) == (len(data) > SIMPLE_UPLOAD)
