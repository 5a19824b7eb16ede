"""Triggerers, workers and tasks that are stopped, continued and killed: each change once, each run once.

``CLUSTER_ROUNDS`` sets the number of changes, and ``CLUSTER_SEED`` the random moments; both are printed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

from dev.cluster import HOSTS
from tests.cluster.conftest import Proof
from tests.cluster.processes import signal_part

DATASET = 2002

ROUNDS = int(os.environ.get("CLUSTER_ROUNDS", "6"))

SEED = int(os.environ.get("CLUSTER_SEED", random.randrange(10**6)))

STOPPED_SECONDS = 45.0
"""Seconds for which a part is stopped: after 30 another triggerer takes over, after 60 a task is repeated."""

DISTURBANCES = 5
"""Times that a part is stopped or killed during twelve LeanIX runs."""


def test_each_change_is_one_event_whatever_happens_to_the_triggerers(proof: Proof) -> None:
    """A triggerer is stopped and taken over, continued, or killed and started, around each change."""
    print(f"\nCLUSTER_ROUNDS={ROUNDS} CLUSTER_SEED={SEED}")
    chance = random.Random(SEED)
    proof.runs.wait(lambda: proof.runs.api.get("/dags/changed"), 90, "the DAG is parsed")
    proof.sandbox.counters.clear()
    proof.runs.api.unpause("changed")
    proof.runs.wait(lambda: _polls(proof) > 3, 120, "the watcher polls")
    expected: list[str] = []
    for number in range(ROUNDS):
        _disturb(proof, chance)
        expected.append(_change(proof, number))
        proof.runs.wait(lambda: expected[-1] in _fired(proof), 180, f"change {number} has fired")
    _continue_all(proof)
    settled = _polls(proof)
    proof.runs.wait(lambda: _polls(proof) > settled + 5, 120, "the watchers have polled once more")
    fired = _fired(proof)
    print(f"{len(expected)} changes, {sum(fired.values())} events")
    assert fired == Counter(expected)


def _polls(proof: Proof) -> int:
    return proof.sandbox.counters.total("amigocloud GET")


def _change(proof: Proof, number: int) -> str:
    """Change the dataset; returns its new state."""
    store = proof.sandbox.amigocloud.store
    _, states = store.write(f"UPDATE dataset_{DATASET} SET name = 'change {number}'")
    return str(states[DATASET])


def _fired(proof: Proof) -> Counter[str]:
    """Return the number of events by state, read from Airflow's asset events."""
    found = proof.runs.api.get("/assets/events", limit=100)["asset_events"]
    payloads = [event["extra"].get("payload") or event["extra"] for event in found]
    return Counter(payload["master"] for payload in payloads if "master" in payload)


def _disturb(proof: Proof, chance: random.Random, kind: str = "triggerer") -> None:
    """Stop, continue or kill a part at a random moment; that of the other host runs, or nothing could go on.

    :param kind: kind of the part, of which each host has one.
    """
    host = chance.choice(HOSTS)
    for other in set(HOSTS) - {host}:
        signal_part(proof.cluster.parts[f"{kind} {other}"], signal.SIGCONT)
    name = f"{kind} {host}"
    action = chance.choice(["stop", "stop", "kill"])
    time.sleep(chance.uniform(0, 2))
    part = proof.cluster.parts[name]
    print(f"{action} {name}", flush=True)
    if action == "kill":
        signal_part(part, signal.SIGCONT)
        signal_part(part, signal.SIGKILL)
        proof.cluster.start_part(name)
        return
    signal_part(part, signal.SIGSTOP)
    if chance.random() < 0.5:
        time.sleep(STOPPED_SECONDS)
        signal_part(part, signal.SIGCONT)


def _continue_all(proof: Proof) -> None:
    for kind in ("triggerer", "worker"):
        for host in HOSTS:
            signal_part(proof.cluster.parts[f"{kind} {host}"], signal.SIGCONT)


def test_each_leanix_run_is_started_once_whatever_happens_to_workers_and_triggerers(proof: Proof) -> None:
    """Twelve runs at a time, during which workers and triggerers are stopped, continued and killed."""
    print(f"\nCLUSTER_ROUNDS={ROUNDS} CLUSTER_SEED={SEED}")
    chance, leanix = random.Random(SEED), proof.sandbox.leanix
    leanix.run_seconds = 20.0
    for number in range(max(1, ROUNDS // DISTURBANCES)):
        before = leanix.starts
        run_id = proof.runs.start("runs")
        proof.runs.wait(lambda before=before: leanix.starts > before, 240, "the first run is started")
        for _ in range(DISTURBANCES):
            _disturb(proof, chance, chance.choice(["triggerer", "worker"]))
        _continue_all(proof)
        proof.runs.finish("runs", run_id, 600)
        states = Counter(run.status for run in leanix.runs)
        print(f"{leanix.starts} starts, runs created: {dict(states)}", flush=True)
        assert leanix.starts == 12 * (number + 1)
        assert states == {"FINISHED": leanix.starts}
