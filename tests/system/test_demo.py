"""The example DAGs in a real Airflow: scheduler, triggerer, DAG processor and API server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from airflow_provider.sandbox import Sandbox
from dev.demo import CHAIN, JOBS, LEANIX_SECONDS, Job, failures, report, run_jobs
from dev.events import EVENTS, run_events
from dev.local_airflow import ROOT, LocalAirflow
from dev.mosquitto_server import MosquittoServer, User
from tests.system.scenarios import QUICK_RETRIES, CompletedRun, Scenario

pytestmark = pytest.mark.system

LOGIN = "service:service-password"
SERVICE = User(*LOGIN.split(":"), publish=["spaces/#"], subscribe=["spaces/#"])
PRINTER = "c88c996b231746d096db5eaa"
SENSOR = "01GQ2E9M2Y45BX9EW0F2BM032Q"


@dataclass(frozen=True)
class Snapshot:
    """Content of the sandbox that the example DAGs change."""

    printer: dict[str, Any]
    sensor: dict[str, Any]
    run_ids: list[str]

    @classmethod
    def of(cls, sandbox: Sandbox) -> Snapshot:
        printer = sandbox.mapsindoors.campus.geodata[PRINTER]["properties"]
        sensor = sandbox.iotstudio.space.things[SENSOR].status
        return cls(dict(printer), dict(sensor), [run.id for run in sandbox.leanix.runs])


@dataclass(frozen=True)
class DemoRun:
    """State after the example DAGs have run and Airflow has stopped; the sandbox still runs."""

    sandbox: Sandbox
    jobs: dict[str, Job]
    failures: str
    before: Snapshot
    after_jobs: Snapshot
    after_chain: Snapshot

    def returned(self, dag_id: str) -> Any:
        """Return the result of the only task of a DAG."""
        (value,) = self.jobs[dag_id].returned.values()
        return value


FURTHER = {
    "async_task": "Altair IoT Studio",
    "iotstudio_silent_devices": "Altair IoT Studio",
    "iotstudio_sync_things": "Altair IoT Studio",
    "mapsindoors_exhibition": "MapsIndoors",
    "leanix_configuration": "LeanIX",
    "leanix_table": "LeanIX",
}
"""Examples that ``make demo`` does not run."""


class Demo(Scenario):
    """Run the example DAGs as ``make demo`` does."""

    sandbox: Sandbox

    def dags(self) -> Mapping[str, str]:
        paths = (ROOT / "example_dags").glob("*.py")
        # Those of the warehouse run in their own scenario, with other connections.
        return {
            path.name: path.read_text() + QUICK_RETRIES for path in paths if "_warehouse_" not in path.name
        }

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        broker = MosquittoServer(Path(stack.enter_context(TemporaryDirectory())), [SERVICE])
        broker.start()
        stack.callback(broker.stop)
        self.sandbox = stack.enter_context(Sandbox(iot_mqtt=broker.url.replace("//", f"//{LOGIN}@")))
        self.sandbox.leanix.run_seconds = LEANIX_SECONDS
        return self.sandbox.connections

    def run(self, airflow: LocalAirflow) -> DemoRun:
        snapshots, jobs = [Snapshot.of(self.sandbox)], []
        jobs += run_jobs(airflow, JOBS)
        snapshots.append(Snapshot.of(self.sandbox))
        with ThreadPoolExecutor(1, thread_name_prefix="further") as pool:
            further = pool.submit(run_jobs, airflow, FURTHER)
            jobs += run_jobs(airflow, CHAIN)
            snapshots.append(Snapshot.of(self.sandbox))
            jobs += run_events(airflow, self.sandbox)
            jobs += further.result()
        print(report(jobs))
        return DemoRun(
            self.sandbox, {job.dag_id: job for job in jobs}, failures(airflow.api, jobs), *snapshots
        )


SCENARIO = Demo()


@pytest.fixture
def ran(completed: CompletedRun) -> DemoRun:
    done: DemoRun = completed.result(SCENARIO)
    return done


def test_every_example_dag_succeeds(ran: DemoRun) -> None:
    assert {job.dag_id: job.state for job in ran.jobs.values()} == dict.fromkeys(
        {**JOBS, **CHAIN, **FURTHER, **EVENTS}, "success"
    ), ran.failures


def test_mapsindoors_shows_the_new_name(ran: DemoRun) -> None:
    assert ran.returned("mapsindoors_update_geodata") == {"updated": 1}
    assert ran.before.printer["name@en"] != ran.after_jobs.printer["name@en"] == "Printing facilities1"


def test_the_amigocloud_export_is_complete(ran: DemoRun, completed: CompletedRun) -> None:
    manifest = ran.returned("amigocloud_export_dataset")
    path = Path(manifest["uri"].removeprefix("file://"))
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert path.is_relative_to(completed.output)
    assert len(lines) == manifest["rows"] == ran.sandbox.amigocloud.store.count(2001) > 1000
    assert set(json.loads(lines[0])) == set(manifest["columns"])
    assert path.stat().st_size == manifest["bytes"]


def test_the_amigocloud_dataset_is_in_step_with_the_rows(ran: DemoRun, completed: CompletedRun) -> None:
    value = ran.returned("amigocloud_sync_dataset")
    assert (value["create"], value["update"], value["failed"]) == (1, 1, 0)
    plan = Path(value["plan"].removeprefix("file://"))
    assert plan.is_relative_to(completed.output)
    assert plan.with_suffix(".html").exists()
    assert ran.sandbox.amigocloud.store.count(2002) == 25


def test_the_iot_studio_thing_has_the_new_temperature(ran: DemoRun) -> None:
    assert ran.returned("iotstudio_write_properties") == {"written": 1, "skipped": 0, "verified": 1}
    assert ran.before.sensor["temperature"] != ran.after_jobs.sensor["temperature"] == 17.3


def test_the_leanix_run_finished_once_through_the_triggerer(ran: DemoRun, completed: CompletedRun) -> None:
    value = ran.returned("leanix_run")
    assert ran.after_jobs.run_ids == [value["run_id"]]
    assert (value["status"], value["errors"]) == ("FINISHED", 0)
    assert any(completed.home.glob("logs/dag_id=leanix_run/**/*.trigger*.log"))


def test_the_nightly_chain_carries_what_it_read_to_the_map_and_the_devices(ran: DemoRun) -> None:
    name = ran.after_chain.printer["name@en"]
    assert name.startswith("Printing, ")
    assert name.endswith(" assets")
    assert ran.jobs["nightly_digital_twin"].returned["set_devices"]["verified"] == 1


def test_a_changed_dataset_starts_a_run_that_brings_the_map_up_to_date(ran: DemoRun) -> None:
    returned = ran.jobs["amigocloud_dataset_changed"].returned
    assert returned["update_map"]["create"] == returned["export_machines"]["rows"] > 100
    renamed = [
        item["properties"]["name@en"]
        for item in ran.sandbox.mapsindoors.campus.geodata.values()
        if item["properties"].get("name@en", "").startswith("Coffee machine")
    ]
    assert len(renamed) == returned["export_machines"]["rows"]
    assert any(name.endswith(" *") for name in renamed)


def test_a_sensor_that_passes_a_limit_starts_a_run_that_updates_leanix(ran: DemoRun) -> None:
    returned = ran.jobs["iotstudio_limit_passed"].returned
    assert [item["id"] for item in returned["name_sensors"]] == [SENSOR]
    assert (returned["tell_landscape"]["processed"], returned["tell_landscape"]["status"]) == (1, "FINISHED")


def test_a_reported_event_starts_a_run_that_exports_it(ran: DemoRun) -> None:
    manifest = ran.jobs["iotstudio_events"].returned["export"]
    (row,) = map(json.loads, Path(manifest["uri"].removeprefix("file://")).read_text().splitlines())
    assert (row["thing_id"], row["event"], row["data"]) == (SENSOR, "highTemperature", 75.0)


def test_a_value_that_a_broker_pushes_starts_a_run_long_before_the_next_poll(ran: DemoRun) -> None:
    manifest = ran.jobs["iotstudio_pushed_values"].returned["export"]
    assert manifest["rows"] == 1
    assert SENSOR in Path(manifest["uri"].removeprefix("file://")).read_text()


def test_things_are_in_step_with_the_rows(ran: DemoRun) -> None:
    value = ran.returned("iotstudio_sync_things")
    assert (value["create"], value["update"], value["failed"]) == (1, 1, 0)
    titles = [thing.title for thing in ran.sandbox.iotstudio.space.things.values()]
    assert titles.count("Meter A-9") == 1


def test_stands_of_an_exhibition_are_on_the_map_with_their_dates(ran: DemoRun) -> None:
    returned = ran.jobs["mapsindoors_exhibition"].returned
    assert {name: value["create"] for name, value in returned.items()} == {
        "display_types": 1,
        "categories": 1,
        "stands": 2,
    }
    geodata = ran.sandbox.mapsindoors.campus.geodata.values()
    (stand,) = [item for item in geodata if item.get("externalId") == "STAND-1"]
    assert stand["baseTypeProperties"]["activeto"] == "2026-09-05T16:00:00Z"


def test_silent_devices_are_found_and_listed(ran: DemoRun) -> None:
    returned = ran.jobs["iotstudio_silent_devices"].returned
    assert returned["silent"]["matches"] > 50
    assert returned["list"]["columns"][:6] == ["uid", "title", "categories", "model", "created", "modified"]


def test_a_table_is_sent_to_leanix_by_its_mapping(ran: DemoRun) -> None:
    value = ran.returned("leanix_table")
    assert (value["processed"], value["errors"]) == (2, 0)
    sheets = ran.sandbox.leanix.fact_sheets
    assert sheets["it-0001"].data["lifecycle"] == {"active": "2024-05-01"}
    assert sheets["it-0100"].data["name"] == "Message broker"


def test_a_configuration_is_planned_stored_and_used_for_an_export(ran: DemoRun) -> None:
    returned = ran.jobs["leanix_configuration"].returned
    assert returned["plan"]["changed"]
    assert returned["apply"]["configuration"] == ["export", "campus", "1.0.0", "inbound", "partial"]
    assert returned["export"]["results"]["rows"] > 60


def test_the_scheduler_and_the_server_of_tasks_never_found_the_database_locked(
    completed: CompletedRun,
) -> None:
    lines = (completed.home / "standalone.log").read_text().splitlines()
    parts = {
        "scheduler": [line for line in lines if line.startswith("scheduler")],
        "server of tasks": (completed.home / "task_server.log").read_text().splitlines(),
    }
    assert all(parts.values())
    locked = [line for lines in parts.values() for line in lines if "database is locked" in line]
    assert locked == []


def test_no_process_is_left(completed: CompletedRun) -> None:
    assert completed.started.family() == []
    assert not [p for p in psutil.process_iter() if str(completed.home) in _described(p)]


def _described(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), *process.environ().values()])
    except psutil.Error:
        return ""
