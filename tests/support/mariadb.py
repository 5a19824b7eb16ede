"""MariaDB for tests: one server per process, an empty database per test, and a hook for each driver."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mysql.connector
import pymysql
from airflow.providers.common.sql.hooks.sql import DbApiHook

from dev.mariadb_server import MariaDbServer
from tests.support.own_folder import OWN
from tests.support.postgres import PASSWORD

DRIVERS = ["pymysql", "mysql-connector"]
"""PyMySQL has the interface of MySQLdb, the default of Airflow's hook, which cannot be installed without a
compiler; the other driver is the one that Airflow's hook takes besides."""

NO_TLS = {"ssl_disabled": True}
"""The server has no certificate, and reading those of the machine takes longer than most tests."""

_WAIT_SECONDS = 30.0


class _MySqlHook(DbApiHook):
    """Hook of MySQL, as Airflow's has it."""

    conn_name_attr = "mysql_conn_id"
    conn_type = "mysql"
    hook_name = "MySQL"
    supports_autocommit = True

    @property
    def _access(self) -> dict[str, Any]:
        conn = self.connection
        access = {"host": conn.host, "port": conn.port, "user": conn.login, "password": conn.password}
        return {**access, "database": conn.schema, **NO_TLS}


class PyMySqlHook(_MySqlHook):
    """Hook of MySQL with PyMySQL."""

    def get_conn(self) -> Any:
        access = {**self._access, "password": self.connection.password.encode()}
        return pymysql.connect(**access, charset="utf8mb4")

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        conn.autocommit(autocommit)


class MySqlConnectorHook(_MySqlHook):
    """Hook of MySQL with its own driver."""

    def get_conn(self) -> Any:
        return mysql.connector.connect(**self._access)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        conn.autocommit = autocommit


HOOKS: dict[str, type[DbApiHook]] = {"pymysql": PyMySqlHook, "mysql-connector": MySqlConnectorHook}


@dataclass(frozen=True)
class Database:
    """A database that the user ``loader`` may do everything with.

    :param server: the server that has it.
    :param name: its name.
    """

    server: MariaDbServer
    name: str

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, and return its rows; none for one without rows."""
        access = {"host": "127.0.0.1", "port": self.server.port, "user": "root", "charset": "utf8mb4"}
        connection = pymysql.connect(**access, database=self.name, autocommit=True, **NO_TLS)
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def airflow_connection(self, **changes: Any) -> str:
        """Return an Airflow connection of the user ``loader`` as JSON.

        :param changes: fields that differ, such as ``port`` for a proxy.
        """
        fields = {
            "conn_type": "mysql",
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
        wait(self.server)


def wait(server: MariaDbServer) -> None:
    """Wait until a server accepts connections.

    :param server: the server, which was started.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            Database(server, "mysql").query("SELECT 1")
            return
        except pymysql.OperationalError:
            if time.monotonic() > deadline or not (server.started and server.started.alive()):
                raise
        time.sleep(0.05)


@contextmanager
def running_server(folder: Path) -> Iterator[MariaDbServer]:
    """Start a server, yield it, and stop it.

    :param folder: takes its log.
    """
    server = MariaDbServer(folder / "mariadb.log", home=OWN)
    try:
        server.start()
        wait(server)
        password = PASSWORD.replace("'", "''")
        Database(server, "mysql").query(f"CREATE USER loader@'127.0.0.1' IDENTIFIED BY '{password}'")
        yield server
    finally:
        server.stop()


@contextmanager
def new_database(server: MariaDbServer) -> Iterator[Database]:
    """Create a database, yield it, and drop it.

    :param server: a running server.
    """
    admin, name = Database(server, "mysql"), f"test_{uuid.uuid4().hex[:12]}"
    admin.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    admin.query(f"GRANT ALL ON {name}.* TO loader@'127.0.0.1'")
    try:
        yield Database(server, name)
    finally:
        admin.query(f"DROP DATABASE {name}")
