"""PostgreSQL of the tests: a server with PostGIS, and an empty database for each test."""

from __future__ import annotations

import psycopg
import pytest

from dev import postgres_server
from tests.support.postgres import PASSWORD


def test_a_database_has_postgis(database):
    sql = "SELECT ST_AsText(ST_Transform('SRID=4326;POINT(12 55)'::geometry, 25832), 0)"
    assert database.query(sql) == [("POINT(691876 6098908)",)]


def test_a_server_on_data_that_it_has_starts_again(database):
    database.query("CREATE TABLE kept (n int)")
    database.restart()
    assert database.query("SELECT count(*) FROM kept") == [(0,)]


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
