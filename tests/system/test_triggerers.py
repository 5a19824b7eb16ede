"""Triggerers that are paused and killed, in a real Airflow: each change is one event, a run is waited for.

In the long form ``CRASH_ROUNDS`` rounds follow, each with a change and something that happens to one
triggerer at a random moment. ``CRASH_SEED`` repeats the moments.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.amigocloud import AmigoCloudService
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.records import Entry
from airflow_provider.sandbox.leanix import LeanIXService
from dev.local_airflow import LocalAirflow
from dev.processes import Started
from tests.system.scenarios import CompletedRun, Scenario

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "0"))
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(1_000_000))
DAG_ID, AMIGOCLOUD, IOTSTUDIO = "watchers_paused", "watchers_amigocloud", "watchers_iotstudio"
LEANIX = "leanix_triggerer_killed"
URIS = "x-test://"
EVENT, REPORTER = "highTemperature", "01GQ2E9M2Y45BX9EW0F2BM032Q"
CODE = f"""
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider.amigocloud.triggers import AmigoCloudEventTrigger
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger, IoTStudioThingTrigger
from airflow_provider.leanix.operators import LeanIXRunOperator

DATASET = AmigoCloudEventTrigger(
    amigocloud_conn_id="{AMIGOCLOUD}", events=["realtime"], dataset=1, poll_interval=1
)
THINGS = IoTStudioThingTrigger(
    iotstudio_conn_id="{IOTSTUDIO}", filters={{"temperature": "gt:50"}}, poll_interval=1
)
EVENTS = IoTStudioEventTrigger(
    iotstudio_conn_id="{IOTSTUDIO}", event="{EVENT}", thing_id="{REPORTER}", poll_interval=1
)
ASSETS = [
    Asset("events", uri="{URIS}events", watchers=[AssetWatcher(name="events", trigger=EVENTS)]),
    Asset("{AMIGOCLOUD}", uri="{URIS}amigocloud", watchers=[AssetWatcher(name="rows", trigger=DATASET)]),
    Asset("{IOTSTUDIO}", uri="{URIS}iotstudio", watchers=[AssetWatcher(name="things", trigger=THINGS)]),
]
with DAG("{DAG_ID}", schedule=ASSETS):
    pass

with DAG("{LEANIX}", schedule=None):
    LeanIXRunOperator(
        task_id="run",
        connector_type="report",
        connector_id="landscape",
        connector_version="1.0.0",
        processing_direction="outbound",
        output_path="{{{{ var.value.twin_output }}}}/triggerer/landscape.json",
        poll_interval=1,
        timeout=300,
        deferrable=True,
        leanix_conn_id="{LEANIX}",
    )
"""
THRESHOLD_SECONDS = 5
"""Seconds of silence after which a triggerer loses its triggers; it gives a sign every second."""

SHORT_THRESHOLD = {
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(THRESHOLD_SECONDS),
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "0",
}
EVENT_SECONDS = 150.0
PAUSES = 20
LOCKED_SECONDS = 3.0
"""Seconds after which an SQLite database counts as locked by what is paused; a write takes milliseconds."""


def is_writable(database: Path) -> bool:
    """Return whether an SQLite database can be written within some seconds."""
    with closing(sqlite3.connect(database, timeout=LOCKED_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


class Triggerer:
    """A triggerer: a process that talks to the database, and one below it that runs the triggers."""

    def __init__(self, airflow: LocalAirflow, name: str) -> None:
        assert airflow.started
        self.database = airflow.home / "airflow.db"
        environment = {**psutil.Process(airflow.started.pid).environ(), **SHORT_THRESHOLD}
        command = [str(Path(sys.executable).parent / "airflow"), "triggerer", "--skip-serve-logs"]
        self.started = Started.run(command, environment, airflow.home / f"triggerer_{name}.log", airflow.home)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its processes."""
        for process in self.started.family():
            with suppress(psutil.Error):
                process.send_signal(number)

    def pause(self) -> None:
        """Pause it between two writes: a pause within one locks the database for all parts of Airflow."""
        for _ in range(PAUSES):
            self.signal(signal.SIGSTOP)
            if is_writable(self.database):
                return
            self.signal(signal.SIGCONT)
            time.sleep(0.1)
        raise AssertionError(f"within a write at each of {PAUSES} moments")

    def stop(self) -> None:
        """End it, paused or not."""
        self.signal(signal.SIGCONT)
        self.started.stop()


