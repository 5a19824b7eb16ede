"""Spool: rows on local disk, until their columns and types are known for a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, Self

from airflow_provider.core.files.atomic import AtomicFile, SpoolFile
from airflow_provider.core.files.formats import import_pyarrow

BATCH = 4096
"""Rows of a batch."""

_INT64_END = 2**63


class Spool:
    """A temporary file of rows that records the kinds of values in each column.

    A column may first appear in a late row, and memory use does not grow with the rows.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._kinds: dict[str, set[str]] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        self._file = SpoolFile()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open_file().close()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows to the temporary file."""
        import msgspec

        encoder, file = msgspec.json.Encoder(), self._open_file()
        for row in rows:
            for name, value in row.items():
                self._kinds.setdefault(name, set()).add(kind_of(value))
            file.write(encoder.encode(row) + b"\n")
            self.rows += 1

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows in batches of at most :data:`BATCH`, in their order."""
        import msgspec

        decoder, file = msgspec.json.Decoder(), self._open_file()
        file.seek(0)
        while lines := list(islice(file, BATCH)):
            yield [decoder.decode(line) for line in lines]

    def kinds(self) -> dict[str, str]:
        """Return each column's kind: ``boolean``, ``integer``, ``number``, ``text`` or ``json``.

        Objects, lists and mixed values are ``json``. A column of nulls only is ``text``.
        """
        return {name: _common(kinds - {"null"}) for name, kinds in self._kinds.items()}

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the spool is not open")
        return self._file


def kind_of(value: Any) -> str:
    """Return a value's kind: ``null``, ``boolean``, ``integer`` (64 bits), ``number``, ``text`` or ``json``.

    :param value: a JSON value.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -_INT64_END <= value < _INT64_END else "json"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else "json"


def _common(kinds: set[str]) -> str:
    if len(kinds) <= 1:
        return next(iter(kinds), "text")
    return "number" if kinds == {"integer", "number"} else "json"


def write_parquet(file: AtomicFile, spool: Spool, columns: Iterable[str]) -> None:
    """Write spooled rows as one Parquet file; columns of the kind ``json`` hold JSON texts.

    :param file: the open file.
    :param spool: the rows.
    :param columns: names of the columns, in the file's order.
    :raises InputError: when pyarrow is not installed.
    """
    pa, pq = import_pyarrow("output_path")
    known = spool.kinds()
    types = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    kinds = {name: known.get(name, "text") for name in columns}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for rows in spool.batches():
            table = pa.Table.from_pylist([_cells(row, kinds) for row in rows], schema)
            writer.write_table(table)


def _cells(row: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    import msgspec

    return {
        name: msgspec.json.encode(value).decode() if kinds[name] == "json" and value is not None else value
        for name, value in row.items()
    }
