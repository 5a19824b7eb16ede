"""Rows of JSON, CSV and GeoJSON: none disappears, and no field is emptied that a row does not have."""

from __future__ import annotations

import json

import pytest

from airflow_provider.errors import InputError
from tests.unit.warehouse.load.test_other_databases import Store

pytestmark = pytest.mark.slow  # text does not depend on versions


@pytest.fixture
def store(tmp_path, monkeypatch):
    path = str(tmp_path / "w.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": path}))
    return Store("sqlite", path)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n,\n3,4\n", [("1", "2"), (None, None), ("3", "4")]),
        ('a,b\n"",""\n\n', [(None, None)]),
        ('a\n""\n\n1\n', [(None,), ("1",)]),
    ],
)
def test_a_row_of_empty_fields_is_a_row_and_a_blank_line_none(store, load, tmp_path, text, rows):
    store.query(f"CREATE TABLE t ({', '.join(text.partition(chr(10))[0].split(','))})")
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert load(path)["rows"] == len(rows)
    assert store.query("SELECT * FROM t") == rows


def test_rows_behind_a_row_of_empty_fields_keep_their_numbers(store, load, tmp_path):
    store.query("CREATE TABLE t (a int, b int)")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n,\nx,4\n")
    with pytest.raises(InputError, match="row 3"):
        load(tmp_path / "a.csv")


def features(path, *ids):
    """Write features with their own ids, and those of their properties."""
    found = [
        {
            "type": "Feature",
            **({} if own is None else {"id": own}),
            "properties": {"n": number} | ({} if known is None else {"id": known}),
            "geometry": None,
        }
        for number, (own, known) in enumerate(ids)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    return path


def test_the_id_of_a_feature_is_the_column_id(store, load, tmp_path):
    store.query("CREATE TABLE t (id text, n int, geometry text)")
    load(features(tmp_path / "a.geojson", ("x1", None), (7, None), (None, "p"), ("q", "q"), (5, "5")))
    assert store.query("SELECT id FROM t ORDER BY n") == [("x1",), ("7",), ("p",), ("q",), ("5",)]


def test_an_id_of_a_feature_beside_another_one_is_refused(store, load, tmp_path):
    store.query("CREATE TABLE t (id text, n int, geometry text)")
    with pytest.raises(InputError, match="row 2 has the property 'id' beside another id of its own"):
        load(features(tmp_path / "a.geojson", ("a", "a"), ("SECRET", "b")))


def test_the_id_of_a_feature_that_the_table_lacks_is_no_silent_loss(store, load, tmp_path):
    store.query("CREATE TABLE t (n int, geometry text)")
    path = features(tmp_path / "a.geojson", ("a", None))
    with pytest.raises(InputError, match="the table has no column 'id'; put 'id' into 'ignore'"):
        load(path)
    assert load(path, ignore=["id"])["rows"] == 1


def test_the_id_of_features_that_is_a_property_too_may_be_left_out(store, load, tmp_path):
    store.query("CREATE TABLE t (n int, geometry text)")
    path = features(tmp_path / "a.geojson", (0, None), (1, None))
    assert load(path)["rows"] == 2
    assert store.query("SELECT n FROM t") == [(0,), (1,)]


def test_merge_refuses_rows_that_lack_fields_of_others(store, load, tmp_path):
    store.query("CREATE TABLE t (i int PRIMARY KEY, f text, g text NOT NULL DEFAULT 'g')")
    store.query("INSERT INTO t VALUES (1, 'old', 'g')")
    path = lines(tmp_path / "a.jsonl", [{"i": 1, "g": "n"}, {"i": 2, "f": "x"}, {"i": 3, "f": "y", "g": "z"}])
    with pytest.raises(InputError) as caught:
        load(path, mode="merge", key=["i"])
    advice = "write null there, or leave the field out of all rows"
    assert caught.value.problems == [
        f"the field 'f' is in other rows, and not in row 1: mode 'merge' would empty it; {advice}",
        f"the field 'g' is in other rows, and not in row 2: mode 'merge' would empty it; {advice}",
    ]
    assert store.query("SELECT * FROM t") == [(1, "old", "g")]
    assert load(path, mode="merge", key=["i"], ignore=["f", "g"])["inserted"] == 2


def test_merge_names_twenty_rows_that_lack_a_field_in_any_file(store, load, tmp_path):
    store.query("CREATE TABLE t (i int PRIMARY KEY, f text)")
    lines(tmp_path / "a-1.jsonl", [{"i": 0, "f": "x"}])
    lines(tmp_path / "a-2.jsonl", [{"i": n} for n in range(1, 31)])
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a-*.jsonl", mode="merge", key=["i"])
    (problem,) = caught.value.problems
    assert problem.count("a-2.jsonl:") == 20
    assert ", …: mode" in problem


def test_merge_takes_null_and_fields_that_all_rows_lack(store, load, tmp_path):
    store.query("CREATE TABLE t (i int PRIMARY KEY, f text, g text)")
    store.query("INSERT INTO t VALUES (1, 'old', 'kept')")
    load(lines(tmp_path / "a.jsonl", [{"i": 1, "f": None}, {"i": 2, "f": "x"}]), mode="merge", key=["i"])
    assert store.query("SELECT * FROM t ORDER BY i") == [(1, None, "kept"), (2, "x", None)]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_field_that_a_row_lacks_is_null_in_a_new_row(store, load, tmp_path, mode):
    store.query("CREATE TABLE t (i int PRIMARY KEY, f text)")
    load(lines(tmp_path / "a.jsonl", [{"i": 1}, {"i": 2, "f": "x"}]), mode=mode)
    assert store.query("SELECT * FROM t ORDER BY i") == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.jsonl",
            '{"a": 1, "doc": {"x": 1}}\n{"a": 1, "doc": {"x": 1}, "a": 2}\n',
            "line 2 has the key 'a'",
        ),
        ("a.json", '[{"a": 1, "doc": {"x": 1}, "a": 2}]', "has the key 'a' twice"),
        (
            "a.geojson",
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "id": 1, "id": 2,'
            ' "properties": {"a": 1}, "geometry": {"type": "Point", "coordinates": [1, 2]}}]}',
            "has the key 'id' twice",
        ),
    ],
)
def test_a_key_that_is_there_twice_is_refused(database, load, tmp_path, name, text, said):
    database.query("CREATE TABLE t (a int, doc jsonb, place geometry)")
    database.query("ALTER TABLE t OWNER TO loader")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        load(tmp_path / name)
