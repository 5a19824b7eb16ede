"""PostgreSQL with PostGIS for tests: one server per process, an empty database per test.

A new database with PostGIS costs the server a tenth of a second of processor time, so that a test gets that
of the test before it, emptied. It is used again only when its catalogues are those of a new one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from dev.postgres_server import PostgresServer
from tests.support.own_folder import OWN

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
    server = PostgresServer(folder / "postgres.log", postgis=True, home=OWN)
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
    """Yield an empty database; empty it afterwards for the next test, or drop it when that fails.

    :param server: a running server.
    """
    database = _spare.pop(server, None) or _create(server)
    try:
        yield database
    finally:
        database.wait()
        if _empty(database):
            _spare[server] = database
        else:
            Database(server, "airflow").query(f"DROP DATABASE {database.name} WITH (FORCE)")


def _create(server: PostgresServer) -> Database:
    database = Database(server, f"test_{uuid.uuid4().hex[:12]}")
    Database(server, "airflow").query(f"CREATE DATABASE {database.name} OWNER loader TEMPLATE {_TEMPLATE}")
    database.query("GRANT ALL ON SCHEMA public TO loader")
    if server not in _catalogues:
        with database.connect() as connection:
            _catalogues[server] = _read_catalogues(connection)
    return database


def _empty(database: Database) -> bool:
    """Remove what a test has left in a database; return whether it is like a new one."""
    try:
        with database.connect() as connection:
            connection.execute("SET lock_timeout TO '10s'")
            connection.execute(_END_OTHERS)
            connection.execute("DROP OWNED BY loader CASCADE")
            connection.execute(_DROP_OTHERS)
            connection.execute("GRANT ALL ON SCHEMA public TO loader")
            return _read_catalogues(connection) == _catalogues[database.server]
    except psycopg.Error:
        return False


def _read_catalogues(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(_CATALOGUES).fetchall()


_spare: WeakKeyDictionary[PostgresServer, Database] = WeakKeyDictionary()
_catalogues: WeakKeyDictionary[PostgresServer, list[tuple[Any, ...]]] = WeakKeyDictionary()

_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_DROP_OTHERS = """
DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT nspname FROM pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'public') AND nspname !~ '^pg_(toast|temp)'
  LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname);
  END LOOP;
  FOR found IN SELECT relname, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind
    FROM pg_class AS relation
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (
      SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
      AND deptype IN ('e', 'a', 'i'))
  LOOP
    EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', found.kind, found.relname);
  END LOOP;
  FOR found IN SELECT oid::regprocedure::text AS name FROM pg_proc AS routine
    WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
      SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = routine.oid
      AND deptype IN ('e', 'i'))
  LOOP
    EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', found.name);
  END LOOP;
  FOR found IN SELECT typname FROM pg_type AS kind
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('c', 'd', 'e', 'r') AND NOT EXISTS (
      SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = kind.oid
      AND deptype IN ('e', 'a', 'i'))
  LOOP
    EXECUTE format('DROP TYPE IF EXISTS public.%I CASCADE', found.typname);
  END LOOP;
END $$
"""
"""Drops what the administrator has created, outside of PostGIS."""

_CATALOGUES = """
SELECT 'relations', md5(string_agg(concat_ws(' ', oid, relowner, relacl, relnatts, reltriggers), ','
    ORDER BY oid)) FROM (SELECT *, relhastriggers AS reltriggers FROM pg_class) AS relations
UNION ALL SELECT 'functions', md5(string_agg(concat_ws(' ', oid, proowner, proacl), ',' ORDER BY oid))
    FROM pg_proc
UNION ALL SELECT 'types', md5(string_agg(concat_ws(' ', oid, typowner, typacl), ',' ORDER BY oid))
    FROM pg_type
UNION ALL SELECT 'schemas', md5(string_agg(concat_ws(' ', nspname, nspowner, nspacl), ',' ORDER BY nspname))
    FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
UNION ALL SELECT 'other objects', md5(string_agg(oid::text, ',' ORDER BY oid)) FROM (
    SELECT oid FROM pg_extension UNION ALL SELECT oid FROM pg_collation UNION ALL SELECT oid FROM pg_cast
    UNION ALL SELECT oid FROM pg_operator UNION ALL SELECT oid FROM pg_constraint
    UNION ALL SELECT oid FROM pg_rewrite
    UNION ALL SELECT oid FROM pg_event_trigger UNION ALL SELECT oid FROM pg_default_acl
    UNION ALL SELECT oid FROM pg_language UNION ALL SELECT oid FROM pg_foreign_server
    UNION ALL SELECT oid FROM pg_publication UNION ALL SELECT oid FROM pg_largeobject_metadata
    UNION ALL SELECT oid FROM pg_aggregate JOIN pg_proc ON oid = aggfnoid) AS others
UNION ALL SELECT 'settings', md5(string_agg(setconfig::text, ',')) FROM pg_db_role_setting JOIN pg_database
    ON pg_database.oid = setdatabase WHERE datname = current_database()
UNION ALL SELECT 'database', concat_ws(' ', datdba, datallowconn, datconnlimit, datacl) FROM pg_database
    WHERE datname = current_database()
UNION ALL SELECT 'reference systems', count(*)::text FROM spatial_ref_sys
"""
"""What a test can change in a database, but for rows of tables, which are gone with their tables."""
