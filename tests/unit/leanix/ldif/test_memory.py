"""Large results and inputs are streamed with flat memory; figures: ``tests.benchmarks.leanix_memory``."""

from __future__ import annotations

import pytest

from airflow_provider.sandbox.server import Sandbox
from tests.benchmarks.leanix_memory import measure

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("way", "megabytes", "growth"),
    [
        ("result ldif", 12, 8),
        ("result jsonl", 12, 8),
        ("input jsonl", 20, 18),
        ("input ldif", 20, 18),
        ("input parquet", 25, 60),  # pyarrow allocates some 40 MB for files of any size
    ],
)
def test_tens_of_megabytes_pass_with_little_memory(
    sandbox: Sandbox, way: str, megabytes: float, growth: float
) -> None:
    leanix = sandbox.leanix
    leanix.queue_seconds = leanix.run_seconds = leanix.seconds_per_item = 0
    if way.startswith("result"):
        leanix.more_applications = int(megabytes * 1e6 / 290)
    carried = measure(way, megabytes, sandbox.connections["leanix_default"])
    assert carried["megabytes"] >= 0.9 * megabytes
    assert carried["growth"] < growth
