"""Limits: a share is the decimal that was written, not the float beside it."""

from __future__ import annotations

import pytest

from airflow_provider.core.sync.limits import Limits


@pytest.mark.parametrize("compared", [1, 7, 100, 1000])
@pytest.mark.parametrize("percent", range(101))
def test_exactly_the_allowed_share_may_go_and_no_more(percent: int, compared: int) -> None:
    limits = Limits(max_deletes=10_000, max_delete_ratio=percent / 100)
    allowed = percent * compared // 100

    def exceeded(removals: int) -> list[str]:
        return limits.exceeded(changes=0, deletes=removals, removals=removals, compared=compared)

    assert not exceeded(allowed)
    assert "max_delete_ratio" in exceeded(allowed + 1)[0]
