"""Bytes out: one file, written beside its final name, published in one step, or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from typing import IO, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.errors import InputError


class RowWriter:
    """Writes rows into a publication; the base of the row formats."""

    def __init__(self, out: IO[bytes] | AtomicFile | gzip.GzipFile, columns: Sequence[str] = ()) -> None:
        self._out = out
        self.columns = list(columns)
        self.rows = 0

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows; the first ones say which columns there are, when nothing else did."""
        raise NotImplementedError

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows that are JSON already, undecoded where the format allows that.

        :param text: a row a line, without a line break at the end.
        :param rows: how many they are.
        """
        import msgspec

        self.write_rows(msgspec.json.Decoder(dict[str, Any]).decode_lines(text))

    def close(self) -> None:
        """Write what belongs at the end."""


class JsonLinesWriter(RowWriter):
    """One JSON object a line."""

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows."""
        import msgspec

        lines = []
        for row in rows:
            if not self.columns:
                self.columns = list(row)
            lines.append(msgspec.json.encode(row))
        self.write_lines(b"\n".join(lines), len(lines))

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows that are JSON already, as they are."""
        if rows:
            self._out.write(text + b"\n")
            self.rows += rows


class CsvWriter(RowWriter):
    """Comma-separated values with a header, quoted where needed, in UTF-8; null is an empty field."""

    def __init__(self, out: IO[bytes] | AtomicFile | gzip.GzipFile, columns: Sequence[str] = ()) -> None:
        super().__init__(out, columns)
        self._headed = False

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows.

        :raises InputError: when a row has a column that the first rows had not.
        """
        rows = list(rows)
        if not self.columns and rows:
            self.columns = list(rows[0])
        lines = [self._line(row) for row in rows]
        self._head()
        self._write(lines)
        self.rows += len(lines)

    def close(self) -> None:
        """Write the header, when there was no row."""
        self._head()

    def _head(self) -> None:
        if not self._headed and self.columns:
            self._write([self.columns])
            self._headed = True

    def _line(self, row: dict[str, Any]) -> list[Any]:
        unknown = row.keys() - set(self.columns)
        if unknown:
            raise InputError(f"row {self.rows + 1} has columns that the first row had not: {sorted(unknown)}")
        return [_field(row.get(name)) for name in self.columns]

    def _write(self, lines: list[Any]) -> None:
        import csv
        import io

        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._out.write(text.getvalue().encode())


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import msgspec

        return msgspec.json.encode(value).decode()
    return value
