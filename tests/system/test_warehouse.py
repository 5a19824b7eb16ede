"""The example DAGs of the warehouse in a real Airflow, on a PostgreSQL with PostGIS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider.sandbox import Sandbox
from dev.demo import LEANIX_SECONDS, Job, failures, follow, run_jobs
from dev.local_airflow import ROOT, LocalAirflow
from tests.support.approvals import known_pauses
from tests.support.postgres import PASSWORD, Database, new_database, running_server
from tests.system.scenarios import QUICK_RETRIES, CompletedRun, Scenario

pytestmark = pytest.mark.system

EXAMPLES = {
    "warehouse_assets": "AmigoCloud",
    "warehouse_photos": "AmigoCloud",
    "warehouse_upload": "AmigoCloud",
    "warehouse_rooms": "MapsIndoors",
    "warehouse_set_points": "Altair IoT Studio",
    "warehouse_landscape": "LeanIX",
    "warehouse_nightly": "all four",
}
CHANGED = 7
"""Assets that change between the two runs of the incremental export."""

PHOTOS = 30

SENSOR = "01GQ12SSZ8HT9YQCGXQ7JRSK1X"
SECONDS = 240
WAITING = ("deferred", "awaiting_input")
OWN_SANDBOX = """
for task in dag.tasks:
    for name in ("mapsindoors", "amigocloud", "iotstudio", "leanix"):
        if hasattr(task, f"{name}_conn_id"):
            setattr(task, f"{name}_conn_id", f"{name}_warehouse")
"""
SEED = f"""
CREATE SCHEMA twin AUTHORIZATION loader;
CREATE TABLE twin.rooms (external_id text, title text, seats integer, site text);
INSERT INTO twin.rooms VALUES ('A-0-01', 'Reception', 4, 'Campus'), ('X-9-99', 'Elsewhere', 1, 'Other');
CREATE TABLE twin.set_points (thing_id text, setpoint numeric(4, 1), mode text);
INSERT INTO twin.set_points VALUES ('{SENSOR}', 19.5, NULL);
CREATE TABLE twin.zones (name text, area numeric(9, 1), outline geometry(Polygon, 4326), site text);
INSERT INTO twin.zones SELECT 'Zone ' || n, 100 + n / 2.0, ST_MakeEnvelope(12, 55, 12 + n, 56, 4326), 'Campus'
  FROM generate_series(1, 3) AS n UNION ALL SELECT 'Elsewhere', NULL, NULL, 'Other';