@dataclass(frozen=True)
class Observed:
    """What has happened.

    :param fired: how often each change has fired.
    :param run: the task that has waited for a run of LeanIX.
    :param returned: what it returned.
    """

    fired: Counter[str]
    run: dict[str, Any]
    returned: dict[str, Any]


class TriggerersKilled(Scenario):
    """Wait for a run, change a dataset and a Thing, and report an event, while triggerers come and go."""

    last = True

    def dags(self) -> Mapping[str, str]:
        return {"triggerers.py": CODE}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        self.sandbox = stack.enter_context(
            Sandbox(kinds=[AmigoCloudService, IoTStudioService, LeanIXService])
        )
        self.sandbox.leanix.queue_seconds = 0.5
        self.sandbox.leanix.stuck_in = "IN_PROGRESS"
        self.changes: list[str] = []
        self.random = random.Random(SEED)
        connections = self.sandbox.connections
        return {
            AMIGOCLOUD: connections["amigocloud_default"],
            IOTSTUDIO: connections["iotstudio_default"],
            LEANIX: connections["leanix_default"],
        }

    def run(self, airflow: LocalAirflow) -> Observed:
        self.airflow = airflow
        airflow.wait_for_dags(DAG_ID, LEANIX)
        for dag_id in (DAG_ID, LEANIX):
            airflow.api.unpause(dag_id)
        airflow.api.parse_now(DAG_ID)
        airflow.api.trigger(LEANIX, "once")
        self._wait_for(lambda: self._polls() > 2 and self._state() == "deferred")
        _kill_triggerers(airflow)
        before = self._polls()
        self.triggerers = [Triggerer(airflow, "1")]
        try:
            self._wait_until_watching()
            self.triggerers.append(Triggerer(airflow, "2"))
            self._wait_for(lambda: self._polls() > before)
            self.sandbox.leanix.runs[0].stuck_in = None
            self._change_and_wait()
            self._pause_the_first()
            for number in range(ROUNDS):
                self._play(number)
            time.sleep(THRESHOLD_SECONDS)
            self._wait_for(lambda: self._state() in {"success", "failed"})
            (task,) = airflow.api.tasks(LEANIX, "once")
            return Observed(self.fired(), task, airflow.api.returned(LEANIX, "once", "run"))
        finally:
            for triggerer in self.triggerers:
                triggerer.stop()

    def _polls(self) -> int:
        return self.sandbox.counters.total("/status")

    def _state(self) -> str:
        (task,) = self.airflow.api.tasks(LEANIX, "once")
        return str(task["state"])

    def fired(self) -> Counter[str]:
        """Return how often each change has fired."""
        events: list[Any] = []
        while len(events) % 100 == 0:
            query = {"limit": 100, "offset": len(events), "order_by": "-timestamp"}
            if not (page := self.airflow.api.get("/assets/events", **query)["asset_events"]):
                break
            events += page
        own = [event for event in events if str(event["uri"]).startswith(URIS)]  # The demo's have others.
        payloads = [event["extra"].get("payload") or {} for event in own]
        found = Counter(payload["master"] for payload in payloads if "master" in payload)
        for payload in payloads:
            found.update(payload.get("thing_ids", ()))
        found.update(payload["event_id"] for payload in payloads if "event_id" in payload)
        return found

    def _wait_until_watching(self) -> None:
        requests = self.sandbox.counters.total
        before = [requests(path) for path in WATCHED]
        self._wait_for(
            lambda: all(requests(path) > 2 + count for path, count in zip(WATCHED, before, strict=True))
        )

    def _change(self) -> None:
        masters = self.sandbox.amigocloud.store.write("UPDATE dataset_1 SET name = name || '!'")[1]
        things = self.sandbox.iotstudio.space.things
        (thing, *_) = [uid for uid in sorted(things) if uid not in self.changes]
        things[thing].status["temperature"] = 75.0
        service = self.sandbox.iotstudio
        event = Entry(service.new_id(), EVENT, service.around.clock.now(), {"data": 75.0})
        things[REPORTER].events.append(event)
        self.changes += [masters[1], thing, event.uid]

    def _change_and_wait(self) -> None:
        self._change()
        self._wait_until_fired()

    def _wait_until_fired(self) -> None:
        self._wait_for(lambda: not set(self.changes) - set(self.fired()))

    def _pause_the_first(self) -> None:
        """Pause the triggerer that has the watchers, let the other one take over, and continue it."""
        self._wait_for(lambda: self._started() > len(self.triggerers))
        self.triggerers[0].pause()
        self._change_and_wait()
        self.triggerers[0].signal(signal.SIGCONT)
        self._change_and_wait()

    def _started(self) -> int:
        """Return the number of triggerers that have started, Airflow's own included."""
        jobs: int = self.airflow.api.get("/jobs", job_type="TriggererJob", limit=1)["total_entries"]
        return jobs

    def _play(self, number: int) -> None:
        """Let something happen to one of the triggerers at a random moment after a change."""
        at = self.random.randrange(len(self.triggerers))
        victim, what = self.triggerers[at], self.random.choice(["short", "long", "kill"])
        before, moment = self.random.uniform(0, 2), self.random.uniform(0, 4)
        short = self.random.uniform(0.5, THRESHOLD_SECONDS / 2)
        seconds = {"short": short, "long": THRESHOLD_SECONDS + 3}.get(what)
        time.sleep(before)
        self._change()
        time.sleep(moment)
        if seconds:
            victim.pause()
            time.sleep(seconds)
            victim.signal(signal.SIGCONT)
        else:
            victim.signal(signal.SIGKILL)
            victim.started.stop()
            self.triggerers[at] = Triggerer(self.airflow, f"{number + 3}")
        self._wait_until_fired()
        print(f"round {number}: {what} {moment:.2f} s after a change", flush=True)

    @staticmethod
    def _wait_for(condition: Callable[[], bool], seconds: float = EVENT_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.5)


