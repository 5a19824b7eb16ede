"""The example DAGs run as they stand, and mapped tasks as Airflow expands them."""

from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.warehouse.operators import CommitManifestOperator

FILE = Path(__file__).parents[3] / "example_dags" / "example_amigocloud_export_dataset.py"


@pytest.mark.nightly
def test_the_example_exports_the_campus_assets(run_dag, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = runpy.run_path(str(FILE))["dag"]
    assert run_dag(dag).state == "success"
    with gzip.open(tmp_path / "amigocloud" / "assets.jsonl.gz") as file:
        assert sum(1 for _ in file) == 3000


def test_the_sync_example_changes_two_zones(sandbox, run_dag, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    sandbox.amigocloud.job_latency = 0.0
    dag = runpy.run_path(str(FILE.with_name("example_amigocloud_sync_dataset.py")))["dag"]
    assert run_dag(dag).state == "success"
    assert sandbox.amigocloud.store.count(2002) == 25
    (folder,) = (tmp_path / "amigocloud").iterdir()
    assert {path.name for path in folder.iterdir()} == {"zones.json", "zones.html"}


SHARDED = FILE.with_name("example_amigocloud_sharded_export.py")


def test_the_sharded_example_commits_all_parts_of_one_state(sandbox, run_dag, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = runpy.run_path(str(SHARDED))["dag"]
    assert run_dag(dag).state == "success"
    (folder,) = (tmp_path / "amigocloud").iterdir()
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert (manifest["rows"], manifest["state"]) == (3000, sandbox.amigocloud.store.master(2001))
    assert [Path(file["uri"]).name for file in manifest["files"]] == [
        f"assets-0000{number}-of-00004.parquet" for number in range(4)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("assets-{{ ti.map_index }}.jsonl", [f"assets-{n}.jsonl" for n in range(3)]),
        ("part={{ task.part.number }}/assets.jsonl", [f"part={n}/assets.jsonl" for n in range(3)]),
        ("{{ '2024-01-02' }}.jsonl", [f"2024-01-02-0000{n}-of-00003.jsonl" for n in range(3)]),
        ("assets.jsonl", [f"assets-0000{n}-of-00003.jsonl" for n in range(3)]),
    ],
)
def test_mapped_parts_have_paths_of_their_own_whatever_the_template(
    sandbox, run_dag, tmp_path, template, names
):
    with DAG("sharded_paths", schedule=None) as dag:
        plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=2001, parts="{{ 1 + 2 }}")
        export = AmigoCloudExportOperator.partial(
            task_id="export", output_path=f"{tmp_path}/{template}"
        ).expand(part=plan.output)
        CommitManifestOperator(task_id="commit", parts=export.output, output_path=f"{tmp_path}/m.json")
    assert run_dag(dag).state == "success"
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert [file["uri"] for file in manifest["files"]] == [f"{tmp_path}/{name}" for name in names]
    assert manifest["rows"] == 3000


def test_keys_that_look_like_templates_are_not_rendered(sandbox, run_dag, tmp_path):
    keys = [f"{{{{ 1 / 0 }}}} {number:03d}" for number in range(30)]
    columns = [{"name": "amigo_id", "type": "string"}]
    sandbox.amigocloud.store.add(Dataset(4001, 1234, "keys", columns), ({"amigo_id": key} for key in keys))
    with DAG("sharded_keys", schedule=None) as dag:
        plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=4001, parts=3)
        export = AmigoCloudExportOperator.partial(task_id="export", output_path=f"{tmp_path}/a.jsonl").expand(
            part=plan.output
        )
        CommitManifestOperator(task_id="commit", parts=export.output, output_path=f"{tmp_path}/m.json")
    assert run_dag(dag).state == "success"
    assert json.loads((tmp_path / "m.json").read_text())["rows"] == 30
