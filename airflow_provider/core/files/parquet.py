"""Parquet writer with a schema that is fixed before the first row."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError

KINDS = ("text", "json", "number", "integer", "boolean", "moment")
"""Kinds of columns: ``json`` is the JSON text of any value, ``moment`` a time in microseconds, in UTC."""

ROW_GROUP = 16_384
"""Rows of a row group; as many are held in memory."""


class TypedParquetWriter:
    """Writer of rows whose columns and types are known; used in a ``with`` block.

    :param file: the open file.
    :param schema: kind of each column, by name; the kinds are :data:`KINDS`.
    :raises InputError: when pyarrow is not installed.
    """

    def __init__(self, file: AtomicFile, schema: Mapping[str, str]) -> None:
        pa, pq = import_pyarrow("output_path")
        types = {
            "number": pa.float64(),
            "integer": pa.int64(),
            "boolean": pa.bool_(),
            "moment": pa.timestamp("us", tz="UTC"),
        }
        self._kinds = dict(schema)
        self._pa = pa
        self._schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in schema.items()])
        self._writer = pq.ParquetWriter(_Sink(file), self._schema)
        self._pending: list[dict[str, Any]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            self._writer.close()

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows; a column that a row lacks is null.

        :raises InputError: for a value that its column cannot hold, here or at the end of the block.
        """
        for row in rows:
            self.rows += 1
            self._pending.append(self._cells(row))
            if len(self._pending) >= ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        if self._pending:
            try:
                table = self._pa.Table.from_pylist(self._pending, self._schema)
            except (self._pa.ArrowException, OverflowError, TypeError, ValueError):
                self._raise_for_values()
                raise
            self._writer.write_table(table)
            self._pending = []

    def _cells(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: cell(row.get(name), kind) for name, kind in self._kinds.items()}

    def _raise_for_values(self) -> None:
        """Raise for the first value that its column cannot hold."""
        for number, row in enumerate(self._pending, start=self.rows - len(self._pending) + 1):
            for field in self._schema:
                try:
                    self._pa.array([row[field.name]], field.type)
                except (self._pa.ArrowException, OverflowError, TypeError, ValueError):
                    text = (
                        f"is of the type {self._kinds[field.name]}, and cannot hold {shown(row[field.name])}"
                    )
                    raise InputError(f"row {number}: column {field.name!r} {text}", "the rows") from None


def cell(value: Any, kind: str) -> Any:
    """Return a JSON value as a column of a kind holds it; a value that it cannot hold is returned unchanged.

    :param value: a JSON value.
    :param kind: one of :data:`KINDS`.
    """
    if value is None:
        return None
    if kind == "json":
        return json_text(value)
    if kind == "moment" and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind == "number":
        return number_of(value)
    return value


def json_text(value: Any) -> str:
    """Return a value as JSON text."""
    import msgspec

    return msgspec.json.encode(value).decode()


def number_of(value: Any) -> float | None:
    """Return a number as a float; None for a value that is no number, and beyond a float's range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


class _Sink(io.RawIOBase):
    """An atomic file as the kind of file that pyarrow writes to, and may close."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._file.closed:  # pyarrow ends a file that was given up once more when it is collected
            return len(data)
        return self._file.write(bytes(data))
