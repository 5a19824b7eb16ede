"""The example DAG runs as it stands."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path

FILE = Path(__file__).parents[3] / "example_dags" / "example_amigocloud_export_dataset.py"


def test_the_example_exports_the_campus_assets(run_dag, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    dag = runpy.run_path(str(FILE))["dag"]
    assert run_dag(dag).state == "success"
    with gzip.open(tmp_path / "amigocloud" / "assets.jsonl.gz") as file:
        assert sum(1 for _ in file) == 3000
