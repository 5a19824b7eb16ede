"""Crash: the next attempt completes a sync that was killed, and creates nothing twice.

A failure prints the seed of the moments; ``CRASH_SEED=<seed>`` repeats them, ``CRASH_ROUNDS`` makes more.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

from airflow_provider.mapsindoors.operators import MapsIndoorsSyncDisplayTypesOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import kill_after

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))

RUN = """
import sys
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncDisplayTypesOperator
MapsIndoorsSyncDisplayTypesOperator(task_id="t", source=sys.argv[1], batch_size=2, verify=False).execute({})
"""
NAMES = {"name@en": "Stand", "name@da": "Stand"}


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.nightly
def test_after_a_kill_the_next_attempt_brings_display_types_in_step(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, number: int
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.randrange(10**6) + number))
    print(f"CRASH_SEED={seed}")
    chance = random.Random(seed)
    unlimited_service.catalogue_unique = False
    rows = [{"name": f"N-{n}", **NAMES} for n in range(12)] + [{"name": "Lab", "zoomTo": 20}]
    source = tmp_path / "rows.json"
    source.write_text(json.dumps(rows))
    # Each write is delayed, so that the kill can come before or after its effect.
    sandbox.faults.add("delay", path="displaytypes", seconds=0.05, times=None)
    requests = 3 + chance.randrange(6)
    kill_after([sys.executable, "-c", RUN, str(source)], sandbox, requests, chance)
    sandbox.faults.clear()
    task = MapsIndoorsSyncDisplayTypesOperator(task_id="t", source=rows)
    task.execute({})
    names = [one["name"] for one in unlimited_service.campus.display_types.values()]
    assert sorted(name for name in names if name.startswith("N-")) == sorted(f"N-{n}" for n in range(12))
    assert task.execute({})["unchanged"] == len(rows)
