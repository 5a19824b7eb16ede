"""Spool of items: rows of all types in one file on local disk, until the columns of each type are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Self

import msgspec

from airflow_provider.core.files.atomic import SpoolFile
from airflow_provider.core.files.parquet import json_text
from airflow_provider.leanix.tables.flatten import Column, Shape, cell

_BUFFERED_BYTES = 4 * 1024 * 1024
"""Maximum bytes of the rows of all types that are held in memory."""

_FIELDS = frozenset({"type", "id", "data"})

Row = tuple[str | None, dict[str, Any]]
"""Id of an item, and the values of its data by their columns' keys."""


class _Table:
    """Rows of one type: those in memory, and the blocks of the file that have the others."""

    def __init__(self, type_name: str) -> None:
        self.shape = Shape(type_name)
        self.lines: list[bytes] = []
        self.blocks: list[tuple[int, int]] = []
        self.rows = 0


class ItemSpool:
    """Items by type, in one temporary file however many types there are; used in a ``with`` block.

    Memory use grows with the types and their columns, not with the items.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._tables: dict[str, _Table] = {}
        self._buffered = 0
        self.rows = 0
        self.unknown: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._file = SpoolFile()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open_file().close()

    def add(self, items: Iterable[bytes]) -> None:
        """Flatten items and write them to the file.

        :param items: the items of an LDIF's content, as JSON.
        :raises ValueError: for what is no object, or has no type that is a text; items count from 1.
        """
        for raw in items:
            try:
                item = msgspec.json.decode(raw)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ValueError(f"item {self.rows + 1} of its content is unreadable: {error}") from None
            if not isinstance(item, dict):
                raise ValueError(f"item {self.rows + 1} of its content is no JSON object")
            self._add_item(item)
            self.rows += 1
        if self._buffered > _BUFFERED_BYTES:
            self._flush()

    def _add_item(self, item: Mapping[str, Any]) -> None:
        name, data = item.get("type"), item.get("data")
        if not isinstance(name, str):
            raise ValueError(f"item {self.rows + 1} of its content has no 'type' that is a text")
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _Table(name)
        if data is not None and not isinstance(data, dict):
            data = {"data": data}
        row: Row = (_id_of(item.get("id")), table.shape.row(data or {}))
        line = msgspec.json.encode(row)
        table.lines.append(line)
        table.rows += 1
        self._buffered += len(line)
        if len(item) > 2 and not item.keys() <= _FIELDS:
            self.unknown.update(item.keys() - _FIELDS)

    def _flush(self) -> None:
        """Append the rows in memory to the file, one block for each type."""
        file = self._open_file()
        for table in self._tables.values():
            if table.lines:
                block = b"\n".join(table.lines)
                table.blocks.append((file.tell(), len(block)))
                file.write(block)
                table.lines = []
        self._buffered = 0

    def types(self) -> list[str]:
        """Return the types, sorted."""
        return sorted(self._tables)

    def count(self, type_name: str) -> int:
        """Return the number of a type's rows."""
        return self._tables[type_name].rows

    def columns(self, type_name: str) -> list[Column]:
        """Return the columns of a type, besides ``id`` and ``type``."""
        return self._tables[type_name].shape.columns()

    def rows_of(self, type_name: str) -> Iterator[list[Row]]:
        """Yield the rows of a type in their order, a batch of at most some MiB at a time."""
        self._flush()
        file, decoder = self._open_file(), msgspec.json.Decoder(Row)
        for start, length in self._tables[type_name].blocks:
            file.seek(start)
            yield decoder.decode_lines(file.read(length))

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the spool is not open")
        return self._file


def _id_of(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value)


def as_rows(batch: Iterable[Row], type_name: str, columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return rows with all columns by name, as CSV and JSON Lines have them.

    :param batch: see :meth:`ItemSpool.rows_of`.
    :param type_name: their type.
    :param columns: see :meth:`ItemSpool.columns`.
    """
    return [
        {
            "id": item_id,
            "type": type_name,
            **{column.name: cell(row.get(column.key), column.kind) for column in columns},
        }
        for item_id, row in batch
    ]
