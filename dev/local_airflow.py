"""Local Airflow: scheduler, triggerer, DAG processor and API server on this machine, with SQLite."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil  # type: ignore[import-untyped]

from dev.processes import Started, free_ports, runs
from dev.rest import AirflowApi

ROOT = Path(__file__).resolve().parent.parent
TASK_SERVER = "task_server"
"""The server of tasks, which is not a component of the health check."""

COMPONENTS = {
    TASK_SERVER: "API server of tasks",
    "metadatabase": "API server",
    "scheduler": "scheduler",
    "dag_processor": "DAG processor",
    "triggerer": "triggerer",
}
"""Label of each part; the API server answers the health check, from the database."""

DATABASE_READY = "Database ready"
"""What Airflow prints before it starts its parts."""

HEALTHY_SECONDS = 180
"""Maximum seconds until all components are healthy."""

PROGRESS_SECONDS = 5
"""Seconds between two lines about the start."""

PARSED_SECONDS = 90
"""Maximum seconds until the DAG files are parsed."""

LOCKS = """import sys

from sqlalchemy import event
from sqlalchemy.engine import Engine

# Two concurrent writes of the API server can block each other until the timeout, as it writes its audit log
# in its event loop. The server of tasks does not, and all others wait longer, too.
connect_args = {"timeout": 5 if "api-server" in sys.argv and "execution" not in sys.argv else 60}


@event.listens_for(Engine, "connect")
def sync_less(connection, record):
    # With a write-ahead log this is safe, and writers lock the database for a fraction of the time.
    if "sqlite" in type(connection).__module__:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()
"""
"""Source of a module with the settings of each part's connections to the database."""

EXECUTOR = """from importlib import import_module

from airflow.executors.local_executor import LocalExecutor


class PreloadingExecutor(LocalExecutor):
    def start(self):
        for name in {modules!r}:
            import_module(name)
        super().start()
"""
"""Source of a module with an executor whose processes need not import modules again for each task."""


class AirflowFailedError(RuntimeError):
    """Airflow did not start or cannot parse a DAG file; the message has the reason and the end of the log."""


