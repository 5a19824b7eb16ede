"""``make demo``, ``make up``, ``make cluster`` and ``make down``: the example DAGs in a real Airflow.

The services are those of the sandbox.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from airflow_provider.sandbox import Sandbox
from dev.local_airflow import ROOT, LocalAirflow, refuse_if_running, stop_running, tail, write_running
from dev.processes import Started, free_ports
from dev.rest import AirflowApi

HOMES = ROOT / ".airflow"
OUTPUT = ROOT / "output"
JOB_SECONDS = 300
"""Maximum duration of all jobs that run concurrently, in seconds."""

LOG_LINES = 25
"""Lines shown of the log of a failed task."""

LEANIX_SECONDS = 10.0
"""Duration of a LeanIX run in seconds. When a task resumes seconds after its deferral, a busy scheduler can
learn of the resumption first, take the task for dead and retry it."""

JOBS = {
    "mapsindoors_update_geodata": "MapsIndoors",
    "amigocloud_export_dataset": "AmigoCloud",
    "amigocloud_sync_dataset": "AmigoCloud",
    "iotstudio_write_properties": "Altair IoT Studio",
    "leanix_run": "LeanIX",
}
"""System of each example DAG that the demo runs; all run concurrently."""

CHAIN = {"nightly_digital_twin": "all four"}
"""System of each example DAG that runs afterwards, because it changes the same objects."""

COUNTS = {
    "create": "created",
    "update": "updated",
    **{
        name: name
        for name in ("updated", "rows", "written", "verified", "skipped", "processed", "warnings", "errors")
    },
}
"""Labels of the counts in operators' results, in the order shown."""


