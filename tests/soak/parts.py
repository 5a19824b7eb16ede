"""Parts: the sandbox and the four parts of Airflow, each a process of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import psutil  # type: ignore[import-untyped]

from dev.local_airflow import AirflowFailedError, Startable, clean_environment, tail, wait_for_dags
from dev.postgres_server import PostgresServer
from dev.processes import Started, free_ports
from dev.rest import AirflowApi

SANDBOX = "sandbox"
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
NAMES = (SANDBOX, *COMMANDS)
CLOCK_RATE = 12
SWITCHES = {
    "iotstudio.token_lifetime": 3600,
    "leanix.queue_seconds": 12,
    "leanix.run_seconds": 24,
    "mapsindoors.token_seconds": 3600,
}
"""On the sandbox's clock: tokens end after five minutes, a run takes three seconds."""

READY_SECONDS = 400.0
POLLED = ("/datasets/{dataset}/master", "/things", "/events/{name}", "/synchronizationRuns")
"""Routes that the watchers poll."""

WORKER = "airflow worker -- "
"""How the titles of workers and tasks begin."""


class Parts(Startable):
    """All processes of a soak.

    :param home: folder for settings, logs and temporary files; an earlier content is removed.
    :param dags: text of the DAG file.
    :param say: receives a line of text about the progress.
    """

    def __init__(self, home: Path, dags: str, say: Callable[[str], None] = print) -> None:
        self.home, self.say = home, say
        self.dags = home / "dags"
        self.output, self.temporary, self.budgets = home / "output", home / "tmp", home / "budgets"
        self.postgres: PostgresServer
        self.started: dict[str, Started] = {}
        self.connections: dict[str, str] = {}
        self.kills: dict[str, int] = dict.fromkeys(COMMANDS, 0)
        self._text = dags
        self._key = secrets.token_urlsafe(32)

    def open_sandbox(self) -> dict[str, str]:
        """Start the sandbox; return the connections to its services."""
        if self.home.exists():
            shutil.rmtree(self.home)
        for folder in (self.dags, self.output, self.temporary, self.budgets):
            folder.mkdir(parents=True)
        (self.dags / "soak.py").write_text(self._text)
        port, storage, self._api_port = free_ports(3)
        self.sandbox_url, self.url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{self._api_port}"
        command = [sys.executable, "-m", "airflow_provider.sandbox", "--port", str(port)]
        command += ["--storage-port", str(storage), "--clock-rate", str(CLOCK_RATE)]
        command += ["--load", "amigocloud.rows=120,dataset=3001"]
        for name, value in SWITCHES.items():
            command += ["--set", f"{name}={value}"]
        environment = {**clean_environment(), "TMPDIR": str(self.temporary)}
        root = Path(__file__).resolve().parents[2]
        self.started[SANDBOX] = Started.run(command, environment, self.log_of(SANDBOX), root)
        self._wait(self._sandbox_answers, "the sandbox answers")
        return dict(httpx.get(f"{self.sandbox_url}/_sandbox/connections", trust_env=False).json())

    def _sandbox_answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.sandbox_url}/_sandbox/clock", trust_env=False).is_success
        return False

    def open_airflow(self, postgres: PostgresServer, connections: Mapping[str, str]) -> None:
        """Start Airflow, and wait until all its parts are healthy.

        :param postgres: the server with its database ``airflow``.
        :param connections: Airflow connections as JSON, by id.
        """
        self.postgres, self.connections = postgres, dict(connections)
        self.say("Starting Airflow (a minute or so)")
        self._migrate()
        for name in COMMANDS:
            self.start_part(name)
        self.api = AirflowApi(self.url)
        self._wait(
            lambda: set(self.healthy()) >= {"scheduler", "triggerer", "dag_processor"}, "Airflow is healthy"
        )
        self.api.log_in()
        wait_for_dags(self.api, ["soak_night", "soak_watchers"], self.dags)
        for dag_id in ("soak_watchers", "soak_night"):
            self.api.unpause(dag_id)
        # Airflow starts watchers when it parses the file again; what has happened before does not fire.
        httpx.delete(f"{self.sandbox_url}/_sandbox/counters", trust_env=False).raise_for_status()
        self._wait(self._watchers_poll, "the watchers poll")

    def _watchers_poll(self) -> bool:
        requests = httpx.get(f"{self.sandbox_url}/_sandbox/counters", trust_env=False).json()["requests"]
        return all(any(path in route and count > 2 for route, count in requests.items()) for path in POLLED)

    def start(self) -> Self:
        """Do nothing: the parts are started one after the other."""
        return self

    def stop(self) -> None:
        """Stop everything that was started, paused or not, by process id."""
        self.say("Stopping")
        for name in [*COMMANDS, SANDBOX]:
            if name in self.started:
                self.signal(name, signal.SIGCONT)
                self.started[name].interrupt()
        for started in self.started.values():
            started.stop()
        self.started.clear()

    def start_part(self, name: str) -> None:
        """Start a part of Airflow, in place of one that has ended."""
        command = [str(Path(sys.executable).parent / "airflow"), *COMMANDS[name]]
        self.started[name] = Started.run(command, self.environment(), self.log_of(name), self.home)

    def kill(self, name: str) -> None:
        """Kill a part with all its processes, as the end of its container does."""
        self.signal(name, signal.SIGKILL)
        self.started[name].stop(0, 0)
        self.kills[name] += 1

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to all processes of a part."""
        for process in self.started[name].family():
            with suppress(psutil.Error):
                process.send_signal(number)

    def tasks(self) -> list[psutil.Process]:
        """Return the processes of running tasks: a worker has one child for each."""
        workers = [one for one in self.started["scheduler"].family() if _title(one).startswith(WORKER)]
        parents = {one.pid for one in workers}
        return [one for one in workers if _parent(one) in parents]

    def ended(self) -> list[str]:
        """Return the parts that have ended by themselves."""
        return [name for name, started in self.started.items() if not started.alive()]

    def healthy(self) -> list[str]:
        """Return the healthy components, as the API server sees them."""
        try:
            state = AirflowApi(self.url).health()
        except httpx.HTTPError:
            return []
        return [name for name, found in state.items() if found.get("status") == "healthy"]

    def log_of(self, name: str) -> Path:
        """Return the log of a part."""
        return self.home / f"{name}.log"

    def environment(self) -> dict[str, str]:
        """Return the environment of Airflow's parts."""
        return {
            **clean_environment(),
            **{f"AIRFLOW__{name}": str(value) for name, value in self._settings().items()},
            **{f"AIRFLOW_CONN_{name.upper()}": text for name, text in self.connections.items()},
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_VAR_TWIN_OUTPUT": str(self.output),
            "DIGITAL_TWIN_STORE": str(self.budgets),
            "TMPDIR": str(self.temporary),
        }

    def _settings(self) -> dict[str, object]:
        return {
            "CORE__DAGS_FOLDER": self.dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": 4,
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API_AUTH__JWT_SECRET": self._key,
            "API__SECRET_KEY": self._key,
            "API__HOST": "127.0.0.1",
            "API__PORT": self._api_port,
            "API__BASE_URL": self.url,
            "API__WORKERS": 1,
            "DATABASE__SQL_ALCHEMY_CONN": self.postgres.url("psycopg2"),
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": self.postgres.url("asyncpg"),
            "LOGGING__BASE_LOG_FOLDER": self.home / "logs",
            "DAG_PROCESSOR__REFRESH_INTERVAL": 300,
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 2,
            # Tasks of a killed scheduler are not looked for by their heartbeats, but as orphans: by
            # default every five minutes, which here is an hour.
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 30,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 30,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
            "SCHEDULER__TASK_QUEUED_TIMEOUT": 60,
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 10,
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 15,
            "USAGE_DATA_COLLECTION__ENABLED": False,
        }

    def _migrate(self) -> None:
        airflow = str(Path(sys.executable).parent / "airflow")
        with self.log_of("migrate").open("wb") as out:
            done = subprocess.run(
                [airflow, "db", "migrate"], env=self.environment(), stdout=out, stderr=out, check=False
            )
        if done.returncode:
            raise AirflowFailedError(f"airflow db migrate failed:\n{tail(self.log_of('migrate'))}")

    def _wait(self, condition: Callable[[], bool], event: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            for name in self.ended():
                raise AirflowFailedError(f"{name} has ended. Its log:\n{tail(self.log_of(name))}")
            if time.monotonic() > deadline:
                raise AirflowFailedError(f"Timeout after {READY_SECONDS:.0f} s: waited until {event}")
            time.sleep(0.3)


def kill_process(process: psutil.Process) -> bool:
    """Kill a process; return whether it was still there."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.ppid())
    return 0
