"""LDIF document: the input of a run, read from a list or a file, validated, and written as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions
from airflow_provider.errors import InputError
from airflow_provider.leanix.api import KEY_FIELDS
from airflow_provider.leanix.ldif.content import Content, open_content
from airflow_provider.leanix.ldif.header import DEFAULTS, make_header, merge_headers, read_custom_fields
from airflow_provider.leanix.ldif.items import ItemReader
from airflow_provider.leanix.ldif.mapping import ItemMapping
from airflow_provider.leanix.ldif.validation import TRIGGER, ItemValidator, header_problems, is_trigger

__all__ = ["Ldif", "SizedBody", "make_header", "prepare", "read_ldif"]

_json = msgspec.json.Encoder().encode

_SEND_BYTES = 64 * 1024
"""Minimum bytes per chunk of a request body."""


class SizedBody:
    """A request body that is generated while it is sent, with a length known in advance.

    :param length: the body's length in bytes.
    :param chunks: the body.
    """

    def __init__(self, length: int, chunks: Iterable[bytes]) -> None:
        self._length = length
        self._chunks = iter(chunks)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def __next__(self) -> bytes:
        return next(self._chunks)


@dataclass(frozen=True)
class Ldif:
    """A validated and measured LDIF, which can be written any number of times.

    :param header: all fields except the content.
    :param items: opens the items from the start, each as JSON.
    :param count: number of items.
    :param size: total bytes of the items, without separators.
    :param sha256: hash of the items; of a query's items, whatever their order is.
    :param triggers: number of dummy items, which only start a run that writes an LDIF.
    :param writes: whether the configuration has processors ``writeToLdif``, so that the run makes an LDIF.
    """

    header: Mapping[str, Any]
    items: Callable[[], Iterator[bytes]] = field(repr=False)
    count: int
    size: int
    sha256: str
    triggers: int
    writes: bool

    @property
    def connector(self) -> str:
        """The key of the processor configuration, joined by slashes."""
        return "/".join(str(self.header[name]) for name in KEY_FIELDS if name in self.header)

    @property
    def sent(self) -> int:
        """Number of items that are data, without the dummy that starts an export."""
        return self.count - self.triggers

    @property
    def is_empty(self) -> bool:
        """True when an inbound run has no content, not even a dummy item."""
        return self.header.get("processingDirection") == "inbound" and not self.count

    @property
    def is_export(self) -> bool:
        """True when the run exists for the LDIF that it produces."""
        is_outbound = self.header.get("processingDirection") == "outbound"
        return is_outbound or self.writes or bool(self.triggers and not self.sent)

    @property
    def is_full(self) -> bool:
        """True when the run deletes what its content does not contain."""
        return self.header.get("processingMode") == "full"

    def with_description(self, description: str) -> Ldif:
        """Return the same LDIF with another description."""
        return replace(self, header={**self.header, "description": description})

    def open(self) -> SizedBody:
        """Return the LDIF as a stream from the start."""
        head, tail = self._frame()
        length = len(head) + self.size + max(0, self.count - 1) + len(tail)
        return SizedBody(length, _join_chunks(self._chunks(head, tail)))

    def _frame(self) -> tuple[bytes, bytes]:
        return _json(dict(self.header))[:-1] + b',"content":[', b"]}"

    def _chunks(self, head: bytes, tail: bytes) -> Iterator[bytes]:
        yield head
        for number, item in enumerate(self.items()):
            yield b"," + item if number else item
        yield tail


class ItemsHash:
    """Hash of items in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Add an item as JSON."""
        self._digest.update(data)

    def hexdigest(self) -> str:
        """Return the hash."""
        return self._digest.hexdigest()


class UnorderedItemsHash(ItemsHash):
    """Hash of items that is the same for each of their orders: the sum of the items' hashes."""

    def __init__(self) -> None:
        self._sum = 0

    def update(self, data: bytes) -> None:
        """Add an item as JSON."""
        self._sum += int.from_bytes(hashlib.sha256(data).digest())

    def hexdigest(self) -> str:
        """Return the hash."""
        return f"{self._sum % 2**256:064x}"


@dataclass(slots=True)
class _Measure:
    """Size and hash of a content's items, read once."""

    digest: ItemsHash
    count: int = 0
    size: int = 0
    triggers: int = 0

    @classmethod
    def of(cls, source: Content, validator: ItemValidator) -> _Measure:
        """Return the measure of a source; the validator has the problems of its rows then."""
        found = cls(ItemsHash() if source.is_ordered else UnorderedItemsHash())
        for number, row in source.rows():
            found.add(*_encode(number, row, source.reader, validator))
        return found

    def add(self, data: bytes, is_dummy: bool) -> None:
        """Add an item as JSON."""
        self.digest.update(data)
        self.count += 1
        self.size += len(data)
        self.triggers += is_dummy


