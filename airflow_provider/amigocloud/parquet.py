"""Rows out as Parquet, and as GeoParquet 1.1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from airflow_provider.amigocloud.geometry import Extent, geometry_column, read_geometries
from airflow_provider.amigocloud.pages import Column
from airflow_provider.core.sinks import RowWriter
from airflow_provider.errors import InputError

ROW_GROUP = 20_000
"""Rows that are held in memory and written together."""

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
"""The types that are kept; all others are written as text."""


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
    """A Parquet file whose schema comes from the reply's columns, so that no rows are needed to know it.

    :param out: where bytes go.
    :param columns: of the rows.
    :param geo: write the geometry as WKB, with the metadata that makes it GeoParquet; otherwise geometries
        stay text, as the service gives them.
    """

    def __init__(self, out: Any, columns: Sequence[Column], *, geo: bool = False) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(out, [column.name for column in columns])
        self._kinds = {column.name: _TYPES.get(column.type, "text") for column in columns}
        self._geometry = geometry_column(columns) if geo else None
        if self._geometry:
            self._kinds[self._geometry] = "wkb"
        arrow = {
            "int64": pa.int64(),
            "float64": pa.float64(),
            "bool": pa.bool_(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us", "UTC"),
            "text": pa.string(),
            "wkb": pa.binary(),
        }
        self._schema = pa.schema([(name, arrow[kind]) for name, kind in self._kinds.items()])
        self._file = pq.ParquetWriter(out, self._schema, compression="zstd")
        self._extent = Extent()
        self._waiting: list[dict[str, Any]] = []

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows, a group at a time."""
        self._waiting += rows
        if len(self._waiting) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the last rows, and what describes the file."""
        self._flush()
        if self._geometry:
            self._file.add_key_value_metadata({"geo": json.dumps(self._description())})
        self._file.close()

    def discard(self) -> None:
        """Close the file as it is, while that is still possible: pyarrow would do it later."""
        self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        unknown = {name for row in rows for name in row} - self._kinds.keys()
        if unknown:
            raise InputError(f"rows have columns that the first page had not: {sorted(unknown)}")
        arrays = [self._array(name, kind, rows) for name, kind in self._kinds.items()]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.rows += len(rows)

    def _array(self, name: str, kind: str, rows: list[dict[str, Any]]) -> Any:
        import pyarrow as pa

        values = [row.get(name) for row in rows]
        wanted = self._schema.field(name).type
        try:
            if kind == "wkb":
                return self._shapes(name, values)
            if convert := _CONVERTERS.get(kind):
                values = [None if value is None else convert(value) for value in values]
            return pa.array(values, wanted)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            where = f"rows {self.rows + 1} to {self.rows + len(rows)}"
            raise InputError(f"{where}: column '{name}' is not all {wanted}: {error}") from None

    def _shapes(self, name: str, values: list[Any]) -> Any:
        import pyarrow as pa
        import shapely

        shapes = read_geometries(values, name, first_row=self.rows + 1)
        self._extent.add(shapes)
        # Without SRID and in the ISO form, as GeoParquet wants it; WGS 84 is what it means by default.
        return pa.array(shapely.to_wkb(shapes, include_srid=False, flavor="iso"), pa.binary())

    def _description(self) -> dict[str, Any]:
        column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(self._extent.types)}
        if self._extent.box:
            column["bbox"] = self._extent.box
        return {"version": "1.1.0", "primary_column": self._geometry, "columns": {self._geometry: column}}
