"""File formats of an export: which there are, and how pages become bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider.core.sinks import CsvWriter, JsonLinesWriter, Publication, RowWriter
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.pages import Page

_FORMATS = ("jsonl", "csv", "parquet", "geojson", "geoparquet")
_WRITERS: dict[str, type[RowWriter]] = {"jsonl": JsonLinesWriter, "csv": CsvWriter}


@dataclass(frozen=True)
class Format:
    """A file format.

    :param name: such as ``jsonl``.
    :param packed: whether the file is compressed with gzip.
    """

    name: str
    packed: bool = False


def choose_format(output_path: str, name: str | None) -> Format:
    """Give the format of a file, by name or else by the path's ending.

    :raises InputError: when the format is unknown or cannot be written.
    """
    lower = output_path.lower()
    packed = lower.endswith(".gz")
    suffix = lower.removesuffix(".gz").rpartition("/")[2].rpartition(".")[2]
    chosen = name or (suffix if suffix in _FORMATS else None)
    if chosen is None:
        raise InputError(
            f"'{output_path}' has no ending that tells the format; use .{', .'.join(_FORMATS)}"
            " (.jsonl and .csv also with .gz), or give 'format'",
            "output_path",
        )
    if chosen not in _FORMATS:
        raise InputError(f"'{chosen}' is unknown; there are {', '.join(_FORMATS)}", "format")
    if chosen not in _WRITERS:
        raise InputError(f"'{chosen}' is not supported yet; use {' or '.join(_WRITERS)}", "format")
    return Format(chosen, packed)


class PageWriter:
    """Writes pages into a file.

    :param rows: writes the rows.
    :param raw: whether rows are written as they came, without being decoded.
    """

    def __init__(self, rows: RowWriter, *, raw: bool) -> None:
        self._rows = rows
        self._raw = raw

    @property
    def columns(self) -> list[str]:
        """Names of the columns, as far as known."""
        return self._rows.columns

    def write(self, page: Page) -> None:
        """Write a page."""
        if not self._rows.columns:
            self._rows.columns = column_names(page)
        rows: Sequence[Any] = page.rows if self._raw else page.decoded()
        self._rows.write_rows(cast("Sequence[dict[str, Any]]", rows))


def column_names(page: Page) -> list[str]:
    """Name the columns of a page: those of the query, else the fields of the first row."""
    if page.columns is not None:
        return [column.name for column in page.columns]
    import msgspec

    return list(msgspec.json.decode(page.rows[0], type=dict[str, Any])) if page.rows else []


@contextmanager
def open_writer(publication: Publication, wanted: Format) -> Iterator[PageWriter]:
    """Open a writer on a publication; what belongs at the end is written when the block ends well."""
    if not wanted.packed:
        yield from _writer(publication, wanted)
        return
    # No time and no name inside, so that the same rows give the same bytes.
    with gzip.GzipFile("", "wb", 6, cast("Any", publication), mtime=0) as packed:
        yield from _writer(packed, wanted)


def _writer(out: Publication | gzip.GzipFile, wanted: Format) -> Iterator[PageWriter]:
    rows = _WRITERS[wanted.name](out)
    yield PageWriter(rows, raw=wanted.name == "jsonl")
    rows.close()
