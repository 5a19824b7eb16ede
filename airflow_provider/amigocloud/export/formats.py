"""File formats of an export, and the writer of pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import msgspec

from airflow_provider.amigocloud.pagination import Column, Page, readable_rows
from airflow_provider.core.files import formats
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter, RowWriter
from airflow_provider.errors import InputError

_PACKAGES: dict[str, tuple[str, ...]] = {
    "jsonl": (),
    "csv": (),
    "parquet": ("pyarrow",),
    "geojson": ("shapely",),
    "geoparquet": ("pyarrow", "shapely"),
}
"""The formats, each with the packages that its writer needs."""

_COMPRESSIBLE = ("jsonl", "csv")
"""Formats that can be compressed with gzip."""


def choose_format(output_path: str, name: str | None) -> Format:
    """Return the format of a file, by its name or else by the suffix of the path.

    :param output_path: path of the file.
    :param name: name of the format; None to use the suffix.
    :raises InputError: when the format is unknown, or a package that it needs is not installed.
    """
    chosen = formats.choose_format(
        output_path, _PACKAGES, compressible=_COMPRESSIBLE, given=name, argument="format"
    )
    missing = [package for package in _PACKAGES[chosen.name] if find_spec(package) is None]
    if missing:
        raise InputError(
            f"'{chosen.name}' needs {' and '.join(missing)}: install the extra 'parquet'", "format"
        )
    return chosen


class PageWriter:
    """Writer of pages into a file; the first page determines the columns.

    :param out: binary file to write to.
    :param file_format: format of the file.
    """

    def __init__(self, out: Any, file_format: Format) -> None:
        self._out = out
        self._format = file_format
        self._rows: RowWriter | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns; empty before the first page."""
        return self._rows.columns if self._rows else []

    def write(self, page: Page) -> None:
        """Write a page."""
        if self._rows is None and page.columns is None and not page.rows:
            return  # an empty page of a list has no columns
        with readable_rows():
            if self._rows is None:
                self._rows = _row_writer(self._format.name, self._out, columns_of(page))
            self._rows.write_lines(page.lines(), len(page.rows))

    def close(self) -> None:
        """Write the end of the file.

        :raises InputError: when an empty list is to be written in a format that needs columns.
        """
        if self._rows is None and self._format.name in ("parquet", "geoparquet"):
            raise InputError(f"an empty list has no columns, which {self._format.name} needs", "format")
        if self._rows is None:
            self._rows = _row_writer(self._format.name, self._out, [Column("wkb_geometry", "geometry")])
            self._rows.columns = []
        with readable_rows():
            self._rows.close()

    def discard(self) -> None:
        """Close the file, which is not to be published."""
        discard = getattr(self._rows, "discard", None)
        if discard is not None:
            discard()


def _row_writer(name: str, out: Any, columns: list[Column]) -> RowWriter:
    if name == "geojson":
        from airflow_provider.amigocloud.export.geojson import GeoJsonWriter

        return GeoJsonWriter(out, columns)
    if name in ("parquet", "geoparquet"):
        from airflow_provider.amigocloud.export.parquet import ParquetWriter

        return ParquetWriter(out, columns, geo=name == "geoparquet")
    kind = JsonLinesWriter if name == "jsonl" else CsvWriter
    return kind(out, [column.name for column in columns])


def columns_of(page: Page) -> list[Column]:
    """Return the columns of a page: those of the query, else those found in its rows.

    A list declares no types: its numbers are doubles, whether they have fractions today or not.
    """
    if page.columns is not None:
        return page.columns
    found: dict[str, str] = {}
    for raw in page.rows:
        for name, value in msgspec.json.decode(raw, type=dict[str, Any]).items():
            if found.get(name) in (None, "unknown"):
                found[name] = _TYPES.get(type(value), "unknown")
    return [Column(name, kind) for name, kind in found.items()]


_TYPES = {bool: "boolean", int: "number", float: "number", str: "string"}


@contextmanager
def open_writer(file: AtomicFile, file_format: Format) -> Iterator[PageWriter]:
    """Open a writer on a file; the end of the file is written unless the block raises.

    :param file: atomic file to write to.
    :param file_format: format of the file.
    """
    with formats.open_compressed(file, compressed=file_format.compressed) as out:
        writer = PageWriter(out, file_format)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.discard()
            raise
