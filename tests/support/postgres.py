"""PostgreSQL with PostGIS for tests: one server per process, an empty database per test."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dev.postgres_server import PostgresServer

PASSWORD = "p%ss/w:rd@ <'ä"
"""Password of the role ``loader``, which encodings change."""

_TEMPLATE = "with_postgis"
_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Database:
    """A database with PostGIS that the role ``loader`` owns.

    :param server: the server that has it.
    :param name: its name.
    """

    server: PostgresServer
    name: str

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect as the server's administrator, with autocommit."""
        access = {"host": "127.0.0.1", "port": self.server.port, "user": "airflow", "dbname": self.name}
        return psycopg.connect(**{**access, "autocommit": True, **options})

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, and return its rows; none for one without rows."""
        with self.connect() as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def airflow_connection(self, **changes: Any) -> str:
        """Return an Airflow connection of the role ``loader`` as JSON.

        :param changes: fields that differ, such as ``port`` for a proxy.
        """
        fields = {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self.server.port,
            "login": "loader",
            "password": PASSWORD,
            "schema": self.name,
        }
        return json.dumps({**fields, **changes})

    def restart(self) -> None:
        """Kill the server as a crash does, start it again, and wait until it accepts connections."""
        self.server.kill()
        self.server.start_with_data()
        self.wait(may_start=True)

    def wait(self, *, may_start: bool = False) -> None:
        """Wait until the server accepts connections.

        :param may_start: whether to start it again when it has ended: it refuses to run beside a process of
            a killed one that has not ended yet.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                if may_start and not (self.server.started and self.server.started.alive()):
                    self.server.start_with_data()
                time.sleep(0.05)


def sandbox_url(server: PostgresServer) -> str:
    """Return the address of a server for the sandbox of AmigoCloud's SQL."""
    return f"postgresql://airflow@127.0.0.1:{server.port}/airflow"


@contextmanager
def running_server(folder: Path) -> Iterator[PostgresServer]:
    """Start a server with PostGIS, yield it, and stop it.

    :param folder: takes its log.
    """
    server = PostgresServer(folder / "postgres.log", postgis=True)
    try:
        server.start()
        _prepare(server)
        yield server
    finally:
        server.stop()


def _prepare(server: PostgresServer) -> None:
    """Create the role ``loader``, which needs its password, and the database that tests' databases copy."""
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all loader 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    admin = Database(server, "airflow")
    password = PASSWORD.replace("'", "''")
    admin.query(f"CREATE ROLE loader LOGIN PASSWORD '{password}'")
    admin.query("SELECT pg_reload_conf()")
    admin.query(f"CREATE DATABASE {_TEMPLATE}")
    Database(server, _TEMPLATE).query("CREATE EXTENSION postgis")


@contextmanager
def new_database(server: PostgresServer) -> Iterator[Database]:
    """Create a database, yield it, and drop it with all that is connected to it.

    :param server: a running server.
    """
    database, admin = Database(server, f"test_{uuid.uuid4().hex[:12]}"), Database(server, "airflow")
    admin.query(f"CREATE DATABASE {database.name} OWNER loader TEMPLATE {_TEMPLATE}")
    database.query("GRANT ALL ON SCHEMA public TO loader")
    try:
        yield database
    finally:
        database.wait()
        admin.query(f"DROP DATABASE {database.name} WITH (FORCE)")
