"""Crash: the next attempt completes a sync that was killed, and creates nothing twice."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, desk, kill_after, sync

pytestmark = pytest.mark.slow

RUN = """
import sys
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
MapsIndoorsSyncGeodataOperator(
    task_id="t", source=sys.argv[1], batch_size=3, missing="delete", max_deletes=4, max_delete_ratio=1.0,
    scope={"base_types": ["room", "poi"]}, verify=False,
).execute({})
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_kill_the_next_attempt_reaches_the_desired_state(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    before = by_external_id(unlimited_service)
    kept = [code for code, one in before.items() if one["baseType"] in ("room", "poi")][4:]
    rows = [{"externalId": code} for code in kept] + [desk(f"D-{n}") for n in range(20)]
    for row in rows[:10]:
        row["name"] = "Renamed"
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows))
    # Each write is delayed, so that the kill can come before or after its effect.
    sandbox.faults.add("delay", path="geodata", seconds=0.05, times=None)
    requests = 4 + chance.randrange(10)
    kill_after([sys.executable, "-c", RUN, str(source)], sandbox, requests, chance)
    sandbox.faults.clear()
    scope = {"base_types": ["room", "poi"]}
    done = sync(str(source), scope=scope, missing="delete", max_deletes=4)
    print(f"killed after {requests} requests; written by the next attempt: {done}")
    codes = [one.get("externalId", "") for one in unlimited_service.campus.geodata.values()]
    assert sorted(code for code in codes if code.startswith("D-")) == sorted(f"D-{n}" for n in range(20))
    after = by_external_id(unlimited_service)
    assert {code for code, one in after.items() if one["baseType"] in ("room", "poi")} == {
        row["externalId"] for row in rows
    }
    for code in kept:
        name = "Renamed" if code in kept[:10] else before[code]["properties"]["name@en"]
        assert after[code] == {
            **before[code],
            "properties": {**before[code]["properties"], "name@en": name},
        }
    assert sync(str(source), scope=scope, missing="delete")["unchanged"] == len(rows)
