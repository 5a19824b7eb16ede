"""Big results and big inputs flow through, memory stays flat; figures: ``tests.benchmarks.leanix_memory``."""

from __future__ import annotations

import pytest

from tests.benchmarks.leanix_memory import carry

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", ["result", "input"])
def test_tens_of_megabytes_pass_with_little_memory(way: str) -> None:
    carried = carry(way, megabytes=20)
    assert carried["megabytes"] >= 18
    assert carried["growth"] < 15
