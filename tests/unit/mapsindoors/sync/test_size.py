"""Size: the number of requests of a large sync."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, sync

pytestmark = pytest.mark.slow


def test_a_hundred_changes_among_ten_thousand_objects_take_eight_requests(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    seed.grow(unlimited_service.campus, 10_000)
    rows: list[dict[str, Any]] = [
        {"externalId": code, "name": one["properties"]["name@en"], "geometry": one["geometry"]}
        for code, one in by_external_id(unlimited_service).items()
        if code.startswith("G-")
    ]
    for row in rows[::100]:
        row["name"] += "!"
    before = sum(sandbox.counters.requests.values())
    result = sync(rows)
    assert (result["update"], result["unchanged"]) == (100, 9_900)
    assert sum(sandbox.counters.requests.values()) - before <= 8
