"""Long tasks whose process is killed at random requests, in a real Airflow: what is left is exactly right.

Each task has a sandbox of its own and runs ``CRASH_ROUNDS`` times (1), with up to two deaths a run. A failure
prints the seed; ``CRASH_SEED=<seed>`` repeats the requests to die at.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
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
from tests.system.killing import Kill, Outcome, Victim, play
from tests.system.parts import Part, Played

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(10**9))
DATASET = 2001


class Case:
    """A task: what it is given in each round, and what must be true after it.

    :cvar service: what it talks to.
    :cvar requests: it sends at least so many, undisturbed.
    """

    service: type[Service]
    requests = 0

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def prepare(self, folder: Path, number: int) -> None:
        """Put the input of a round into its folder; change the world a little."""

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        """Look at the world after a round."""
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
        made = [one for one in amigo.store.datasets.values() if one.name == f"round_{number}"]
        assert len(jobs) == len(made) <= 1
        if outcome.state == "success":
            assert outcome.returned == {"job": jobs[0].id, "dataset_ids": [made[0].id]}
            assert amigo.store.count(made[0].id) == self.rows
        else:  # it died between sending the end of the file and learning the job
            assert "AmbiguousWriteError" in outcome.log, outcome.log


class Sync(Case):
    service, requests = MapsIndoorsService, 9
    desks = 12

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.before = self._by_key()
        self.wanted: dict[str, Any] = {}

    def _by_key(self) -> dict[str, dict[str, Any]]:
        found = [one for one in self.sandbox.mapsindoors.campus.geodata.values() if one.get("externalId")]
        keys = Counter(one["externalId"] for one in found)
        assert set(keys.values()) == {1}, keys.most_common(3)
        return {one["externalId"]: one for one in found}

    def prepare(self, folder: Path, number: int) -> None:
        """Rename what there was, add new desks, leave out those of the round before."""
        kept = [key for key, one in self.before.items() if one["baseType"] in {"room", "poi"}]
        self.wanted = {key: f"Round {number}" if at < 10 else None for at, key in enumerate(kept)}
        rows = [{"externalId": key, **({"name": name} if name else {})} for key, name in self.wanted.items()]
        for desk in range(self.desks):
            key = f"DESK-{number}-{desk}"
            self.wanted[key] = f"Desk {desk} of round {number}"
            place = {"parentExternalId": "A-0", "lon": 12.5705, "lat": 55.7805}
            kind = {"baseType": "poi", "displayTypeId": "Workspace", "categories": ["WORK"]}
            rows.append({"externalId": key, "name": self.wanted[key], **place, **kind})
        (folder / "rows.json").write_text(json.dumps(rows))

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        after = self._by_key()
        assert {key for key, one in after.items() if one["baseType"] in {"room", "poi"}} == set(self.wanted)
        for key, one in after.items():
            if name := self.wanted.get(key):
                assert one["properties"]["name@en"] == name
            if key in self.before:
                assert _without_name(one) == _without_name(self.before[key])


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
        self.wanted: set[tuple[str, int, float]] = set()
        for at, (uid, thing) in enumerate(sandbox.iotstudio.space.things.items()):
            series = [
                (self.began + 60_000 * n, n + at / 100) for n in range(self.values * (at < self.things))
            ]
            thing.history = {"temperature": series}
            self.wanted |= {(uid, moment, value) for moment, value in series}

    def check(self, folder: Path, number: int, outcome: Outcome) -> None:
        assert outcome.state == "success", outcome.log
        rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert len(rows) == outcome.returned["rows"] == len(self.wanted)
        assert {(row["thing_id"], _milliseconds(row["at"]), row["value"]) for row in rows} == self.wanted
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


def _without_name(one: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: value for name, value in one["properties"].items() if name != "name@en"}
    return {**one, "properties": properties}


def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def deaths(dice: random.Random, requests: int) -> list[Kill]:
    """Choose two moments: the first try dies at one of its requests, the second one earlier on."""
    return [_death(dice, requests), _death(dice, max(1, requests // 2))]


def _death(dice: random.Random, requests: int) -> Kill:
    moments = [Kill(lands=0.0), Kill(lands=None), Kill(later=dice.uniform(0.001, 0.1))]
    moment = dice.choice(moments)
    return Kill(after=dice.randrange(requests), lands=moment.lands, later=moment.later)


class Crashes(Part):
    """Runs all tasks at once, and kills each of them at moments of its own."""

    def __init__(self) -> None:
        self.victims: dict[str, Victim] = {}

    def dags(self) -> Mapping[str, str]:
        return {"crash_dags.py": Path(__file__).with_name("crash_dags.py").read_text()}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        connections = {}
        for name, kind in CASES.items():
            sandbox = stack.enter_context(Sandbox(kinds=[kind.service]))
            (connections[name],) = sandbox.connections.values()
            self.victims[name] = Victim(name, sandbox, _never)
        return connections

    def play(self, airflow: LocalAirflow) -> dict[str, Victim]:
        for name, victim in self.victims.items():
            _give(victim, CASES[name](victim.sandbox), airflow.output / "crash" / name)
        play(airflow, list(self.victims.values()), ROUNDS)
        return self.victims


def _never(number: int) -> Sequence[Kill]:
    raise NotImplementedError


def _give(victim: Victim, case: Case, folder: Path) -> None:
    """Tell a victim what to do before and after each round."""
    dice = random.Random(f"{SEED} {victim.name}")

    def begin(number: int) -> Sequence[Kill]:
        (folder / f"round_{number}").mkdir(parents=True)
        case.prepare(folder / f"round_{number}", number)
        return deaths(dice, case.requests)

    def ended(outcome: Outcome) -> None:
        case.check(folder / outcome.run_id, len(victim.outcomes), outcome)

    victim.begin, victim.ended = begin, ended


PART = Crashes()


@pytest.fixture(scope="module")
def victims(played: Played) -> dict[str, Victim]:
    print(f"CRASH_SEED={SEED}")
    done: dict[str, Victim] = played.result(PART)
    for name, victim in done.items():
        tries = Counter(outcome.tries for outcome in victim.outcomes)
        killed = len(victim.killer.killed)
        print(
            f"{name:26} {len(victim.outcomes):3} runs, killed {killed:3} times; runs by tries: {dict(tries)}"
        )
    return done


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_killed_task_leaves_is_exactly_right_after_its_next_tries(
    victims: dict[str, Victim], name: str
) -> None:
    victim = victims[name]
    assert victim.problems == []
    assert len(victim.outcomes) == ROUNDS <= len(victim.killer.killed)
