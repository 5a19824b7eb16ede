"""Cluster: Airflow with CeleryExecutor on two "hosts" of this machine, with PostgreSQL, Redis and S3.

An API server and a DAG processor; on each host a scheduler, a triggerer and a worker with four slots. Each
host has a folder of its own for settings, temporary files and the budgets of the machine's store, so nothing
is shared but the database, Redis and S3.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import httpx

from dev.local_airflow import (
    ROOT,
    AirflowFailedError,
    Startable,
    clean_environment,
    refuse_if_running,
    tail,
    wait_for_dags,
    write_running,
)
from dev.postgres_server import PostgresServer
from dev.processes import Started, free_ports
from dev.redis_server import RedisServer
from dev.rest import AirflowApi

HOSTS = ("host-a", "host-b")

SLOTS = 4
"""Slots of each worker."""

BUCKET = "twin"

READY_SECONDS = 240.0
"""Maximum seconds until all parts are ready."""

HOST_NAME = """import os


def host_name():
    return os.environ["TWIN_HOST"]
"""
"""Source of a module with the name that a part of Airflow runs under."""


class Cluster(Startable):
    """A cluster on this machine.

    :param home: folder for settings and logs; an earlier content is removed.
    :param connections: Airflow connections as JSON, by id; stored in Airflow's database.
    :param dags: the DAG folder.
    :param settings: further settings: value by ``SECTION__NAME``.
    :param variables: further environment variables of all parts.
    :param say: receives a line of text about the progress.
    """

    def __init__(
        self,
        home: Path,
        *,
        connections: Mapping[str, str],
        dags: Path = ROOT / "example_dags",
        settings: Mapping[str, object] | None = None,
        variables: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.home = home
        self.connections = connections
        self.dags = dags
        self.settings = dict(settings or {})
        self.variables = dict(variables or {})
        self.say = say
        self.parts: dict[str, Started] = {}
        """Running parts of Airflow by name, such as ``triggerer host-a``."""
        self.postgres = PostgresServer(home / "postgres.log")
        self.redis = RedisServer(home)
        self._keys = {name: secrets.token_urlsafe(32) for name in ("jwt", "api")}
        self._fernet = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self._s3: Started | None = None

    @property
    def output(self) -> str:
        """Address of the folder that the DAGs write to."""
        return f"s3://aws_default@{BUCKET}/output"

    @property
    def s3_options(self) -> dict[str, str]:
        """Options of a client of the S3 server."""
        return {
            "endpoint_url": self.s3_url,
            "region_name": "us-east-1",
            "aws_access_key_id": "twin",
            "aws_secret_access_key": "s3cr3t/+%",
        }

    def start(self) -> Self:
        """Start all servers and all parts of Airflow, and wait until they are ready."""
        refuse_if_running(self.home)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(mode=0o700, parents=True)
        api, s3 = free_ports(2)
        self.url, self.s3_url = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{s3}"
        self.say("Starting PostgreSQL, Redis and S3")
        self.postgres.start()
        (self.home / "postgres").symlink_to(self.postgres.folder)
        self.redis.start()
        self._start_s3(s3)
        for host in HOSTS:
            self._make_host(host)
        self._airflow("db", "migrate")
        file = self.home / "connections.json"
        file.write_text(
            json.dumps({name: json.loads(text) for name, text in self._all_connections().items()})
        )
        self._airflow("connections", "import", str(file))
        file.unlink()
        for name in self._commands():
            self.start_part(name)
        self.api = AirflowApi(self.url)
        self._wait_until_ready()
        return self

    def start_part(self, name: str) -> None:
        """Start a part of Airflow, in place of one that has ended."""
        _, _, host = name.partition(" ")
        command = [str(Path(sys.executable).parent / "airflow"), *self._commands()[name]]
        self.parts[name] = Started.run(command, self.environment(host), self._log_of(name), self.dags.parent)
        self._note()

    def wait_for_dags(self, *dag_ids: str) -> None:
        """Wait until the DAGs are parsed."""
        wait_for_dags(self.api, dag_ids, self.dags)

    def fail_if_a_part_ended(self) -> None:
        """Raise when a part of Airflow has ended.

        :raises AirflowFailedError: with the end of its log.
        """
        for name, part in self.parts.items():
            if not part.alive():
                raise AirflowFailedError(f"{name} has ended. The end of its log:\n{tail(self._log_of(name))}")

    def _log_of(self, name: str) -> Path:
        return self.home / f"{name.replace(' ', '-')}.log"

    def stop(self) -> None:
        """Stop everything by process id."""
        self.say("Stopping the cluster")
        for part in self.parts.values():
            part.interrupt()
        for part in self.parts.values():
            part.stop()
        self.parts.clear()
        if self._s3 is not None:
            self._s3.stop()
        self.redis.stop()
        self.postgres.stop()
        for name in ("running.json", "postgres"):
            (self.home / name).unlink(missing_ok=True)

    def environment(self, host: str = "") -> dict[str, str]:
        """Return the environment of a host's parts.

        :param host: name of the host; empty for the API server and the DAG processor.
        """
        home = self.home / (host or HOSTS[0])
        env = {
            **clean_environment(),
            **{f"AIRFLOW__{name}": str(value) for name, value in self._settings(home).items()},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW_VAR_TWIN_OUTPUT": self.output,
            "DIGITAL_TWIN_STORE": str(home / "budgets"),
            "TMPDIR": str(home / "tmp"),
            "TWIN_HOST": host or "host-0",
        }
        return env | self.variables

    def _note(self) -> None:
        servers = {"postgres": self.postgres.started, "redis": self.redis.started, "s3": self._s3}
        write_running(self.home, **self.parts, **{name: one for name, one in servers.items() if one})

    def _start_s3(self, port: int) -> None:
        command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        self._s3 = Started.run(command, clean_environment(), self.home / "s3.log", self.home)
        import boto3  # type: ignore[import-untyped]

        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(self.s3_url, trust_env=False)
                break
            except httpx.TransportError:
                if time.monotonic() > deadline or not self._s3.alive():
                    raise AirflowFailedError(f"S3 did not start:\n{tail(self.home / 's3.log')}") from None
                time.sleep(0.1)
        boto3.client("s3", **self.s3_options).create_bucket(Bucket=BUCKET)

    def _make_host(self, host: str) -> None:
        config = self.home / host / "config"  # on the import path of Airflow
        config.mkdir(parents=True)
        (config / "twin_host.py").write_text(HOST_NAME)
        for name in ("tmp", "budgets"):
            (self.home / host / name).mkdir(mode=0o700)

    def _commands(self) -> dict[str, list[str]]:
        commands = {"api-server": ["api-server"], "dag-processor": ["dag-processor"]}
        for host in HOSTS:
            worker = ["celery", "worker", "--celery-hostname", f"worker@{host}", "--concurrency", str(SLOTS)]
            commands[f"scheduler {host}"] = ["scheduler", "--skip-serve-logs"]
            commands[f"triggerer {host}"] = ["triggerer", "--skip-serve-logs"]
            commands[f"worker {host}"] = [*worker, "--skip-serve-logs"]
        return commands

    def _settings(self, home: Path) -> dict[str, object]:
        broker = f"redis://127.0.0.1:{self.redis.port}"
        return {
            "CORE__DAGS_FOLDER": self.dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": 32,
            "CORE__DEFAULT_TASK_RETRIES": 0,
            "CORE__FERNET_KEY": self._fernet,
            "CORE__HOSTNAME_CALLABLE": "twin_host.host_name",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API_AUTH__JWT_SECRET": self._keys["jwt"],
            "API__SECRET_KEY": self._keys["api"],
            "API__HOST": "127.0.0.1",
            "API__PORT": self.url.rpartition(":")[2],
            "API__BASE_URL": self.url,
            "API__WORKERS": 1,
            "DATABASE__SQL_ALCHEMY_CONN": self.postgres.url("psycopg2"),
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": self.postgres.url("asyncpg"),
            "CELERY__BROKER_URL": f"{broker}/1",
            "CELERY__RESULT_BACKEND": f"db+{self.postgres.url('psycopg2')}",
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 3600,
            "CELERY__WORKER_PREFETCH_MULTIPLIER": 1,
            "LOGGING__BASE_LOG_FOLDER": home / "logs",
            "LOGGING__REMOTE_LOGGING": True,
            "LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{BUCKET}/logs",
            "LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
            "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 30,
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 2,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
            # Tasks that a killed worker had taken from the queue are sent again.
            "SCHEDULER__TASK_QUEUED_TIMEOUT": 60,
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 15,
            "USAGE_DATA_COLLECTION__ENABLED": False,
            **self.settings,
        }

    def _all_connections(self) -> dict[str, str]:
        options = self.s3_options
        extra = {name: options[name] for name in ("endpoint_url", "region_name")}
        aws = {"conn_type": "aws", "login": options["aws_access_key_id"], "extra": extra}
        store = {"conn_type": "redis", "host": "127.0.0.1", "port": self.redis.port, "extra": {"db": 0}}
        return {
            **self.connections,
            "aws_default": json.dumps({**aws, "password": options["aws_secret_access_key"]}),
            "twin_redis": json.dumps(store),
        }

    def _airflow(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "airflow"), *arguments]
        done = subprocess.run(
            command,
            env=self.environment(),
            cwd=self.home,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            text = "\n".join(done.stdout.splitlines()[-40:])
            raise AirflowFailedError(f"airflow {' '.join(arguments[:2])} failed:\n{text}")

    def _wait_until_ready(self) -> None:
        began, waiting = time.monotonic(), set(self.parts)
        self.say("Starting Airflow's parts (a minute or so)")
        while waiting:
            for name in sorted(waiting):
                self.fail_if_a_part_ended()
                if self._is_ready(name):
                    waiting.discard(name)
                    self.say(f"  {time.monotonic() - began:4.0f} s  {name} is ready")
            if time.monotonic() - began > READY_SECONDS:
                raise AirflowFailedError(
                    f"After {READY_SECONDS:.0f} s not ready: {', '.join(sorted(waiting))}"
                )
            time.sleep(0.5)
        self.api.log_in()

    def _is_ready(self, name: str) -> bool:
        kind, _, host = name.partition(" ")
        if kind == "worker":
            log = self._log_of(name).read_text("utf-8", "replace")
            return f"worker@{host} ready" in log
        try:
            state = self.api.health()
        except httpx.HTTPError:
            return False
        component = {"api-server": "metadatabase", "dag-processor": "dag_processor"}.get(kind, kind)
        return state.get(component, {}).get("status") == "healthy"
