"""Crash: a sync that empties a floor and deletes it is killed, and the next attempt loses nothing.

A failure prints the seed of the moments; ``CRASH_SEED=<seed>`` repeats them, ``CRASH_ROUNDS`` makes more.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, kill_after, sync

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))

RUN = """
import sys
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
MapsIndoorsSyncGeodataOperator(
    task_id="t", source=sys.argv[1], batch_size=3, missing="delete", max_deletes=1, max_delete_ratio=1.0,
).execute({})
"""


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.nightly
def test_after_a_kill_nothing_of_an_emptied_floor_is_lost(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, number: int
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10**6) + number))
    print(f"CRASH_SEED={seed}")
    chance = random.Random(seed)
    found = by_external_id(unlimited_service)
    floor = found["A-1"]["id"]
    below = [code for code, one in found.items() if one.get("parentId") == floor]
    rows = [{"externalId": code, "parentExternalId": "A-2"} for code in below]
    rows += [{"externalId": code} for code in found if code != "A-1" and code not in below]
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows))
    # Each write is delayed, so that the kill can come before or after its effect.
    sandbox.faults.add("delay", path="geodata", seconds=0.05, times=None)
    requests = 3 + chance.randrange(6)
    kill_after([sys.executable, "-c", RUN, str(source)], sandbox, requests, chance)
    sandbox.faults.clear()
    sync(str(source), missing="delete", max_deletes=1)
    after = by_external_id(unlimited_service)
    assert after.keys() == found.keys() - {"A-1"}
    assert {after[code]["parentId"] for code in below} == {found["A-2"]["id"]}
