"""Refusals of PostgreSQL: by row and column, with the right reason, and never with a value."""

from __future__ import annotations

import json

import geopandas
import pyarrow as pa
import pytest
import shapely
from pyarrow import parquet

from airflow_provider.errors import InputError, ProviderError

pytestmark = pytest.mark.slow  # refusals do not depend on versions

SECRET = "s3cretvalue"


@pytest.fixture
def table(database):
    def make(columns, more=""):
        database.query(f"CREATE TABLE t ({columns}){more}; ALTER TABLE t OWNER TO loader")
        return database

    return make


@pytest.fixture
def write(tmp_path):
    def run(*rows):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return run


def refused(load, path, error=InputError, **arguments):
    with pytest.raises(error) as caught:
        load(path, **arguments)
    assert SECRET not in f"{caught.value!s} {caught.value!r}"
    assert "None" not in str(caught.value)
    return caught.value.problems if error is InputError else [str(caught.value)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tsquery", f"{SECRET} ! ( x"),
        ("tsvector", f"'{SECRET} x"),
        ("tsvector", SECRET * 400),
        ("regclass", SECRET),
        ("regrole", SECRET),
        ("jsonpath", f"{SECRET} x"),
        ("hstore", f"{SECRET} x"),
    ],
)
def test_inputs_that_say_their_values_are_named_by_row_and_column(
    table, database, load, write, kind, value, driver
):
    database.query("CREATE EXTENSION IF NOT EXISTS hstore")
    table(f"id int, q {kind}")
    (problem,) = refused(load, write({"id": 1}, {"id": 2, "q": value}))
    assert problem.startswith("row 2: the column 'q' does not fit")


