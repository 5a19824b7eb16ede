"""Parquet and GeoParquet 1.1 writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud.export.geometry import Extent, geometry_column, read_geometries
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.core.files.writers import RowWriter
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


ROW_GROUP = 20_000
"""Rows of a row group, which is held in memory until it is written."""

GROUP_BYTES = 64 * 1024 * 1024
"""Bytes after which a row group is written, whatever its number of rows: a geometry can be large."""

_TYPES = {
    "integer": "int64",
    "bigint": "int64",
    "float": "float64",
    "number": "float64",
    "real": "float64",
    "boolean": "bool",
    "date": "date",
    "datetime": "datetime",
}
"""Parquet types by the service's types; all other types are written as text."""

_decoder = msgspec.json.Decoder(dict[str, Any])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "date": date.fromisoformat,
    "datetime": _moment,
    "text": _text,
}


class ParquetWriter(RowWriter):
    """Writer of a Parquet file whose schema follows from the reply's columns, not from the rows.

    :param out: binary file to write to.
    :param columns: columns of the rows.
    :param geo: whether to write GeoParquet: the geometry as WKB, with its metadata. Otherwise geometries stay
        text, as the service returns them.
    """

    def __init__(self, out: Any, columns: Sequence[Column], *, geo: bool = False) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(out, [column.name for column in columns])
        self._kinds = {column.name: _TYPES.get(column.type, "text") for column in columns}
        self._geometry = geometry_column(columns) if geo else None
        arrow = {
            "int64": pa.int64(),
            "float64": pa.float64(),
            "bool": pa.bool_(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us", "UTC"),
            "text": pa.string(),
        }
        if self._geometry:
            self._kinds[self._geometry] = "text"
        self._plain = pa.schema([(name, arrow[kind]) for name, kind in self._kinds.items()])
        # pyarrow reads no dates from JSON, so they are read as texts and cast.
        texts = [
            pa.field(field.name, pa.string()) if pa.types.is_date(field.type) else field
            for field in self._plain
        ]
        self._read_as = pa.schema(texts)
        self._schema = self._plain
        if self._geometry:
            at = self._plain.get_field_index(self._geometry)
            self._schema = self._plain.set(at, pa.field(self._geometry, pa.binary()))
        self._file = pq.ParquetWriter(out, self._schema, compression="zstd")
        self._extent = Extent()
        self._pending: list[pa.Table] = []

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows a group at a time.

        :param text: JSON of the rows, a row per line.
        :param rows: number of rows.
        :raises InputError: when a value does not fit its column's type.
        """
        import pyarrow as pa

        try:
            table = self._read(text)
        except pa.ArrowException:
            # A value is not in the form that pyarrow reads: convert each value, and name the invalid column.
            table = self._convert(_decoder.decode_lines(text))
        if self._geometry:
            at = table.schema.get_field_index(self._geometry)
            table = table.set_column(at, self._schema.field(at), self._shapes(table[at].to_pylist()))
        self._pending.append(table)
        self.rows += rows
        pending_rows = sum(len(table) for table in self._pending)
        pending_bytes = sum(table.nbytes for table in self._pending)
        if pending_rows >= ROW_GROUP or pending_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the metadata."""
        self._flush()
        if self._geometry:
            self._file.add_key_value_metadata({"geo": json.dumps(self._description())})
        self._file.close()

    def discard(self) -> None:
        """Close the unfinished file now: pyarrow would do so later, when its target is closed."""
        self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._pending:
            self._file.write_table(pa.concat_tables(self._pending))
            self._pending = []

    def _read(self, text: bytes) -> pa.Table:
        """Read rows without Python objects for their values, and without the GIL."""
        import pyarrow as pa
        import pyarrow.json as pj

        if not text:
            return self._plain.empty_table()
        parsing = pj.ParseOptions(explicit_schema=self._read_as, unexpected_field_behavior="error")
        reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
        return pj.read_json(pa.BufferReader(text), reading, parsing).cast(self._plain)

    def _convert(self, rows: list[dict[str, Any]]) -> pa.Table:
        import pyarrow as pa

        unknown = {name for row in rows for name in row} - self._kinds.keys()
        if unknown:
            raise InputError(f"rows have columns that the first page does not have: {sorted(unknown)}")
        arrays = [self._array(name, kind, rows) for name, kind in self._kinds.items()]
        return pa.Table.from_arrays(arrays, schema=self._plain)

    def _array(self, name: str, kind: str, rows: list[dict[str, Any]]) -> pa.Array:
        import pyarrow as pa

        values = [row.get(name) for row in rows]
        wanted = self._plain.field(name).type
        try:
            if convert := _CONVERTERS.get(kind):
                values = [None if value is None else convert(value) for value in values]
            return pa.array(values, wanted)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            where = f"rows {self.rows + 1} to {self.rows + len(rows)}"
            raise InputError(f"{where}: column '{name}' is not all {wanted}: {error}") from None

    def _shapes(self, values: list[str | None]) -> pa.Array:
        import pyarrow as pa
        import shapely

        shapes = read_geometries(values, str(self._geometry), first_row=self.rows + 1)
        self._extent.add(shapes)
        # GeoParquet requires ISO WKB without SRID; its default reference system is WGS 84.
        return pa.array(shapely.to_wkb(shapes, include_srid=False, flavor="iso"), pa.binary())

    def _description(self) -> dict[str, Any]:
        column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(self._extent.types)}
        if self._extent.box:
            column["bbox"] = self._extent.box
        return {"version": "1.1.0", "primary_column": self._geometry, "columns": {self._geometry: column}}
