"""File formats of an export: which there are, and how pages become bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import msgspec

from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.files import formats
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter, RowWriter
from airflow_provider.errors import InputError

_NEEDS: dict[str, tuple[str, ...]] = {
    "jsonl": (),
    "csv": (),
    "parquet": ("pyarrow",),
    "geojson": ("shapely",),
    "geoparquet": ("pyarrow", "shapely"),
}
"""The formats, and the packages that writing them needs."""

_COMPRESSIBLE = ("jsonl", "csv")


def choose_format(output_path: str, name: str | None) -> Format:
    """Return the format of a file, by name or else by the path's suffix.

    :raises InputError: when the format is unknown, or a package for it is missing.
    """
    chosen = formats.choose_format(
        output_path, _NEEDS, compressible=_COMPRESSIBLE, given=name, argument="format"
    )
    missing = [package for package in _NEEDS[chosen.name] if find_spec(package) is None]
    if missing:
        raise InputError(
            f"'{chosen.name}' needs {' and '.join(missing)}: install the extra 'parquet'", "format"
        )
    return chosen


class PageWriter:
    """Writes pages into a file; the first page says which columns there are.

    :param out: where bytes go.
    :param wanted: the file's format.
    """

    def __init__(self, out: Any, wanted: Format) -> None:
        self._out = out
        self._wanted = wanted
        self._rows: RowWriter | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns, as far as known."""
        return self._rows.columns if self._rows else []

    def write(self, page: Page) -> None:
        """Write a page."""
        if self._rows is None:
            if page.columns is None and not page.rows:
                return  # an empty page of a list tells nothing
            self._rows = _row_writer(self._wanted.name, self._out, columns_of(page))
        self._rows.write_lines(page.lines(), len(page.rows))

    def close(self) -> None:
        """Write what belongs at the end."""
        if self._rows is None and self._wanted.name in ("parquet", "geoparquet"):
            raise InputError(f"an empty list has no columns, which {self._wanted.name} needs", "format")
        if self._rows is None:
            self._rows = _row_writer(self._wanted.name, self._out, [Column("wkb_geometry", "geometry")])
            self._rows.columns = []
        self._rows.close()

    def discard(self) -> None:
        """Let go of the file, which will not be published."""
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
    """Give the columns of a page: those of the query, else what the fields of its rows look like."""
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
def open_writer(publication: AtomicFile, wanted: Format) -> Iterator[PageWriter]:
    """Open a writer on a publication; what belongs at the end is written when the block ends well."""
    with formats.open_compressed(publication, compressed=wanted.compressed) as out:
        writer = PageWriter(out, wanted)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.discard()
            raise
