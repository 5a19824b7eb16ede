"""A file in a table of PostgreSQL: all of it or nothing, with each value unchanged."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError

ROWS = [
    {"id": 1, "name": "a", "n": 1.5},
    {"id": 2, "name": "", "n": None},
    {"id": 3, "name": None, "n": 12345678901234.125},
]


def write(path, rows=ROWS):
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        names = list(rows[0])
        lines = [",".join("" if row[n] is None else str(row[n]) for n in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def table(database):
    database.query("CREATE TABLE t (id int PRIMARY KEY, name text, n numeric, more text DEFAULT 'kept')")
    database.query("ALTER TABLE t OWNER TO loader")
    return database


def rows_of(database, columns="id, name, n", table="t"):
    return database.query(f"SELECT {columns} FROM {table} ORDER BY 1")


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_replace_has_all_new_rows_and_none_of_the_old(table, load, tmp_path, driver, suffix):
    table.query("INSERT INTO t VALUES (9, 'old', 1)")
    result = load(write(tmp_path / f"a.{suffix}"))
    assert result == {
        "table": "t",
        "rows": 3,
        "inserted": 3,
        "updated": 0,
        "deleted": 1,
        "load_id": "dag/manual__1/load/-1",
    }
    empty = None if suffix == "csv" else ""
    found = [(row[0], row[1], None if row[2] is None else float(row[2])) for row in rows_of(table)]
    assert found == [(1, "a", 1.5), (2, empty, None), (3, None, 12345678901234.125)]
    assert rows_of(table, "DISTINCT more") == [("kept",)]


def test_merge_writes_only_rows_that_differ(table, load, tmp_path, driver):
    load(write(tmp_path / "a.jsonl"))
    table.query("UPDATE t SET more = 'mine'")
    before = dict(rows_of(table, "id, xmin::text"))
    changed = [{**ROWS[0], "name": "b"}, *ROWS[1:], {"id": 4, "name": "new", "n": 1}]
    result = load(write(tmp_path / "b.jsonl", changed), mode="merge", key=["id"])
    assert (result["rows"], result["inserted"], result["updated"], result["deleted"]) == (4, 1, 1, 0)
    after = dict(rows_of(table, "id, xmin::text"))
    assert [id_ for id_ in before if before[id_] != after[id_]] == [1]
    assert rows_of(table, "id, name, more") == [
        (1, "b", "mine"),
        (2, "", "mine"),
        (3, None, "mine"),
        (4, "new", "kept"),
    ]


def test_append_is_loaded_once(table, load, tmp_path, driver):
    path = write(tmp_path / "a.jsonl")
    first = load(path, mode="append")
    second = load(path, mode="append")
    assert second == {**first, "already_loaded": True}
    assert len(rows_of(table)) == 3


def test_an_append_with_other_content_is_refused_with_advice(table, load, tmp_path):
    load(write(tmp_path / "a.jsonl"), mode="append")
    with pytest.raises(InputError, match=r"has appended other content \(3 rows.*mode='merge'"):
        load(write(tmp_path / "b.jsonl", [{"id": 7, "name": "x", "n": 1}]), mode="append")
    assert len(rows_of(table)) == 3


def test_a_role_without_an_encoding_changes_no_text(table, load, tmp_path, driver, monkeypatch):
    """psycopg read bytes of PostgreSQL's catalogues: the table was "no table but a view"."""
    extra = json.dumps({"options": "-c client_encoding=SQL_ASCII"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", table.airflow_connection(extra=extra))
    load(write(tmp_path / "a.jsonl", [{"id": 1, "name": "ü€"}]))
    assert rows_of(table, "name") == [("ü€",)]


@pytest.mark.parametrize(
    ("setting", "value", "stored"),
    [
        ("array_nulls=off", {"names": [None, "NULL"]}, '{NULL,"NULL"}'),
        ("intervalstyle=sql_standard", {"span": "-1 02:03:00"}, "-1 days +02:03:00"),
    ],
)
def test_settings_of_a_role_change_no_value(
    database, load, tmp_path, driver, monkeypatch, setting, value, stored
):
    """Without an error, NULL in a list became the text NULL, and an interval another one."""
    database.query("CREATE TABLE s (names text[], span interval); ALTER TABLE s OWNER TO loader")
    extra = json.dumps({"options": f"-c {setting}"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=extra))
    load(write(tmp_path / "a.jsonl", [value]), table="s")
    assert database.query("SELECT COALESCE(names::text, span::text) FROM s") == [(stored,)]