class Startable:
    """Runs within a ``with`` block; a start that fails stops what it has started."""

    def start(self) -> Self:
        """Start, and wait until all parts are ready."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop all that was started."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class LocalAirflow(Startable):
    """``airflow standalone`` with a separate home, on free loopback ports.

    :param home: folder for its database, logs and settings; an earlier content is removed.
    :param connections: Airflow connections as JSON, by id.
    :param output: folder that the DAGs write to, as the Airflow variable ``twin_output``.
    :param dags: the DAG folder.
    :param settings: further settings: value by ``SECTION__NAME``.
    :param preloaded: modules that are imported once for all tasks, instead of by each task.
    :param say: receives a line of text about the progress.
    """

    def __init__(
        self,
        home: Path,
        *,
        connections: Mapping[str, str],
        output: Path,
        dags: Path = ROOT / "example_dags",
        settings: Mapping[str, object] | None = None,
        preloaded: Iterable[str] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self.home = home
        self.connections = connections
        self.output = output
        self.dags = dags
        self.settings = dict(settings or {})
        self.preloaded = list(preloaded)
        self.say = say
        self.log = home / "standalone.log"
        self.url = ""
        self.started: Started | None = None
        self.task_server: Started | None = None
        self._task_url = ""
        self._since = 0.0
        self._parts: list[psutil.Process] = []

    def start(self) -> Self:
        """Start Airflow and wait until all its components are healthy."""
        refuse_if_running(self.home)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(mode=0o700, parents=True)
        self.output.mkdir(parents=True, exist_ok=True)
        self._make_database()
        api, tasks, workers, triggers = free_ports(4)
        self.url, self._task_url = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{tasks}/execution/"
        self._since = time.time()
        env = {**clean_environment(), **self._settings(api, workers, triggers)}
        airflow = str(Path(sys.executable).parent / "airflow")
        self.started = Started.run([airflow, "standalone"], env, self.log, self.dags.parent)
        write_running(self.home, airflow=self.started)
        self.api = AirflowApi(self.url)
        self.say("Starting Airflow (half a minute or so)")
        began = time.monotonic()
        while DATABASE_READY not in self.log.read_text("utf-8", "replace"):
            self._raise_if_failed(began, COMPONENTS)
            time.sleep(0.2)
        server = [airflow, "api-server", "--apps", "execution", "--host", "127.0.0.1", "--port", str(tasks)]
        self.task_server = Started.run(server, env, self.home / "task_server.log", self.dags.parent)
        write_running(self.home, task_server=self.task_server)
        self._wait_until_healthy(began)
        return self

    def stop(self) -> None:
        """Stop Airflow and every process it started."""
        if self.started is not None:
            self.say("Stopping Airflow")
            self.started.stop()
            if self.task_server:
                self.task_server.stop()
            self.started = self.task_server = None
            (self.home / "running.json").unlink(missing_ok=True)

    def wait_for_dags(self, *dag_ids: str) -> None:
        """Wait until the DAGs are parsed.

        :raises AirflowFailedError: when a DAG file cannot be parsed, or no file has the DAG.
        """
        wait_for_dags(self.api, dag_ids, self.dags)

    def _make_database(self) -> None:
        """Create an SQLite database with a long lock timeout: a locked database ends the scheduler."""
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # readers and writers do not block each other
        config = self.home / "config"  # on the import path of Airflow
        config.mkdir()
        (config / "locks.py").write_text(LOCKS)
        (config / "preloading.py").write_text(EXECUTOR.format(modules=self.preloaded))

    def _settings(self, api: int, workers: int, triggers: int) -> dict[str, str]:
        settings = {
            "CORE__DAGS_FOLDER": self.dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "preloading.PreloadingExecutor" if self.preloaded else "LocalExecutor",
            "CORE__PARALLELISM": 8,
            "CORE__DEFAULT_TASK_RETRIES": 1,
            "CORE__DEFAULT_TASK_RETRY_DELAY": 5,
            "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "CORE__EXECUTION_API_SERVER_URL": self._task_url,
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "locks.connect_args",
            "API__HOST": "127.0.0.1",
            "API__PORT": api,
            "API__BASE_URL": self.url,
            "LOGGING__BASE_LOG_FOLDER": self.home / "logs",
            "LOGGING__WORKER_LOG_SERVER_PORT": workers,
            "LOGGING__TRIGGER_LOG_SERVER_PORT": triggers,
            "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 5,
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 2,
            "USAGE_DATA_COLLECTION__ENABLED": False,
            **self.settings,
        }
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_VAR_TWIN_OUTPUT": str(self.output),
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in self.connections.items()},
        }

    def _wait_until_healthy(self, began: float) -> None:
        waiting = list(COMPONENTS)
        shown = began
        while waiting:
            self._raise_if_failed(began, waiting)
            time.sleep(0.5)
            healthy = self._healthy()
            now = time.monotonic()
            for name in [name for name in waiting if name in healthy]:
                waiting.remove(name)
                self.say(f"  {now - began:4.0f} s  {COMPONENTS[name]} is healthy")
                shown = now
            if waiting and now - shown >= PROGRESS_SECONDS:
                self.say(f"  {now - began:4.0f} s  waiting for {self._names(waiting)}")
                shown = now
        self.api.log_in()
        self.note_parts()

    def note_parts(self) -> None:
        """Record the processes that Airflow currently consists of."""
        assert self.started
        self._parts = self.started.children()
        if self.task_server:
            self._parts.append(psutil.Process(self.task_server.pid))

    def forget_part(self, process: psutil.Process) -> None:
        """Do not expect a recorded process to run on.

        :param process: the process.
        """
        self._parts = [part for part in self._parts if part != process]

    def fail_if_a_part_ended(self) -> None:
        """Raise when a recorded process has ended: a run would never finish.

        :raises AirflowFailedError: with the end of the log.
        """
        if not all(map(runs, self._parts)):
            message = f"A part of Airflow has ended. The end of {self.log}:\n{tail(self.log)}"
            raise AirflowFailedError(message)

    def _raise_if_failed(self, began: float, waiting: Iterable[str]) -> None:
        reason = ""
        if self.started is None or not self.started.alive():
            reason = "Airflow ended while starting"
        elif time.monotonic() - began > HEALTHY_SECONDS:
            reason = f"Airflow is not healthy after {HEALTHY_SECONDS} s, waiting for {self._names(waiting)}"
        if reason:
            raise AirflowFailedError(f"{reason}. The end of {self.log}:\n{tail(self.log)}")

    @staticmethod
    def _names(components: Iterable[str]) -> str:
        return ", ".join(COMPONENTS[name] for name in components)

    def _healthy(self) -> set[str]:
        healthy = set()
        with contextlib.suppress(httpx.HTTPError):
            state = self.api.health()
            healthy |= {name for name in COMPONENTS if self._is_healthy(state.get(name, {}))}
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{self._task_url}health", trust_env=False, timeout=5).is_success:
                healthy.add(TASK_SERVER)
        return healthy

    def _is_healthy(self, component: Mapping[str, Any]) -> bool:
        """Return whether a component is healthy; a heartbeat of an earlier start does not count."""
        beats = [text for key, text in component.items() if key.startswith("latest_") and text]
        fresh = all(datetime.fromisoformat(text).timestamp() >= self._since for text in beats)
        return component.get("status") == "healthy" and fresh


def wait_for_dags(api: AirflowApi, dag_ids: Iterable[str], dags: Path) -> None:
    """Wait until DAGs are parsed.

    :param api: the API of the running Airflow.
    :param dag_ids: the DAGs' ids.
    :param dags: the DAG folder.
    :raises AirflowFailedError: when a DAG file cannot be parsed, or no file has the DAG.
    """
    missing = list(dag_ids)
    deadline = time.monotonic() + PARSED_SECONDS
    while missing:
        if errors := api.import_errors():
            raise AirflowFailedError("Airflow cannot parse a DAG file.\n" + "\n".join(errors))
        missing = [dag_id for dag_id in missing if api.get(f"/dags/{dag_id}") is None]
        if missing and time.monotonic() > deadline:
            raise AirflowFailedError(f"No DAG file in {dags} has: {', '.join(missing)}")
        if missing:
            time.sleep(1)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without Airflow's variables, with the venv first on PATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    return {**env, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def tail(path: Path, lines: int = 40) -> str:
    """Return the last lines of a file."""
    if not path.exists():
        return "(the log is empty)"
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])


def write_running(home: Path, **started: Started) -> None:
    """Record running processes of a home, in addition to those recorded before."""
    processes = {**read_running(home), **started}
    text = json.dumps({name: asdict(process) for name, process in processes.items()})
    (home / "running.json").write_text(text)


def read_running(home: Path) -> dict[str, Started]:
    """Read the recorded processes of a home, running or not."""
    path = home / "running.json"
    recorded = json.loads(path.read_text()) if path.exists() else {}
    return {name: Started(**process) for name, process in recorded.items()}


def refuse_if_running(home: Path) -> None:
    """Raise when an Airflow already runs in a home."""
    if any(process.alive() for process in read_running(home).values()):
        raise AirflowFailedError(f"An Airflow already runs in {home}. Stop it first: make down")


def stop_running(home: Path) -> bool:
    """Stop the recorded processes of a home; return whether any was running."""
    running = [process for process in read_running(home).values() if process.family()]
    for process in running:
        process.interrupt()
    for process in running:
        process.stop()
    (home / "running.json").unlink(missing_ok=True)
    if (data := home / "postgres").is_symlink():
        shutil.rmtree(data.resolve(), ignore_errors=True)
        data.unlink()
    return bool(running)