@pytest.mark.parametrize("state", ["42501", "22023", "23505", "57014", "40001", "0A000", "P0001", "53100"])
def test_what_a_function_raises_is_told_by_its_state_alone(table, load, write, state, driver):
    database = table("id int, q text")
    database.query(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', NEW.q"
        f" USING ERRCODE = '{state}', CONSTRAINT = NEW.q, COLUMN = NEW.q; END $$;"
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    (problem,) = refused(load, write({"id": 1, "q": SECRET}), ProviderError)
    assert f"SQLSTATE {state}" in problem


def test_what_fails_within_a_function_is_told_by_its_state_alone(table, load, write):
    database = table("id int, q text")
    database.query(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'SELECT ' || NEW.q; RETURN NEW; END $$;"
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    (problem,) = refused(load, write({"id": 1, "q": SECRET}))
    assert "a function of the database failed (SQLSTATE 42703)" in problem


def test_a_long_text_does_not_hide_the_row_of_an_error(table, load, write, driver):
    table("id int, q text")
    long = 'x,"\n' * 100_000
    (problem,) = refused(load, write({"id": 1, "q": long}, {"id": 2, "q": "a\nb"}, {"id": "x", "q": "c"}))
    assert problem == "row 3: the column 'id' does not fit its column's type (SQLSTATE 22P02)"


@pytest.mark.parametrize("partitions", ["FOR VALUES FROM (0) TO (10)", ""])
def test_a_row_without_a_partition_is_named(table, load, write, partitions, driver):
    database = table("id int, q text", " PARTITION BY RANGE (id)")
    if partitions:
        database.query(f"CREATE TABLE p PARTITION OF t {partitions}")
    problems = refused(load, write({"id": 12, "q": SECRET}, {"id": None, "q": SECRET}))
    assert problems == [f"row {number}: fits no partition of the table" for number in (1, 2)]


def test_a_row_of_another_partition_is_named(table, load, write):
    database = table("id int, q text", " PARTITION BY RANGE (id)")
    database.query("CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10); ALTER TABLE p OWNER TO loader")
    problems = refused(load, write({"id": 1}, {"id": 12, "q": SECRET}), table="p")
    assert problems == ["row 2: fits no partition of the table"]


def test_rows_that_exchange_unique_values_are_refused_with_the_reason(table, load, write):
    database = table("id int PRIMARY KEY, u text CONSTRAINT once UNIQUE")
    database.query("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    rows = [{"id": 1, "u": "b"}, {"id": 2, "u": "a"}]
    problems = refused(load, write(*rows), mode="merge", key=["id"])
    text = (
        "takes a value that another row of the merge gives up: make the constraint DEFERRABLE, or load with"
    )
    assert problems == [f"row {number}: {text} mode='replace' (constraint 'once')" for number in (1, 2)]
    refused(load, write(*rows, {"id": 4, "u": "c"}), mode="merge", key=["id"])
    database.query("ALTER TABLE t DROP CONSTRAINT once, ADD CONSTRAINT once UNIQUE (u) DEFERRABLE")
    assert load(write(*rows), mode="merge", key=["id"])["updated"] == 2


def test_an_option_that_the_driver_does_not_know_is_named(database, load, write, monkeypatch, driver):
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=json.dumps({"wrong": SECRET}))
    )
    (problem,) = refused(load, write({"id": 1}))
    assert "does not know the option 'wrong' of the connection" in problem


DAYS = [
    ("2026-01-01", True),
    ("2026-01-01T00:00:00Z", True),
    ("2026-01-01 00:00:00.000+00:00", True),
    ("2026-01-01T00:00", True),
    ("August 7, 2026", True),
    ("infinity", True),
    ("2026-01-01T23:30:00-05:00", False),
    ("2026-01-01 23:30", False),
    ("2026-01-01T00:00:00+02:00", False),
    ("2026-01-01T00:00:01Z", False),
    ("2026-01-01+02:00", False),
    ("20260101T233000", False),
]


@pytest.mark.parametrize(("text", "taken"), DAYS)
def test_a_column_of_days_takes_no_time(table, load, write, text, taken):
    database = table("id int, day date, days date[]")
    for row in ({"id": 2, "day": text}, {"id": 2, "days": ["2026-02-02", text]}):
        path = write({"id": 1}, row)
        if taken:
            assert load(path)["rows"] == 2
        else:
            (problem,) = refused(load, path)
            assert problem.startswith(f"row 2: the column '{'day' if 'day' in row else 'days'}' does not fit")
            assert "it has a time of day" in problem
    if taken and text.startswith("2026"):
        assert database.query("SELECT days[2]::text FROM t WHERE id = 2") == [("2026-01-01",)]


HOURS = [
    ("12:00", True),
    ("12:00:00.25", True),
    ("04:05 PM", True),
    ("12:00:00Z", True),
    ("12:00:00 UTC", True),
    ("allballs", True),
    ("12:00:00+02:00", False),
    ("12:00 -05", False),
    ("12:00:00 Europe/Berlin", False),
    ("12:00 CET", False),
    ("2026-01-01T12:00:00", False),
    ("2026-01-01 12:00", False),
    ("1/2/2026 12:00", False),
]


@pytest.mark.parametrize(("text", "taken"), HOURS)
def test_a_column_of_times_of_day_takes_no_date_and_no_zone(table, load, write, text, taken):
    table("id int, hour time(3)")
    path = write({"id": 1}, {"id": 2, "hour": text})
    if taken:
        assert load(path)["rows"] == 2
    else:
        (problem,) = refused(load, path)
        assert problem.startswith("row 2: the column 'hour' does not fit its type: it has a date or a zone")


def test_a_parquet_moment_in_a_column_of_times_of_day_is_refused(table, load, tmp_path):
    table("hour time")
    parquet.write_table(pa.table({"hour": pa.array([1767225600], pa.timestamp("s"))}), tmp_path / "a.parquet")
    assert "row 1: the column 'hour' does not fit" in refused(load, tmp_path / "a.parquet")[0]


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_parquet_moment_in_a_column_of_days_is_midnight(table, load, tmp_path, seconds):
    table("day date")
    moments = pa.array([None, 1767225600 + seconds], pa.timestamp("s", "UTC"))
    parquet.write_table(pa.table({"day": moments}), tmp_path / "a.parquet")
    if seconds:
        assert "row 2: the column 'day' does not fit" in refused(load, tmp_path / "a.parquet")[0]
    else:
        assert load(tmp_path / "a.parquet")["rows"] == 2


def test_times_in_lists_are_utc_in_a_column_without_a_zone(table, load, write):
    database = table("id int PRIMARY KEY, at timestamp[], one timestamp")
    text = "2026-01-01T23:30:00+02:00"
    path = write({"id": 1, "at": [text, None], "one": text}, {"id": 2, "at": None, "one": None})
    load(path)
    found = database.query("SELECT at::text, one::text FROM t ORDER BY id")
    assert found == [('{"2026-01-01 21:30:00",NULL}', "2026-01-01 21:30:00"), (None, None)]
    assert load(path, mode="merge", key=["id"])["updated"] == 0


OUTSIDE = [
    {"type": "Point", "coordinates": [565000, 6200000]},
    "SRID=4326;POINT(565000 6200000)",
    "POINT(565000 6200000)",
    "SRID=4326;LINESTRING(1 1, 1 91)",
]


DEGREES = ["geography", "geography(Geometry,4326)", "geometry(Geometry,4326)"]
IN_DEGREES = [(kind, value) for kind in DEGREES for value in OUTSIDE]
# Nothing says that other values of this column are degrees.
IN_DEGREES += [("geometry", value) for value in OUTSIDE if str(value).startswith("SRID")]


@pytest.mark.parametrize(("kind", "value"), IN_DEGREES)
def test_coordinates_outside_of_degrees_are_refused(table, load, write, kind, value):
    table(f"id int, g {kind}")
    (problem,) = refused(load, write({"id": 1}, {"id": 2, "g": value}))
    assert "outside of longitude and latitude" in problem
    assert problem.endswith("(1 rows: row 2)")


@pytest.mark.parametrize("kind", ["geography", "geometry(Point,4326)", "geometry"])
def test_geojson_and_geoparquet_outside_of_degrees_are_refused(table, load, tmp_path, kind):
    table(f"id int, g {kind}")
    feature = {"type": "Feature", "geometry": OUTSIDE[0], "properties": {"id": 1}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert "outside of longitude and latitude" in refused(load, tmp_path / "a.geojson")[0]
    frame = geopandas.GeoDataFrame({"id": [1], "g": [shapely.Point(565000, 6200000)]}, geometry="g", crs=4326)
    frame.to_parquet(tmp_path / "a.geoparquet")
    assert "outside of longitude and latitude" in refused(load, tmp_path / "a.geoparquet")[0]


def test_coordinates_on_the_edge_are_taken(table, load, write):
    table("id int, g geography")
    value = {"type": "Point", "coordinates": [180.00000000000003, -90]}
    assert load(write({"id": 1, "g": value}))["rows"] == 1


KINDS = [
    ("GeometryZ", "POINT Z (1 2 3)", "POINT(1 2)"),
    ("GeometryM", "LINESTRING M (1 2 3, 4 5 6)", "POINT Z (1 2 3)"),
    ("GeometryZM", "POINT ZM (1 2 3 4)", "POINT M (1 2 3)"),
    ("PointZ", "POINT Z (1 2 3)", "POINT(1 2)"),
    ("Geometry", "POINT(1 2)", "POINT Z (1 2 3)"),
]


@pytest.mark.parametrize("prefix", ["", "SRID=4326;"])
@pytest.mark.parametrize(("kind", "taken", "not_taken"), KINDS)
def test_columns_of_any_geometry_take_those_of_their_dimensions(
    table, load, write, prefix, kind, taken, not_taken
):
    database = table(f"id int, g geometry({kind},4326)")
    load(write({"id": 1, "g": prefix + taken}))
    assert database.query("SELECT ST_SRID(g), ST_AsText(g) FROM t") == [(4326, taken.replace(", ", ","))]
    (problem,) = refused(load, write({"id": 1, "g": prefix + taken}, {"id": 2, "g": prefix + not_taken}))
    assert "has other coordinates than XY" in problem
    assert problem.endswith("(1 rows: row 2)")


def test_old_columns_whose_srid_a_check_demands_are_filled(table, load, write, tmp_path):
    database = table(
        "id int, g geometry CONSTRAINT enforce_srid_g CHECK (st_srid(g) = 4326)"
        " CONSTRAINT north CHECK (st_y(g) > 0)"
    )
    frame = geopandas.GeoDataFrame({"id": [1], "g": [shapely.Point(1, 2)]}, geometry="g", crs=4326)
    frame.to_parquet(tmp_path / "a.geoparquet")
    load(tmp_path / "a.geoparquet")
    for value in ({"type": "Point", "coordinates": [1, 2]}, "POINT(1 2)", "SRID=4326;POINT(1 2)"):
        load(write({"id": 1, "g": value}))
        assert database.query("SELECT ST_AsEWKT(g) FROM t") == [("SRID=4326;POINT(1 2)",)]
    problems = refused(load, write({"id": 1, "g": "POINT(1 2)"}, {"id": 2, "g": "POINT(1 -2)"}))
    assert problems == ["row 2: breaks a check (constraint 'north')"]


def test_a_source_without_a_column_for_the_table_is_refused(database, load, tmp_path):
    database.query("CREATE TABLE t (a int, b text)")
    database.query("ALTER TABLE t OWNER TO loader")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a.csv", ignore=["a", "b"])
    assert caught.value.problems == ["fills no column of the table: see 'ignore' and 'columns'"]
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a.csv", columns={"a": "b"})
    assert caught.value.problems == ["the column 'b' is filled by 2 columns of the source: see 'columns'"]
