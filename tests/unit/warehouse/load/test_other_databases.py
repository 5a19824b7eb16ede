"""A file in a table of DuckDB and of SQLite: the same modes, checks and results."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError, ProviderError
from tests.support.sql_sources import DuckDBHook, register_hook

ROWS = [{"id": 1, "name": "a", "n": 1.5}, {"id": 2, "name": "", "n": None}, {"id": 3, "name": None, "n": 2.0}]


class Store:
    """A database file that the connection ``warehouse`` leads to."""

    def __init__(self, kind: str, path: str) -> None:
        self.kind, self.path = kind, path

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection: Any = sqlite3.connect(self.path) if self.kind == "sqlite" else duckdb.connect(self.path)
        try:
            rows = [tuple(row) for row in connection.execute(sql).fetchall()]
            connection.commit()
            return rows
        finally:
            connection.close()


@pytest.fixture(params=["sqlite", "duckdb"])
def store(request, tmp_path, monkeypatch):
    path = str(tmp_path / f"w.{request.param}")
    connection = {"conn_type": request.param, "host": path}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    if request.param == "duckdb":
        register_hook(monkeypatch, DuckDBHook)
    store = Store(request.param, path)
    store.query("CREATE TABLE t (id int PRIMARY KEY, name text, n double, more text DEFAULT 'kept')")
    return store


def write(path, rows=ROWS):
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_replace_has_all_new_rows_and_none_of_the_old(store, load, tmp_path, suffix):
    store.query("INSERT INTO t VALUES (9, 'old', 1, 'x')")
    result = load(write(tmp_path / f"a.{suffix}"))
    assert (result["rows"], result["inserted"], result["updated"], result["deleted"]) == (3, 3, 0, 1)
    assert store.query("SELECT id, name, n, more FROM t ORDER BY id") == [
        (1, "a", 1.5, "kept"),
        (2, "", None, "kept"),
        (3, None, 2.0, "kept"),
    ]


def test_replace_takes_the_same_keys_as_before(store, load, tmp_path):
    load(write(tmp_path / "a.jsonl"))
    assert load(write(tmp_path / "a.jsonl"))["deleted"] == 3
    assert store.query("SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_merge_updates_what_differs_and_inserts_what_is_new(store, load, tmp_path, suffix):
    load(write(tmp_path / "a.jsonl"))
    store.query("UPDATE t SET more = 'mine'")
    rows = [{**ROWS[0], "name": "b"}, *ROWS[1:], {"id": 4, "name": "new", "n": 1.0}]
    result = load(write(tmp_path / f"b.{suffix}", rows), mode="merge", key=["id"])
    assert (result["rows"], result["inserted"], result["updated"], result["deleted"]) == (4, 1, 1, 0)
    assert store.query("SELECT id, name, more FROM t ORDER BY id") == [
        (1, "b", "mine"),
        (2, "", "mine"),
        (3, None, "mine"),
        (4, "new", "kept"),
    ]


@pytest.mark.parametrize("collation", ["nocase", "rtrim"])
def test_merge_sees_differences_that_the_collation_ignores(store, load, tmp_path, collation):
    if store.kind == "duckdb":
        collation = "nocase"
    store.query(f"CREATE TABLE c (id int PRIMARY KEY, name text COLLATE {collation})")
    load(write(tmp_path / "a.jsonl", [{"id": n, "name": "Hall"} for n in range(3)]), table="c")
    rows = [{"id": 0, "name": "Hall"}, {"id": 1, "name": "hall"}, {"id": 2, "name": "Hall "}]
    result = load(write(tmp_path / "b.jsonl", rows), table="c", mode="merge", key=["id"])
    assert (result["inserted"], result["updated"]) == (0, 2)
    assert store.query("SELECT name FROM c ORDER BY id") == [("Hall",), ("hall",), ("Hall ",)]


def test_append_is_loaded_once(store, load, tmp_path):
    path = write(tmp_path / "a.jsonl")
    first = load(path, mode="append")
    assert load(path, mode="append") == {**first, "already_loaded": True}
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_a_value_that_does_not_fit_is_named_by_row_and_column_and_changes_nothing(store, load, tmp_path):
    store.query("INSERT INTO t VALUES (9, 'old', 1, 'x')")
    path = write(tmp_path / "a.jsonl", [ROWS[0], {"id": "secret-value", "name": "x", "n": 1}])
    with pytest.raises(
        InputError, match=r"column 'id' does not fit the type \w+ \(1 rows: row 2\)"
    ) as caught:
        load(path)
    assert "secret-value" not in str(caught.value)
    assert store.query("SELECT id FROM t") == [(9,)]


def test_keys_that_are_there_twice_are_named(store, load, tmp_path):
    path = write(tmp_path / "a.jsonl", [ROWS[0], ROWS[0], ROWS[1], {"name": "x"}])
    with pytest.raises(InputError) as caught:
        load(path, mode="merge", key=["id"])
    assert caught.value.problems == [
        "the key (id) is empty in 1 rows: row 4",
        "the key (id) = (1) is there 2 times",
    ]


def test_a_constraint_that_breaks_changes_nothing(store, load, tmp_path):
    store.query("INSERT INTO t VALUES (1, 'old', 1, 'x')")
    with pytest.raises(ProviderError, match="constraint") as caught:
        load(write(tmp_path / "a.jsonl"), mode="append")
    assert "a" not in str(caught.value).split("'")
    assert store.query("SELECT id FROM t") == [(1,)]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_full_disk_has_the_name_that_sqlite_gives_it(store, load, tmp_path):
    """A limit of the size of files stands for a disk without space."""
    store.query(f"INSERT INTO t VALUES (0, '{'x' * 200_000}', 0, '')")
    path = write(tmp_path / "a.jsonl", [{"id": n, "name": "x" * 1000} for n in range(1, 100)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(store.path).stat().st_size, before[1]))
    try:
        with pytest.raises(ProviderError, match=r"OperationalError \(SQLITE_(FULL|IOERR_WRITE)\)$"):
            load(path, mode="append")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert store.query("SELECT id FROM t") == [(0,)]


def test_a_table_is_created_from_the_types_of_the_source(store, load, tmp_path):
    result = load(write(tmp_path / "a.parquet"), table="made", create=True, key=["id"], mode="merge")
    assert result["inserted"] == 3
    assert store.query("SELECT id, name, n FROM made ORDER BY id") == [
        (1, "a", 1.5),
        (2, "", None),
        (3, None, 2.0),
    ]
