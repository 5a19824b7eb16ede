"""A file in a table of MariaDB: modes, values, checks, and what a broken connection leaves."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError, ProviderError, TransportError
from airflow_provider.warehouse.load import execution
from airflow_provider.warehouse.load.databases.mariadb import MariaDb
from tests.support import mariadb
from tests.support.sql_sources import register_hook

COLUMNS = "id int PRIMARY KEY, name varchar(20), n double, more varchar(20) DEFAULT 'kept'"
ROWS = [{"id": 1, "name": "a", "n": 1.5}, {"id": 2, "name": "", "n": None}, {"id": 3, "name": None, "n": 2.0}]


@pytest.fixture(params=mariadb.DRIVERS)
def store(request, running_mariadb, monkeypatch):
    register_hook(monkeypatch, mariadb.HOOKS[request.param])
    with mariadb.new_database(running_mariadb) as database:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
        database.query(f"CREATE TABLE t ({COLUMNS})")
        yield database


@pytest.fixture
def write(tmp_path):
    def write(rows, suffix="jsonl"):
        path = tmp_path / f"a.{suffix}"
        if suffix == "parquet":
            parquet.write_table(pa.Table.from_pylist(rows), path)
        elif suffix == "csv":
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            path.write_text("\n".join(lines) + "\n")
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_replace_has_all_new_rows_and_none_of_the_old(store, load, write, suffix):
    store.query("INSERT INTO t VALUES (9, 'old', 1, 'x'), (1, 'old', 1, 'x')")
    result = load(write(ROWS, suffix))
    assert (result["rows"], result["inserted"], result["updated"], result["deleted"]) == (3, 3, 0, 2)
    assert store.query("SELECT * FROM t ORDER BY id") == [
        (1, "a", 1.5, "kept"),
        (2, "", None, "kept"),
        (3, None, 2.0, "kept"),
    ]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_a_replace_that_would_change_other_tables_is_refused(store, load, write, action):
    store.query(
        "CREATE TABLE other (t_id int, CONSTRAINT to_t FOREIGN KEY (t_id) REFERENCES t (id)"
        f" ON DELETE {action})"
    )
    store.query("INSERT INTO t VALUES (2, 'old', 1, 'x')")
    store.query("INSERT INTO other VALUES (2)")
    with pytest.raises(InputError, match="the foreign key 'to_t' of the table 'other'.*mode='merge'"):
        load(write(ROWS))
    assert store.query("SELECT id, t_id FROM t, other") == [(2, 2)]
    assert load(write(ROWS), mode="merge", key=["id"])["inserted"] == 2


def test_a_replace_of_a_table_that_refers_to_itself_is_loaded(store, load, write):
    store.query("ALTER TABLE t ADD parent int, ADD FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE")
    store.query("INSERT INTO t VALUES (2, 'old', 1, 'x', 2)")
    assert load(write(ROWS))["deleted"] == 1


def test_merge_writes_only_rows_that_differ(store, load, write):
    store.query("INSERT INTO t VALUES (1, 'a', 1.5, 'x'), (2, 'b', NULL, 'x'), (9, 'old', 1, 'x')")
    result = load(write(ROWS), mode="merge", key=["id"])
    assert [result[name] for name in ("rows", "inserted", "updated", "deleted")] == [3, 1, 1, 0]
    assert store.query("SELECT id, name, more FROM t ORDER BY id") == [
        (1, "a", "x"),
        (2, "", "x"),
        (3, None, "kept"),
        (9, "old", "x"),
    ]


def test_merge_sees_differences_that_the_collation_ignores(store, load, write):
    store.query("INSERT INTO t VALUES (1, 'Hall', 1, 'x'), (2, 'Hall', 1, 'x'), (3, 'Hall', 1, 'x')")
    rows = [{"id": n, "name": name, "n": 1} for n, name in ((1, "hall"), (2, "Hall "), (3, "Hall"))]
    result = load(write(rows), mode="merge", key=["id"])
    assert (result["inserted"], result["updated"]) == (0, 2)
    assert store.query("SELECT name FROM t ORDER BY id") == [("hall",), ("Hall ",), ("Hall",)]


@pytest.mark.parametrize("kind", ["int", "bigint unsigned", "double"])
def test_the_key_zero_of_a_counted_column_stays_zero(store, load, write, kind):
    store.query(f"CREATE TABLE counted (id {kind} AUTO_INCREMENT PRIMARY KEY, name varchar(20))")
    path = write([{"id": 0, "name": "a"}, {"id": 5, "name": "b"}])
    load(path, table="counted")
    for _ in range(2):
        result = load(path, table="counted", mode="merge", key=["id"])
        assert (result["inserted"], result["updated"]) == (0, 0)
    assert store.query("SELECT id, name FROM counted ORDER BY id") == [(0, "a"), (5, "b")]
    load(write([{"name": "c"}]), table="counted", mode="append", task_id="later")
    assert store.query("SELECT id FROM counted WHERE name = 'c'") == [(6,)]


def test_append_is_loaded_once(store, load, write):
    path = write(ROWS)
    assert load(path, mode="append").get("already_loaded", False) is False
    assert load(path, mode="append")["already_loaded"] is True
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_each_type_arrives_unchanged(store, load, write):
    store.query(
        "CREATE TABLE v (id bigint PRIMARY KEY, price decimal(30,10), ok boolean, day date, at datetime(6),"
        " zoned timestamp(6) NULL, doc json, body longblob, big bigint unsigned, note longtext)"
    )
    row = {
        "id": 2**53 + 1,
        "price": Decimal("12345678901234567890.0123456789"),
        "ok": True,
        "day": date(2026, 3, 29),
        "at": datetime(2026, 3, 29, 1, 2, 3, 456789),
        "zoned": datetime.fromisoformat("2026-03-29T03:02:03.000001+02:00"),
        "doc": '{"a": [1, "b"]}',
        "body": b"\0\xff'",
        "big": 2**63 - 1,
        "note": "Grüße 😀 50% %s 'x' \\ \n",
    }
    load(write([row], "parquet"), table="v")
    found = store.query("SELECT * FROM v")[0]
    # The server's times have no zone.
    assert found == tuple({**row, "ok": 1, "zoned": datetime(2026, 3, 29, 1, 2, 3, 1)}.values())


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_moments_of_texts_are_stored_in_utc(store, load, write, suffix):
    store.query("CREATE TABLE m (id int PRIMARY KEY, at datetime)")
    texts = ["2026-03-29T03:00:00+02:00", "2026-03-29T01:00:00Z", "2026-03-29 01:00:00"]
    load(write([{"id": n, "at": text} for n, text in enumerate(texts)], suffix), table="m")
    assert store.query("SELECT DISTINCT at FROM m") == [(datetime(2026, 3, 29, 1),)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": "CANARY"}, "the column 'id' does not fit its column (error 1366)"),
        ({"id": 2**40}, "the column 'id' is out of its column's range (error 1264)"),
        ({"name": "CANARY" * 9}, "the column 'name' is too long for its column, which takes 20 characters"),
        ({"id": None}, "the column 'id' is missing, and its column does not take NULL (error 1048)"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_row_and_column_and_changes_nothing(
    store, load, write, row, problem, caplog, capsys
):
    store.query("INSERT INTO t VALUES (9, 'old', 1, 'x')")
    rows = [{"id": n, "name": "a", "n": n} for n in range(3000)]
    rows[2500] |= row
    with pytest.raises(InputError) as caught:
        load(write(rows))
    assert f"row 2501: {problem}" in str(caught.value)
    assert "CANARY" not in str(caught.value) + caplog.text + "".join(capsys.readouterr())
    assert store.query("SELECT id FROM t") == [(9,)]


def test_keys_that_are_there_twice_or_already_are_named(store, load, write):
    rows = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]
    with pytest.raises(InputError, match=r"the key \(id\) = \(1\) is there 2 times"):
        load(write(rows), key=["id"])
    store.query("INSERT INTO t VALUES (1, 'old', 1, 'x')")
    with pytest.raises(InputError, match=r"the key \(id\) = \(1\) is in the table already"):
        load(write(rows[:1]), mode="append", key=["id"])
    assert store.query("SELECT name FROM t") == [("old",)]


def test_a_table_without_transactions_is_refused(store, load, write):
    store.query("CREATE TABLE fast (id int) ENGINE=MyISAM")
    with pytest.raises(InputError, match=r"engine MyISAM, which knows no transactions"):
        load(write([{"id": 1}]), table="fast")


def test_a_geometry_column_is_refused_with_advice(store, load, write):
    store.query("CREATE TABLE g (id int, geom point)")
    with pytest.raises(InputError, match=r"'geom' is a geometry.*put 'geom' into 'ignore'"):
        load(write([{"id": 1, "geom": "POINT(1 2)"}]), table="g")
    assert load(write([{"id": 1, "geom": "POINT(1 2)"}]), table="g", ignore=["geom"])["rows"] == 1


def test_a_table_is_created_from_the_types_of_the_source(store, load, write):
    rows = [{"id": "B", "n": 1, "price": Decimal("1.25"), "at": datetime(2026, 1, 1)}, {"id": "b", "n": 2}]
    load(write(rows, "parquet"), table="new", key=["id"], create=True)
    assert store.query("SELECT * FROM new ORDER BY n") == [
        ("B", 1, Decimal("1.25"), datetime(2026, 1, 1)),
        ("b", 2, None, None),
    ]


def test_constraints_are_named_without_values(store, load, write):
    store.query("CREATE TABLE c (id int, name varchar(20), UNIQUE KEY one_name (name), CHECK (id < 10))")
    with pytest.raises(InputError, match=r"has a value that is there already \(constraint 'one_name'\)"):
        load(write([{"id": 1, "name": "CANARY"}, {"id": 2, "name": "CANARY"}]), table="c")
    with pytest.raises(InputError, match=r"a row breaks a check \(constraint 'CONSTRAINT_1'\)"):
        load(write([{"id": 10, "name": "x"}]), table="c")


def test_any_name_of_tables_and_columns_is_quoted(store, load, write):
    name = 'a`b "c" 50%'
    quoted = name.replace("`", "``")
    store.query(f"CREATE TABLE `{quoted}` (`{quoted}` int PRIMARY KEY, `Order` int)")
    table = '"' + name.replace('"', '""') + '"'
    for mode in ("replace", "merge"):
        result = load(write([{name: 1, "Order": 2}]), table=table, mode=mode, key=[name])
        assert result["rows"] == 1
    assert store.query(f"SELECT * FROM `{quoted}`") == [(1, 2)]


def test_the_same_append_at_the_same_time_is_loaded_once(store, load, write):
    path = write(ROWS)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: load(path, mode="append"), range(3)))
    assert sorted(result.get("already_loaded", False) for result in results) == [False, True, True]
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_a_server_that_is_killed_in_the_middle_changes_nothing(store, load, write, monkeypatch):
    store.query("INSERT INTO t VALUES (9, 'old', 1, 'x')")
    write_rows, dead = MariaDb.insert_all, threading.Event()

    def killed(self, *arguments):
        count = write_rows(self, *arguments)
        if not dead.is_set():
            dead.set()
            store.restart()
        return count

    monkeypatch.setattr(MariaDb, "insert_all", killed)
    monkeypatch.setattr(execution, "RECONNECT_SECONDS", (0.01, 0.05, 0.1))
    with pytest.raises((TransportError, ProviderError), match="the table is as it was|did not answer"):
        load(write(ROWS))
    assert store.query("SELECT id FROM t") == [(9,)]
    assert load(write(ROWS))["rows"] == 3


def test_a_commit_without_an_answer_is_looked_up_in_the_ledger(store, load, write, monkeypatch, caplog):
    commit, done = MariaDb.commit, []

    def lost(self):
        commit(self)
        if not done:
            done.append(1)
            store.query(f"KILL {self.value('SELECT CONNECTION_ID()')}")
            self.rows("SELECT 1")

    monkeypatch.setattr(MariaDb, "commit", lost)
    monkeypatch.setattr(execution, "RECONNECT_SECONDS", (0.01, 0.05, 0.1))
    assert load(write(ROWS), mode="append")["inserted"] == 3
    assert load(write(ROWS), mode="append")["already_loaded"] is True
    assert store.query("SELECT count(*) FROM t") == [(3,)]


def test_a_wrong_password_is_told_without_the_password(store, load, write, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", store.airflow_connection(password="wr%ng/word"))
    with pytest.raises(ProviderError) as caught:
        load(write(ROWS))
    assert "Access denied" in str(caught.value)
    assert "wr%ng" not in str(caught.value)
