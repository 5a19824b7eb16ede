"""Titles as the match key: none is created twice, doubled or taken for another one unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.iotstudio import IoTStudioService
from tests.unit.iotstudio.sync.conftest import counts, sync, titles

pytestmark = pytest.mark.slow  # promises do not depend on versions


@pytest.fixture
def named(service: IoTStudioService, fleet: list[str]) -> list[str]:
    """Return the ids of the Things, with the titles A, B, C and so on."""
    for uid, title in zip(fleet, "ABCDEFGHIJ", strict=True):
        service.space.things[uid].title = title
    return fleet


def planned(path: Path, rows: list[dict[str, Any]], **arguments: Any) -> str:
    sync(rows, mode="plan", plan_output=str(path / "plan.json"), **{"match_on": "title", **arguments})
    return str(path / "plan.json")


@pytest.mark.parametrize(
    "rename", [[(0, "A-old")], [(0, "B"), (1, "B-old")], [(0, "A-old"), (1, "C"), (2, "C-old")]]
)
def test_a_plan_creates_a_thing_with_the_title_of_one_that_it_renames(
    service: IoTStudioService, named: list[str], tmp_path: Path, rename: list[tuple[int, str]]
) -> None:
    rows: list[dict[str, Any]] = [{"uid": named[at], "title": title} for at, title in rename]
    path = planned(tmp_path, [*rows, {"title": "A"}])
    assert counts(sync(plan=path)) == (1, len(rename), 0, 0, 0)
    assert sorted([title for _, title in rename] + ["A"]) == [
        title for title in titles(service) if title in {"A", *(title for _, title in rename)}
    ]
    assert counts(sync(plan=path))[:3] == (0, 0, 0)
    assert len(service.space.things) == 11
