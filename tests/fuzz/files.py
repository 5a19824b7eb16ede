"""Fuzz targets of files: rows of every format, as operators read them and as a load into a table does."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_provider.core.files.listing import find_files
from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, read_source
from airflow_provider.core.input.values import UnreadableValueError, ValueReader
from airflow_provider.mapsindoors.geodata.rows import RowReader, from_feature
from airflow_provider.warehouse.load.source.files import LocalFiles
from airflow_provider.warehouse.load.source.text_reader import TextReader
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target

_FILES = "airflow_provider.core.files"
_MOST_ROWS = 2000

Mutate = Callable[[bytes, int], bytes]


def _rows(name: str, data: bytes) -> None:
    """Read a file as the rows of a map's sync, and, where it can be, as those of a load."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        for options in (NO_OPTIONS, RowOptions(columns={"id": "externalId"}, ignore=("x",))):
            _read_map_rows(str(path), options)
        if not name.endswith("parquet"):
            _load(str(path))


def _read_map_rows(path: str, options: RowOptions) -> None:
    from airflow_provider.errors import ProviderError

    reader, values = RowReader("externalId"), ValueReader()
    try:
        for _, row in islice(read_source(path, "source", options, geo=True), _MOST_ROWS):
            reader.read(from_feature(row))
            for value in row.values():
                _read_value(values, value)
    except ProviderError:
        if options is not NO_OPTIONS:
            return
        raise


def _read_value(reader: ValueReader, value: Any) -> None:
    try:
        reader.read(value)
    except UnreadableValueError:
        return


def _load(path: str) -> None:
    with LocalFiles() as local:
        fetched = [local.fetch(file) for file in find_files(path, "source")]
        with TextReader(fetched, [], NO_OPTIONS) as reader:
            for batch in islice(reader.batches(), 5):
                repr(batch)


def _mutate_lines(data: bytes, number: int) -> bytes:
    lines = data.split(b"\n")
    index = number % len(lines)
    lines[index] = mutate_json(lines[index], number)
    return b"\n".join(lines)


@cache
def _parquet_examples() -> list[bytes]:
    """Return small Parquet files of several types, and one of GeoParquet."""
    import pyarrow as pa
    from pyarrow import parquet

    point = bytes.fromhex("0101000000000000000000294000000000000049 40".replace(" ", ""))
    geo = {
        "version": "1.1.0",
        "primary_column": "geom",
        "columns": {"geom": {"encoding": "WKB", "geometry_types": ["Point"]}},
    }
    plain = pa.table(
        {"externalId": ["a", "b"], "n": [1, None], "t": pa.array([0, 1], pa.timestamp("us", "UTC"))}
    )
    shapes = pa.table({"externalId": ["a"], "geom": [point]}).replace_schema_metadata(
        {b"geo": json.dumps(geo)}
    )
    nested = pa.table({"externalId": ["a"], "l": [[1, None]], "s": [{"a": 1.5, "b": None}]})
    out = []
    for table in (plain, shapes, nested):
        sink = io.BytesIO()
        parquet.write_table(table, sink, compression="none")
        out.append(sink.getvalue())
    return out


def _target(name: str, mutate: Mutate | None, examples: Callable[[], list[bytes]] = list) -> Target:
    return Target(
        name.replace(".", "_").replace("rows_", ""),
        partial(_rows, name),
        (
            _FILES,
            "airflow_provider.core.input",
            "airflow_provider.mapsindoors.geodata.rows",
            "airflow_provider.mapsindoors.geodata.values",
            "airflow_provider.warehouse.load.source",
        ),
        mutate=mutate,
        max_bytes=30_000,
        examples=examples,
    )


TARGETS = [
    _target("rows.csv", None),
    _target("rows.jsonl", _mutate_lines),
    _target("rows.json", mutate_json),
    _target("rows.csv.gz", None),
    _target("rows.parquet", None, _parquet_examples),
]
