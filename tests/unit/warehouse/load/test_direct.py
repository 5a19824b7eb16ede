"""Rows that COPY writes straight into the table: faster than by the staging table, with the same checks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.databases import postgres

PLACES = [{"id": n, "place": f"SRID=4326;POINT({n} 50)"} for n in range(3)]
FAR = [*PLACES, {"id": 3, "place": "SRID=4326;POINT(200 50)"}]


@pytest.fixture
def places(database):
    database.query("CREATE TABLE t (id int PRIMARY KEY, place geometry(Point, 4326), at timestamp)")
    database.query("ALTER TABLE t OWNER TO loader")
    return database


@pytest.fixture
def write(tmp_path):
    def run(rows, name="a"):
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path

    return run


@pytest.fixture
def was_staged(caplog, capsys):
    caplog.set_level("INFO")

    def was() -> bool:
        out = caplog.text + capsys.readouterr().out
        caplog.clear()
        assert "Loaded" in out
        return "Staged" in out

    return was


def ids(database):
    return [id_ for (id_,) in database.query("SELECT id FROM t ORDER BY 1")]


@pytest.mark.parametrize("key", [["id"], None])
def test_rows_need_no_staging_table_where_an_index_guards_the_key(
    places, load, write, was_staged, driver, key
):
    load(write(PLACES), mode="append", key=key)
    assert not was_staged()
    places.query("INSERT INTO t VALUES (9)")
    assert load(write(PLACES), key=key)["deleted"] == 4
    assert not was_staged()
    load(write([{"id": 7}], "b"), mode="append", key=key)
    assert not was_staged()
    assert ids(places) == [0, 1, 2, 7]
    assert places.query("SELECT DISTINCT ST_SRID(place) FROM t WHERE place IS NOT NULL") == [(4326,)]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO t VALUES (9)",
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ALTER place TYPE geometry(Point, 25832) USING NULL",
        "ALTER TABLE t ALTER place TYPE geography(Point, 4326) USING NULL",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    ],
)
def test_rows_are_staged_where_a_check_needs_it(places, load, write, was_staged, change):
    places.query(change)
    rows = [
        {"id": n, "place": f"POINT({n + 500000} 5000000)" if "25832" in change else "POINT(1 2)"}
        for n in (1, 2)
    ]
    load(write(rows), mode="append", key=["id"])
    assert was_staged()
    assert {1, 2} <= set(ids(places))


def test_times_without_a_zone_are_staged_and_mean_utc(places, load, write, was_staged):
    load(write([{"id": 1, "at": "2026-01-01T12:00:00+02:00"}]), mode="append", key=["id"])
    assert was_staged()
    assert places.query("SELECT at::text FROM t") == [("2026-01-01 10:00:00",)]


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (FAR, r"outside of longitude and latitude.*row 4"),
        ([*PLACES, {"id": 3, "place": "LINESTRING(1 2, 3 4)"}], r"is no POINT.*row 4"),
        ([*PLACES, {"id": 2, "place": "POINT(1 2)"}], r"\(id\) = \(2\) is there 2 times"),
        ([*PLACES, {"id": None, "place": "POINT(1 2)"}], r"row 4"),
        ([*PLACES, {"id": 8, "place": "POINT(1 2)"}], r"row 4 breaks a check \(constraint 'small'\)"),
    ],
)
def test_rows_that_do_not_fit_are_named_and_nothing_is_written(
    places, load, write, driver, mode, rows, named
):
    places.query("ALTER TABLE t ADD CONSTRAINT small CHECK (id < 8 OR id > 90)")
    if mode == "replace":
        places.query("INSERT INTO t VALUES (99)")
    before = ids(places)
    with pytest.raises(InputError, match=f"(?s){named}"):
        load(write(rows), mode=mode, key=["id"])
    assert ids(places) == before


def test_parts_of_an_append_are_written_side_by_side(places, load, write, monkeypatch):
    second_is_done, real = Event(), postgres._csv_blocks
    first, second = write(PLACES), write([{"id": n} for n in (7, 8)], "b")

    def blocks(source, *arguments):
        yield from real(source, *arguments)
        if source.rows == len(PLACES):
            assert second_is_done.wait(30)

    places.query("ALTER TABLE t DROP COLUMN place, DROP COLUMN at")
    load(write([{"id": 9}], "c"), task_id="zero")  # creates the ledger, for which all wait
    monkeypatch.setattr(postgres, "_csv_blocks", blocks)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(load, first, mode="append", key=["id"], task_id="one", ignore=["place"])
        load(second, mode="append", key=["id"], task_id="two")
        second_is_done.set()
        waiting.result(60)
    assert ids(places) == [0, 1, 2, 7, 8, 9]
