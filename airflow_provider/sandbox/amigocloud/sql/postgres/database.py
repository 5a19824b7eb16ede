"""Database of a sandbox: made on a server when the sandbox starts, removed when it stops.

The role of the users' statements is one that can log in, with a random password. A role that the owner
only switched to could be left by a statement.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from copy import copy
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from airflow_provider.sandbox.amigocloud.sql.postgres import schema, values
from airflow_provider.sandbox.amigocloud.sql.postgres.address import Address
from airflow_provider.sandbox.service import StartError

PREFIX = "amigocloud_sandbox_"
CONNECT_SECONDS = 10

_LOCALE = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
"""Texts are ordered as people order them, not by their bytes, as on most servers."""

_DATABASE_GRANTS = (
    "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
)
_GRANTS = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public, past TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
"""

_FORBIDDEN_FUNCTIONS = (
    r"^(pg_sleep.*|set_config|lo_.*|lowrite|pg_(try_)?advisory_.*|pg_notify|pg_terminate_backend"
    r"|pg_cancel_backend|pg_export_snapshot|pg_logical_emit_message|pg_stat_get_activity"
    r"|pg_read_.*|pg_ls_.*|pg_stat_file|query_to_xml.*|cursor_to_xml.*|database_to_xml.*|schema_to_xml.*)$"
)
_FORBIDDEN_VIEWS = ("pg_stat_activity", "pg_stat_database", "pg_database", "pg_roles", "pg_user", "pg_locks")

Connection = psycopg.Connection[Any]


