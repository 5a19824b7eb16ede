"""Crash tests: long tasks are killed at random requests in a real Airflow, and their result is exact.

Each task has a sandbox of its own and runs ``CRASH_ROUNDS`` times (1), with up to two kills per run. A
failure prints the seed; ``CRASH_SEED=<seed>`` repeats the kill points.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.leanix import LeanIXService
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.service import Service
from dev.local_airflow import LocalAirflow
from tests.system.process_killer import KilledDag, KillPoint, Outcome, run_rounds
from tests.system.scenarios import CompletedRun, Scenario, start_all

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(10**9))
DATASET = 2001


class Case:
    """A task: its input for each round, and the checks after it.

    :cvar service: the service of the task.
    :cvar requests: minimum number of its requests without a kill.
    """

    service: type[Service]
    requests = 0

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def prepare(self, folder: Path, number: int) -> None:
        """Write the input of a round into its folder, and change the service a little."""

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        """Check the service and the files after a round."""
        raise NotImplementedError


class Export(Case):
    service, requests = AmigoCloudService, 25
    sql = f"SELECT * FROM dataset_{DATASET}"

    def prepare(self, folder: Path, number: int) -> None:
        self.sandbox.amigocloud.store.write(
            f"UPDATE dataset_{DATASET} SET name = 'round {number}' WHERE number < 900"
        )

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        manifest = outcome.returned
        rows = [
            json.loads(line)
            for line in gzip.decompress((folder / "assets.jsonl.gz").read_bytes()).splitlines()
        ]
        truth = self.sandbox.amigocloud.store.select(self.sql, -1, 0, (DATASET, manifest["state"])).rows
        assert sorted(rows, key=_amigo_id) == sorted(truth, key=_amigo_id)
        assert (manifest["rows"], manifest["bytes"]) == (
            len(truth),
            (folder / "assets.jsonl.gz").stat().st_size,
        )
        assert [path.name for path in folder.iterdir()] == ["assets.jsonl.gz"]


class Upload(Case):
    service, requests = AmigoCloudService, 12
    rows = 8000

    def prepare(self, folder: Path, number: int) -> None:
        lines = [f"{row},desk {row} of round {number}" for row in range(self.rows)]
        (folder / f"round_{number}.csv").write_text("\n".join(["number,name", *lines]) + "\n")

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        amigo = self.sandbox.amigocloud
        amigo.jobs.run_due()
        jobs = [job for job in amigo.jobs.all.values() if job.about.get("filename") == f"round_{number}.csv"]
        created = [found for found in amigo.store.datasets.values() if found.name == f"round_{number}"]
        assert len(jobs) == len(created) <= 1
        if outcome.state == "success":
            assert outcome.returned == {"job": jobs[0].id, "dataset_ids": [created[0].id]}
            assert amigo.store.count(created[0].id) == self.rows
        else:  # killed between sending the end of the file and receiving the job id
            assert "AmbiguousWriteError" in outcome.log, outcome.log


class Sync(Case):
    service, requests = MapsIndoorsService, 9
    desks = 12

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.before = self._by_key()
        self.expected: dict[str, Any] = {}

    def _by_key(self) -> dict[str, dict[str, Any]]:
        geodata = self.sandbox.mapsindoors.campus.geodata.values()
        found = [item for item in geodata if item.get("externalId")]
        keys = Counter(item["externalId"] for item in found)
        assert set(keys.values()) == {1}, keys.most_common(3)
        return {item["externalId"]: item for item in found}

    def prepare(self, folder: Path, number: int) -> None:
        """Rename the seeded objects, add new desks, and leave out those of the previous round."""
        seeded = [key for key, item in self.before.items() if item["baseType"] in {"room", "poi"}]
        self.expected = {key: f"Round {number}" if at < 10 else None for at, key in enumerate(seeded)}
        rows = [
            {"externalId": key, **({"name": name} if name else {})} for key, name in self.expected.items()
        ]
        for desk in range(self.desks):
            key = f"DESK-{number}-{desk}"
            self.expected[key] = f"Desk {desk} of round {number}"
            location = {"parentExternalId": "A-0", "lon": 12.5705, "lat": 55.7805}
            kind = {"baseType": "poi", "displayTypeId": "Workspace", "categories": ["WORK"]}
            rows.append({"externalId": key, "name": self.expected[key], **location, **kind})
        (folder / "rows.json").write_text(json.dumps(rows))

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        after = self._by_key()
        places = {key for key, item in after.items() if item["baseType"] in {"room", "poi"}}
        assert places == set(self.expected)
        for key, item in after.items():
            if name := self.expected.get(key):
                assert item["properties"]["name@en"] == name
            if key in self.before:
                assert _without_name(item) == _without_name(self.before[key])


class Writes(Case):
    service, requests = IoTStudioService, 50
    things = 60

    def prepare(self, folder: Path, number: int) -> None:
        self.value = 15 + number % 20 / 2
        self.uids = list(self.sandbox.iotstudio.space.things)[: self.things]
        self.history = self._recorded()
        rows = [{"thing_id": uid, "properties": {"setpoint": self.value}} for uid in self.uids]
        (folder / "writes.json").write_text(json.dumps(rows))

    def _recorded(self) -> dict[str, int]:
        things = self.sandbox.iotstudio.space.things
        return {uid: len(things[uid].history.get("setpoint", ())) for uid in self.uids}

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        things = self.sandbox.iotstudio.space.things
        assert {things[uid].status["setpoint"] for uid in self.uids} == {self.value}
        assert self._recorded() == {uid: count + 1 for uid, count in self.history.items()}


class History(Case):
    service, requests = IoTStudioService, 30
    things, values = 30, 600
    began = 1_767_225_600_000  # 2026-01-01

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.expected: set[tuple[str, int, float]] = set()
        for at, (uid, thing) in enumerate(sandbox.iotstudio.space.things.items()):
            series = [
                (self.began + 60_000 * n, n + at / 100) for n in range(self.values * (at < self.things))
            ]
            thing.history = {"temperature": series}
            self.expected |= {(uid, moment, value) for moment, value in series}

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert len(rows) == outcome.returned["rows"] == len(self.expected)
        assert {(row["thing_id"], _milliseconds(row["at"]), row["value"]) for row in rows} == self.expected
        assert [path.name for path in folder.iterdir()] == ["history.jsonl"]


class Run(Case):
    service, requests = LeanIXService, 7

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 0.5, 2.0

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        leanix = self.sandbox.leanix
        assert (leanix.starts, leanix.peak_live, leanix.live_runs) == (number + 1, 1, [])
        started = [run for run in leanix.runs if run.status != "CREATED"]
        assert outcome.returned["run_id"] == started[-1].id
        assert (folder / "landscape.json").read_bytes() == started[-1].result


class DeferredRun(Run):
    requests = 3


CASES: dict[str, type[Case]] = {
    "crash_amigocloud_export": Export,
    "crash_amigocloud_upload": Upload,
    "crash_mapsindoors_sync": Sync,
    "crash_iotstudio_writes": Writes,
    "crash_iotstudio_history": History,
    "crash_leanix_run": Run,
    "crash_leanix_run_deferred": DeferredRun,
}


def _amigo_id(row: Mapping[str, Any]) -> str:
    return str(row["amigo_id"])


def _without_name(item: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: value for name, value in item["properties"].items() if name != "name@en"}
    return {**item, "properties": properties}


def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def kill_points(dice: random.Random, requests: int) -> list[KillPoint]:
    """Return two kill points: one at any request of the first attempt, an earlier one in the second."""
    return [_kill_point(dice, requests), _kill_point(dice, max(1, requests // 2))]


def _kill_point(dice: random.Random, requests: int) -> KillPoint:
    kinds = [
        KillPoint(acts_after=0.0),
        KillPoint(acts_after=None),
        KillPoint(delay=dice.uniform(0.001, 0.1)),
    ]
    return replace(dice.choice(kinds), after=dice.randrange(requests))


class Crashes(Scenario):
    """Run all tasks at the same time, and kill each of them at kill points of its own."""

    def __init__(self) -> None:
        self.killed: dict[str, KilledDag] = {}

    def dags(self) -> Mapping[str, str]:
        return {"crash_dags.py": Path(__file__).with_name("crash_dags.py").read_text()}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        sandboxes = {name: Sandbox(kinds=[kind.service]) for name, kind in CASES.items()}
        start_all(sandboxes.values(), stack)
        connections = {}
        for name, sandbox in sandboxes.items():
            (connections[name],) = sandbox.connections.values()
            self.killed[name] = KilledDag(name, sandbox, _unprepared)
        return connections

    def run(self, airflow: LocalAirflow) -> dict[str, KilledDag]:
        for name, dag in self.killed.items():
            _assign(CASES[name](dag.sandbox), dag, airflow.output / "crash" / name)
        run_rounds(airflow, list(self.killed.values()), ROUNDS)
        return self.killed


def _unprepared(number: int) -> Sequence[KillPoint]:
    raise NotImplementedError


def _assign(case: Case, dag: KilledDag, folder: Path) -> None:
    """Assign the preparation and the checks of a case to its DAG."""
    dice = random.Random(f"{SEED} {dag.name}")

    def prepare(number: int) -> Sequence[KillPoint]:
        (folder / f"round_{number}").mkdir(parents=True)
        case.prepare(folder / f"round_{number}", number)
        return kill_points(dice, case.requests)

    def check(outcome: Outcome) -> None:
        case.check(folder / outcome.run_id, len(dag.outcomes), outcome)

    dag.prepare, dag.check = prepare, check


SCENARIO = Crashes()


@pytest.fixture(scope="module")
def killed_dags(completed: CompletedRun) -> dict[str, KilledDag]:
    print(f"CRASH_SEED={SEED}")
    killed: dict[str, KilledDag] = completed.result(SCENARIO)
    for name, dag in killed.items():
        attempts = Counter(outcome.attempts for outcome in dag.outcomes)
        kills = len(dag.killer.killed)
        print(f"{name:26} {len(dag.outcomes):3} runs, {kills:3} kills; runs by attempts: {dict(attempts)}")
    return killed


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_killed_task_leaves_is_exactly_right_after_its_next_tries(
    killed_dags: dict[str, KilledDag], name: str
) -> None:
    dag = killed_dags[name]
    assert dag.problems == []
    assert len(dag.outcomes) == ROUNDS <= len(dag.killer.killed)
