"""Writers of row formats: JSON Lines and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from airflow_provider.core.files.formats import Output
from airflow_provider.errors import InputError


class RowWriter:
    """The base of writers: writes rows into an open file.

    :param out: the open file.
    :param columns: names of the columns; without them, the first row's.
    """

    def __init__(self, out: Output, columns: Sequence[str] = ()) -> None:
        self._out = out
        self.columns = list(columns)
        self.rows = 0

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows; when no columns are known, the first row names them."""
        raise NotImplementedError

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows that are encoded as JSON Lines, undecoded where the format allows it.

        :param text: one row a line, without a line break at the end.
        :param rows: the number of rows.
        """
        import msgspec

        self.write_rows(msgspec.json.Decoder(dict[str, Any]).decode_lines(text))

    def close(self) -> None:
        """Write the end of the format."""


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
        """Write encoded rows as they are."""
        if rows:
            self._out.write(text)
            self._out.write(b"\n")
            self.rows += rows


class CsvWriter(RowWriter):
    """Comma-separated values with a header, quoted where needed, in UTF-8; null is an empty field."""

    def __init__(self, out: Output, columns: Sequence[str] = ()) -> None:
        super().__init__(out, columns)
        self._has_header = False

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows.

        :raises InputError: when a row has a column that the header lacks.
        """
        rows = list(rows)
        if not self.columns and rows:
            self.columns = list(rows[0])
        lines = [self._line(row) for row in rows]
        self._write_header()
        self._write(lines)
        self.rows += len(lines)

    def close(self) -> None:
        """Write the header of a file without rows."""
        self._write_header()

    def _write_header(self) -> None:
        if not self._has_header and self.columns:
            self._write([self.columns])
            self._has_header = True

    def _line(self, row: dict[str, Any]) -> list[Any]:
        unknown = row.keys() - set(self.columns)
        if unknown:
            raise InputError(f"row {self.rows + 1} has columns that the header lacks: {sorted(unknown)}")
        return [_field(row.get(name)) for name in self.columns]

    def _write(self, lines: list[Any]) -> None:
        import csv
        import io

        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        found = text.getvalue()
        if "\r" in found:  # Before Python 3.13, a carriage return is quoted only where it may end a line.
            found = "".join(map(_quoted_line, lines))
        self._out.write(found.encode())


def _quoted_line(fields: Sequence[Any]) -> str:
    """Return a line of CSV, with fields that have a line end of any kind in quotes."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerow(fields)
    return f"{text.getvalue()[:-2]}\n"


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import msgspec

        return msgspec.json.encode(value).decode()
    return value
