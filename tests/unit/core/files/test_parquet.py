"""Typed Parquet writer: the schema is there before the rows, and small pages make no small row groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider.core.files import parquet
from airflow_provider.core.files.atomic import AtomicFile

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