def prepare(
    header: Mapping[str, Any],
    content: object,
    *,
    min_content: int | None = None,
    options: RowOptions = NO_OPTIONS,
    allow_duplicates: bool = False,
    defaults: Mapping[str, Any] = DEFAULTS,
    takes_flat: bool = True,
    mapping: ItemMapping | None = None,
    writes: bool = False,
) -> Ldif:
    """Validate and measure the LDIF of a header and a content, without sending it.

    A file is read twice, now and while it is sent, one item at a time; a query is run once, see
    :class:`~airflow_provider.core.sql.rows.SqlRows`.

    :param header: header fields of the task, see :func:`make_header`; completed by those of an LDIF file.
    :param content: None, a list of rows, rows of a query, or the path of a file: JSON Lines, CSV, Parquet, or
        a whole LDIF in JSON. Rows have ``type``, ``id`` and ``data`` (an object, in a table its JSON), or
        ``type``, ``id`` and a column for each field of the data; or they have what the mapping names.
    :param min_content: minimum number of items; None means 1 in full mode, because a full run deletes fact
        sheets that are missing from its content, and 0 in partial mode.
    :param options: how rows are read.
    :param allow_duplicates: accept items with the same type and id.
    :param defaults: header fields that need not be given.
    :param takes_flat: whether a row may have the fields of its data as columns.
    :param mapping: how the columns of the rows become items.
    :param writes: whether the run is to write an LDIF. It needs an item to start with, so a content without
        items gets a dummy.
    :raises InputError: with every problem at once.
    """
    source = open_content(content, options, takes_flat=takes_flat, mapping=mapping)
    validator = ItemValidator(allow_duplicates=allow_duplicates)
    measure = _Measure.of(source, validator)
    merged, problems = merge_headers(header, source.header, defaults)
    problems += read_custom_fields(merged)
    problems += header_problems(merged)
    problems += source.reader.column_problems()
    problems += validator.lines()
    items = partial(_items, source)
    if writes and not measure.count:
        measure.add(_json(TRIGGER), True)
        items = partial(iter, [_json(TRIGGER)])
    ldif = Ldif(
        merged, items, measure.count, measure.size, measure.digest.hexdigest(), measure.triggers, writes
    )
    problems += _content_problems(ldif, source, min_content)
    if problems:
        raise InputError(problems, "the LDIF")
    return ldif


def read_ldif(ldif: Mapping[str, Any], *, allow_duplicates: bool = False) -> Ldif:
    """Validate a whole LDIF that is an object, as the API takes it: nothing is completed.

    :param ldif: header fields and ``content``.
    :param allow_duplicates: accept items with the same type and id.
    :raises InputError: with every problem at once.
    """
    if not isinstance(ldif, Mapping):
        raise InputError(f"must be a JSON object, not {type(ldif).__name__}", "the LDIF")
    content = ldif.get("content", [])
    if not isinstance(content, (list, tuple)):
        problems = header_problems(ldif)
        problems.append(f"'content' must be a list, not {type(content).__name__}")
        raise InputError(problems, "the LDIF")
    header = {name: value for name, value in ldif.items() if name != "content" and value is not None}
    return prepare(
        header,
        content,
        min_content=0,
        allow_duplicates=allow_duplicates,
        defaults={},
        takes_flat=False,
    )


def _content_problems(ldif: Ldif, source: Content, min_content: int | None) -> list[str]:
    problems = []
    outbound = ldif.header.get("processingDirection") == "outbound"
    if outbound and ldif.writes:
        problems.append("'write_to_ldif' is for inbound runs; an outbound run always makes an LDIF")
    elif outbound and ldif.count:
        problems.append("an outbound run takes no content")
    if not outbound and not source.has_items and not ldif.writes:
        problems.append("the file has no list 'content'")
    minimum = min_content if min_content is not None else int(ldif.is_full)
    if ldif.sent < minimum:
        problems.append(f"the content has {ldif.sent} items, fewer than {minimum}{_advice(min_content)}")
    return problems


def _advice(min_content: int | None) -> str:
    """Return why a content is too small, and which argument accepts it."""
    if min_content is not None:
        return " ('min_content')"
    return "; a full run deletes what it does not contain (min_content=0 accepts a content without items)"


def _encode(number: int, row: Any, reader: ItemReader, validator: ItemValidator) -> tuple[bytes, bool]:
    """Return a row as the JSON of its item, and whether it is a dummy; empty when it has problems."""
    problems: list[str] = []
    item = reader.read(row, problems)
    validator.validate(number, item)
    if not problems:
        try:
            data = _json(item)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            reader.read_each_value(item, problems)
            problems = problems or [f"has no JSON form: {error}"]
        else:
            return data, is_trigger(item)
    validator.add(number, item, problems)
    return b"", False


def _items(source: Content) -> Iterator[bytes]:
    problems: list[str] = []
    for _, row in source.rows():
        yield _json(source.reader.read(row, problems))


def _join_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield small chunks joined to larger ones, so that few packets are sent."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= _SEND_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
