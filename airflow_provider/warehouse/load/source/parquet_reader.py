"""Reader of Parquet and GeoParquet: batches of columns with the types of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.columns.rows import (
    LONGITUDE_LATITUDE,
    UNKNOWN_SRID,
    Batch,
    RowNumbers,
    SourceColumn,
)
from airflow_provider.warehouse.load.source.files import LocalFile, open_local

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 16_384
"""Rows of a batch."""

_BUFFER = 256 * 1024


class ParquetReader:
    """Reader of Parquet files with the same columns.

    :param files: the files.
    :param numbers: takes the numbers of each file's rows.
    :raises InputError: for a file that is no Parquet, or has other columns than the first one.
    """

    def __init__(self, files: Sequence[LocalFile], numbers: list[RowNumbers]) -> None:
        self._pa, self._pq = import_pyarrow("source")
        self._files = files
        self.columns: list[SourceColumn] = []
        problems: list[str] = []
        for file in files:
            with open_local(file) as opened:
                table = self._open(opened, file)
                columns = _columns_of(table.schema_arrow, table.metadata.metadata, f"source '{file.name}'")
                numbers.append(RowNumbers(table.metadata.num_rows))
            self.columns = self.columns or columns
            problems += _differences(file, self.columns, columns)
        if problems:
            raise InputError(problems, "source")

    def batches(self) -> Iterator[Batch]:
        """Yield all rows."""
        for number, file in enumerate(self._files):
            with open_local(file) as opened:
                try:
                    table = self._open(opened, file)
                    for batch in table.iter_batches(_BATCH, use_threads=False):
                        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
                        yield Batch(batch.num_rows, arrays, number)
                except (self._pa.ArrowException, OSError) as error:
                    raise _unreadable(file, error) from None

    def _open(self, opened: Any, file: LocalFile) -> Any:
        try:
            # A file may be a single row group: without these options, pyarrow holds most of it in memory.
            return self._pq.ParquetFile(opened, pre_buffer=False, buffer_size=_BUFFER)
        except (self._pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from None


def _unreadable(file: LocalFile, error: Exception) -> Exception:
    if getattr(error, "errno", None) is not None:  # It is the disk's, not pyarrow's about the content.
        return error
    return InputError(f"cannot be read as Parquet: {error!s:.200}", f"source '{file.name}'")


def _differences(file: LocalFile, first: list[SourceColumn], columns: list[SourceColumn]) -> list[str]:
    expected, found = ({column.name for column in some} for some in (first, columns))
    srids = {column.name: column.srid for column in first}
    return [
        *(f"'{file.name}' lacks the column {name!r}" for name in sorted(expected - found)),
        *(f"'{file.name}' has the column {name!r}, which others lack" for name in sorted(found - expected)),
        *(
            f"'{file.name}' has geometries in another coordinate system than others, in {column.name!r}"
            for column in columns
            if srids.get(column.name, column.srid) != column.srid
        ),
    ]


class _GeoColumn(msgspec.Struct):
    crs: Any = msgspec.UNSET
    encoding: str = "WKB"
    covering: dict[str, dict[str, list[str]]] = {}


class _Geo(msgspec.Struct):
    columns: dict[str, _GeoColumn]


def _columns_of(schema: pa.Schema, metadata: Any, subject: str) -> list[SourceColumn]:
    names = list(schema.names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"has the columns {', '.join(map(repr, twice))} more than once", subject)
    geo: dict[str, _GeoColumn] = {}
    if text := (metadata or {}).get(b"geo"):
        try:
            geo = msgspec.json.decode(text, type=_Geo).columns
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"has 'geo' metadata that is not GeoParquet's: {error}", subject) from None
    boxes = {path[0] for one in geo.values() for path in one.covering.get("bbox", {}).values() if path}
    found = []
    for field in schema:
        srid = _srid_of(field.name, geo[field.name], subject) if field.name in geo else UNKNOWN_SRID
        kind = "geometry" if field.name in geo else _kind(field.type)
        digits = _digits(field.type) if kind == "decimal" else None
        found.append(SourceColumn(field.name, "arrow", kind, srid, False, field.name in boxes, digits))
    return found


def _srid_of(name: str, column: _GeoColumn, subject: str) -> int:
    """Return the SRID of a GeoParquet column; without a CRS it means longitude and latitude."""
    if column.encoding.upper() != "WKB":
        raise InputError(f"has geometries as {column.encoding!r} in {name!r}; write them as WKB", subject)
    if column.crs is msgspec.UNSET:
        return LONGITUDE_LATITUDE
    if column.crs is None:
        return UNKNOWN_SRID
    found = column.crs.get("id", {}) if isinstance(column.crs, dict) else {}
    authority, code = str(found.get("authority", "")).upper(), str(found.get("code", ""))
    if authority == "EPSG" and code.isdigit():
        return int(code)
    if authority == "OGC" and code.upper() in ("CRS84", "CRS84H"):
        return LONGITUDE_LATITUDE
    called = column.crs.get("name", "") if isinstance(column.crs, dict) else column.crs
    raise InputError(
        f"has geometries in {name!r} in the coordinate system {called!r}, which has no EPSG code", subject
    )


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """Return the digits of a decimal type before and behind the point."""
    kind = getattr(kind, "storage_type", kind)
    kind = getattr(kind, "value_type", kind)
    return max(kind.precision - kind.scale, 0), max(kind.scale, 0)


def _kind(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type's values."""
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return "geometry" if str(kind.extension_name).startswith("geoarrow.wkb") else _kind(kind.storage_type)
    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    checks = {
        "boolean": types.is_boolean,
        "integer": types.is_integer,
        "decimal": types.is_decimal,
        "number": types.is_floating,
        "date": types.is_date,
        "time": types.is_time,
        "interval": types.is_duration,
        "json": types.is_nested,
    }
    for name, check in checks.items():
        if check(kind):
            return name
    if types.is_timestamp(kind):
        return "moment" if kind.tz else "timestamp"
    binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return "binary" if any(check(kind) for check in binary) else "text"
