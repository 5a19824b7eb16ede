"""Workers that are killed at random moments: the retry completes the work, and nothing happens twice.

A failure prints the seed of the moments; ``CRASH_SEED=<seed>`` repeats them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support import killed_tasks

from .conftest import PUT, THING

pytestmark = pytest.mark.slow

ROUNDS = 8
SYNC_ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))
Ask = Callable[[str], str]
Round = Callable[[str, int, dict[str, Any]], Any]


@pytest.fixture
def moments() -> random.Random:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(10**9))
    print(f"CRASH_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def forker(running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Run the fork server; return a function that sends it a line and reads a line."""
    script, root = Path(killed_tasks.__file__), Path(killed_tasks.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    environment["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = running_sandbox.connections["iotstudio_default"]
    log, pipe = tmp_path_factory.mktemp("crashes") / "log", subprocess.PIPE
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(script)], stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None, log.read_text()

        def ask(line: str) -> str:
            assert process.stdin
            assert process.stdout
            print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, log.read_text()[-3000:]
            return answer

        yield ask
        process.stdin.close()


@pytest.fixture
def crash(
    forker: Ask, service: IoTStudioService, sandbox: Sandbox, moments: random.Random, tmp_path: Path
) -> Round:
    """Run an operator, kill it at a random moment within a number of requests, and retry it."""

    def run(operator: str, requests: int, arguments: dict[str, Any]) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        killed_at = sandbox.counters.total("iotstudio") + moments.randint(0, requests)
        first = int(forker(json.dumps({"operator": operator, "arguments": arguments, "folder": str(folder)})))
        deadline = time.monotonic() + 10
        while sandbox.counters.total("iotstudio") < killed_at and time.monotonic() < deadline:
            if (folder / "result 1").exists():
                break
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(first, signal.SIGKILL)
        second = json.loads(forker("go on"))[1]
        assert second is not None
        return second

    return run


def test_a_killed_write_is_complete_after_a_retry(
    service: IoTStudioService, sandbox: Sandbox, crash: Round
) -> None:
    sandbox.faults.add("delay", method="PUT", times=None, seconds=0.01)
    things = [uid for uid, thing in service.space.things.items() if "Sensors" in thing.categories][:60]
    in_the_middle = 0
    for number in range(ROUNDS):
        wanted = {"setpoint": 15 + number / 2, "mode": "eco" if number % 2 else "off"}
        rows = [{"thing_id": uid, "properties": wanted} for uid in things]
        before = sandbox.counters.requests[PUT]
        second = crash("IoTStudioWritePropertiesOperator", 62, {"writes": rows})
        for uid in things:
            status = service.space.things[uid].status
            assert {name: status[name] for name in wanted} == wanted
        assert second["written"] + second["skipped"] == 120
        assert second["verified"] == second["written"]
        # The retry does not repeat completed writes. Requests that the kill cut off come on top, and requests
        # that were refused: the first attempt starts with a token that the sandbox has forgotten.
        assert sandbox.counters.requests[PUT] - before <= 60 + 8 + 8
        in_the_middle += 0 < second["written"] < 120
    assert in_the_middle


def test_an_action_of_a_killed_task_is_requested_once(
    service: IoTStudioService, sandbox: Sandbox, crash: Round
) -> None:
    service.device_seconds = 0
    sandbox.faults.add("delay", path="/actions/", times=None, seconds=0.02)
    requested = service.space.things[THING].actions
    for number in range(ROUNDS):
        asked = {"thing_id": THING, "action": "updateFirmware", "input": f"v{number}", "deferrable": False}
        second = crash("IoTStudioInvokeActionOperator", 3, asked)
        (entry,) = [action for action in requested if action.payload == {"input": f"v{number}"}]
        assert second == {"action_id": entry.uid, "status": "completed", "output": {"ok": True}}
    assert len(requested) == ROUNDS


def test_things_of_a_killed_sync_are_created_once(
    service: IoTStudioService, sandbox: Sandbox, crash: Round, tmp_path: Path
) -> None:
    things = service.space.things
    service.space.things = {uid: things[uid] for uid in [*things][:20]}
    for route in ("POST", "PATCH", "DELETE"):
        sandbox.faults.add("delay", method=route, path="/things$", times=None, seconds=0.01)
    in_the_middle = 0
    for number in range(SYNC_ROUNDS):
        kept = [uid for uid, thing in service.space.things.items() if not thing.title.startswith("Pump")]
        rows: list[dict[str, Any]] = [{"uid": uid, "description": f"round {number}"} for uid in kept]
        rows += [{"title": f"Pump {number}.{index}", "categories": ["Meters"]} for index in range(15)]
        second = crash(
            "IoTStudioSyncThingsOperator",
            20,
            {
                "source": rows,
                "match_on": "title",
                "missing": "delete",
                "max_deletes": 99,
                "max_delete_ratio": 1,
                "batch_size": 5,
                "concurrency": 2,
            },
        )
        titles = [thing.title for thing in service.space.things.values()]
        pumps = [title for title in titles if title.startswith("Pump")]
        assert sorted(pumps) == sorted(f"Pump {number}.{index}" for index in range(15))
        assert {service.space.things[uid].fields["description"] for uid in kept} == {f"round {number}"}
        assert len(service.space.things) == len(kept) + 15
        in_the_middle += 0 < second["create"] + second["update"] < len(rows)
    assert in_the_middle or SYNC_ROUNDS < 8
