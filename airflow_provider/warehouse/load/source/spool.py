"""Column spool: rows of texts on local disk, until all their columns are known."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import IO, Self

import msgspec

from airflow_provider.core.files.atomic import SpoolFile

BATCH = 8192
"""Rows of a batch."""

Columns = dict[str, list[str | None]]
"""Texts of a batch by the name of their column."""


class ColumnSpool:
    """A temporary file of batches; a column may first appear in a late row."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._batch: Columns = {}
        self._in_batch = 0
        self.names: dict[str, None] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        self._file = SpoolFile()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open().close()

    def add(self, row: Mapping[str, str | None]) -> None:
        """Add a row."""
        batch, number = self._batch, self._in_batch
        for name, value in row.items():
            column = batch.get(name)
            if column is None:
                self.names[name] = None
                column = batch[name] = []
            if len(column) < number:
                column.extend([None] * (number - len(column)))
            column.append(value)
        self._in_batch += 1
        self.rows += 1
        if self._in_batch == BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held in memory; to be called after the last row of a file."""
        if self._in_batch:
            data = msgspec.msgpack.encode((self._in_batch, self._batch))
            self._open().write(struct.pack(">Q", len(data)) + data)
            self._batch, self._in_batch = {}, 0

    def batches(self) -> Iterator[tuple[int, Columns]]:
        """Yield the number of rows and the columns of each batch; a column may end before its last row."""
        file = self._open()
        file.seek(0)
        decoder = msgspec.msgpack.Decoder(tuple[int, Columns])
        while size := file.read(8):
            yield decoder.decode(file.read(struct.unpack(">Q", size)[0]))

    def _open(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the spool is not open")
        return self._file
