"""A file's columns have the types that the service declares, whatever the rows hold."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pyarrow.parquet as pq
import pytest

from airflow_provider.amigocloud.export.formats import columns_of
from airflow_provider.amigocloud.export.parquet import ParquetWriter, _json
from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.errors import InputError
from tests.unit.amigocloud.export.test_export import export

DECLARED = {
    "integer": "int64",
    "bigint": "int64",
    "unknown(23)": "int64",
    "float": "double",
    "number": "double",
    "real": "double",
    "numeric": "double",
    "unknown(1700)": "double",
    "boolean": "bool",
    "date": "date32[day]",
    "datetime": "timestamp[us, tz=UTC]",
    "unknown(1114)": "timestamp[us, tz=UTC]",
    "string": "string",
    "time": "string",
    "geometry": "string",
    "unknown(2950)": "string",
    "unknown(19)": "string",
}

SAME = [
    ("integer", [7, "7", 7.0, " 7 ", "7.0"], 7),
    ("float", [2.5, "2.5", "25e-1", " 2.50 "], 2.5),
    ("number", [3, "3", 3.0, "3.000"], 3.0),
    ("unknown(1700)", ["0.1", 0.1], 0.1),
    ("boolean", [True, "true", 1, "True", "t"], True),
    ("boolean", [False, "false", 0, "f"], False),
    ("date", ["2025-01-31"], date(2025, 1, 31)),
    (
        "datetime",
        [
            "2025-01-31 14:05:11+00:00",
            "2025-01-31T16:05:11+02:00",
            "2025-01-31T14:05:11Z",
            "2025-01-31 14:05:11",
        ],
        datetime(2025, 1, 31, 14, 5, 11, tzinfo=UTC),
    ),
    ("string", ["5", 5], "5"),
    ("unknown(114)", [{"a": 1}, '{"a": 1}'], '{"a": 1}'),
    ("json", [5, "5"], "5"),
    ("jsonb", [True, "true"], "true"),
    ("unknown(3802)", ["a", '"a"'], '"a"'),
    ("json", ["NaN", '"NaN"'], '"NaN"'),
    ("unknown(3802)", [["a"], '["a"]'], '["a"]'),
]


def write(path, kind, values):
    with path.open("wb") as file:
        writer = ParquetWriter(file, [Column("amigo_id", "string"), Column("v", kind)])
        text = "\n".join(json.dumps({"amigo_id": f"id{n}", "v": value}) for n, value in enumerate(values))
        try:
            writer.write_lines(text.encode(), len(values))
            writer.close()
        except InputError:
            writer.discard()
            raise
    return pq.read_table(path)


@pytest.mark.parametrize(("kind", "wanted"), DECLARED.items())
def test_the_type_is_the_declared_one_without_rows_and_with_nulls(tmp_path, kind, wanted):
    for values in ([], [None], [None, None]):
        assert str(write(tmp_path / "a.parquet", kind, values).schema.field("v").type) == wanted


@pytest.mark.parametrize(("kind", "values", "wanted"), SAME, ids=lambda value: str(value)[:20])
def test_a_value_is_the_same_however_the_service_sends_it(tmp_path, kind, values, wanted):
    alone = [write(tmp_path / "a.parquet", kind, [value]) for value in values]
    together = write(tmp_path / "a.parquet", kind, [*values, None])
    assert {table.schema for table in alone} == {together.schema}
    assert [table["v"].to_pylist() for table in alone] == [[wanted]] * len(values)
    assert together["v"].to_pylist() == [wanted] * len(values) + [None]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("number", "much", "must be a number, not 'much'"),
        ("float", "1,5", "a decimal point is needed"),
        ("float", "NaN", "select NULLIF(v, 'NaN') AS v"),
        ("number", "-Infinity", "select NULLIF(v, '-Infinity') AS v"),
        ("date", "infinity", "'infinity' is no date; select NULLIF(v, 'infinity') AS v"),
        ("datetime", "-infinity", "is no datetime; select NULLIF(v, '-infinity') AS v"),
        ("integer", 2.5, "must be a whole number"),
        ("boolean", "perhaps", "must be true or false"),
        ("date", "next Tuesday", "'next Tuesday' is no date"),
        ("datetime", 5, "5 is no datetime"),
    ],
)
def test_a_value_of_another_type_is_named_with_row_and_key(tmp_path, kind, value, said):
    with pytest.raises(InputError) as caught:
        write(tmp_path / "a.parquet", kind, [None, value, None, value])
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("row 2: column 'v' is not all ")
    assert said in caught.value.problems[0]
    assert caught.value.problems[1].endswith("(amigo_id id3)")


def test_a_list_declares_no_types_so_its_numbers_are_doubles(tmp_path):
    pages = [
        Page([json.dumps({"a": a, "b": True, "c": "x", "d": None, "e": [1]}).encode()]) for a in (1, 1.5)
    ]
    assert [columns_of(page) for page in pages] == [
        [
            Column("a", "number"),
            Column("b", "boolean"),
            Column("c", "string"),
            Column("d", "unknown"),
            Column("e", "unknown"),
        ]
    ] * 2
    export(tmp_path / "a.parquet", url="/me/projects?limit=9")
    assert str(pq.read_schema(tmp_path / "a.parquet").field("id").type) == "double"


@pytest.mark.parametrize("text", ["{", "[" * 200_000 + "]" * 200_000])
def test_a_text_that_no_reader_takes_is_a_text_of_json(text: str) -> None:
    assert _json(text) == json.dumps(text)
    assert _json('{"a": 1}') == '{"a": 1}'
