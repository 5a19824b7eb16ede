"""Big results and big inputs flow through, memory stays flat; figures: ``tests.benchmarks.leanix_memory``."""

from __future__ import annotations

import pytest

from tests.benchmarks.leanix_memory import carry

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("way", "megabytes", "growth"),
    [
        ("result ldif", 12, 8),
        ("result jsonl", 12, 8),
        ("input jsonl", 20, 18),
        ("input ldif", 20, 18),
        ("input parquet", 25, 60),  # pyarrow keeps some 40 MB for itself, however large the file
    ],
)
def test_tens_of_megabytes_pass_with_little_memory(way: str, megabytes: float, growth: float) -> None:
    carried = carry(way, megabytes)
    assert carried["megabytes"] >= 0.9 * megabytes
    assert carried["growth"] < growth
