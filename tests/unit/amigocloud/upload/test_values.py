"""Rows that are uploaded are the dataset's rows: each value is the same, or is refused before the upload."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider.amigocloud.upload.cells import csv_header, csv_line
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import DESKS, POINT
from tests.support.sql_sources import DRIVERS, use_driver

TEXTS = [
    "plain",
    'quote " and, comma; semicolon\ttab',
    "line\nbreak",
    "carriage\rreturn",
    "both\r\n",
    "\ufeffBOM",
    " blanks ",
    "{json}",
    "NULL",
    "Ünïcode €",
    "=1+1",
    "\u2028separator",
    "007",
]


def write(path, columns, **schema):
    pq.write_table(pa.table(columns, **schema), path)
    return str(path)


@pytest.mark.both_engines
def test_values_of_parquet_are_those_of_a_dataset_that_exists(sandbox, upload, read, tmp_path):
    table = {
        "code": ["007", "1e5", "x"],
        "label": ["two\r\nlines", ' "q" ', None],
        "seats": pa.array([2**31 - 1, None, 0], pa.int64()),
        "price": [0.1, 1e22, float("nan")],
        "free": [True, False, None],
        "bought_on": [date(2026, 1, 31), None, None],
        "seen_at": [datetime(2026, 1, 31, 14, 5, 11, tzinfo=timezone(timedelta(hours=2))), None, None],
        "place": [bytes.fromhex(POINT), None, None],
    }
    result = upload(source=write(tmp_path / "a.parquet", table), dataset=DESKS)
    assert result["dataset_ids"] == [DESKS]
    assert result["rows"] == 3
    fields = "code, label, seats, price, free, bought_on, seen_at, place"
    assert read(DESKS, fields)[0] == {
        "code": "007",
        "label": "two\r\nlines",
        "seats": 2**31 - 1,
        "price": 0.1,
        "free": True,
        "bought_on": "2026-01-31",
        "seen_at": "2026-01-31 12:05:11+00:00",
        "place": POINT,
    }
    assert read(DESKS, fields)[1]["label"] == ' "q" '
    assert read(DESKS, fields)[1]["free"] is False
    assert read(DESKS, fields)[2] == dict.fromkeys(fields.split(", "), None) | {"code": "x", "seats": 0}


@pytest.mark.both_engines
def test_values_of_parquet_are_those_of_a_new_dataset(sandbox, upload, read, tmp_path):
    count = len(TEXTS)
    table = {
        "n": list(range(count)),
        "text": TEXTS,
        "big": [2**53 + 1 + n for n in range(count)],
        "price": [n + 0.1 for n in range(count)],
        "amount": [Decimal("1234.50"), *[None] * (count - 1)],
        "geometry": [bytes.fromhex(POINT), *[None] * (count - 1)],
    }
    result = upload(source=write(tmp_path / "floor plan.parquet", table))
    (dataset,) = result["dataset_ids"]
    assert sandbox.amigocloud.store.datasets[dataset].name == "floor plan"
    rows = read(dataset, "n, text, big, price, amount, wkb_geometry")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["big"] for row in rows] == table["big"]
    assert [row["price"] for row in rows] == table["price"]
    assert [row["amount"] for row in rows[:2]] == [1234.5, None]
    assert [row["wkb_geometry"] for row in rows[:2]] == [POINT, None]


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_geometries_of_postgis_are_uploaded(sandbox, database, upload, read, monkeypatch, driver):
    use_driver(monkeypatch, driver)
    database.query("CREATE TABLE a (n int, geom geometry, at timestamptz, amount numeric)")
    database.query(
        "INSERT INTO a VALUES (1, 'SRID=4326;POINT(12.5 -50)', '2026-01-31 12:00+01', 0.10),"
        " (2, NULL, NULL, NULL)"
    )
    database.query("GRANT SELECT ON a TO PUBLIC")
    query = {"sql": "SELECT * FROM a", "sql_conn_id": "warehouse"}
    with pytest.raises(InputError, match="row 1: geom is a geometry, which must be named wkb_geometry"):
        upload(**query)
    result = upload(**query, columns={"geom": "wkb_geometry"})
    assert read(result["dataset_ids"][0], "n, wkb_geometry, at, amount") == [
        {"n": 1, "wkb_geometry": POINT, "at": "2026-01-31T11:00:00Z", "amount": 0.1},
        {"n": 2, "wkb_geometry": None, "at": None, "amount": None},
    ]
    with pytest.raises(InputError, match="row 1: a has more digits than a number of 64 bits"):
        upload(sql="SELECT 12345678901234567.89 AS a", sql_conn_id="warehouse")


REFUSED = {
    "an empty text": ({"a": ["x", ""]}, "row 2: a is an empty text"),
    "texts like numbers": ({"a": ["007", "12"]}, "a has texts that all look like numbers"),
    "an infinity": ({"a": [1.5, float("inf")]}, "row 2: a is inf"),
    "a list": ({"a": [[1], [2]]}, "row 1: a is a list"),
    "bytes": ({"a": [b"\x01\x02"]}, "row 1: a is binary; a geometry must be named wkb_geometry"),
    "no geometry": ({"geometry": [b"\x01\x02"]}, "row 1: wkb_geometry is no EWKB"),
    "an exact decimal": ({"a": [Decimal("0.12345678901234567890")]}, "row 1: a has more digits"),
    "a large number": ({"a": pa.array([2**64 - 1], pa.uint64())}, "more than 64 bits"),
    "a time without a zone": ({"a": [datetime(2026, 1, 1)]}, "without a time zone"),
    "NUL": ({"a": ["a\0b"]}, "has a NUL character"),
    "metres": ({"geometry": ["POINT (1399000 7500000)"]}, "row 1: wkb_geometry is outside of longitude"),
    "another SRID": ({"geometry": ["SRID=3857;POINT (1 2)"]}, "row 1: wkb_geometry has SRID 3857"),
    "hex of a geometry": ({"geom": [POINT]}, "row 1: geom is a geometry"),
    "two geometries": ({"geometry": [POINT], "wkb_geometry": [POINT]}, "wkb_geometry is there twice"),
}


@pytest.mark.parametrize(("table", "said"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_a_new_dataset_would_not_have_is_refused(sandbox, upload, tmp_path, table, said):
    with pytest.raises(InputError, match=said):
        upload(source=write(tmp_path / "a.parquet", table))
    assert sandbox.counters.total() == 0


def test_all_values_that_the_dataset_would_not_have_are_refused_at_once(sandbox, upload, tmp_path):
    table = {
        "code": ["x" * 21, "ok", ""],
        "seats": ["three", "4", None],
        "place": ["POINT(1 2)", "LINESTRING(1 2, 3 4)", None],
        "Label": ["a", "b", "c"],
    }
    with pytest.raises(InputError) as caught:
        upload(source=write(tmp_path / "a.parquet", table), dataset=DESKS)
    text = str(caught.value)
    assert "row 1: code has 21 characters; the field holds 20" in text
    assert "row 3: code is an empty text" in text
    assert "row 1: seats must be a whole number" in text
    assert "row 2: place is a LineString, but the field holds POINT" in text
    assert "the dataset has no field 'Label'; did you mean 'label'?" in text
    assert sandbox.counters.total("POST") == 0
    assert sandbox.amigocloud.store.count(DESKS) == 1


def test_values_of_a_query_are_in_no_error(sandbox, upload, warehouse):
    warehouse("CREATE TABLE a (seats); INSERT INTO a VALUES ('secret%20three')")
    with pytest.raises(InputError, match="row 1: seats must be a whole number, not a text of 14") as caught:
        upload(sql="SELECT * FROM a", sql_conn_id="warehouse", dataset=DESKS)
    assert "secret" not in str(caught.value)


def test_numbers_and_texts_in_one_column_are_refused(sandbox, upload, warehouse):
    warehouse("CREATE TABLE a (v); INSERT INTO a VALUES (1), ('one')")
    with pytest.raises(InputError, match=r"v has numbers \(row 1\) and texts \(row 2\)"):
        upload(sql="SELECT * FROM a", sql_conn_id="warehouse")


def test_a_field_that_may_not_be_null_needs_a_value(sandbox, upload, warehouse):
    fields = [{"name": "code", "type": "string", "nullable": False}, {"name": "n", "type": "integer"}]
    sandbox.amigocloud.store.add(Dataset(4002, 1234, "strict", fields))
    warehouse("CREATE TABLE a (code, n); INSERT INTO a VALUES ('x', 1), (NULL, 2)")
    with pytest.raises(InputError, match="row 2: code is null, which the field may not be"):
        upload(sql="SELECT * FROM a", sql_conn_id="warehouse", dataset=4002)


def test_a_row_of_nulls_is_a_row(sandbox, upload, read, tmp_path):
    path = write(tmp_path / "a.parquet", {"a": pa.array([1, None, 3], pa.int64())})
    (dataset,) = upload(source=path)["dataset_ids"]
    assert {row["a"] for row in read(dataset, "a")} == {1, 3, None}
    assert sandbox.amigocloud.store.count(dataset) == 3


def test_geoparquet_is_read_by_its_metadata(sandbox, upload, read, tmp_path):
    geo = {"version": "1.1.0", "primary_column": "shape"}
    geo["columns"] = {"shape": {"encoding": "WKB", "geometry_types": []}}
    table = pa.table({"n": [1], "shape": [bytes.fromhex(POINT)]})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "a.geoparquet")
    (dataset,) = upload(source=str(tmp_path / "a.geoparquet"))["dataset_ids"]
    assert read(dataset, "wkb_geometry") == [{"wkb_geometry": POINT}]
    assert upload(source=str(tmp_path / "a.geoparquet"), dataset=DESKS, ignore=["n"])["rows"] == 1
    assert read(DESKS, "place") == [{"place": POINT}]


def test_times_and_dates_of_a_new_dataset_are_iso_8601(sandbox, upload, read, tmp_path):
    table = {
        "on": [date(2026, 1, 31)],
        "at": [datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)],
        "daily": [time(8, 30)],
    }
    (dataset,) = upload(source=write(tmp_path / "a.parquet", table))["dataset_ids"]
    assert read(dataset, '"on", at, daily') == [
        {"on": "2026-01-31", "at": "2026-01-31T12:00:00.000005Z", "daily": "08:30:00"}
    ]


def test_a_line_of_csv_is_never_empty():
    assert csv_line([None]) == '""\n'
    assert csv_line([None], 2) == ",\n"
    assert csv_header(["a", "\ufeffb", "c,d"]) == 'a,"\ufeffb","c,d"\n'