WATCHED = ("/master", "/things", "/events/{name}")
"""Paths of the requests of the three watchers."""


def _kill_triggerers(airflow: LocalAirflow) -> None:
    """Kill Airflow's triggerer with all its child processes."""
    assert airflow.started
    children = airflow.started.children()
    (triggerer,) = [child for child in children if "triggerer" in " ".join(child.cmdline()).split()]
    airflow.forget_part(triggerer)
    for process in [triggerer, *triggerer.children(recursive=True)]:
        with suppress(psutil.Error):
            process.kill()


SCENARIO = TriggerersKilled()


def test_a_pause_within_a_write_is_noticed(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as paused:
        paused.execute("PRAGMA journal_mode=WAL")
        assert is_writable(database)
        paused.execute("BEGIN IMMEDIATE")
        assert not is_writable(database)
        paused.execute("COMMIT")
        assert is_writable(database)


def test_each_change_is_one_event_while_triggerers_are_paused_and_killed(completed: CompletedRun) -> None:
    fired = completed.result(SCENARIO).fired
    assert fired == dict.fromkeys(SCENARIO.changes, 1), f"CRASH_SEED={SEED}"


def test_a_run_is_waited_for_by_another_triggerer_when_the_first_one_is_killed(
    completed: CompletedRun,
) -> None:
    observed, leanix = completed.result(SCENARIO), SCENARIO.sandbox.leanix
    (run,) = leanix.runs
    assert (observed.run["state"], observed.run["try_number"]) == ("success", 1)
    assert (observed.returned["run_id"], observed.returned["status"]) == (run.id, "FINISHED")
    assert (completed.output / "triggerer" / "landscape.json").read_bytes() == run.result
    assert leanix.starts == 1
    assert SCENARIO.sandbox.counters.total("/stop") == 0