@dataclass
class Job:
    """A run of a DAG, and its results.

    :param dag_id: the DAG's id.
    :param system: the system that the DAG is for.
    :param run_id: the run's id.
    :param state: the run's last known state.
    :param seconds: seconds from the start to the last poll.
    :param returned: return value by task id.
    """

    dag_id: str
    system: str
    run_id: str
    state: str = "queued"
    seconds: float = 0.0
    returned: dict[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """True when the run has ended."""
        return self.state in {"success", "failed"}

    @property
    def changed(self) -> str:
        """The counts that the tasks returned, as text."""
        return counts(list(self.returned.values())) or "-"

    @property
    def output(self) -> str:
        """Locations of the files that the tasks returned; of several files their folders."""
        found = [uri for value in self.returned.values() for uri in uris(value)]
        if len(found) > 1:
            found = sorted({uri.rpartition("/")[0] for uri in found})
        return ", ".join(found) or f"in {self.system}"


def counts(values: Sequence[Any]) -> str:
    """Return the sums of the tasks' counts as text: ``3 updated``. Zeros are left out unless all are zero."""
    total: Counter[str] = Counter()
    for value in values:
        if isinstance(value, dict):
            total.update(
                {word: value[name] for name, word in COUNTS.items() if isinstance(value.get(name), int)}
            )
    shown = {word: total[word] for word in COUNTS.values() if total[word]} or total
    return ", ".join(f"{count} {name}" for name, count in shown.items())


def uris(value: Any) -> list[str]:
    """Return the URIs of a task's files; those in the checkout as relative paths."""
    if not isinstance(value, dict):
        return []
    manifests = [value, value.get("results")]
    found = [item["uri"] for item in manifests if isinstance(item, dict) and isinstance(item.get("uri"), str)]
    return [uri.removeprefix("file://").removeprefix(f"{ROOT}/") for uri in found]


class Running(Protocol):
    """A running Airflow, on one machine or as a cluster."""

    api: AirflowApi

    def start(self) -> Any:
        """Start it, and wait until it is ready."""

    def stop(self) -> None:
        """Stop it."""

    def wait_for_dags(self, *dag_ids: str) -> None:
        """Wait until the DAGs are parsed."""

    def fail_if_a_part_ended(self) -> None:
        """Raise when a part of it has ended."""


R = TypeVar("R", bound=Running)


def run_jobs(airflow: Running, jobs: dict[str, str], say: Callable[[str], None] = print) -> list[Job]:
    """Run DAGs concurrently through the scheduler, and wait for them.

    :param airflow: the running Airflow.
    :param jobs: system by DAG id.
    :param say: receives a line of text about the progress.
    """
    airflow.wait_for_dags(*jobs)
    run_id = f"demo_{time.strftime('%Y%m%dT%H%M%S')}"
    running = [Job(dag_id, system, run_id) for dag_id, system in jobs.items()]
    for job in running:
        airflow.api.unpause(job.dag_id)
        airflow.api.trigger(job.dag_id, job.run_id)
    say(f"Running {', '.join(jobs)}")
    follow(airflow, running, say)
    return running


def follow(airflow: Running, running: Sequence[Job], say: Callable[[str], None]) -> None:
    """Poll runs until all are finished, or :data:`JOB_SECONDS` have passed."""
    began = time.monotonic()
    while waiting := [job for job in running if not job.is_finished]:
        if time.monotonic() - began > JOB_SECONDS:
            break
        time.sleep(1)
        airflow.fail_if_a_part_ended()
        states = airflow.api.run_states({job.dag_id for job in waiting})
        for job in waiting:
            state = states.get((job.dag_id, job.run_id), job.state)
            _update(airflow.api, job, state, time.monotonic() - began, say)


def _update(api: AirflowApi, job: Job, state: str, seconds: float, say: Callable[[str], None]) -> None:
    job.seconds = seconds
    if state != job.state:
        say(f"  {seconds:4.0f} s  {job.dag_id}: {state}")
        job.state = state
    if job.is_finished:
        for task in api.tasks(job.dag_id, job.run_id):
            job.returned[task["task_id"]] = api.returned(job.dag_id, job.run_id, task["task_id"])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def report(jobs: Sequence[Job]) -> str:
    """Return the demo's table of jobs."""
    heads = ("job", "system", "state", "what changed", "output", "seconds")
    rows = [(j.dag_id, j.system, j.state, j.changed, j.output, f"{j.seconds:.0f}") for j in jobs]
    return table([heads, *rows])


def failures(api: AirflowApi, jobs: Sequence[Job]) -> str:
    """Return the last log lines of each task that failed or is not finished."""
    parts = []
    for job in jobs:
        for task in api.tasks(job.dag_id, job.run_id):
            if job.state != "success" and task["state"] not in {"success", "skipped", "upstream_failed"}:
                lines = api.log(job.dag_id, job.run_id, task)[-LOG_LINES:] or ["(no log)"]
                parts.append("\n".join([f"--- {job.dag_id}.{task['task_id']}: {task['state']}", *lines]))
    return "\n".join(parts)


def demo(
    say: Callable[[str], None] = print,
    watch: Callable[[LocalAirflow], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Run the jobs, print their results and stop all processes; return the exit status.

    :param say: receives the lines of text that the demo prints.
    :param watch: is entered while Airflow runs.
    """
    from dev.events import run_events

    home = HOMES / "demo"
    with Sandbox() as sandbox:
        sandbox.leanix.run_seconds = LEANIX_SECONDS
        say(f"Sandbox at {sandbox.url}")
        airflow = LocalAirflow(home, connections=sandbox.connections, output=OUTPUT, say=say)
        with airflow, watch(airflow):
            jobs = run_jobs(airflow, JOBS, say) + run_jobs(airflow, CHAIN, say)
            jobs += run_events(airflow, sandbox, say)
            logs = failures(airflow.api, jobs)
    say(f"\n{report(jobs)}")
    if all(job.state == "success" for job in jobs):
        return 0
    print(f"\n{logs}\n\nNot all jobs succeeded. Logs are in {home / 'logs'}", file=sys.stderr)
    return 1


def up() -> int:
    """Start the sandbox and Airflow, run the jobs, and leave both running; return the exit status."""
    home = HOMES / "up"
    airflow, sandbox = _leave_running(
        home, lambda connections: LocalAirflow(home, connections=connections, output=OUTPUT)
    )
    print(f"\nAirflow  {airflow.url}  (no password)\nSandbox  {sandbox}\nStop both: make down")
    return 0


def cluster() -> int:
    """Start the sandbox and a cluster, run the jobs, and leave all running; return the exit status."""
    from dev.cluster import Cluster

    home = HOMES / "cluster"
    started, sandbox = _leave_running(
        home, lambda connections: Cluster(home, connections=shared(connections))
    )
    print(f"\nAirflow  {started.url}  (no password)\nSandbox  {sandbox}\nS3       {started.s3_url}")
    print(f"Logs of the parts: {home}\nStop all: make down")
    return 0


def _leave_running(home: Path, make: Callable[[dict[str, str]], R]) -> tuple[R, str]:
    """Start the sandbox and an Airflow, and run the jobs; return the Airflow and the sandbox's URL.

    :param home: the Airflow's home.
    :param make: function that returns the Airflow for the sandbox's connections.
    """
    refuse_if_running(home)
    HOMES.mkdir(exist_ok=True)
    log = HOMES / f"sandbox-{home.name}.log"
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "airflow_provider.sandbox", "--port", str(port)]
    sandbox = Started.run(command, os.environ, log, ROOT)
    url, airflow = f"http://127.0.0.1:{port}", None
    try:
        airflow = make(_connections(url, sandbox, log))
        airflow.start()
        jobs = run_jobs(airflow, JOBS)
    except BaseException:
        if airflow:
            airflow.stop()
        sandbox.stop()
        raise
    write_running(home, sandbox=sandbox)
    print(f"\n{report(jobs)}")
    return airflow, url


def shared(connections: Mapping[str, str]) -> dict[str, str]:
    """Return connections whose budgets and tokens all hosts share through Redis."""
    extras = {"rate_limit_store": "twin_redis", "share_tokens": True}
    found = {name: json.loads(text) for name, text in connections.items()}
    return {name: json.dumps({**one, "extra": {**_extra_of(one), **extras}}) for name, one in found.items()}


def _extra_of(connection: Mapping[str, Any]) -> dict[str, Any]:
    extra = connection.get("extra") or {}
    read: dict[str, Any] = json.loads(extra) if isinstance(extra, str) else extra
    return read


def _connections(url: str, sandbox: Started, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + 30
    while sandbox.alive() and time.monotonic() < deadline:
        try:
            found: dict[str, str] = httpx.get(f"{url}/_sandbox/connections", trust_env=False).json()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return found
    raise RuntimeError(f"The sandbox did not start:\n{tail(log)}")


def down() -> int:
    """Stop the processes of ``up``, of ``cluster`` and of a killed demo; return the exit status."""
    stopped = [stop_running(HOMES / name) for name in ("up", "demo", "cluster")]
    print("Stopped" if any(stopped) else "Nothing is running")
    return 0