GRANT SELECT ON ALL TABLES IN SCHEMA twin TO loader;
"""


@dataclass
class WarehouseRun:
    """State after the example DAGs have run.

    :param first: last update and number of the assets' rows after the first run.
    :param jobs: the runs by DAG; of the DAG that ran twice, the second one.
    """

    sandbox: Sandbox
    database: Database
    failures: str = ""
    first: list[tuple[Any, ...]] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    again: Job | None = None


class Warehouse(Scenario):
    """Run the examples once, the incremental one twice, and approve the plan."""

    sandbox: Sandbox
    database: Database

    def dags(self) -> Mapping[str, str]:
        folder = ROOT / "example_dags"
        ends = OWN_SANDBOX + QUICK_RETRIES
        return {f"{name}.py": (folder / f"example_{name}.py").read_text() + ends for name in EXAMPLES}

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        self.sandbox = stack.enter_context(Sandbox())
        self.sandbox.leanix.run_seconds = LEANIX_SECONDS
        self.sandbox.load("amigocloud.photos", photos=PHOTOS)
        self.database = stack.enter_context(new_database(stack.enter_context(running_server(folder))))
        self.database.query(SEED)
        connections = self.sandbox.connections.items()
        own = {f"{name.removesuffix('_default')}_warehouse": text for name, text in connections}
        return {"warehouse": self.database.airflow_connection(), **own}

    def run(self, airflow: LocalAirflow) -> WarehouseRun:
        done = WarehouseRun(self.sandbox, self.database)
        airflow.wait_for_dags(*EXAMPLES)
        done.jobs = {job.dag_id: job for job in self._start(airflow)}
        with ThreadPoolExecutor(1, thread_name_prefix="approval") as pool:
            approval = pool.submit(_approve, airflow, done.jobs["warehouse_rooms"])
            follow(airflow, [done.jobs["warehouse_assets"]], print)
            self._run_again(airflow, done)
            approval.result()
        follow(airflow, list(done.jobs.values()), print)
        done.failures = failures(airflow.api, [*done.jobs.values(), *filter(None, [done.again])])
        return done

    def _run_again(self, airflow: LocalAirflow, done: WarehouseRun) -> None:
        """Change some assets, and run the incremental export once more."""
        done.first = self.database.query("SELECT count(*), max(updated_at) FROM twin.assets")
        self.sandbox.amigocloud.store.write(
            f"UPDATE dataset_2001 SET name = name || ' *', updated_at = '2031-01-01' WHERE number < {CHANGED}"
        )
        (done.again,) = run_jobs(airflow, {"warehouse_assets": "AmigoCloud"})

    def _start(self, airflow: LocalAirflow) -> list[Job]:
        jobs = [Job(dag_id, system, f"first_{dag_id}") for dag_id, system in EXAMPLES.items()]
        for job in jobs:
            airflow.api.unpause(job.dag_id)
            airflow.api.trigger(job.dag_id, job.run_id)
        return jobs


def _approve(airflow: LocalAirflow, job: Job) -> None:
    """Approve the plan as a person does, once the scheduler knows that the task waits."""
    deadline = time.monotonic() + SECONDS
    path = f"/api/v2/dags/{job.dag_id}/dagRuns/{job.run_id}/taskInstances/approve/-1/hitlDetails"
    state = ""
    while not (state in WAITING and known_pauses(airflow, job.dag_id, "approve")):
        if state in {"failed", "upstream_failed"}:
            return
        assert time.monotonic() < deadline, state
        airflow.fail_if_a_part_ended()
        time.sleep(1)
        tasks = airflow.api.tasks(job.dag_id, job.run_id)
        state = next(task["state"] or "" for task in tasks if task["task_id"] == "approve")
    reply = airflow.api.http.patch(path, json={"chosen_options": ["Approve"], "params_input": {}})
    assert reply.is_success, reply.text


SCENARIO = Warehouse()


@pytest.fixture
def ran(completed: CompletedRun) -> WarehouseRun:
    done: WarehouseRun = completed.result(SCENARIO)
    return done


def test_every_example_of_the_warehouse_succeeds(ran: WarehouseRun) -> None:
    states = {job.dag_id: job.state for job in ran.jobs.values()}
    assert states == dict.fromkeys(EXAMPLES, "success"), ran.failures


def test_a_dataset_is_loaded_into_a_postgis_table_as_it_is(ran: WarehouseRun) -> None:
    store = ran.sandbox.amigocloud.store
    assert ran.first[0][0] == ran.jobs["warehouse_assets"].returned["load"]["inserted"] == store.count(2001)
    names = "amigo_id, name, floor, price, in_service, wkb_geometry"
    page = store.select(f"SELECT {names} FROM dataset_2001 ORDER BY amigo_id", limit=20, offset=0)
    found = ran.database.query(
        "SELECT amigo_id, name, floor, price::float, in_service, upper(encode(ST_AsEWKB(place), 'hex'))"
        " FROM twin.assets ORDER BY amigo_id LIMIT 20"
    )
    assert [tuple(row.values()) for row in page.rows] == found


def test_the_rows_of_a_query_are_the_content_of_a_dataset(ran: WarehouseRun) -> None:
    assert ran.jobs["warehouse_upload"].returned["upload_zones"]["rows"] == 3
    found = ran.sandbox.amigocloud.store.select(
        "SELECT name, area_m2, wkb_geometry FROM dataset_2002 ORDER BY name", limit=20, offset=0
    )
    assert [tuple(row.values()) for row in found.rows] == ran.database.query(
        "SELECT name, area::float, upper(encode(ST_AsEWKB(ST_Multi(outline)), 'hex')) FROM twin.zones"
        " WHERE site = 'Campus' ORDER BY name"
    )


def test_photos_are_files_and_their_list_is_a_table(ran: WarehouseRun) -> None:
    assert ran.jobs["warehouse_photos"].returned["load"]["inserted"] == PHOTOS
    rows = ran.database.query(
        "SELECT count(*), sum(bytes)::bigint, count(DISTINCT uri) FROM photos p"
        " WHERE EXISTS (SELECT 1 FROM twin.assets a WHERE a.amigo_id = p.source_amigo_id)"
    )
    assert rows == [(PHOTOS, PHOTOS * 1024, PHOTOS)]


def test_the_next_run_merges_only_what_has_changed(ran: WarehouseRun) -> None:
    assert ran.again
    assert ran.again.state == "success", ran.failures
    loaded = ran.again.returned["load"]
    assert (loaded["inserted"], loaded["updated"], loaded["deleted"]) == (0, CHANGED, 0)
    (row,) = ran.database.query("SELECT count(*) FROM twin.assets WHERE name LIKE '% *'")
    assert row == (CHANGED,)


def test_rooms_of_a_table_reach_the_map_after_the_approval(ran: WarehouseRun) -> None:
    geodata = ran.sandbox.mapsindoors.campus.geodata.values()
    (room,) = [one for one in geodata if one.get("externalId") == "A-0-01"]
    assert room["properties"]["name@en"] == "Reception"
    assert ran.jobs["warehouse_rooms"].returned["apply"]["update"] == 1


def test_a_query_sets_the_devices_and_null_leaves_a_property_alone(ran: WarehouseRun) -> None:
    assert ran.jobs["warehouse_set_points"].returned["set_devices"]["verified"] == 1
    status = ran.sandbox.iotstudio.space.things[SENSOR].status
    assert (status["setpoint"], status["mode"]) == (19.5, "eco")


def test_the_landscape_is_in_a_table_with_a_column_for_each_field(ran: WarehouseRun) -> None:
    rows = ran.jobs["warehouse_landscape"].returned["load_applications"]["rows"]
    assert ran.database.query("SELECT count(*) FROM twin.applications") == [(rows,)]
    assert ("active",) in ran.database.query("SELECT DISTINCT lifecycle FROM twin.applications")
    found = ran.database.query("SELECT components->>0 FROM twin.applications WHERE id = 'app-0000'")
    assert found == [("it-0000",)]


def test_the_nightly_chain_needs_no_code_between_tables_and_services(ran: WarehouseRun) -> None:
    returned = ran.jobs["warehouse_nightly"].returned
    (total,) = ran.database.query("SELECT 'Printing, ' || sum(assets) || ' assets' FROM twin.asset_counts")
    printer = ran.sandbox.mapsindoors.campus.geodata["c88c996b231746d096db5eaa"]
    assert (printer["properties"]["name@en"],) == total
    assert returned["set_devices"]["verified"] == 1


def test_no_password_and_no_value_of_the_tables_is_in_airflows_files(
    ran: WarehouseRun, completed: CompletedRun
) -> None:
    logs = b"".join(path.read_bytes() for path in completed.home.glob("logs/dag_id=warehouse_*/**/*.log"))
    assert logs
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "Fire extinguisher", "Facilities Planner'"):
        assert secret.encode() not in logs, secret
