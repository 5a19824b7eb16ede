"""Process killer: kill the process of a task with SIGKILL while the sandbox handles one of its requests.

The sender is found by the client port of the request. The sandbox acts on the request nevertheless, as a real
service does.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
from starlette.requests import ClientDisconnect

from airflow_provider.sandbox import Sandbox, faults
from dev.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

WORKER = "airflow worker -- "
"""Prefix of the process title of workers and tasks."""

RUN_SECONDS = 240.0
"""Maximum seconds of a DAG run."""

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class KillPoint:
    """Moment at which to kill a task.

    :param after: number of matching requests before.
    :param acts_after: seconds from the kill to the effect of the request; None when the effect comes first.
    :param delay: seconds between the reply and the kill; 0 to kill before the reply.
    :param method: prefix of the methods that match.
    :param path: regular expression of the paths that match.
    :param service: prefix of the services that match.
    :param with_worker: whether to kill the parent worker, too.
    """

    after: int = 0
    acts_after: float | None = 0.0
    delay: float = 0.0
    method: str = ""
    path: str = ""
    service: str = ""
    with_worker: bool = False

    def matches(self, scope: Scope) -> bool:
        """Return whether a request matches."""
        return (
            scope.get("method", "").startswith(self.method)
            and re.search(self.path, scope["path"]) is not None
            and scope["service"].startswith(self.service)
        )


@dataclass
class ProcessKiller:
    """Fault of a sandbox: kill the sender of a request at planned moments.

    :param points: kill points to come, one per attempt of the task.
    :param killed: titles of the killed processes.
    :param seen: matching requests since the last kill.
    """

    airflow: LocalAirflow | None = None
    points: deque[KillPoint] = field(default_factory=deque)
    killed: list[str] = field(default_factory=list)
    seen: int = 0

    async def __call__(self, exchange: faults.Exchange) -> None:
        """Pass the request to the service, and kill the sender before or after."""
        point, processes = self._due(exchange.scope)
        if point is None:
            await exchange.pass_on()
        elif point.delay:
            asyncio.get_running_loop().call_later(point.delay, self._kill, processes)
            await exchange.pass_on()
        else:
            await self._kill_without_reply(point, processes, exchange)

    async def _kill_without_reply(
        self, point: KillPoint, processes: Sequence[psutil.Process], exchange: faults.Exchange
    ) -> None:
        if point.acts_after is not None:
            self._kill(processes)
            await asyncio.sleep(point.acts_after)
        with suppress(ClientDisconnect):  # the task had sent only a part of a large body
            await exchange.act()
        if point.acts_after is None:
            self._kill(processes)
        await exchange.cut()

    def _due(self, scope: Scope) -> tuple[KillPoint | None, list[psutil.Process]]:
        point = self.points[0] if self.points else None
        if point is None or not point.matches(scope):
            return None, []
        self.seen += 1
        task = self._sender(scope) if self.seen > point.after else None
        if task is None:  # not yet due, or sent by the triggerer
            return None, []
        self.points.popleft()
        self.seen = 0
        return point, [task.parent(), task] if point.with_worker else [task]

    def _sender(self, scope: Scope) -> psutil.Process | None:
        """Return the task process that has the client port of the request."""
        assert self.airflow
        assert self.airflow.started
        for process in psutil.Process(self.airflow.started.pid).children(recursive=True):
            with suppress(psutil.Error):
                ports = {connection.laddr.port for connection in process.net_connections("tcp")}
                if scope["client"][1] in ports and _title(process).startswith(WORKER):
                    return process
        return None

    def _kill(self, processes: Sequence[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.Error, ProcessLookupError):  # it may have ended by itself
                if (title := _title(process)).startswith(WORKER):
                    os.kill(process.pid, 9)
                    self.killed.append(title)


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline()).strip()


async def _strike(exchange: faults.Exchange, options: Mapping[str, Any]) -> None:
    await options["killer"](exchange)


def install(sandbox: Sandbox, killer: ProcessKiller) -> None:
    """Pass all requests to a sandbox through a process killer."""
    faults.OPTIONS["kill"] = {"killer": None}  # type: ignore[index]
    faults.STRIKES["kill"] = _strike  # type: ignore[index]
    sandbox.faults.add("kill", times=None, killer=killer)


@dataclass
class Outcome:
    """End of a DAG run: the state, attempts, result and log of its task."""

    run_id: str
    state: str
    attempts: int
    returned: Any
    log: str


@dataclass
class KilledDag:
    """DAG of one task, which is killed in each DAG run.

    :param name: id of the DAG.
    :param sandbox: services of this task alone.
    :param prepare: prepares the run with this number, and returns its kill points.
    :param check: checks the sandbox after the run; an ``AssertionError`` is added to ``problems``.
    """

    name: str
    sandbox: Sandbox
    prepare: Callable[[int], Sequence[KillPoint]]
    check: Callable[[Outcome], None] = lambda _: None
    killer: ProcessKiller = field(default_factory=ProcessKiller)
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    deadline: float = 0.0

    def start(self, airflow: LocalAirflow) -> None:
        """Start the next run."""
        number = len(self.outcomes)
        self.killer.airflow = airflow
        self.killer.seen = 0
        self.killer.points = deque(self.prepare(number))
        self.deadline = time.monotonic() + RUN_SECONDS
        airflow.api.trigger(self.name, f"round_{number}")

    def end(self, airflow: LocalAirflow) -> None:
        """Record and check the outcome of the run."""
        run_id = f"round_{len(self.outcomes)}"
        (task,) = airflow.api.tasks(self.name, run_id)
        returned = airflow.api.returned(self.name, run_id, task["task_id"])
        log = "" if task["state"] == "success" else "\n".join(airflow.api.log(self.name, run_id, task))
        outcome = Outcome(run_id, str(task["state"]), task["try_number"], returned, log)
        try:
            self.check(outcome)
        except AssertionError as error:
            self.problems.append(f"{run_id}: {error}")
        self.outcomes.append(outcome)


def run_rounds(airflow: LocalAirflow, dags: Sequence[KilledDag], rounds: int) -> None:
    """Run each DAG this many times, one run after the other, all DAGs at the same time."""
    airflow.wait_for_dags(*(dag.name for dag in dags))
    for dag in dags:
        install(dag.sandbox, dag.killer)
        airflow.api.unpause(dag.name)
        dag.start(airflow)
    active = list(dags)
    while active:
        time.sleep(POLL_SECONDS)
        runs = airflow.api.get("/dags/~/dagRuns", state=["queued", "running"], limit=100)["dag_runs"]
        names = {run["dag_id"] for run in runs}
        for dag in [dag for dag in active if dag.name not in names]:
            dag.end(airflow)
            if len(dag.outcomes) < rounds:
                dag.start(airflow)
            else:
                active.remove(dag)
        late = [dag.name for dag in active if time.monotonic() > dag.deadline]
        assert not late, f"not finished after {RUN_SECONDS:.0f} s: {late}"
