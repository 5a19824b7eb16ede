"""The jobs that are compared, and the ways to do each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import amigocloud_export, peers, turns
from tests.benchmarks.iotstudio_served import Served
from tests.benchmarks.turns import Job, Row, Side, World

THREADS = 8
DELAY = 0.05
WRITES = 100
OBJECTS, CHANGED = 300, 30
RUNS, MANY_RUNS = 20, 1000
RUN_SECONDS, POLL_SECONDS = 20.0, 5.0
MODULES = {
    "LeanIX operators": "airflow_provider.leanix.operators",
    "AmigoCloud operators": "airflow_provider.amigocloud.operators",
    "IoT Studio operators": "airflow_provider.iotstudio.operators",
    "MapsIndoors operators": "airflow_provider.mapsindoors.operators",
    "http provider's operators": "airflow.providers.http.operators.http",
    "dbt Cloud provider's operators": "airflow.providers.dbt.cloud.operators.dbt",
}
SERVER = """
import json, sys
from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.mapsindoors import seed
objects, seconds = map(float, sys.argv[1:])
with Sandbox() as sandbox:
    seed.grow(sandbox.mapsindoors.campus, int(objects))
    grown = [one for one in sandbox.mapsindoors.campus.geodata.values()
             if (one.get("externalId") or "").startswith("G-")]
    sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 0, seconds
    names = [(one["id"], one["externalId"], one["properties"]["name@en"]) for one in grown]
    print(json.dumps([sandbox.url, sandbox.connections, names]), flush=True)
    leanix = sandbox.leanix
    configuration = next(one for one in leanix.configurations.values() if one["connectorType"] == "report")
    ldif = {"connectorType": "report", "connectorId": "landscape", "connectorVersion": "1.0.0",
            "processingDirection": "outbound"}
    for line in sys.stdin:
        runs = [leanix.create(ldif, configuration) for _ in range(int(line))]
        for run in runs:
            leanix.machine.start(run, leanix.now())
        print(json.dumps([run.id for run in runs]), flush=True)
"""


@dataclass
class Server:
    """A sandbox in a process of its own.

    :param names: of the map's new objects: id, externalId, name.
    """

    process: subprocess.Popen[str]
    url: str
    connections: dict[str, str]
    names: list[list[str]]

    def start_runs(self, runs: int) -> list[str]:
        """Start LeanIX runs; gives their ids."""
        assert self.process.stdin
        assert self.process.stdout
        print(runs, file=self.process.stdin, flush=True)
        ids: list[str] = json.loads(self.process.stdout.readline())
        return ids


@contextmanager
def served(objects: int = 0) -> Iterator[Server]:
    """Serve a sandbox, with so many new objects on the map."""
    command = [sys.executable, "-c", SERVER, str(objects), str(RUN_SECONDS)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=turns.ROOT) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Server(process, *json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def origin(connection: str) -> str:
    """Give the sandbox's own URL."""
    parts = urlsplit(json.loads(connection)["host"])
    return f"{parts.scheme}://{parts.netloc}"


def export(rounds: int) -> Job:
    """A dataset into a file."""
    rows = amigocloud_export.SMALL
    dataset = amigocloud_export.TABLE[rows]
    with tempfile.TemporaryDirectory() as folder, amigocloud_export.served([rows]):
        connection = os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"]
        known = json.loads(connection)
        pages = [dict(call.params) for call in amigocloud_export.recorded(Path(folder))]
        given = {
            "folder": folder,
            "dataset": dataset,
            "threads": THREADS,
            "page": amigocloud_export.PAGE,
            "host": known["host"],
            "project": known["extra"]["project_url"],
            "token": known["password"],
        }
        world = World(given, {"amigocloud_default": connection}, origin(connection), {"rows": rows})
        sides = [
            Side("AmigoCloudExportOperator, JSON Lines", "export_ours", {"name": "ours.jsonl"}),
            Side("the same, Parquet", "export_ours", {"name": "ours.parquet"}),
            *peers.side("the vendor's client, cursor", "export_vendor", "amigocloud"),
            *peers.side("dlt, rest_api source", "export_dlt", "dlt"),
            *peers.side("pyogrio, GDAL's driver", "export_pyogrio", "pyogrio"),
            Side("8 threads that throw the pages away", "export_threads", {"pages": pages}),
        ]
        title = f"Export {rows:,} rows in {len(pages)} pages, {DELAY * 1000:.0f} ms a request"
        return Job(title, turns.in_turns(sides, world, rounds))


