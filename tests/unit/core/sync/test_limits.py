"""Limits: a share is the decimal that was written, not the float beside it."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    ("limits", "counts", "sentences"),
    [
        (Limits(), {"changes": 10**6, "removals": 10}, []),
        (Limits(max_changes=5), {"changes": 5}, []),
        (Limits(max_changes=0), {"changes": 1}, ["1 changes are more than max_changes=0"]),
        (Limits(max_deletes=2), {"deletes": 2}, []),
        (Limits(), {"deletes": 1}, ["1 deletions are more than max_deletes=0"]),
        (
            Limits(max_changes=5, max_deletes=2, max_delete_ratio=0.125),
            {"changes": 6, "deletes": 3, "removals": 13},
            [
                "6 changes are more than max_changes=5",
                "3 deletions are more than max_deletes=2",
                "13 of 100 compared objects would go, more than max_delete_ratio=0.125",
            ],
        ),
        (
            Limits(),
            {"removals": 11, "removed": "rows would leave"},
            ["11 of 100 compared rows would leave, more than max_delete_ratio=0.1"],
        ),
    ],
)
def test_each_limit_that_is_exceeded_has_a_sentence(
    limits: Limits, counts: dict[str, Any], sentences: list[str]
) -> None:
    given = {"changes": 0, "deletes": 0, "removals": 0, "compared": 100, **counts}
    assert limits.exceeded(**given) == sentences
