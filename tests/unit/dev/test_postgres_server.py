"""PostgreSQL of the tests: a server with PostGIS, and an empty database for each test."""

from __future__ import annotations

import psycopg
import pytest

from dev import postgres_server
from tests.support.postgres import PASSWORD, new_database


def test_a_database_has_postgis(database):
    sql = "SELECT ST_AsText(ST_Transform('SRID=4326;POINT(12 55)'::geometry, 25832), 0)"
    assert database.query(sql) == [("POINT(691876 6098908)",)]


def test_a_server_on_data_that_it_has_starts_again(database):
    database.query("CREATE TABLE kept (n int)")
    database.restart()
    assert database.query("SELECT count(*) FROM kept") == [(0,)]


def test_what_a_test_has_left_is_gone_when_its_database_is_used_again(running_postgres):
    with new_database(running_postgres) as first:
        first.query("CREATE TABLE rows_remnant (n int, g geometry); CREATE VIEW view_remnant AS SELECT 1")
        first.query("CREATE TYPE type_remnant AS ENUM ('a')")
        first.query("CREATE SCHEMA schema_remnant; CREATE TABLE schema_remnant.a ()")
        first.query("CREATE FUNCTION function_remnant() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        with first.connect(user="loader", password=PASSWORD) as connection:
            connection.execute("CREATE TABLE own_remnant (n serial)")
    with new_database(running_postgres) as second:
        assert second.name == first.name
        assert second.query("""
            SELECT relname FROM pg_class WHERE relname ~ '_remnant' UNION SELECT typname FROM pg_type
            WHERE typname ~ '_remnant' UNION SELECT proname FROM pg_proc WHERE proname ~ '_remnant'
            UNION SELECT nspname FROM pg_namespace WHERE nspname ~ '_remnant'""") == []  # fmt: skip
        with second.connect(user="loader", password=PASSWORD) as connection:
            connection.execute("CREATE TABLE may_be_created (g geometry)")


@pytest.mark.parametrize(
    "change",
    ["DROP EXTENSION postgis", "ALTER DATABASE {name} SET DateStyle TO 'SQL'"],
)
def test_a_database_that_cannot_be_emptied_is_dropped(running_postgres, change):
    with new_database(running_postgres) as first:
        first.query(change.format(name=first.name))
    with new_database(running_postgres) as second:
        assert second.name != first.name
        assert second.query("SELECT datname FROM pg_database WHERE datname = '" + first.name + "'") == []


def test_the_role_needs_its_password(database):
    database.connect(user="loader", password=PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.connect(user="loader", password="wrong")


def test_programs_that_the_servers_user_cannot_reach_are_copied(tmp_path, monkeypatch):
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "postgres").touch()
    monkeypatch.setattr(postgres_server, "ROOT", tmp_path)
    monkeypatch.setattr(postgres_server.os, "geteuid", lambda: 0)
    server = postgres_server.PostgresServer(tmp_path / "log", postgis=True)
    server.folder = tmp_path / "copy"
    server.folder.mkdir()
    programs = server._use_unpacked(tmp_path / "usr" / "bin")
    assert programs == tmp_path / "copy" / "usr" / "bin"
    assert (programs / "postgres").exists()