def writes(rounds: int) -> Job:
    """Properties of many Things."""
    with Served() as service:
        known = json.loads(service.connection)
        given = {
            "uids": service.ask("things")[:WRITES],
            "value": 20.5,
            "threads": THREADS,
            "host": known["host"],
            "login": known["login"],
            "password": known["password"],
            "space": known["extra"]["space"],
        }
        service.ask("delay", DELAY)
        connections = {"iotstudio_default": service.connection}
        world = World(given, connections, origin(service.connection), {"written": WRITES})
        sides = [
            Side("IoTStudioWritePropertiesOperator, verified", "writes_ours", {"verify": True}),
            Side("the same, not verified", "writes_ours", {"verify": False}),
            *peers.side("the vendor's client", "writes_vendor", "iots"),
            Side("8 threads that check nothing", "writes_threads"),
        ]
        title = f"Write a property of {WRITES} Things, {DELAY * 1000:.0f} ms a request"
        return Job(title, turns.in_turns(sides, world, rounds))


def sync() -> Job:
    """A map from a table."""
    with tempfile.TemporaryDirectory() as folder, served(OBJECTS) as server:
        source, number = Path(folder, "rows.jsonl"), count()

        def prepare() -> None:
            """Change some names anew."""
            turn = next(number)
            with source.open("w") as file:
                for at, (known_id, key, name) in enumerate(server.names):
                    text = f"{name}, {turn}" if at % (OBJECTS // CHANGED) == 0 else name
                    print(json.dumps({"id": known_id, "externalId": key, "name": text}), file=file)

        known = json.loads(server.connections["mapsindoors_default"])
        login = {name: known[name] for name in ("host", "login", "password")}
        extra = {name: known["extra"][name] for name in ("api_key", "auth_url")}
        given = {"source": str(source), **login, **extra}
        world = World(
            given, server.connections, server.url, {"objects": OBJECTS, "changed": CHANGED}, prepare
        )
        sides = [
            Side("MapsIndoorsSyncGeodataOperator, verified", "sync_ours", often=3),
            Side("the tutorial's way: a PUT an object", "sync_tutorial"),
        ]
        title = f"Sync {OBJECTS} objects, {CHANGED} changed, at most 10 requests a second"
        return Job(title, turns.in_turns(sides, world, 1, warm=False))


def waiting() -> Job:
    """For runs that take their time."""
    with served() as server:
        sides = [
            (Side(f"LeanIX triggers, {RUNS} runs", "wait_ours"), RUNS, 1),
            (Side(f"the tutorial's script, {RUNS} runs", "wait_tutorial"), RUNS, RUNS),
            *(
                (sensor, RUNS, RUNS)
                for sensor in peers.side(f"HttpSensor, {RUNS} runs", "wait_http_sensor", "providers")
            ),
            (Side(f"LeanIX triggers, {MANY_RUNS:,} runs", "wait_ours"), MANY_RUNS, 1),
        ]
        rows = [wait(server, *side) for side in sides]
    return Job(f"Wait for LeanIX runs of {RUN_SECONDS:.0f} s, looking every {POLL_SECONDS:.0f} s", rows)


def wait(server: Server, side: Side, runs: int, processes: int) -> Row:
    """Start processes, then the runs they wait for; gives what they took together.

    Memory is the most that they held at the same time, with shared pages counted once (``Pss``).
    """
    known = json.loads(server.connections["leanix_default"])
    given = {"host": known["host"], "password": known["password"], "interval": POLL_SECONDS}
    started = [turns.Running(side, server.connections) for _ in range(processes)]
    for one in started:
        one.ready()
    run_ids = server.start_runs(runs)
    before, clock = turns.requests_so_far(server.url), time.monotonic()
    for at, one in enumerate(started):
        one.begin({**given, "run_ids": run_ids[at::processes]})
    most = 0.0
    while any(one.process.poll() is None for one in started):
        most = max(most, sum(proportional(one.process.pid) for one in started))
        time.sleep(0.5)
    seconds = time.monotonic() - clock
    if sum(one.ended()["finished"] for one in started) != runs:
        raise AssertionError(f"{side.title}: not all runs finished")
    note = f"{processes} process{'es' if processes > 1 else ''}"
    return Row(side.title, seconds, None, most, turns.requests_so_far(server.url) - before, note)


def proportional(pid: int) -> float:
    """Give a process's part of the memory it shares, and all of its own, in MB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1000


def importing(rounds: int) -> Job:
    """Modules, on top of ``airflow.sdk``."""
    sides: Sequence[Side] = [
        side
        for title, module in MODULES.items()
        for side in peers.side(title, "import_module", "providers", module=module)
    ]
    found: dict[str, list[dict[str, Any]]] = {side.title: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side.title].append(World().run(side))
    ours = turns.middle(found[sides[0].title], "seconds") if sides else 1.0
    rows = []
    for title, reports in found.items():
        seconds, modules = turns.middle(reports, "seconds"), reports[0]["modules"]
        grown = turns.middle(reports, "grown")
        rows.append(Row(title, seconds, seconds / ours, grown, None, f"{modules} modules"))
    return Job("Import on top of airflow.sdk (MB: growth)", rows)
