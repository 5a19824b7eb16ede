"""An export whose process gets a real SIGKILL at random moments: retries complete it exactly."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudPlanExportOperator
from airflow_provider.sandbox.amigocloud import seed
from tests.support import forked
from tests.support.killed_export import attempt
from tests.support.state_store import FakeStateStore
from tests.unit.amigocloud.export.test_export import ASSETS, lines, ordered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.both_engines,
    pytest.mark.one_engine("embedded", "starts and kills hundreds of processes"),
]

KILLS = 5
PART = 400


@pytest.fixture(scope="module")
def start():
    """Return a function that starts an attempt in a new process, with all modules imported."""
    context = forked.context()

    def run(*arguments: Any) -> Any:
        process = context.Process(target=attempt, args=arguments, daemon=True)
        process.start()
        return process

    return run


def wait_until_quiet(sandbox: Any) -> None:
    """Wait until the replies to the killed process are done."""
    limit = time.monotonic() + 30
    while sandbox.counters.in_flight:
        assert time.monotonic() < limit
        time.sleep(0.001)


def wait_for_rows(sandbox: Any, rows: int, process: Any) -> None:
    limit = time.monotonic() + 30
    while sandbox.counters.rows_served["amigocloud"] < rows and process.is_alive():
        assert time.monotonic() < limit
        time.sleep(0.001)


WAYS = {
    "parallel": ({"dataset": seed.ASSETS, "concurrency": 4}, 2),
    "sequential": ({"dataset": seed.ASSETS, "concurrency": 1}, 0),
    "query with key": ({"sql": ASSETS, "key": "amigo_id"}, 2),
    "query": ({"sql": f"{ASSETS} ORDER BY amigo_id"}, 0),
}
"""Arguments of exports, and the number of rows that the service returns for the outline."""


@pytest.mark.parametrize(("arguments", "outline"), WAYS.values(), ids=WAYS)
def test_killed_at_random_moments_the_export_is_exact_and_reads_no_finished_part_twice(
    sandbox, tmp_path, start, arguments, outline
):
    random_seed = random.randrange(10**6)
    print(f"random seed {random_seed}")
    dice = random.Random(random_seed)
    path, result, store = tmp_path / "out" / "a.jsonl", tmp_path / "manifest", tmp_path / "store"
    given = {"output_path": str(path), "page_size": 100, **arguments}
    call = (sandbox.connections["amigocloud_default"], str(store), str(result), PART, given)
    sandbox.faults.add("delay", seconds=0.005, times=None, path="/sql")
    kills, kept = 0, 0
    while kills < KILLS and not result.exists():
        sandbox.counters.clear()
        process = start(*call)
        wait_for_rows(sandbox, dice.randint(1, max(1, (2999 - kept) // 2)), process)
        time.sleep(dice.random() * 0.02)
        process.kill()
        process.join(10)
        kills += process.exitcode == -signal.SIGKILL
        wait_until_quiet(sandbox)
        assert sandbox.counters.rows_served["amigocloud"] <= 3000 - kept + outline
        before, kept = kept, FakeStateStore(store).get("amigocloud_export_parts", {}).get("rows", 0)
        assert kept >= before or path.exists()
        sandbox.amigocloud.store.write(
            f"UPDATE dataset_{seed.ASSETS} SET name = 'x{kills}' WHERE number < 900"
        )
    assert kills
    sandbox.counters.clear()
    process = start(*call)
    process.join(60)
    assert process.exitcode == 0
    manifest = json.loads(result.read_text())
    assert sandbox.counters.rows_served["amigocloud"] == 3000 - kept + (0 if kept else outline)
    truth = sandbox.amigocloud.store.select(ASSETS, -1, 0, (seed.ASSETS, manifest["state"])).rows
    assert lines(path) == ordered(truth)
    assert FakeStateStore(store) == {}
    assert [found.name for found in path.parent.iterdir()] == ["a.jsonl"]


def test_a_part_that_is_killed_resumes_in_the_planned_state_and_leaves_its_own_file_only(
    sandbox, tmp_path, start
):
    parts = AmigoCloudPlanExportOperator(task_id="plan", dataset=seed.ASSETS, parts=2).execute({})
    result, store = tmp_path / "manifest", tmp_path / "store"
    given = {"output_path": str(tmp_path / "out" / "a.jsonl"), "page_size": 100, "part": parts[1]}
    call = (sandbox.connections["amigocloud_default"], str(store), str(result), PART, given)
    sandbox.faults.add("delay", seconds=0.005, times=None, path="/sql")
    for kill in range(KILLS):
        sandbox.counters.clear()
        process = start(*call)
        wait_for_rows(sandbox, random.randrange(1, 700), process)
        process.kill()
        process.join(10)
        wait_until_quiet(sandbox)
        sandbox.amigocloud.store.write(
            f"UPDATE dataset_{seed.ASSETS} SET name = 'x{kill}' WHERE number % 3 = 0"
        )
    process = start(*call)
    process.join(60)
    assert process.exitcode == 0
    manifest = json.loads(result.read_text())
    where = f"WHERE amigo_id >= '{parts[1]['low']}'"
    truth = sandbox.amigocloud.store.select(f"{ASSETS} {where}", -1, 0, (seed.ASSETS, parts[1]["state"])).rows
    assert lines(tmp_path / "out" / "a-00001-of-00002.jsonl") == ordered(truth)
    assert (manifest["rows"], manifest["state"]) == (1500, parts[1]["state"])
    assert FakeStateStore(store) == {}
    assert [found.name for found in (tmp_path / "out").iterdir()] == ["a-00001-of-00002.jsonl"]
