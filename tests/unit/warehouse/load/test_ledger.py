"""The ledger of appends: what was loaded is not loaded twice, and what was not loaded is."""

from __future__ import annotations

import json

import pytest

from airflow_provider.errors import InputError

pytestmark = pytest.mark.slow  # the ledger does not depend on versions

ROWS = [{"id": 1, "name": "a", "more": "x"}, {"id": 2, "name": "b", "more": "y"}]


@pytest.fixture
def tables(database):
    for name in ("t", "t2"):
        database.query(
            f"CREATE TABLE {name} (id int, name text, more text); ALTER TABLE {name} OWNER TO loader"
        )
    return database


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path / "a.jsonl"


def count(database, table="t"):
    return database.query(f"SELECT count(*)::int FROM {table}")[0][0]


@pytest.mark.parametrize("first", ["replace", "append"])
def test_an_append_into_another_table_is_loaded(tables, load, path, first):
    load(path, mode=first)
    result = load(path, "t2", mode="append")
    assert "already_loaded" not in result
    assert (count(tables), count(tables, "t2")) == (2, 2)
    for table in ("t2", "public.t2"):
        assert load(path, table, mode="append")["already_loaded"] is True
    if first == "append":
        assert load(path, mode="append")["already_loaded"] is True
    assert count(tables, "t2") == 2


def test_an_append_after_a_replace_of_the_same_task_is_loaded(tables, load, path, tmp_path):
    load(path)
    (tmp_path / "b.jsonl").write_text('{"id": 3}\n')
    assert load(tmp_path / "b.jsonl", mode="append")["inserted"] == 1
    assert count(tables) == 3


def test_an_append_whose_rows_a_replace_of_the_same_task_deleted_is_loaded_again(
    tables, load, path, tmp_path
):
    load(path, mode="append")
    (tmp_path / "b.jsonl").write_text('{"id": 3}\n')
    load(tmp_path / "b.jsonl", mode="replace")
    assert load(path, mode="append")["inserted"] == 2
    assert count(tables) == 3


def test_a_merge_in_between_does_not_make_an_append_load_twice(tables, load, path):
    load(path, mode="append")
    load(path, mode="merge", key=["id"])
    assert load(path, mode="append")["already_loaded"] is True
    assert count(tables) == 2


@pytest.mark.parametrize("changed", [{"ignore": ["more"]}, {"ignore": ["name"], "columns": {"more": "name"}}])
def test_an_append_with_other_columns_is_refused_with_that_reason(tables, load, path, changed):
    load(path, mode="append")
    with pytest.raises(InputError, match=r"has appended this content with other 'columns'.*mode='merge'"):
        load(path, mode="append", **changed)
    load(path, "t2", mode="append", **changed)
    assert load(path, "t2", mode="append", **changed)["already_loaded"] is True
    assert (count(tables), count(tables, "t2")) == (2, 2)


def test_long_names_of_tasks_fit_into_the_ledger():
    from airflow_provider.warehouse.load.execution import ledger_id

    one, two = (ledger_id("d" * 500, (name,), "append") for name in ("t", "t2"))
    assert one != two
    assert len(one) == len(two) == 400


def test_a_ledger_with_ids_of_tasks_alone_is_kept(tables, load, path):
    tables.query(
        "CREATE TABLE _twin_loads (load_id text PRIMARY KEY, rows bigint NOT NULL, sha256 text NOT NULL,"
        " loaded_at timestamptz NOT NULL); ALTER TABLE _twin_loads OWNER TO loader;"
        "INSERT INTO _twin_loads VALUES ('dag/manual__1/load/-1', 2, 'x', now())"
    )
    for _ in range(2):
        load(path, mode="append")
    assert count(tables) == 2
    assert tables.query("SELECT load_id FROM _twin_loads ORDER BY 1") == [
        ("dag/manual__1/load/-1",),
        ("dag/manual__1/load/-1/t/append",),
    ]
