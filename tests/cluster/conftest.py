"""Fixture of the cluster's proof: one cluster for all tests, in an order that leaves it whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider.sandbox import Sandbox
from dev.cluster import Cluster
from dev.demo import shared
from tests.cluster.runs import Runs

DAGS = Path(__file__).with_name("dags.py")

REFUSED = 429


@dataclass
class Proof:
    """The running cluster and the services that its tasks use."""

    cluster: Cluster
    sandbox: Sandbox
    runs: Runs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Search for credentials last, in what all other tests have left."""
    items.sort(key=lambda item: "test_no_credential" in item.name)


@pytest.fixture(scope="session")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    """Start the sandbox and the cluster; connections share budgets and tokens through Redis."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # An ended run leaves nothing running.
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "dags").mkdir()
    (folder / "dags" / "proof.py").write_text(DAGS.read_text())
    with Sandbox() as sandbox:
        connections = shared(_by_type(sandbox))
        with Cluster(folder / "home", connections=connections, dags=folder / "dags") as cluster:
            yield Proof(cluster, sandbox, Runs(cluster))


def _by_type(sandbox: Sandbox) -> dict[str, str]:
    """Return the connections, renamed from ``leanix_default`` to ``leanix_cluster``."""
    return {f"{name.removesuffix('_default')}_cluster": text for name, text in sandbox.connections.items()}
