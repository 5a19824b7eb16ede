"""Typed Parquet writer: the schema is there before the rows, and small pages make no small row groups."""

from __future__ import annotations

import gc
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files import parquet
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.errors import InputError

pq = pytest.importorskip("pyarrow.parquet")

SCHEMA = {
    "a": "text",
    "b": "json",
    "c": "number",
    "d": "integer",
    "e": "boolean",
    "f": "moment",
}
TYPES = ["string", "string", "double", "int64", "bool", "timestamp[us, tz=UTC]"]


def test_a_file_without_rows_has_its_schema(tmp_path: Path) -> None:
    with AtomicFile(f"{tmp_path}/x.parquet") as file, parquet.TypedParquetWriter(file, SCHEMA):
        pass
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert schema.names == list(SCHEMA)
    assert (
        tuple(SCHEMA.values()) == ("text", "json", "number", "integer", "boolean", "moment") == parquet.KINDS
    )
    assert [str(field.type) for field in schema] == TYPES


def test_small_pages_share_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 10)
    with AtomicFile(f"{tmp_path}/x.parquet") as file, parquet.TypedParquetWriter(file, SCHEMA) as writer:
        for number in range(25):
            writer.write_rows([{"d": number}])
    assert writer.rows == 25
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [10, 10, 5]


@pytest.mark.parametrize(
    ("value", "number"), [(1, 1.0), (1.5, 1.5), (True, None), ("1", None), ([1], None), (10**400, None)]
)
def test_only_numbers_are_numbers(value: object, number: float | None) -> None:
    assert parquet.number_of(value) == number


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("a", ["x"], "text"),
        ("a", 1, "text"),
        ("d", 2**63, "integer"),
        ("d", "x", "integer"),
        ("e", "true", "boolean"),
        ("f", "yesterday", "moment"),
        ("f", {}, "moment"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: Any, kind: str
) -> None:
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    message = f"row 3: column '{column}' is of the type {kind}, and cannot hold {value!r}"
    with pytest.raises(InputError) as caught:
        _write(tmp_path, [{"d": 1}, {"a": "a", "d": 2, "e": True, "f": "2026-01-01"}, {column: value}])
    assert str(caught.value) == f"the rows: {message}"
    assert list(tmp_path.iterdir()) == []
    del caught
    gc.collect()
    assert ignored == []


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    with AtomicFile(f"{folder}/x.parquet") as file, parquet.TypedParquetWriter(file, SCHEMA) as writer:
        writer.write_rows(rows)


def test_what_pyarrow_writes_to_a_file_that_was_given_up_is_dropped(tmp_path: Path) -> None:
    with AtomicFile(f"{tmp_path}/x.parquet") as file:
        sink = parquet._Sink(file)
        assert (sink.writable(), sink.write(memoryview(b"abc"))) == (True, 3)
    assert sink.write(memoryview(b"defg")) == 4
    assert (tmp_path / "x.parquet").read_bytes() == b"abc"


def test_a_json_value_is_held_as_its_column_does() -> None:
    assert parquet.cell({"b": [1]}, "json") == '{"b":[1]}'
    assert (parquet.cell(3, "number"), type(parquet.cell(3, "number"))) == (3.0, float)
    assert parquet.cell("x", "number") is None
    assert parquet.cell("2026-11-30T12:00:00", "moment") == datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert parquet.cell("soon", "moment") == "soon"
    assert parquet.cell(None, "json") is None
    assert parquet.cell(3, "text") == 3


def test_a_value_of_a_later_row_group_has_its_row_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 2)
    with pytest.raises(InputError, match="^the rows: row 4: column 'd' is of the type integer"):
        _write(tmp_path, [{"d": 1}, {"d": 2}, {"d": 3}, {"d": "x"}, {"d": 5}])


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("2026-01-31T12:00:00", "moment", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", "moment", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("soon", "moment", "soon"),
        (5, "moment", 5),
        (None, "json", None),
        ({"a": None}, "json", '{"a":null}'),
        ("x", "json", '"x"'),
        (5, "number", 5.0),
        ("5", "number", None),
        ("5", "text", "5"),
    ],
)
def test_a_cell_holds_a_value_in_the_form_of_its_column(value: Any, kind: str, found: Any) -> None:
    assert parquet.cell(value, kind) == found
    assert not isinstance(found, datetime) or parquet.cell(value, kind).tzinfo
