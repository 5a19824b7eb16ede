"""Tables that do more than take rows, or less: no other table changes, and no row is lost silently."""

from __future__ import annotations

import json
import sqlite3

import pytest

from airflow_provider.errors import InputError

pytestmark = pytest.mark.slow  # tables do not depend on versions

ROWS = [{"id": number, "name": "new"} for number in (1, 2, 3)]

SKIP = """
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF COALESCE(NEW.id, OLD.id) > 1 THEN RETURN NULL; END IF; RETURN COALESCE(NEW, OLD); END';
CREATE TRIGGER skip BEFORE {} ON t FOR EACH ROW EXECUTE FUNCTION skip();
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path / "a.jsonl"


@pytest.fixture
def table(database):
    database.query("CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'x')")
    database.query("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (9, 'old'); ALTER TABLE t OWNER TO loader")
    return database


def problem(load, *arguments, **more):
    with pytest.raises(InputError) as caught:
        load(*arguments, **more)
    return "; ".join(caught.value.problems)


def rows(database, sql="SELECT * FROM t ORDER BY 1"):
    return database.query(sql)


OLD = [(1, "old"), (2, "old"), (9, "old")]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_a_replace_that_would_change_other_tables_is_refused(table, load, path, action):
    table.query(
        "CREATE TABLE other (t_id int DEFAULT 1 CONSTRAINT to_t REFERENCES t"
        f" ON DELETE {action}); INSERT INTO other VALUES (2)"
    )
    text = problem(load, path)
    assert "the foreign key 'to_t' of the table 'other'" in text
    assert "load with mode='merge'" in text
    assert (rows(table), rows(table, "SELECT * FROM other")) == (OLD, [(2,)])
    assert load(path, mode="merge", key=["id"])["updated"] == 2


def test_a_replace_of_a_table_that_refers_to_itself_is_loaded(table, load, path):
    table.query("ALTER TABLE t ADD parent int REFERENCES t ON DELETE CASCADE")
    assert load(path)["deleted"] == 3


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_tables_that_inherit_keep_their_rows(table, load, path, mode):
    table.query("CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (1, 'child'), (3, 'child')")
    result = load(path, mode=mode, key=["id"])
    assert result["deleted"] == (3 if mode == "replace" else 0)
    assert rows(table, "SELECT * FROM child ORDER BY 1") == [(1, "child"), (3, "child")]
    assert rows(table, "SELECT id FROM ONLY t WHERE name = 'new' ORDER BY 1") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("mode", ["replace", "merge", "append"])
def test_partitions_take_part(database, load, path, mode):
    database.query(
        "CREATE TABLE t (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (3) TO (10); INSERT INTO t VALUES (9, 'old');"
        "ALTER TABLE t OWNER TO loader; ALTER TABLE t1 OWNER TO loader; ALTER TABLE t2 OWNER TO loader"
    )
    assert load(path, mode=mode, key=["id"])["inserted"] == 3
    assert len(rows(database)) == (3 if mode == "replace" else 4)


@pytest.mark.parametrize(
    ("event", "mode", "said"),
    [
        ("INSERT", "append", "2 rows were not inserted"),
        ("INSERT", "replace", "2 rows were not inserted"),
        ("INSERT", "merge", "1 rows were not inserted"),
        ("UPDATE", "merge", "1 rows were not updated"),
        ("DELETE", "replace", "2 rows were not deleted"),
    ],
)
def test_rows_that_a_trigger_leaves_out_undo_the_write(table, load, path, event, mode, said):
    if mode == "append":
        table.query("TRUNCATE t")
    before = rows(table)
    table.query(SKIP.format(event))
    text = problem(load, path, mode=mode, key=["id"])
    assert said in text
    assert "look for triggers, rules and policies" in text
    assert rows(table) == before


@pytest.mark.parametrize(
    ("event", "mode"),
    [("INSERT", "merge"), ("INSERT", "replace"), ("UPDATE", "merge"), ("DELETE", "replace")],
)
def test_rows_that_a_rule_leaves_out_undo_the_write(table, load, path, event, mode):
    table.query(f"CREATE RULE r AS ON {event} TO t DO INSTEAD NOTHING")
    assert "look for triggers, rules" in problem(load, path, mode=mode, key=["id"])
    assert rows(table) == OLD


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_rows_that_a_policy_hides_are_not_taken_for_all(table, load, path, mode):
    table.query(
        "ALTER TABLE t OWNER TO airflow; GRANT ALL ON t TO loader; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY few ON t USING (id < 3) WITH CHECK (true)"
    )
    assert "row-level security may hide rows" in problem(load, path, mode=mode, key=["id"])
    assert rows(table) == OLD


def test_a_trigger_that_changes_other_columns_is_no_problem(table, load, path):
    table.query(
        "CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.name = upper(NEW.name); RETURN NEW; END';"
        "CREATE TRIGGER up BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION up()"
    )
    assert load(path, mode="merge", key=["id"])["updated"] == 2
    assert load(path)["inserted"] == 3


def test_a_merge_into_a_table_that_has_a_key_twice_is_refused_with_the_keys(table, load, path):
    table.query("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (2, 'again')")
    text = problem(load, path, mode="merge", key=["id"])
    assert text == "the key (id) = (2) is in the table 2 times"
    assert len(rows(table)) == 4


@pytest.mark.parametrize("name", ["_twin_stage", "_twin_loads", "public._TWIN_LOADS"])
def test_the_tables_that_loads_use_themselves_are_no_targets(load, path, name):
    assert "which loads use themselves" in problem(load, path, name)


@pytest.mark.parametrize("value", ["None", ""])
def test_a_marker_that_a_template_lost_is_refused(load, path, value):
    assert problem(load, path, complete=value).startswith("complete must be the name of a file")


@pytest.mark.parametrize(("share", "count"), [(0.45, 55), (0.29, 71), (0.07, 93), (0.58, 42)])
def test_a_share_of_max_shrink_is_not_rounded(table, load, tmp_path, share, count):
    table.query("TRUNCATE t; INSERT INTO t SELECT generate_series(1, 100)")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"id": {number}}}\n' for number in range(count - 1)))
    assert "max_shrink" in problem(load, path, max_shrink=share)
    path.write_text("".join(f'{{"id": {number}}}\n' for number in range(count)))
    assert load(path, max_shrink=share)["rows"] == count


@pytest.mark.parametrize(
    ("column", "more", "mode"),
    [
        ("id integer UNIQUE ON CONFLICT REPLACE", "", "append"),
        ("id integer UNIQUE ON CONFLICT IGNORE", "", "append"),
        (
            "id integer",
            "CREATE TRIGGER s BEFORE INSERT ON t WHEN NEW.id > 1 BEGIN SELECT RAISE(IGNORE); END",
            "merge",
        ),
        ("id integer", "CREATE TRIGGER s BEFORE DELETE ON t BEGIN SELECT RAISE(IGNORE); END", "replace"),
    ],
)
def test_rows_that_sqlite_leaves_out_undo_the_write(load, path, tmp_path, monkeypatch, column, more, mode):
    file = tmp_path / "d.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    with sqlite3.connect(file) as connection:
        connection.executescript(
            f"CREATE TABLE t ({column}, name text); INSERT INTO t VALUES (1, 'old'); {more}"
        )
    assert "look for triggers" in problem(load, path, mode=mode, key=["id"] if mode == "merge" else None)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(1, "old")]


@pytest.mark.parametrize("create", [True, False])
def test_a_name_that_postgresql_would_cut_is_refused(database, load, tmp_path, create):
    database.query(f"CREATE TABLE {'other' if create else 't'} (id int)")
    database.query(f"ALTER TABLE {'other' if create else 't'} OWNER TO loader")
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "x" * 62 + "é": 1, "x" * 62 + "è": 2}) + "\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a.jsonl", create=create)
    assert caught.value.problems == [
        f"the column {name!r} is longer than 63 bytes, and would be cut; give it a shorter name by 'columns'"
        for name in ("x" * 62 + "é", "x" * 62 + "è")
    ]
    load(
        tmp_path / "a.jsonl",
        create=True,
        table="made",
        columns={"x" * 62 + "é": "a"},
        ignore=["x" * 62 + "è"],
    )
    assert database.query("SELECT * FROM made") == [(1, 1)]