class Database:
    """A database and a role, both with a name of their own.

    :param address: the server, and a user who may create databases, roles and the extension PostGIS.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = self.role = PREFIX + secrets.token_hex(6)
        self.geometry = 0
        self._password = secrets.token_urlsafe(24)
        self._admin: Connection | None = None
        self._owner: Connection | None = None
        self._user: Connection | None = None

    def create(self) -> None:
        """Create the database and the role; on failure nothing is left.

        :raises StartError: when the server cannot be used.
        """
        try:
            admin = self._admin = self._connect(dict(self.address.parameters))
        except psycopg.Error as error:
            problem = "refuses the connection" if "FATAL:" in str(error) else "cannot be reached"
            raise self._error(problem, error) from None
        try:
            _remove_abandoned(admin)
            self._create_database(admin)
            self._set_up()
        except psycopg.Error as error:
            self.remove()
            reason = "must have PostGIS, and a user who may create databases, roles and extensions"
            raise self._error(reason, error) from None
        except BaseException:
            self.remove()
            raise

    def _error(self, problem: str, error: psycopg.Error) -> StartError:
        said = " ".join(str(error.diag.message_primary or error).split())
        text = f"AmigoCloud's SQL: the PostgreSQL server at {self.address.server} {problem}: {said}"
        return StartError(self.address.redacted(text))

    def _create_database(self, admin: Connection) -> None:
        # Held as long as the sandbox runs; the database of one that was killed has no such lock.
        admin.execute(self._sql("SELECT pg_advisory_lock(hashtextextended({name}, 0))"))
        admin.execute(self._sql("CREATE ROLE {role} LOGIN NOINHERIT CONNECTION LIMIT 64 PASSWORD {password}"))
        create = "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' "
        try:
            admin.execute(self._sql(create + _LOCALE))
        except psycopg.Error:  # a server without this library, or before PostgreSQL 15
            admin.execute(self._sql(create))
        admin.execute(self._sql("COMMENT ON DATABASE {database} IS {process}"))

    def _set_up(self) -> None:
        db = self.owner()
        with db.transaction():
            db.execute(schema.SETUP)
            for grant in (*_DATABASE_GRANTS, _GRANTS):
                db.execute(self._sql(grant))
        with suppress(psycopg.errors.InsufficientPrivilege), db.transaction():
            self._forbid(db)
        ((self.geometry,),) = db.execute("SELECT 'public.geometry'::regtype::oid::integer").fetchall()
        self.user()

    def _forbid(self, db: Connection) -> None:
        """Forbid users what they could disturb others with; only a superuser can."""
        found = db.execute(
            "SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ %s",
            [_FORBIDDEN_FUNCTIONS],
        ).fetchall()
        for (function,) in found:
            db.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        for view in _FORBIDDEN_VIEWS:
            db.execute(SQL("REVOKE SELECT ON {} FROM PUBLIC").format(Identifier(view)))
        db.execute(self._sql("ALTER ROLE {role} SET temp_file_limit = '1GB'"))

    def copy(self, number: int) -> Database:
        """Return a copy with a connection of its own, which the original removes with itself.

        :param number: number of the copy.
        """
        copied = copy(self)
        copied.name = f"{self.name}_{number}"
        copied._admin = admin = self._connect(dict(self.address.parameters))
        admin.execute(copied._sql("SELECT pg_advisory_lock(hashtextextended({name}, 0))"))
        template = SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(template.format(Identifier(copied.name), Identifier(self.name)))
        admin.execute(copied._sql("COMMENT ON DATABASE {database} IS {process}"))
        for grant in _DATABASE_GRANTS:
            admin.execute(copied._sql(grant))
        return copied

    # -- connections

    def owner(self) -> Connection:
        """Return the connection of the owner, connected again when it was lost."""
        if self._owner is None or not _is_alive(self._owner):
            self._owner = self._connect(self.address.with_changes(dbname=self.name))
            self._owner.execute("SET search_path TO public")
        return self._owner

    def user(self) -> Connection:
        """Return the connection of the role for users' statements, connected again when it was lost."""
        if self._user is None or not _is_alive(self._user):
            access = {"dbname": self.name, "user": self.role, "password": self._password}
            self._user = self._connect(self.address.with_changes(**access))
        return self._user

    def _connect(self, parameters: dict[str, str]) -> Connection:
        chosen: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, **parameters}
        db = psycopg.connect(**chosen, autocommit=True, client_encoding="utf8", prepare_threshold=None)
        db.execute("SET TIME ZONE 'UTC'; SET DateStyle TO 'ISO, YMD'; SET IntervalStyle TO 'postgres'")
        values.adapt(db)
        return db

    def disconnect(self) -> None:
        """Close the connections to the database."""
        for opened in (self._user, self._owner):
            if opened is not None:
                opened.close()
        self._user = self._owner = None

    # -- removal

    def remove(self) -> None:
        """Drop the database, its copies and the role, and close all connections."""
        self.disconnect()
        if self._admin is None:
            return
        try:
            with self._connect(dict(self.address.parameters)) as admin:
                for name in _names(admin, self.name):
                    admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
                admin.execute(self._sql("DROP ROLE IF EXISTS {role}"))
        except psycopg.Error:  # the server has ended; a later sandbox removes what is left
            pass
        finally:
            self._admin.close()
            self._admin = None

    def _sql(self, text: str) -> Composed:
        return SQL(text).format(
            database=Identifier(self.name),
            role=Identifier(self.role),
            name=Literal(self.name),
            process=Literal(f"{socket.gethostname()} {os.getpid()}"),
            password=Literal(self._password),
        )


def _is_alive(connection: Connection) -> bool:
    """Return whether a connection can be used: a server that was started again has none of the old ones."""
    if connection.closed:
        return False
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def _names(admin: Connection, prefix: str) -> list[str]:
    """Return the names of databases that begin so, copies before their originals."""
    found = admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
    return sorted((name for (name,) in found.fetchall()), key=len, reverse=True)


def _remove_abandoned(admin: Connection) -> None:
    """Drop the databases of sandboxes that were killed."""
    for name in _names(admin, PREFIX):
        if _has_process(admin, name):
            continue
        locked = admin.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchall()
        if locked != [(True,)]:
            continue
        with suppress(psycopg.Error):  # connected: it belongs to a sandbox with another database
            admin.execute(SQL("DROP DATABASE {}").format(Identifier(name)))
            admin.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(name)))
        admin.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _has_process(admin: Connection, name: str) -> bool:
    """Return whether a database's sandbox runs on this machine: a restart of the server frees its lock."""
    sql = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    ((comment,),) = admin.execute(sql, [name]).fetchall() or [(None,)]
    host, _, process = (comment or "").rpartition(" ")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
