"""Rows kept on disk until their columns and types are known; then they go into a table."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, Self

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.errors import InputError

BATCH = 4096


_LONG = 2**63


class Spool:
    """A temporary file of rows, which notes what kinds of values each column has.

    Columns that do not come in the first rows are no trouble, and memory stays flat.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._kinds: dict[str, set[str]] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open_file().close()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep rows."""
        import msgspec

        encoder, file = msgspec.json.Encoder(), self._open_file()
        for row in rows:
            for name, value in row.items():
                self._kinds.setdefault(name, set()).add(_kind(value))
            file.write(encoder.encode(row) + b"\n")
            self.rows += 1

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Give the rows back in batches, in their order."""
        import msgspec

        decoder, file = msgspec.json.Decoder(), self._open_file()
        file.seek(0)
        while lines := list(islice(file, BATCH)):
            yield [decoder.decode(line) for line in lines]

    def kinds(self) -> dict[str, str]:
        """Give each column's kind: ``boolean``, ``integer``, ``number``, ``text``, or ``json`` for the rest.

        Mixed values are of the kind ``json``; a column that holds nothing but null is a ``text``.
        """
        return {name: _common(kinds - {"null"}) for name, kinds in self._kinds.items()}

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the spool is not open")
        return self._file


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -_LONG <= value < _LONG else "json"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else "json"


def _common(kinds: set[str]) -> str:
    if len(kinds) <= 1:
        return next(iter(kinds), "text")
    return "number" if kinds == {"integer", "number"} else "json"


def write_parquet(publication: AtomicFile, spool: Spool, columns: Iterable[str]) -> None:
    """Write spooled rows as one Parquet file; columns of mixed values hold JSON as text.

    :raises InputError: when pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError("Parquet needs pyarrow: install the extra 'parquet'", "output_path") from None
    known = spool.kinds()
    types = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    kinds = {name: known.get(name, "text") for name in columns}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])
    with pq.ParquetWriter(_Sink(publication), schema) as writer:
        for rows in spool.batches():
            shaped = [_shaped(row, kinds) for row in rows]
            writer.write_table(pa.Table.from_pylist(shaped, schema))


class _Sink(io.RawIOBase):
    """A publication as the kind of file that pyarrow writes to, and may close."""

    def __init__(self, publication: AtomicFile) -> None:
        self._publication = publication

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._publication.write(bytes(data))


def _shaped(row: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    import msgspec

    return {
        name: msgspec.json.encode(value).decode() if kinds[name] == "json" and value is not None else value
        for name, value in row.items()
    }
