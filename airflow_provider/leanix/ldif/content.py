"""Content of a run: rows of a list or a file, or a whole LDIF file, read any number of times."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import msgspec

from airflow_provider.core.files.csv_reader import detect_encoding
from airflow_provider.core.files.many_files import ManyFiles
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import (
    NO_OPTIONS,
    RowOptions,
    apply_options,
    open_source_files,
    read_source,
)
from airflow_provider.core.input.conditions import refuse_data_frame, refuse_rendered_list
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.items import ItemReader
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser, iter_items

_READ_BYTES = 256 * 1024
"""Bytes per read of an LDIF file."""

_WHAT = "content"

_UTF8 = ("utf-8", "utf-8-sig")


class Content:
    """Rows of a content.

    :param reader: how the rows become items.
    :param header: header fields of an LDIF file, complete after its last row was read.
    :param has_items: whether the content has a list of items; false for an LDIF that is a header only.
    """

    def __init__(self, reader: ItemReader) -> None:
        self.reader = reader
        self.header: dict[str, Any] = {}
        self.has_items = True

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yield the rows with their numbers, counted from 1."""
        raise NotImplementedError


class _Rows(Content):
    """Rows of a list, or of files with many rows each."""

    def __init__(self, source: Any, options: RowOptions, reader: ItemReader) -> None:
        super().__init__(reader)
        self._source = source
        self._options = options

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yield the rows with their numbers."""
        in_files = isinstance(self._source, (str, ManyFiles))
        if not in_files and not _changes_rows(self._options):
            yield from enumerate(self._source, start=1)
            return
        source = self._source
        if not in_files:
            source = (dict(row) if isinstance(row, Mapping) else row for row in source)
        yield from read_source(source, _WHAT, self._options, on_columns=self.reader.set_columns)


class _LdifFile(Content):
    """A whole LDIF in a JSON file, or a JSON list of items."""

    def __init__(self, path: str, options: RowOptions, reader: ItemReader) -> None:
        super().__init__(reader)
        self._path = path
        self._options = options

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yield the items with their numbers, then keep the header."""
        names: list[str] = []
        if not _changes_rows(self._options):
            yield from self._items(names)
        else:
            yield from apply_options(self._items(names), _WHAT, self._options, names)

    def _items(self, names: list[str]) -> Iterator[tuple[int, Any]]:
        parser = LdifStreamParser()
        where = f"{_WHAT} '{shown_path(self._path)}'"
        decode = msgspec.json.Decoder().decode
        with open_source(self._path, _WHAT) as raw:
            file: Any = gzip.GzipFile(fileobj=raw) if _is_packed(self._path) else raw
            try:
                chunks = _utf8_chunks(file, self._options.encoding, where)
                for number, item in enumerate(iter_items(chunks, parser), start=1):
                    yield number, decode(item)
            except UnicodeDecodeError as error:
                raise InputError(f"is not UTF-8 ({error.reason}); pass its encoding", where) from None
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise InputError(f"cannot be read: {error}", where) from None
            except (ValueError, msgspec.DecodeError, RecursionError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"is no LDIF: {error}", where) from None
        if parser.repeated:
            raise InputError([f"has {name!r} more than once" for name in parser.repeated], where)
        if not (parser.has_content or parser.is_object):
            raise InputError("has no list 'content'", where)
        names += parser.header
        ignored = {*(self._options.ignore or ()), "content"}
        self.header = {name: value for name, value in parser.header.items() if name not in ignored}
        self.has_items = parser.has_content


def open_content(content: object, options: RowOptions = NO_OPTIONS, *, takes_flat: bool = True) -> Content:
    """Return the rows of a content.

    :param content: None, a list of rows, or the path of a file.
    :param options: how rows are read.
    :param takes_flat: whether a row may have the fields of ``data`` as columns.
    :raises InputError: for any other value.
    """
    if content is None and not (options.hive or options.complete):
        return _Rows([], options, ItemReader())
    if isinstance(content, os.PathLike):
        content = os.fspath(content)
    found = open_source_files(content, _WHAT, options)
    if isinstance(found, ManyFiles):
        return _open_many(found, options)
    if isinstance(content, str):
        return _open_file(content, options)
    refuse_data_frame(content, _WHAT)
    if isinstance(content, Iterable) and not isinstance(content, (bytes, bytearray, Mapping, Iterator)):
        return _Rows(content, options, ItemReader(takes_flat=takes_flat))
    raise InputError(f"must be a list of items or the path of a file, not {type(content).__name__}", _WHAT)


def _open_file(path: str, options: RowOptions) -> Content:
    refuse_rendered_list(path, _WHAT)
    ending = _ending(path, options.source_format)
    if ending in ("json", "ldif"):
        return _LdifFile(path, options, ItemReader(is_json=True))
    return _Rows(path, options, _item_reader(ending, path))


def _open_many(files: ManyFiles, options: RowOptions) -> Content:
    """Return the rows of several files; whole LDIF files are none, as each has a header of its own."""
    return _Rows(files, options, _item_reader(files.format, files.listing.source))


def _item_reader(ending: str, path: str) -> ItemReader:
    if ending == "geojson":
        raise InputError(f"'{shown_path(path)}' has places, which are no items of an LDIF", _WHAT)
    is_table = ending in ("csv", "parquet", "geoparquet")
    return ItemReader(is_json=not is_table, is_table=is_table)


def _changes_rows(options: RowOptions) -> bool:
    return bool(options.columns or options.ignore) or options.min_rows is not None


def _ending(path: str, given: object) -> str:
    if given is not None:
        return str(given).strip().lower().lstrip(".")
    return _name(path).removesuffix(".gz").rpartition(".")[2]


def _is_packed(path: str) -> bool:
    return _name(path).endswith(".gz")


def _name(path: str) -> str:
    return path.rsplit("?", 1)[0].lower()


def _utf8_chunks(file: IO[bytes], encoding: str | None, where: str) -> Iterator[bytes]:
    """Yield a JSON file in chunks of UTF-8, without a byte order mark."""
    head = file.read(_READ_BYTES)
    codec = encoding or detect_encoding(head, where)
    try:
        decoder = codecs.getincrementaldecoder(codec)()
    except LookupError:
        raise InputError(f"encoding {codec!r} is not known, such as 'utf-8' or 'cp1252'", where) from None
    if codec in _UTF8:
        head = head.removeprefix(codecs.BOM_UTF8)
    while head:
        yield head if codec in _UTF8 else decoder.decode(head).encode()
        head = file.read(_READ_BYTES)
    if codec not in _UTF8:
        decoder.decode(b"", final=True)
