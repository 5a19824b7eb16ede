"""Parquet and GeoParquet 1.1 writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud.export import geoparquet
from airflow_provider.amigocloud.export.geometry import Extent, geometry_column, read_geometries
from airflow_provider.amigocloud.pagination import Column, sql_name
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.files.writers import RowWriter
from airflow_provider.core.input.values import read_boolean, read_integer, read_number, shown
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


ROW_GROUP = 50_000
"""Rows of a row group, which is held in memory until it is written."""

GROUP_BYTES = 64 * 1024 * 1024
"""Bytes after which a row group is written, whatever its number of rows: a geometry can be large."""

READ_BYTES = 1024 * 1024
"""Bytes of JSON after which rows are read into columns; page by page it would take a fifth more time."""

_TYPES = {
    **dict.fromkeys(("integer", "bigint", "unknown(20)", "unknown(21)", "unknown(23)"), "int64"),
    **dict.fromkeys(("float", "number", "real", "numeric", "double", "double precision"), "float64"),
    **dict.fromkeys(("unknown(700)", "unknown(701)", "unknown(1700)"), "float64"),
    **dict.fromkeys(("boolean", "unknown(16)"), "bool"),
    **dict.fromkeys(("date", "unknown(1082)"), "date"),
    **dict.fromkeys(("datetime", "timestamp", "unknown(1114)", "unknown(1184)"), "datetime"),
    **dict.fromkeys(("json", "jsonb", "unknown(114)", "unknown(3802)"), "json"),
}
"""Parquet types by the service's types, or PostgreSQL's numbers; all other types are written as text."""

_decoder = msgspec.json.Decoder(dict[str, Any])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    """Return JSON text; a text that is JSON is kept, as the service may send either."""
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return json.dumps(value, ensure_ascii=False)
    return _text(value)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _double(value: Any) -> float:
    return float(read_number(value))


def _boolean(value: Any) -> bool:
    # PostgreSQL's own texts of booleans.
    return read_boolean({"t": True, "f": False}.get(value, value) if isinstance(value, str) else value)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int64": read_integer,
    "float64": _double,
    "bool": _boolean,
    "date": date.fromisoformat,
    "datetime": _moment,
    "json": _json,
    "text": _text,
}


def _parse_options(schema: pa.Schema) -> Any:
    """Return how pyarrow reads rows from JSON; it reads no dates, so they are read as texts and cast."""
    import pyarrow as pa
    import pyarrow.json as pj

    fields = [
        pa.field(field.name, pa.string()) if pa.types.is_date(field.type) else field for field in schema
    ]
    return pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="error")


class ParquetWriter(RowWriter):
    """Writer of a Parquet file whose schema follows from the reply's columns, not from the rows.

    Numbers that the service sends as texts become numbers. A time without a zone is in UTC.

    :param out: binary file to write to.
    :param columns: columns of the rows.
    :param geo: whether to write GeoParquet: the geometry as WKB, with its metadata and bounding boxes.
        Otherwise geometries stay text, as the service returns them.
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
            "json": pa.string(),
            "text": pa.string(),
        }
        if self._geometry:
            self._kinds[self._geometry] = "text"
        self._plain = pa.schema([(name, arrow[kind]) for name, kind in self._kinds.items()])
        self._parsing = _parse_options(self._plain)
        self._schema = self._plain
        self._covering = ""
        if self._geometry:
            at = self._plain.get_field_index(self._geometry)
            self._covering = geoparquet.covering_name(self._geometry, self._kinds)
            self._schema = self._plain.set(at, pa.field(self._geometry, pa.binary())).append(
                pa.field(self._covering, geoparquet.covering_type())
            )
        # A dictionary of unique values takes more time and space than the values.
        compact: Any = True if geo else [name for name in self._kinds if name != KEY]
        # Without a stored schema of pyarrow's own, the file's metadata are the schema's metadata.
        self._file = pq.ParquetWriter(
            out, self._schema, compression="zstd", store_schema=not geo, use_dictionary=compact
        )
        self._extent = Extent()
        self._texts: list[bytes] = []
        self._unread_rows = self._unread_bytes = 0
        self._pending: list[pa.Table] = []
        self._pending_rows = self._pending_bytes = 0

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows a group at a time.

        :param text: JSON of the rows, a row per line.
        :param rows: number of rows.
        :raises InputError: when a value does not fit its column's type, here or at the end.
        """
        if rows:
            self._texts.append(text)
            self._unread_rows += rows
            self._unread_bytes += len(text)
        is_group = self._pending_rows + self._unread_rows >= ROW_GROUP
        if is_group or self._unread_bytes >= READ_BYTES:
            self._read_texts()
        if is_group or self._pending_bytes >= GROUP_BYTES:
            self._flush()

    def _read_texts(self) -> None:
        """Read the rows written so far into columns."""
        import pyarrow as pa

        if not self._texts:
            return
        text, rows = b"\n".join(self._texts), self._unread_rows
        self._texts, self._unread_rows, self._unread_bytes = [], 0, 0
        try:
            # JSON texts and JSON strings look alike to pyarrow.
            table = None if "json" in self._kinds.values() else self._read(text)
        except pa.ArrowException:
            table = None
        if table is None:
            # A value is not in the form that pyarrow reads: convert each value, and name the invalid column.
            table = self._convert(_decoder.decode_lines(text))
        if self._geometry:
            table = self._with_shapes(table)
        self._pending.append(table)
        self.rows += rows
        self._pending_rows += len(table)
        self._pending_bytes += table.nbytes

    def close(self) -> None:
        """Write the last row group and the metadata.

        :raises InputError: when a value does not fit its column's type.
        """
        self._read_texts()
        self._flush()
        if self._geometry:
            geo = geoparquet.metadata(self._geometry, self._covering, self._extent)
            self._file.add_key_value_metadata({"geo": geo})
        self._file.close()

    def discard(self) -> None:
        """Close the unfinished file now: pyarrow would do so later, when its target is closed."""
        self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._pending:
            self._file.write_table(pa.concat_tables(self._pending))
            self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _read(self, text: bytes) -> pa.Table:
        """Read rows without Python objects for their values, and without the GIL."""
        import pyarrow as pa
        import pyarrow.json as pj

        reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
        table = pj.read_json(pa.BufferReader(text), reading, self._parsing)
        return table.cast(self._plain) if "date" in self._kinds.values() else table

    def _convert(self, rows: list[dict[str, Any]]) -> pa.Table:
        import pyarrow as pa

        unknown = {name for row in rows for name in row} - self._kinds.keys()
        if unknown:
            raise InputError(f"rows have columns that the first page does not have: {sorted(unknown)}")
        arrays = [self._array(name, kind, rows) for name, kind in self._kinds.items()]
        return pa.Table.from_arrays(arrays, schema=self._plain)

    def _array(self, name: str, kind: str, rows: list[dict[str, Any]]) -> pa.Array:
        import pyarrow as pa

        wanted = self._plain.field(name).type
        values, problems = [], []
        for n, row in enumerate(rows, start=self.rows + 1):
            value = row.get(name)
            try:
                values.append(None if value is None else _CONVERTERS[kind](value))
            except (TypeError, ValueError, OverflowError) as error:
                key = f" (amigo_id {row['amigo_id']})" if row.get("amigo_id") else ""
                problems.append(
                    f"row {n}: column '{name}' is not all {wanted}: {_reason(value, name, kind, error)}{key}"
                )
        if problems:
            raise InputError(problems, "the rows")
        try:
            return pa.array(values, wanted)
        except (pa.ArrowException, OverflowError) as error:
            where = f"rows {self.rows + 1} to {self.rows + len(rows)}"
            raise InputError(f"{where}: column '{name}' is not all {wanted}: {error}") from None

    def _with_shapes(self, table: pa.Table) -> pa.Table:
        """Return a table with its geometries as WKB, and their bounding boxes as the last column."""
        import pyarrow as pa
        import shapely

        name = str(self._geometry)
        keys = table["amigo_id"].to_pylist() if "amigo_id" in self._kinds else ()
        shapes = read_geometries(table[name].to_pylist(), name, self.rows + 1, keys)
        self._extent.add(shapes)
        # GeoParquet requires ISO WKB without SRID.
        wkb = pa.array(shapely.to_wkb(shapes, include_srid=False, flavor="iso"), pa.binary())
        at = self._schema.get_field_index(name)
        table = table.set_column(at, self._schema.field(at), wkb)
        return table.append_column(self._schema.field(self._covering), geoparquet.covering_boxes(shapes))


_NO_VALUES = ("nan", "inf", "infinity")
"""Texts, in lower case and without sign, of numbers and times that are none."""


def _reason(value: Any, name: str, kind: str, error: Exception) -> str:
    """Return why a value does not fit; for NaN and infinities as texts, how to select them."""
    is_moment = kind in ("date", "datetime")
    if (is_moment or kind == "float64") and str(value).strip().lower().lstrip("+-") in _NO_VALUES:
        column = sql_name(name)
        what = kind if is_moment else "number"
        return f"{shown(value)} is no {what}; select NULLIF({column}, {value!r}) AS {column}"
    reason = f"{shown(value)} is no {kind}" if is_moment else str(error)
    return " ".join(reason.split())[:200]
