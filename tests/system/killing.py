"""Kills the process of a task with SIGKILL while a request of its own is under way.

The sandbox does it: the request has come, so the process that sent it is in the middle of its work, and is
found by the port it sends from. What was sent is acted on all the same, as a real service would.
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
RUN_SECONDS = 240.0
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Kill:
    """When a task dies.

    :param after: so many of its requests pass first.
    :param lands: seconds from the death until the service acts on the request; None when it acts before.
    :param later: seconds that the task goes on first, with the answer; the service acts at once.
    :param method: only requests with this method count, ``path`` and ``service`` likewise.
    :param with_worker: the worker above the task's process dies, too.
    """

    after: int = 0
    lands: float | None = 0.0
    later: float = 0.0
    method: str = ""
    path: str = ""
    service: str = ""
    with_worker: bool = False

    def counts(self, scope: Scope) -> bool:
        """Tell whether a request is of the kind that it waits for."""
        return (
            scope.get("method", "").startswith(self.method)
            and re.search(self.path, scope["path"]) is not None
            and scope["service"].startswith(self.service)
        )


@dataclass
class Killer:
    """Looks at each request to a sandbox, and kills whoever sent it when that is planned.

    :param kills: what is still to come, one a try of the task.
    :param killed: the titles of the processes that were killed.
    """

    airflow: LocalAirflow | None = None
    kills: deque[Kill] = field(default_factory=deque)
    killed: list[str] = field(default_factory=list)
    seen: int = 0

    async def __call__(self, exchange: faults.Exchange) -> None:
        """Let the service act, and kill the sender before or after."""
        kill, victims = self._due(exchange.scope)
        if kill is None:
            await exchange.pass_on()
        elif kill.later:
            asyncio.get_running_loop().call_later(kill.later, self._kill, victims)
            await exchange.pass_on()
        else:
            await self._kill_around(kill, victims, exchange)

    async def _kill_around(
        self, kill: Kill, victims: Sequence[psutil.Process], exchange: faults.Exchange
    ) -> None:
        if kill.lands is not None:
            self._kill(victims)
            await asyncio.sleep(kill.lands)
        with suppress(ClientDisconnect):  # only half of a large body was sent
            await exchange.act()
        if kill.lands is None:
            self._kill(victims)
        await exchange.cut()

    def _due(self, scope: Scope) -> tuple[Kill | None, list[psutil.Process]]:
        kill = self.kills[0] if self.kills else None
        if kill is None or not kill.counts(scope):
            return None, []
        self.seen += 1
        task = self._sender(scope) if self.seen > kill.after else None
        if task is None:  # not yet; or it was the triggerer that asked
            return None, []
        self.kills.popleft()
        self.seen = 0
        return kill, [task.parent(), task] if kill.with_worker else [task]

    def _sender(self, scope: Scope) -> psutil.Process | None:
        """Find the task's process by the port that the request comes from."""
        assert self.airflow
        assert self.airflow.started
        for process in psutil.Process(self.airflow.started.pid).children(recursive=True):
            with suppress(psutil.Error):
                ports = {one.laddr.port for one in process.net_connections("tcp")}
                if scope["client"][1] in ports and _title(process).startswith(WORKER):
                    return process
        return None

    def _kill(self, victims: Sequence[psutil.Process]) -> None:
        for process in victims:
            with suppress(psutil.Error, ProcessLookupError):  # it may have ended in its last moments
                if (title := _title(process)).startswith(WORKER):
                    os.kill(process.pid, 9)
                    self.killed.append(title)


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline()).strip()


async def _strike(exchange: faults.Exchange, options: Mapping[str, Any]) -> None:
    await options["killer"](exchange)


def install(sandbox: Sandbox, killer: Killer) -> None:
    """Show all requests to a sandbox to a killer."""
    faults.OPTIONS["kill"] = {"killer": None}  # type: ignore[index]
    faults.STRIKES["kill"] = _strike  # type: ignore[index]
    sandbox.faults.add("kill", times=None, killer=killer)


@dataclass
class Outcome:
    """How a run of a task ended."""

    run_id: str
    state: str
    tries: int
    returned: Any
    log: str


@dataclass
class Victim:
    """A DAG of one task, which is killed in each of its runs.

    :param name: the DAG's id.
    :param sandbox: what the task talks to; no other task does.
    :param begin: gets ready for the run of that number; gives the deaths to die in it.
    :param ended: looks at the sandbox once the run is over; an ``AssertionError`` is kept in ``problems``.
    """

    name: str
    sandbox: Sandbox
    begin: Callable[[int], Sequence[Kill]]
    ended: Callable[[Outcome], None] = lambda _: None
    killer: Killer = field(default_factory=Killer)
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    deadline: float = 0.0

    def start(self, airflow: LocalAirflow) -> None:
        """Start its next run."""
        number = len(self.outcomes)
        self.killer.airflow = airflow
        self.killer.seen = 0
        self.killer.kills = deque(self.begin(number))
        self.deadline = time.monotonic() + RUN_SECONDS
        airflow.api.trigger(self.name, f"round_{number}")

    def end(self, airflow: LocalAirflow) -> None:
        """Note how its run went."""
        run_id = f"round_{len(self.outcomes)}"
        (task,) = airflow.api.tasks(self.name, run_id)
        returned = airflow.api.returned(self.name, run_id, task["task_id"])
        log = "" if task["state"] == "success" else "\n".join(airflow.api.log(self.name, run_id, task))
        outcome = Outcome(run_id, str(task["state"]), task["try_number"], returned, log)
        try:
            self.ended(outcome)
        except AssertionError as error:
            self.problems.append(f"{run_id}: {error}")
        self.outcomes.append(outcome)


def play(airflow: LocalAirflow, victims: Sequence[Victim], rounds: int) -> None:
    """Run each DAG so many times, one run after the other, all DAGs at the same time."""
    airflow.wait_for_dags(*(victim.name for victim in victims))
    for victim in victims:
        install(victim.sandbox, victim.killer)
        airflow.api.unpause(victim.name)
        victim.start(airflow)
    going = list(victims)
    while going:
        time.sleep(POLL_SECONDS)
        active = airflow.api.get("/dags/~/dagRuns", state=["queued", "running"], limit=100)["dag_runs"]
        names = {run["dag_id"] for run in active}
        for victim in [victim for victim in going if victim.name not in names]:
            victim.end(airflow)
            if len(victim.outcomes) < rounds:
                victim.start(airflow)
            else:
                going.remove(victim)
        late = [victim.name for victim in going if time.monotonic() > victim.deadline]
        assert not late, f"not over after {RUN_SECONDS:.0f} s: {late}"
