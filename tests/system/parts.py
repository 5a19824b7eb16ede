"""What one test module does in the Airflow that all modules here share."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.local_airflow import LocalAirflow
from dev.processes import Started

SETTINGS = {
    # Each task is a process, and small machines have two cores.
    "CORE__PARALLELISM": 6,
    "DAG_PROCESSOR__REFRESH_INTERVAL": 60,
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
    # A worker that dies with its task can tell nobody: the scheduler misses its heartbeats.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 20,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
}


class Part:
    """A module has one as ``PART``: starting Airflow takes half a minute, so all parts play in the same one.

    :cvar alone: it plays after the others are over, because it breaks something that they need.
    """

    alone = False

    def dags(self) -> Mapping[str, str]:
        """Give DAG files: name to code."""
        raise NotImplementedError

    def open(self, stack: ExitStack) -> Mapping[str, str]:
        """Start sandboxes, which end with the stack after Airflow; gives connections, id to JSON."""
        raise NotImplementedError

    def play(self, airflow: LocalAirflow) -> Any:
        """Let Airflow do what the tests ask about; runs in a thread of its own, beside other parts."""
        raise NotImplementedError


@dataclass
class Played:
    """What is left once all parts have played and Airflow is stopped; the sandboxes still run."""

    home: Path
    output: Path
    started: Started
    connections: Mapping[str, str]
    results: dict[Part, Future[Any]] = field(default_factory=dict)

    def result(self, part: Part) -> Any:
        """Give what a part's ``play`` returned, or raise what it raised."""
        return self.results[part].result()


def play_all(parts: list[Part], folder: Path, stack: ExitStack) -> Played:
    """Start Airflow, let all parts play at the same time, and stop it."""
    dags, output = folder / "dags", folder / "output"
    dags.mkdir()
    connections: dict[str, str] = {}
    for part in parts:
        connections |= part.open(stack)
        for name, code in part.dags().items():
            (dags / name).write_text(code)
    home = folder / "airflow"
    with LocalAirflow(home, connections=connections, output=output, dags=dags, settings=SETTINGS) as airflow:
        assert airflow.started
        played = Played(home, output, airflow.started, connections)
        for alone in (False, True):
            _play([part for part in parts if part.alone is alone], airflow, played)
    return played


def _play(parts: list[Part], airflow: LocalAirflow, played: Played) -> None:
    with ThreadPoolExecutor(max(1, len(parts)), thread_name_prefix="part") as pool:
        played.results |= {part: pool.submit(part.play, airflow) for part in parts}
