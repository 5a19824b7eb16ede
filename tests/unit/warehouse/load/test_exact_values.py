"""Values in DuckDB, SQLite and MariaDB: kept as they are, or refused by row and column, never rounded."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError
from tests.support import mariadb
from tests.support.sql_sources import DuckDBHook, register_hook
from tests.unit.warehouse.load.test_other_databases import Store

pytestmark = pytest.mark.slow  # digits do not depend on versions


@pytest.fixture
def open_store(request, tmp_path, monkeypatch):
    """Return a function that makes a database of a kind, which ``warehouse`` leads to."""

    def open_store(kind):
        if kind == "mariadb":
            driver = mariadb.DRIVERS[0]
            register_hook(monkeypatch, mariadb.HOOKS[driver])
            manager = mariadb.new_database(request.getfixturevalue("running_mariadb"))
            database = manager.__enter__()
            request.addfinalizer(lambda: manager.__exit__(None, None, None))
            monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
            return database
        path = str(tmp_path / f"w.{kind}")
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": kind, "host": path}))
        if kind == "duckdb":
            register_hook(monkeypatch, DuckDBHook)
            duckdb.connect(path).close()
        return Store(kind, path)

    return open_store


@pytest.fixture
def write(tmp_path):
    """Return a function that writes one column ``v``: texts of JSON, fields of CSV, or an Arrow array."""

    def write(form, values):
        path = tmp_path / f"a.{form}"
        if form == "parquet":
            parquet.write_table(pa.table({"v": values}), path)
        elif form == "csv":
            path.write_text("v\n" + "".join(f'"{value}"\n' for value in values))
        else:
            path.write_text("".join(f'{{"v": {value}}}\n' for value in values))
        return path

    return write


MOMENTS = ["2026-01-01T23:30:00+02:00", "2026-01-01 21:30:00", "2026-01-01T21:30:00Z"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
@pytest.mark.parametrize("declared", ["TIMESTAMP", "DATETIME"])
def test_moments_of_another_zone_become_utc_in_a_column_without_one(
    open_store, load, write, kind, form, declared
):
    store = open_store(kind)
    store.query(f"CREATE TABLE t (v {declared})")
    load(write(form, MOMENTS if form == "csv" else map(json.dumps, MOMENTS)))
    found = store.query("SELECT DISTINCT v FROM t")
    assert found == [("2026-01-01 21:30:00" if kind == "sqlite" else datetime(2026, 1, 1, 21, 30),)]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
def test_moments_of_parquet_become_utc_in_a_column_without_a_zone(open_store, load, write, kind):
    store = open_store(kind)
    store.query("CREATE TABLE t (v TIMESTAMP)")
    moment = datetime(2026, 1, 1, 21, 30, tzinfo=UTC)
    load(write("parquet", pa.array([moment], pa.timestamp("us", "Europe/Berlin"))))
    found = store.query("SELECT v FROM t")
    assert found == [("2026-01-01 21:30:00" if kind == "sqlite" else datetime(2026, 1, 1, 21, 30),)]


BIG = "12345678901234567.89"
REFUSED = {
    "a fraction in an integer": ("int", ["1", "1.5"], [1.0, 1.5], "is no whole number|does not fit"),
    "a decimal too many": ("decimal(10,2)", ["1.10", "1.255"], [1.25, 1.255], "2 decimals|does not fit"),
    "a time in a date": (
        "date",
        ['"2026-01-01"', '"2026-01-01T23:30:00"'],
        [datetime(2026, 1, 1), datetime(2026, 1, 1, 23, 30)],
        "a time of day|does not fit",
    ),
}


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "texts"])
@pytest.mark.parametrize("kind", ["duckdb", "mariadb"])
@pytest.mark.parametrize(("declared", "texts", "values", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_a_column_would_change_is_refused(
    open_store, load, write, kind, form, declared, texts, values, problem
):
    store = open_store(kind)
    store.query(f"CREATE TABLE t (v {declared})")
    plain = [text.strip('"') for text in texts]
    given = {"jsonl": texts, "csv": plain, "parquet": values, "texts": plain}[form]
    suffix = "parquet" if form == "texts" else form
    with pytest.raises(InputError, match=problem) as caught:
        load(write(suffix, given))
    assert "row 2" in str(caught.value)
    assert "'v'" in str(caught.value)
    assert plain[1] not in str(caught.value)
    assert store.query("SELECT * FROM t") == []
    load(write(suffix, given[:1]))
    assert len(store.query("SELECT * FROM t")) == 1


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("INTEGER", "1.5"),
        ("NUMERIC", BIG),
        ("JSON", "9007199254740993.5"),
        ("REAL", "1e400"),
        ("DECIMAL(20,2)", "1e400"),
        ("STRING", '"007"'),
        ("STRING", '"1.50"'),
        ("INTEGER", "18446744073709551615"),
    ],
)
def test_what_a_column_of_sqlite_does_not_keep_is_refused(open_store, load, write, declared, text):
    store = open_store("sqlite")
    store.query(f"CREATE TABLE t (v {declared})")
    forms = ["jsonl"] if text.startswith('"') or declared == "JSON" else ["jsonl", "csv"]
    for form in forms:
        with pytest.raises(InputError, match=r"(?s)row 2.*'v'|'v'.*row 2") as caught:
            load(write(form, ["1", text]))
        assert text.strip('"') not in str(caught.value)
    assert store.query("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (pa.array([1, 2**64 - 1], pa.uint64()), "INTEGER"),
        (pa.array([1, 2**63], pa.uint64()), "NUMERIC"),
        (pa.array([Decimal("1.00"), Decimal(BIG)]), "NUMERIC"),
    ],
)
def test_a_number_of_parquet_that_sqlite_cannot_hold_is_refused(open_store, load, write, array, declared):
    store = open_store("sqlite")
    store.query(f"CREATE TABLE t (v {declared})")
    with pytest.raises(InputError, match=r"row 2: the column 'v' does not fit its type"):
        load(write("parquet", array))
    store.query("DROP TABLE t")
    store.query("CREATE TABLE t (v TEXT)")
    load(write("parquet", array))
    assert store.query("SELECT v FROM t") == [(str(value),) for value in array.to_pylist()]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
@pytest.mark.parametrize("declared", ["TEXT", "JSON"])
def test_numbers_of_json_stay_as_they_are_in_texts(open_store, load, write, kind, declared):
    store = open_store(kind)
    store.query(f"CREATE TABLE t (v {declared})")
    numbers = ["1.50", "9007199254740993", "true"]
    load(write("jsonl", numbers))
    found = [str(value) for (value,) in store.query("SELECT v FROM t")]
    assert found == (["1.5", *numbers[1:]] if (kind, declared) == ("sqlite", "JSON") else numbers)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("kind", ["duckdb", "mariadb"])
def test_decimals_of_texts_are_kept(open_store, load, write, kind, form):
    store = open_store(kind)
    store.query("CREATE TABLE t (v decimal(30,10))")
    load(write(form, [BIG, "1.5"]))
    assert store.query("SELECT v FROM t ORDER BY v") == [(Decimal("1.5"),), (Decimal(BIG),)]


@pytest.mark.parametrize("declared", ["enum('a','b')", "set('a','b')"])
@pytest.mark.parametrize("text", ["1", '"2"', "true"])
@pytest.mark.long
def test_a_number_is_no_place_among_listed_values(open_store, load, write, declared, text):
    store = open_store("mariadb")
    store.query(f"CREATE TABLE t (v {declared})")
    with pytest.raises(InputError, match="row 2: the column 'v'"):
        load(write("jsonl", ['"a"', text]))
    load(write("jsonl", ['"a"', '"b"']))
    store.query("ALTER TABLE t MODIFY v enum('a','b','1')")
    load(write("jsonl", ['"a"', "1"]))
    assert store.query("SELECT v FROM t") == [("a",), ("1",)]


COARSE = {
    "datetime(3)": (
        "2026-01-01T00:00:00.123",
        "2026-01-01T00:00:00.1234",
        datetime(2026, 1, 1, 0, 0, 0, 123000),
    ),
    "datetime": ("2026-01-01T00:00:01", "2026-01-01T00:00:01.5", datetime(2026, 1, 1, 0, 0, 1)),
    "time": ("10:00:01", "10:00:01.5", timedelta(hours=10, seconds=1)),
    "time(3)": ("10:00:01.123", "10:00:01.1234", timedelta(hours=10, seconds=1.123)),
}


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("declared", COARSE)
def test_seconds_finer_than_the_column_are_refused(open_store, load, write, declared, form):
    store = open_store("mariadb")
    store.query(f"CREATE TABLE t (v {declared})")
    fits, finer, value = COARSE[declared]
    read = time.fromisoformat if declared.startswith("time") else datetime.fromisoformat
    given = {"jsonl": json.dumps, "csv": str, "parquet": read}[form]
    load(write(form, [given(fits)]))
    with pytest.raises(InputError, match="row 1: the column 'v'"):
        load(write(form, [given(finer)]))
    assert store.query("SELECT v FROM t") == [(value,)]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
def test_a_time_of_parquet_that_is_finer_than_a_microsecond_is_refused(open_store, load, write, kind):
    store = open_store(kind)
    store.query(f"CREATE TABLE t (v time{'(6)' if kind == 'mariadb' else ''})")
    load(write("parquet", pa.array([1000, None], pa.time64("ns"))))
    with pytest.raises(InputError, match="row 2"):
        load(write("parquet", pa.array([1000, 1001], pa.time64("ns"))))
    assert len(store.query("SELECT v FROM t")) == 2


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
@pytest.mark.parametrize("seconds", [253_402_300_800, -62_167_219_200], ids=["year 10000", "year 0"])
def test_a_moment_of_parquet_that_python_does_not_have_is_refused(open_store, load, write, kind, seconds):
    store = open_store(kind)
    store.query("CREATE TABLE t (v timestamp)")
    moments = pa.array([0, seconds], pa.timestamp("s"))
    with pytest.raises(InputError, match="row 2: the column 'v' is a time outside the years 1 to 9999"):
        load(write("parquet", moments))
    assert store.query("SELECT v FROM t") == []


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
def test_a_whole_number_with_an_exponent_fits_an_integer(open_store, load, write, kind):
    store = open_store(kind)
    store.query("CREATE TABLE t (v bigint)")
    load(write("jsonl", ["1e3", "1.7E12", "2.0"]))
    assert store.query("SELECT v FROM t ORDER BY v") == [(2,), (1000,), (1_700_000_000_000,)]
    load(write("parquet", pa.array([1.7e12, 1e3, None])))
    found = store.query("SELECT v FROM t WHERE v IS NOT NULL ORDER BY v")
    assert found == [(1000,), (1_700_000_000_000,)]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
def test_a_map_of_parquet_is_an_object_and_nan_in_it_null(open_store, load, write, kind):
    store = open_store(kind)
    store.query("CREATE TABLE t (v JSON)")
    kind_of = pa.map_(pa.string(), pa.list_(pa.float64()))
    load(write("parquet", pa.array([[("k", [1.5, float("nan")])]], kind_of)))
    assert json.loads(store.query("SELECT v FROM t")[0][0]) == {"k": [1.5, None]}
    with pytest.raises(InputError, match="row 1: the column 'v' has an infinite number"):
        load(write("parquet", pa.array([[("k", [float("inf")])]], kind_of)))
    with pytest.raises(InputError, match="row 1: the column 'v' has a key twice"):
        load(write("parquet", pa.array([[("k", [1.0]), ("k", [2.0])]], kind_of)))


def test_lists_of_duckdb_have_null_for_nan_and_no_infinity(open_store, load, write):
    store = open_store("duckdb")
    store.query("CREATE TABLE t (v DOUBLE[])")
    load(write("parquet", pa.array([[1.5, float("nan")]])))
    assert store.query("SELECT v FROM t") == [([1.5, None],)]
    with pytest.raises(InputError, match="row 1: the column 'v' has an infinite number"):
        load(write("parquet", pa.array([[float("-inf")]])))


def test_dates_of_every_form_fit_a_date(open_store, load, write):
    store = open_store("duckdb")
    store.query("CREATE TABLE t (v date)")
    load(write("jsonl", ['"2026-01-01"', '"2026-01-01T00:00:00Z"', '"2026-01-01 00:00:00"']))
    assert store.query("SELECT DISTINCT v FROM t") == [(date(2026, 1, 1),)]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
@pytest.mark.parametrize(
    "texts",
    [
        ["9007199254740993", "1.5"],
        ["12345678901234567890123", "1"],
        ["0.12345678901234567890123", "1.5"],
        ["1e40", "1.5", "0.1234567890123456789"],
        ["1.5", "0.1", "30000"],
    ],
)
def test_a_table_created_from_json_keeps_each_digit(open_store, load, write, kind, texts):
    store = open_store(kind)
    load(write("jsonl", texts), create=True)
    found = [Decimal(str(value)) for (value,) in store.query("SELECT v FROM t")]
    assert sorted(found) == sorted(map(Decimal, texts))


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1.123456789012345", pa.decimal128(20, 15)),
        ("12345678901234567890123456789012345678", pa.decimal128(38, 0)),
        ("1.5", pa.decimal128(38, 37)),
        ("1.50", pa.decimal128(4, 2)),
        ("12345678901234567890123456789012345678901234567890.5", pa.decimal256(60, 5)),
    ],
)
def test_a_table_created_from_parquet_keeps_each_decimal(open_store, load, write, kind, text, decimal):
    store = open_store(kind)
    load(write("parquet", pa.array([Decimal(text), None], decimal)), create=True)
    found = store.query("SELECT v FROM t WHERE v IS NOT NULL")
    assert [Decimal(str(value)) for (value,) in found] == [Decimal(text)]


FINER = {
    "fractions in a list of integers": ("INTEGER[]", "[1.5]", pa.array([[1.5]])),
    "a time of day in a list of dates": ("DATE[]", '["2026-01-01", "2026-01-01T10:00:00Z"]', None),
    "a time of day in an object": ("STRUCT(a DATE)", '{"a": "2026-01-01 10:00:00"}', None),
    "seconds finer than those of a list": ("TIMESTAMP_S[]", '["2026-01-01T00:00:00.5"]', None),
    "an infinite number in a list": ("FLOAT[]", "[1.5, 1e39]", None),
    "a negative one": ("DOUBLE[]", "[-1e400]", None),
    "fractions in a list of lists": ("INTEGER[][]", "[[1.5]]", pa.array([[[1.5]]])),
    "fractions in an object": ("STRUCT(a INTEGER)", '{"a": 1.5}', pa.array([{"a": 1.5}])),
    "decimals in an object": ("STRUCT(a DECIMAL(4,1), b VARCHAR)", '{"a": 1.25, "b": "x"}', None),
    "fractions in a list of objects": ("STRUCT(a INTEGER)[]", '[{"a": 1.5}]', pa.array([[{"a": 1.5}]])),
    "a zone in a time": ("TIME", '"10:00:00+02:00"', None),
    "a day in a time": ("TIME", '"2026-01-01T10:00:00"', pa.array([datetime(2026, 1, 1, 10)])),
    "seconds finer than the column": ("TIMESTAMP_S", '"2026-01-01T00:00:00.5"', None),
    "seconds finer than a microsecond": ("TIMESTAMP", '"2026-01-01T00:00:00.1234567"', None),
    "nanoseconds": ("TIMESTAMP", '"2026-01-01 00:00:00.000000001"', pa.array([1], pa.timestamp("ns"))),
    "a number in a boolean": ("BOOLEAN", "2", pa.array([2])),
}

TEXTS = ["é", "a\nb\t", "\\n", 'q"q', "it's", "/", "👩", "a, ]b", "null", "", " x ", "{a}"]
NESTED = {
    "a list": ("VARCHAR[]", TEXTS),
    "an object": ('STRUCT("a é" VARCHAR, b VARCHAR[])', {"a é": "x\n\\é", "b": ["y\n", "é"]}),
    "objects in a list": ("STRUCT(a VARCHAR)[]", [{"a": text} for text in TEXTS[:6]]),
}


@pytest.mark.parametrize(("declared", "value"), NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_texts_within_lists_and_objects_of_duckdb_are_kept(
    open_store, load, write, declared, value, ascii_only, form
):
    store = open_store("duckdb")
    store.query(f"CREATE TABLE t (v {declared})")
    text = json.dumps(value, ensure_ascii=ascii_only)
    load(write(form, [text.replace('"', '""') if form == "csv" else text]))
    assert store.query("SELECT v FROM t") == [(value,)]


def test_json_within_a_list_of_texts_of_duckdb_stays_as_it_is(open_store, load, write):
    store = open_store("duckdb")
    store.query("CREATE TABLE t (v VARCHAR[])")
    load(write("jsonl", [r'["\u00e9", {"a": "x\ny"}, 1.50]']))
    assert store.query("SELECT v FROM t") == [(["é", r'{"a": "x\ny"}', "1.50"],)]


def test_a_zone_within_a_list_of_duckdb_counts(open_store, load, write):
    store = open_store("duckdb")
    store.query("CREATE TABLE t (v TIMESTAMP[], w STRUCT(a TIMESTAMP))")
    path = write("jsonl", ['["2026-01-01T10:00:00+02:00", "2026-01-01T10:00:00"]'])
    path.write_text(path.read_text()[:-2] + ', "w": {"a": "2026-01-01T10:00:00.123456-01:00"}}\n')
    load(path)
    moments = [datetime(2026, 1, 1, 8), datetime(2026, 1, 1, 10)]
    assert store.query("SELECT * FROM t") == [(moments, {"a": datetime(2026, 1, 1, 11, 0, 0, 123456)})]


@pytest.mark.parametrize(("declared", "text", "array"), FINER.values(), ids=FINER)
def test_what_a_column_of_duckdb_would_drop_is_refused(open_store, load, write, declared, text, array):
    store = open_store("duckdb")
    store.query(f"CREATE TABLE t (v {declared})")
    paths = [("jsonl", [text])] + ([("parquet", array)] if array is not None else [])
    for form, given in paths:
        with pytest.raises(InputError, match="row 1"):
            load(write(form, given))
    assert store.query("SELECT * FROM t") == []


def test_values_of_duckdb_types_fit(open_store, load, write):
    store = open_store("duckdb")
    for declared, text, array, expected in (
        ("INTEGER[]", "[1, 2]", pa.array([[1.0, 2.0]]), [1, 2]),
        ("TIME", '"10:00:00"', None, None),
        ("TIMESTAMP_S", '"2026-01-01T02:00:00+02:00"', None, datetime(2026, 1, 1)),
        ("STRUCT(a INTEGER)", '{"a": 1}', pa.array([{"a": 1}]), {"a": 1}),
        (
            "STRUCT(a DECIMAL(4,1), b VARCHAR)",
            '{"a": 1.5, "b": "1.25"}',
            None,
            {"a": Decimal("1.5"), "b": "1.25"},
        ),
        ("STRUCT(a BIGINT)[]", '[{"a": 9007199254740993}]', None, [{"a": 9007199254740993}]),
        ("FLOAT", "0.5", pa.array([0.5]), 0.5),
        ("BLOB", '"ab"', pa.array([b"ab"]), b"ab"),
        ("VARCHAR", '"10:00+2"', pa.array([b"ab"]), None),
    ):
        store.query(f"CREATE OR REPLACE TABLE t (v {declared})")
        for form, given in (("jsonl", [text]), ("parquet", array)):
            if given is not None:
                load(write(form, given))
                (value,) = store.query("SELECT v FROM t")[0]
                assert expected is None or value == expected


@pytest.mark.parametrize("declared", ["INTEGER", "NUMERIC", "TIMESTAMP", "TEXT"])
def test_long_and_round_integers_stay_in_sqlite(open_store, load, write, declared):
    store = open_store("sqlite")
    store.query(f"CREATE TABLE t (v {declared})")
    numbers = [9223372036854775800, -9223372036854775000, 1000, 1767225600]
    for form in ("jsonl", "csv", "parquet"):
        load(write(form, pa.array(numbers) if form == "parquet" else numbers))
        found = [value for (value,) in store.query("SELECT v FROM t")]
        assert found == (list(map(str, numbers)) if declared == "TEXT" else numbers)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_seconds_finer_than_a_microsecond_are_refused(open_store, load, write, form):
    text = "2026-01-01T00:00:00.1234567"
    store = open_store("mariadb")
    store.query("CREATE TABLE t (v datetime(6))")
    with pytest.raises(InputError, match="row 1: the column 'v' does not fit its type"):
        load(write(form, [json.dumps(text) if form == "jsonl" else text]))


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "mariadb"])
def test_new_columns_that_differ_in_case_only_are_refused(open_store, load, tmp_path, kind):
    open_store(kind)
    (tmp_path / "a.jsonl").write_text('{"id": 1, "name": "a", "Name": "b"}\n')
    with pytest.raises(
        InputError, match="the columns 'name' and 'Name' differ in case only, which this database"
    ):
        load(tmp_path / "a.jsonl", table="made", create=True)
    assert load(tmp_path / "a.jsonl", table="made", create=True, columns={"Name": "other"})["rows"] == 1


def test_names_and_keys_that_mariadb_does_not_take(open_store, load, write, tmp_path):
    store = open_store("mariadb")
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": 1, "x" * 65: 1}) + "\n")
    with pytest.raises(
        InputError, match="xxx' is longer than 64 characters; give it a shorter name by 'columns'"
    ):
        load(tmp_path / "a.jsonl", table="made", create=True)
    assert load(write("jsonl", ["1", '"b"']), table="mixed", create=True, key=["v"])["rows"] == 2
    assert store.query("SELECT v FROM mixed ORDER BY v") == [("1",), ("b",)]
