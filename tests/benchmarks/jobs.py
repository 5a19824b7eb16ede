"""Jobs of the benchmarks, with their contenders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import amigocloud_export, peer_environments, runner
from tests.benchmarks.iotstudio_process import SandboxProcess
from tests.benchmarks.runner import Contender, Job, Row, Setup

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
    """Sandbox in a process of its own.

    :param names: id, externalId and name of each added object of the map.
    """

    process: subprocess.Popen[str]
    url: str
    connections: dict[str, str]
    names: list[list[str]]

    def start_runs(self, runs: int) -> list[str]:
        """Start LeanIX runs, and return their ids."""
        assert self.process.stdin
        assert self.process.stdout
        print(runs, file=self.process.stdin, flush=True)
        ids: list[str] = json.loads(self.process.stdout.readline())
        return ids


@contextmanager
def served(objects: int = 0) -> Iterator[Server]:
    """Serve a sandbox with this many objects added to the map."""
    command = [sys.executable, "-c", SERVER, str(objects), str(RUN_SECONDS)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=runner.ROOT) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Server(process, *json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def origin(connection: str) -> str:
    """Return the URL of the sandbox."""
    parts = urlsplit(json.loads(connection)["host"])
    return f"{parts.scheme}://{parts.netloc}"


def export(rounds: int) -> Job:
    """Export a dataset into a file."""
    rows = amigocloud_export.SMALL
    dataset = amigocloud_export.TABLE[rows]
    with tempfile.TemporaryDirectory() as folder, amigocloud_export.served([rows]):
        connection = os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"]
        known = json.loads(connection)
        pages = [dict(call.params) for call in amigocloud_export.page_calls(Path(folder))]
        given = {
            "folder": folder,
            "dataset": dataset,
            "threads": THREADS,
            "page": amigocloud_export.PAGE,
            "host": known["host"],
            "project": known["extra"]["project_url"],
            "token": known["password"],
        }
        setup = Setup(given, {"amigocloud_default": connection}, origin(connection), {"rows": rows})
        contenders = [
            Contender("AmigoCloudExportOperator, JSON Lines", "export_ours", {"name": "ours.jsonl"}),
            Contender("the same, Parquet", "export_ours_parquet", {"name": "ours.parquet"}),
            *peer_environments.contender("the vendor's client, cursor", "export_vendor", "amigocloud"),
            *peer_environments.contender("dlt, rest_api source", "export_dlt", "dlt"),
            *peer_environments.contender("pyogrio, GDAL's driver", "export_pyogrio", "pyogrio"),
            Contender("8 threads that discard the pages", "export_threads", {"pages": pages}),
        ]
        title = f"Export {rows:,} rows in {len(pages)} pages, {DELAY * 1000:.0f} ms a request"
        return Job(title, runner.run_rounds(contenders, setup, rounds))


def writes(rounds: int) -> Job:
    """Write properties of many Things."""
    with SandboxProcess() as service:
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
        setup = Setup(given, connections, origin(service.connection), {"written": WRITES})
        contenders = [
            Contender("IoTStudioWritePropertiesOperator, verified", "writes_ours", {"verify": True}),
            Contender("the same, not verified", "writes_ours", {"verify": False}),
            *peer_environments.contender("the vendor's client", "writes_vendor", "iots"),
            Contender("8 threads that check nothing", "writes_threads"),
        ]
        title = f"Write a property of {WRITES} Things, {DELAY * 1000:.0f} ms a request"
        return Job(title, runner.run_rounds(contenders, setup, rounds))


def sync() -> Job:
    """Sync a map with a table."""
    with tempfile.TemporaryDirectory() as folder, served(OBJECTS) as server:
        source, number = Path(folder, "rows.jsonl"), count()

        def prepare() -> None:
            """Change some names, to other values in each round."""
            current = next(number)
            with source.open("w") as file:
                for at, (known_id, key, name) in enumerate(server.names):
                    text = f"{name}, {current}" if at % (OBJECTS // CHANGED) == 0 else name
                    print(json.dumps({"id": known_id, "externalId": key, "name": text}), file=file)

        known = json.loads(server.connections["mapsindoors_default"])
        login = {name: known[name] for name in ("host", "login", "password")}
        extra = {name: known["extra"][name] for name in ("api_key", "auth_url")}
        given = {"source": str(source), **login, **extra}
        setup = Setup(
            given, server.connections, server.url, {"objects": OBJECTS, "changed": CHANGED}, prepare
        )
        contenders = [
            Contender("MapsIndoorsSyncGeodataOperator, verified", "sync_ours", often=3),
            Contender("the tutorial's way: a PUT an object", "sync_tutorial"),
        ]
        title = f"Sync {OBJECTS} objects, {CHANGED} changed, at most 10 requests a second"
        return Job(title, runner.run_rounds(contenders, setup, 1, warm=False))


def waiting() -> Job:
    """Wait for long runs."""
    with served() as server:
        contenders = [
            (Contender(f"LeanIX triggers, {RUNS} runs", "wait_ours"), RUNS, 1),
            (Contender(f"the tutorial's script, {RUNS} runs", "wait_tutorial"), RUNS, RUNS),
            *(
                (sensor, RUNS, RUNS)
                for sensor in peer_environments.contender(
                    f"HttpSensor, {RUNS} runs", "wait_http_sensor", "providers"
                )
            ),
            (Contender(f"LeanIX triggers, {MANY_RUNS:,} runs", "wait_ours"), MANY_RUNS, 1),
        ]
        rows = [wait(server, *contender) for contender in contenders]
    return Job(f"Wait for LeanIX runs of {RUN_SECONDS:.0f} s, polling every {POLL_SECONDS:.0f} s", rows)


def wait(server: Server, contender: Contender, runs: int, processes: int) -> Row:
    """Start processes and the runs they wait for, and return what all of them took.

    Memory is the peak of their sum, with shared pages counted once (``Pss``).
    """
    known = json.loads(server.connections["leanix_default"])
    given = {"host": known["host"], "password": known["password"], "interval": POLL_SECONDS}
    started = [runner.ContenderProcess(contender, server.connections) for _ in range(processes)]
    for process in started:
        process.ready()
    run_ids = server.start_runs(runs)
    before, clock = runner.request_count(server.url), time.monotonic()
    for index, process in enumerate(started):
        process.start({**given, "run_ids": run_ids[index::processes]})
    peak = 0.0
    while any(process.process.poll() is None for process in started):
        peak = max(peak, sum(proportional_memory(process.process.pid) for process in started))
        time.sleep(0.5)
    seconds = time.monotonic() - clock
    if sum(process.report()["finished"] for process in started) != runs:
        raise AssertionError(f"{contender.title}: not all runs finished")
    note = f"{processes} process{'es' if processes > 1 else ''}"
    return Row(contender.title, seconds, None, peak, runner.request_count(server.url) - before, note)


def proportional_memory(pid: int) -> float:
    """Return the proportional set size of a process in MB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1000


def importing(rounds: int) -> Job:
    """Import modules after ``airflow.sdk``."""
    contenders: list[Contender] = [
        contender
        for title, module in MODULES.items()
        for contender in peer_environments.contender(title, "import_module", "providers", module=module)
    ]
    found: dict[str, list[dict[str, Any]]] = {contender.title: [] for contender in contenders}
    with peer_environments.with_package(contenders) as installed:
        for _ in range(rounds):
            for contender in installed:
                found[contender.title].append(Setup().run(contender))
    ours = runner.median_of(found[contenders[0].title], "seconds") if contenders else 1.0
    rows = []
    for title, reports in found.items():
        seconds, modules = runner.median_of(reports, "seconds"), reports[0]["modules"]
        grown = runner.median_of(reports, "grown")
        rows.append(Row(title, seconds, seconds / ours, grown, None, f"{modules} modules"))
    return Job("Import on top of airflow.sdk (MB: growth)", rows)
