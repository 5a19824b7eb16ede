"""The cluster, as far as it can be checked without starting it."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

from dev.cluster import HOSTS, Cluster

ROOT = Path(__file__).resolve().parents[3]
PROOF = ROOT / "tests" / "cluster"


def test_the_dags_of_the_proof_can_be_parsed() -> None:
    spec = importlib.util.spec_from_file_location("proof_dags", PROOF / "dags.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.plan.dag.dag_id == "sharded_export"


def test_every_promise_of_the_page_is_a_test_of_the_proof() -> None:
    promised = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "cluster.md").read_text()))
    functions = {
        node.name
        for path in PROOF.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert promised == functions


def test_hosts_share_nothing_but_the_servers(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "home", connections={})
    cluster.url, cluster.s3_url = "http://127.0.0.1:1", "http://127.0.0.1:2"
    first, second = (cluster.environment(host) for host in HOSTS)
    own = {name for name in first if first[name] != second[name]}
    assert own == {
        "AIRFLOW_HOME",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
        "DIGITAL_TWIN_STORE",
        "TMPDIR",
        "TWIN_HOST",
    }


def test_stopping_a_cluster_that_never_started_does_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    Cluster(tmp_path, connections={}, say=lines.append).stop()
    assert lines == ["Stopping the cluster"]
