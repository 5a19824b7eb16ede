"""Batches: both limits, the order, and all items."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geodata.batches import batches


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(12, 120))
def test_batches_keep_count_and_bytes_and_order(lengths: list[int], size: int, most: int) -> None:
    def body(length: int) -> dict[str, Any]:
        return {"a": "x" * length}  # 8 bytes and the text

    made = list(batches(lengths, size, body, most))
    assert [one for batch in made for one in batch] == lengths
    for batch in made:
        assert 1 <= len(batch) <= size
        assert len(batch) == 1 or sum(8 + length for length in batch) <= most
