"""File formats of an export, and the writer of pages."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import msgspec

from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.files.atomic import AtomicFile
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

GZIP_FORMATS = ("jsonl", "csv")
"""Formats that can be compressed with gzip."""


@dataclass(frozen=True)
class Format:
    """Format of a file.

    :param name: such as ``jsonl``.
    :param is_gzip: whether the file is compressed with gzip.
    """

    name: str
    is_gzip: bool = False


def choose_format(output_path: str, name: str | None) -> Format:
    """Return the format of a file, by its name or else by the suffix of the path.

    :param output_path: path of the file.
    :param name: name of the format; None to use the suffix.
    :raises InputError: when the format is unknown, or a package that it needs is not installed.
    """
    lower = output_path.lower()
    is_gzip = lower.endswith(".gz")
    suffix = lower.removesuffix(".gz").rpartition("/")[2].rpartition(".")[2]
    chosen = name or (suffix if suffix in _PACKAGES else None)
    if chosen is None:
        raise InputError(
            f"'{output_path}' has no suffix of a known format; use .{', .'.join(_PACKAGES)}"
            " (.jsonl and .csv also with .gz), or set 'format'",
            "output_path",
        )
    if chosen not in _PACKAGES:
        raise InputError(f"'{chosen}' is unknown; use one of {', '.join(_PACKAGES)}", "format")
    if is_gzip and chosen not in GZIP_FORMATS:
        raise InputError(f"'{output_path}': only {' and '.join(GZIP_FORMATS)} can be .gz", "output_path")
    missing = [package for package in _PACKAGES[chosen] if find_spec(package) is None]
    if missing:
        raise InputError(f"'{chosen}' needs {' and '.join(missing)}: install the extra 'parquet'", "format")
    return Format(chosen, is_gzip)


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
        if self._rows is None:
            if page.columns is None and not page.rows:
                return  # an empty page of a list has no columns
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
    """Return the columns of a page: those of the query, else those found in its rows."""
    if page.columns is not None:
        return page.columns
    found: dict[str, str] = {}
    for raw in page.rows:
        for name, value in msgspec.json.decode(raw, type=dict[str, Any]).items():
            if found.get(name) in (None, "unknown"):
                found[name] = _TYPES.get(type(value), "unknown")
    return [Column(name, kind) for name, kind in found.items()]


_TYPES = {bool: "boolean", int: "bigint", float: "float", str: "string"}


@contextmanager
def open_writer(file: AtomicFile, file_format: Format) -> Iterator[PageWriter]:
    """Open a writer on a file; the end of the file is written unless the block raises.

    :param file: atomic file to write to.
    :param file_format: format of the file.
    """
    if not file_format.is_gzip:
        yield from _writer(file, file_format)
        return
    # The gzip header has neither time nor name, so that equal rows give equal bytes.
    with gzip.GzipFile("", "wb", 6, cast("Any", file), mtime=0) as compressed:
        yield from _writer(compressed, file_format)


def _writer(out: AtomicFile | gzip.GzipFile, file_format: Format) -> Iterator[PageWriter]:
    writer = PageWriter(out, file_format)
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.discard()
        raise
