"""Values in PostgreSQL: unchanged, whatever format brought them, or refused by row and column."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError

SECRET = "s3cret-Value"


def make(database, columns):
    database.query(f"CREATE TABLE t ({columns})")
    database.query("ALTER TABLE t OWNER TO loader")


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def refused(load, path, *secrets, **arguments):
    with pytest.raises(InputError) as caught:
        load(path, **arguments)
    text = f"{caught.value!s} {caught.value!r}"
    assert not [secret for secret in (SECRET, *secrets) if secret in text]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value.problems


def test_each_type_of_parquet_arrives_unchanged(database, load, tmp_path, driver):
    make(
        database,
        "i bigint, f float8, r real, d numeric, b boolean, s text, day date, at timestamptz, naive timestamp,"
        " clock time, span interval, raw bytea, tags text[], n int[], doc jsonb, word text, u uuid",
    )
    uid = UUID("12345678-1234-5678-1234-567812345678")
    columns = {
        "i": pa.array([2**63 - 1, None]),
        "f": pa.array([0.1, float("nan")]),
        "r": pa.array([0.1, None], pa.float32()),
        "d": pa.array([Decimal("123456789012345678.0123456789"), None]),
        "b": pa.array([True, None]),
        "s": pa.array(['a "b", \\N\n{ü}', ""]),
        "day": pa.array([date(2024, 2, 29), None]),
        "at": pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC), None], pa.timestamp("ns", "UTC")),
        "clock": pa.array([time(1, 2, 3, 4), None]),
        "span": pa.array([timedelta(days=1, seconds=1.5), None]),
        "raw": pa.array([b"\x00\xff\\", None]),
        "tags": pa.array([["a", None, 'q"\\,{}'], []]),
        "n": pa.array([[[1, 2], [3, 4]], None]),
        "doc": pa.array([{"a": [1, None], "b": "x"}, None]),
        "word": pa.array(["x", None]).dictionary_encode(),
        "u": pa.array([uid.bytes, None], pa.binary(16)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    load(tmp_path / "a.parquet")
    first, second = database.query("SELECT * FROM t ORDER BY i")
    assert first[:6] == (
        2**63 - 1,
        0.1,
        pytest.approx(0.1),
        columns["d"][0].as_py(),
        True,
        columns["s"][0].as_py(),
    )
    assert first[6] == date(2024, 2, 29)
    assert first[7] == datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert first[8:11] == (datetime(2024, 1, 1, 12), time(1, 2, 3, 4), timedelta(days=1, seconds=1.5))
    assert first[11:15] == (
        b"\x00\xff\\",
        ["a", None, 'q"\\,{}'],
        [[1, 2], [3, 4]],
        {"a": [1, None], "b": "x"},
    )
    assert first[15:] == ("x", uid)
    assert second == (None,) * 5 + ("",) + (None,) * 6 + ([],) + (None,) * 4


CHANGED = {
    "a decimal too many": ("numeric(10,2)", ["1.10", "1.255"], [1.25, 1.255]),
    "a time in a date": (
        "date",
        ['"2026-01-01"', '"2026-01-01T23:30:00"'],
        [datetime(2026, 1, 1), datetime(2026, 1, 1, 23, 30)],
    ),
    "a fraction in an integer": ("int", ["1", "1.5"], [1.0, 1.5]),
    "a decimal too many for a domain": ("cents", ["1.10", "1.255"], [1.25, 1.255]),
    "a decimal too many for money": ("money", ["1.10", "1.255"], [1.25, 1.255]),
    "a decimal too many in a list": ("numeric(10,2)[]", ["[1.10]", "[1.255]"], [[1.25], [1.255]]),
    "a decimal too many in a domain of lists": ("prices", ["[1.10]", "[1.255]"], [[1.25], [1.255]]),
    **{
        f"seconds finer than {column}": (
            column,
            ['"2026-01-01T23:30:01"', '"2026-01-01T23:30:01.2345"'],
            [datetime(2026, 1, 1, 23, 30), datetime(2026, 1, 1, 23, 30, 1, 234500)],
        )
        for column in ("timestamp(0)", "timestamp(3)", "timestamptz(3)", "whole_seconds")
    },
    **{
        f"seconds finer than {column}": (
            column,
            ['"23:30:01"', '"23:30:01.2345"'],
            [time(23, 30, 1), time(23, 30, 1, 234500)],
        )
        for column in ("time(0)", "time(3)", "timetz(3)")
    },
    "seconds finer than those of a list": (
        "timestamptz(3)[]",
        ['["2026-01-01T23:30:01Z"]', '["2026-01-01T23:30:01.2345Z"]'],
        [[datetime(2026, 1, 1, tzinfo=UTC)], [datetime(2026, 1, 1, 23, 30, 1, 234500, tzinfo=UTC)]],
    ),
    "seconds finer than a length of time": (
        "interval(0)",
        ['"1 seconds"', '"1.255 seconds"'],
        [timedelta(seconds=1), timedelta(seconds=1.255)],
    ),
    "finer than a microsecond": ("timestamp", None, pa.array([0, 1], pa.timestamp("ns"))),
    "a time finer than a microsecond": ("time", None, pa.array([0, 1], pa.time64("ns"))),
    "a length of time finer than a microsecond": ("interval", None, pa.array([0, 1], pa.duration("ns"))),
    "a word for the present in a date": ("date", ['"2026-01-01"', '"Today"'], ["2026-01-01", "Today"]),
    "a word for the present in a moment": (
        "timestamptz",
        ['"2026-01-01"', '" now"'],
        ["2026-01-01", " now"],
    ),
    "a word for the present in a list": (
        "date[]",
        ['["2026-01-01"]', '["yesterday"]'],
        [["2026-01-01"], ["yesterday"]],
    ),
}


@pytest.mark.parametrize(("column", "texts", "values"), CHANGED.values(), ids=CHANGED)
def test_a_value_that_a_column_would_change_is_refused(database, load, tmp_path, column, texts, values):
    database.query("CREATE DOMAIN cents AS numeric(10,2)")
    database.query("CREATE DOMAIN prices AS numeric(10,2)[]")
    database.query("CREATE DOMAIN whole_seconds AS timestamp(0)")
    make(database, f"v {column}")
    parquet.write_table(pa.table({"v": values}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(f'{{"v": {text}}}\n' for text in texts or ()))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        plain = [json.loads(text) if text[0] == '"' else text for text in texts or ()]
        csv.writer(file).writerows([["v"], *([text] for text in plain)])
    for suffix in ("parquet", "jsonl", "csv") if texts else ("parquet",):
        (problem,) = refused(load, tmp_path / f"a.{suffix}", "1.255", "23:30")
        assert problem.startswith("row 2: the column 'v' ")
        first = tmp_path / f"first.{suffix}"
        if suffix == "parquet":
            parquet.write_table(parquet.read_table(tmp_path / "a.parquet").slice(0, 1), first)
        else:
            lines = (tmp_path / f"a.{suffix}").read_text().splitlines(keepends=True)
            first.write_text("".join(lines[:-1]))
        assert load(first)["rows"] == 1


def test_whole_numbers_with_exponents_and_of_floats_fit_an_integer(database, load, tmp_path):
    make(database, "v bigint")
    (tmp_path / "a.jsonl").write_text('{"v": 1e3}\n{"v": 1.7E12}\n')
    load(tmp_path / "a.jsonl")
    parquet.write_table(pa.table({"v": [1.7e12, 1e3, None]}), tmp_path / "a.parquet")
    load(tmp_path / "a.parquet")
    assert database.query("SELECT v FROM t ORDER BY v") == [(1000,), (1_700_000_000_000,), (None,)]


def test_numbers_within_lists_and_maps_of_parquet(database, load, tmp_path):
    make(database, "v float8[], m jsonb")
    maps = pa.array([[("k", 1.5), ("n", float("nan"))]], pa.map_(pa.string(), pa.float64()))
    parquet.write_table(pa.table({"v": [[1.5, float("nan")]], "m": maps}), tmp_path / "a.parquet")
    load(tmp_path / "a.parquet")
    assert database.query("SELECT * FROM t") == [([1.5, None], {"k": 1.5, "n": None})]
    parquet.write_table(pa.table({"v": [[1.0], [float("inf")]]}), tmp_path / "b.parquet")
    assert refused(load, tmp_path / "b.parquet") == ["row 2: the column 'v' has an infinite number"]


def test_a_table_created_from_json_keeps_each_digit(database, load, tmp_path):
    texts = ["9007199254740993", "1.5", "0.1", "1e3"]
    (tmp_path / "a.jsonl").write_text("".join(f'{{"v": {text}, "d": 0.1}}\n' for text in texts))
    load(tmp_path / "a.jsonl", table="made", create=True)
    found = database.query("SELECT v, pg_typeof(v)::text, pg_typeof(d)::text FROM made")
    assert found == [(Decimal(text), "numeric", "double precision") for text in texts]


def test_each_value_of_json_arrives_unchanged(database, load, tmp_path, driver):
    make(
        database,
        "i int, n numeric, b boolean, s text, doc json, docs jsonb, tags text[], nums float8[],"
        " at timestamptz, wall timestamp, list_as_text text",
    )
    lines = [
        '{"i": 1.0, "n": 1.234567890123456789012345, "b": true, "s": "\\u00e4\\"\\n",'
        ' "doc": {"b":1, "a":  2.50},'
        ' "docs": "{\\"x\\": 1}", "tags": ["a", null, "b,c"], "nums": [1, 2.5],'
        ' "at": "2024-01-01T12:00:00", "wall": "2024-01-01T12:00:00+02:00", "list_as_text": [1, "a"]}',
        '{"i": 2, "docs": "plain", "s": ""}',
        '{"i": 3, "docs": 5, "doc": null, "s": null}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    load(tmp_path / "a.jsonl")
    one, two, three = database.query("SELECT *, doc::text FROM t ORDER BY i")
    assert one[1:4] == (Decimal("1.234567890123456789012345"), True, 'ä"\n')
    assert one[-1] == '{"b":1, "a":  2.50}'
    assert one[5:8] == ({"x": 1}, ["a", None, "b,c"], [1.0, 2.5])
    assert one[8:11] == (datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 10), '[1, "a"]')
    assert (two[3], two[5]) == ("", "plain")
    assert (three[3], three[4], three[5]) == (None, None, 5)


def test_csv_arrives_as_its_columns_types(database, load, tmp_path, driver):
    make(database, "i int, n numeric, day date, b boolean, tags int[], s text")
    text = "i;n;day;b;tags;s\n1,0;1.50;2024-02-29;true;[1, 2];x\n2.0;;;f;{3};\n"
    (tmp_path / "a.csv").write_text(text.replace("1,0", "1.0"))
    load(tmp_path / "a.csv", csv_delimiter=";")
    assert database.query("SELECT * FROM t ORDER BY i") == [
        (1, Decimal("1.50"), date(2024, 2, 29), True, [1, 2], "x"),
        (2, None, None, False, [3], None),
    ]


BAD = {
    "text in an integer": ("n int", [{"n": 1}, {"n": SECRET}], "row 2: the column 'n' does not fit"),
    "a number out of range": ("n smallint", [{"n": 1}, {"n": 7654321}], "row 2: the column 'n' is out of"),
    "a text that is too long": ("n varchar(3)", [{"n": SECRET}], "row 1: the column 'n' is too long"),
    "a date of another order": ("n date", [{"n": "31/12/2024"}], "row 1: the column 'n' is"),
    "no JSON": ("n jsonb", [{"n": "a"}, {"n": "{" + SECRET}], None),
    "a NUL character": ("n text", [{"n": "a\0" + SECRET}], "row 1 has characters"),
    "a check": (
        "n int CHECK (n < 5)",
        [{"n": 1}, {"n": 7654321}],
        "row 2 breaks a check (constraint 't_n_check')",
    ),
    "NOT NULL": ("n int NOT NULL, m int", [{"n": 1}, {"m": 7654321}], "row 2: the column 'n' is missing"),
    "a domain": ("n short", [{"n": 1}, {"n": 7654321}], "row 2: the column 'n' breaks a check"),
    "a uuid": ("n uuid", [{"n": SECRET}], "row 1: the column 'n' does not fit"),
    "a geometry": ("n geometry", [{"n": SECRET}], "row 1: the column 'n' is no geometry"),
    "an array": ("n int[]", [{"n": [1, SECRET]}], "row 1: the column 'n' does not fit"),
}


@pytest.mark.parametrize(("columns", "rows", "problem"), BAD.values(), ids=BAD)
def test_a_value_that_does_not_fit_is_named_by_row_and_column_without_the_value(
    database, load, tmp_path, driver, columns, rows, problem
):
    database.query("CREATE DOMAIN short AS int CHECK (VALUE < 5)")
    make(database, columns)
    database.query("GRANT USAGE ON TYPE short TO loader")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if problem is None:
        load(tmp_path / "a.jsonl")
        return
    (found,) = refused(load, tmp_path / "a.jsonl", "7654321", "31/12")
    assert found.startswith(problem), found
    assert database.query("SELECT * FROM t") == []


def test_rows_of_a_file_with_empty_lines_are_named_by_their_lines(database, load, tmp_path):
    make(database, "n int")
    (tmp_path / "a.jsonl").write_text('\n{"n": 1}\n\n\n{"n": "x"}\n')
    assert refused(load, tmp_path / "a.jsonl")[0].startswith("row 5: the column 'n'")


def test_rows_behind_texts_with_line_breaks_are_named_right(database, load, tmp_path, driver):
    make(database, "s text, n int")
    rows = [{"s": 'a\nb\r\n\n,"', "n": 1}, {"s": "\n", "n": 2}, {"s": "", "n": SECRET}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert refused(load, tmp_path / "a.jsonl")[0].startswith("row 3: the column 'n' does not fit")


def test_infinity_in_parquet_is_a_problem_and_nan_is_null(database, load, tmp_path):
    make(database, "n float8")
    parquet.write_table(pa.table({"n": [1.0, float("nan"), float("-inf")]}), tmp_path / "a.parquet")
    assert refused(load, tmp_path / "a.parquet") == ["row 3: the column 'n' is infinite"]


@pytest.mark.parametrize("mode", ["replace", "merge", "append"])
def test_constraints_that_show_with_the_table_are_named_by_row_without_values(
    database, load, tmp_path, driver, mode
):
    database.query("CREATE TABLE ref (code text PRIMARY KEY); INSERT INTO ref VALUES ('ok')")
    make(
        database,
        "id int PRIMARY KEY, code text CONSTRAINT known REFERENCES ref, u text CONSTRAINT once UNIQUE",
    )
    database.query("GRANT SELECT ON ref TO loader")
    path = tmp_path / "a.jsonl"
    how = {"mode": mode, "key": ["id"]}
    codes = ["ok", SECRET, None, SECRET]
    write_rows(path, [{"id": n, "code": code} for n, code in enumerate(codes, 1)])
    missing = "refers to a row that is not there (constraint 'known')"
    assert refused(load, path, **how) == [f"row 2: {missing}", f"row 4: {missing}"]
    write_rows(
        path, [{"id": 1, "u": SECRET}, {"id": 2, "u": "b"}, {"id": 3, "u": SECRET}, {"id": 4, "u": None}]
    )
    twice = "has a value that is there already (constraint 'once')"
    assert refused(load, path, **how) == [f"row 1: {twice}", f"row 3: {twice}"]


def test_a_foreign_key_to_a_table_that_cannot_be_read_is_named(database, load, tmp_path, driver):
    database.query("CREATE TABLE ref (code text PRIMARY KEY)")
    make(database, "id int PRIMARY KEY, code text CONSTRAINT known REFERENCES ref")
    write_rows(tmp_path / "a.jsonl", [{"id": 1, "code": SECRET}])
    (problem,) = refused(load, tmp_path / "a.jsonl")
    assert problem == "a row refers to a row that is not there (constraint 'known')"


def test_a_value_of_another_row_of_the_table_is_named_by_row(database, load, tmp_path, driver):
    make(database, "id int PRIMARY KEY, u text CONSTRAINT once UNIQUE")
    database.query(f"INSERT INTO t VALUES (1, '{SECRET}'), (2, 'b')")
    path = tmp_path / "a.jsonl"
    write_rows(path, [{"id": 2, "u": "b"}, {"id": 3, "u": SECRET}])
    problem = "row 2: has a value that is there already (constraint 'once')"
    assert refused(load, path, mode="merge", key=["id"]) == [problem]
    write_rows(path, [{"id": 4, "u": "c"}, {"id": 3, "u": SECRET}])
    assert refused(load, path, mode="append") == [problem]


def test_replacing_rows_that_others_refer_to_is_refused_with_advice(database, load, tmp_path):
    make(database, "id int PRIMARY KEY")
    database.query("INSERT INTO t VALUES (1); CREATE TABLE other (id int CONSTRAINT mine REFERENCES t)")
    database.query("INSERT INTO other VALUES (1)")
    write_rows(tmp_path / "a.jsonl", [{"id": 2}])
    assert refused(load, tmp_path / "a.jsonl") == [
        "rows of the table 'other' refer to rows that would be deleted (constraint 'mine'); load with"
        " mode='merge'"
    ]


def test_no_more_than_twenty_rows_are_named(database, load, tmp_path):
    make(database, "id int, u text CONSTRAINT once UNIQUE")
    write_rows(tmp_path / "a.jsonl", [{"id": n, "u": "x"} for n in range(30)])
    problems = refused(load, tmp_path / "a.jsonl")
    assert len(problems) == 21
    assert problems[-1].startswith("further rows: has a value")


def test_a_constraint_that_is_deferred_to_the_commit_is_reported(database, load, tmp_path, driver):
    make(database, "id int, u text CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"id": i, "u": SECRET}) for i in (1, 2)))
    assert "(constraint 'once')" in refused(load, tmp_path / "a.jsonl")[0]
    assert database.query("SELECT * FROM t") == []


def test_a_triggers_message_is_not_repeated(database, load, tmp_path):
    make(database, "n text")
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no % here', NEW.n; END$$"
    )
    database.query("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()")
    (tmp_path / "a.jsonl").write_text(json.dumps({"n": SECRET}))
    with pytest.raises(Exception, match="P0001") as caught:
        load(tmp_path / "a.jsonl")
    assert SECRET not in f"{caught.value}"


@pytest.mark.parametrize("kind", ["citext", "json", "point", "interval", "text", "numeric"])
def test_merge_sees_each_difference_and_no_other(database, load, tmp_path, kind):
    values = {
        "citext": ("a", "A"),
        "json": ('{"a": 1}', '{"a":1}'),
        "point": ("(1,2)", "(1,3)"),
        "interval": ("1 mon", "30 days"),
        "text": ("a", "a "),
        "numeric": ("1", "1.1"),
    }[kind]
    if kind == "citext":
        database.query("CREATE EXTENSION citext")
    make(database, f"id int PRIMARY KEY, v {kind}, n {kind}")
    path = tmp_path / "a.csv"

    def write(value):
        quoted = value.replace('"', '""')
        path.write_text(f'id,v,n\n1,"{quoted}",\n')

    write(values[0])
    load(path)
    assert load(path, mode="merge", key=["id"])["updated"] == 0
    write(values[1])
    assert load(path, mode="merge", key=["id"])["updated"] == 1
    assert load(path, mode="merge", key=["id"])["updated"] == 0
