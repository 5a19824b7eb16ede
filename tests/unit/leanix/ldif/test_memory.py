"""Large results and inputs are streamed with flat memory; figures: ``tests.benchmarks.leanix_memory``."""

from __future__ import annotations

import pytest

from tests.benchmarks.leanix_memory import transfer

pytestmark = pytest.mark.slow


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
def test_tens_of_megabytes_pass_with_little_memory(way: str, megabytes: float, growth: float) -> None:
    carried = transfer(way, megabytes)
    assert carried["megabytes"] >= 0.9 * megabytes
    assert carried["growth"] < growth
