"""Content of a run: rows of a list or a file, or a whole LDIF file, read any number of times."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec

from airflow_provider.core.files.csv_reader import detect_encoding
from airflow_provider.core.files.many_files import ManyFiles
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.files.row_source import (
    NO_OPTIONS,
    RowOptions,
    apply_options,
    is_query,
    open_source_files,
    read_source,
)
from airflow_provider.core.input.conditions import refuse_data_frame, refuse_rendered_list
from airflow_provider.core.input.doubled_keys import doubled_key
from airflow_provider.core.input.values import shown
from airflow_provider.core.redaction import shown_path
from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.items import ItemReader
from airflow_provider.leanix.ldif.mapped_items import MappedItemReader
from airflow_provider.leanix.ldif.mapping import ItemMapping
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser, iter_items

_READ_BYTES = 256 * 1024
"""Bytes per read of an LDIF file."""

_WHAT = "content"


class Content:
    """Rows of a content.

    :param reader: how the rows become items.
    :param header: header fields of an LDIF file, complete after its last row was read.
    :param has_items: whether the content has a list of items; false for an LDIF that is a header only.
    :param is_ordered: whether the order of the rows has a meaning; a query may have another one each time.
    """

    is_ordered = True

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


class _QueryRows(Content):
    """Rows of a query."""

    is_ordered = False

    def __init__(self, source: SqlRows, options: RowOptions, mapping: ItemMapping | None) -> None:
        super().__init__(MappedItemReader(mapping) if mapping else ItemReader(is_table=True))
        self._source = source
        self._options = options
        self._mapping = mapping

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yield the rows with their numbers."""
        fields = self._fields()
        yield from read_source(
            self._source, _WHAT, self._options, on_columns=self.reader.set_columns, fields=fields
        )

    def _fields(self) -> Sequence[str]:
        """Return the fields that a column may have in another case; those of ``data`` have a case."""
        if self._mapping:
            return self._mapping.columns()
        columns, ignored = self._options.columns or {}, self._options.ignore or ()
        names = {columns.get(name, name).lower() for name in self._source.names if name not in ignored}
        return ("type", "id", "data") if names <= {"type", "id", "data"} else ("type", "id")


class _LdifFile(Content):
    """A whole LDIF in a JSON file, or a JSON list of items."""

    def __init__(self, path: str, options: RowOptions, reader: ItemReader) -> None:
        super().__init__(reader)
        self._path = path
        self._options = options
        self._takes_ldif = not isinstance(reader, MappedItemReader)

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
                    value = decode(item)
                    if (key := doubled_key(item, value)) is not None:
                        raise InputError(f"item {number} has the key {shown(key)} twice", where)
                    yield number, value
            except UnicodeDecodeError as error:
                raise InputError(f"is not UTF-8 ({error.reason}); pass its encoding", where) from None
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise InputError(f"cannot be read: {error}", where) from None
            except InputError:
                raise
            except (ValueError, msgspec.DecodeError, RecursionError) as error:
                raise InputError(f"is no LDIF: {error}", where) from None
        if parser.repeated:
            raise InputError([f"has {name!r} more than once" for name in parser.repeated], where)
        if not (parser.has_content or parser.is_object):
            raise InputError("has no list 'content'", where)
        if parser.is_object and not self._takes_ldif:
            raise InputError("is a whole LDIF, whose items need no mapping; leave 'mapping' out", where)
        names += parser.header
        ignored = {*(self._options.ignore or ()), "content"}
        self.header = {name: value for name, value in parser.header.items() if name not in ignored}
        self.has_items = parser.has_content


def open_content(
    content: object,
    options: RowOptions = NO_OPTIONS,
    *,
    takes_flat: bool = True,
    mapping: ItemMapping | None = None,
) -> Content:
    """Return the rows of a content.

    :param content: None, a list of rows, the path of a file, or rows of a query.
    :param options: how rows are read.
    :param takes_flat: whether a row may have the fields of ``data`` as columns.
    :param mapping: how the columns of the rows become items; None for rows that are items.
    :raises InputError: for any other value.
    """
    if content is None and not (options.hive or options.complete):
        return _Rows([], options, ItemReader())
    if is_query(content):
        return _QueryRows(content, options, mapping)
    if isinstance(content, os.PathLike):
        content = os.fspath(content)
    found = open_source_files(content, _WHAT, options)
    if isinstance(found, ManyFiles):
        return _Rows(found, options, _item_reader(found.format, found.listing.source, options, mapping))
    if isinstance(content, str):
        return _open_file(content, options, mapping)
    refuse_data_frame(content, _WHAT)
    if isinstance(content, Iterable) and not isinstance(content, (bytes, bytearray, Mapping, Iterator)):
        reader = MappedItemReader(mapping, options) if mapping else ItemReader(takes_flat=takes_flat)
        return _Rows(content, options, reader)
    raise InputError(f"must be a list of items or the path of a file, not {type(content).__name__}", _WHAT)


def _open_file(path: str, options: RowOptions, mapping: ItemMapping | None) -> Content:
    refuse_rendered_list(path, _WHAT)
    ending = _ending(path, options.source_format)
    reader = _item_reader(ending, path, options, mapping)
    return _LdifFile(path, options, reader) if ending in ("json", "ldif") else _Rows(path, options, reader)


def _item_reader(ending: str, path: str, options: RowOptions, mapping: ItemMapping | None) -> ItemReader:
    """Return the reader of a file's rows; whole LDIF files among several are none, as each has a header."""
    if ending == "geojson":
        raise InputError(f"'{shown_path(path)}' has places, which are no items of an LDIF", _WHAT)
    if mapping:
        return MappedItemReader(mapping, options)
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
    try:
        codec = detect_encoding(head, where, encoding)
        decoder = codecs.getincrementaldecoder(codec)()
    except LookupError:
        raise InputError(f"encoding {encoding!r} is not known, such as 'utf-8' or 'cp1252'", where) from None
    while head:
        yield decoder.decode(head).encode()
        head = file.read(_READ_BYTES)
    decoder.decode(b"", final=True)
