"""LDIF document: the input of a run, read from a list or a file, validated, and written as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser, iter_items
from airflow_provider.leanix.ldif.validation import (
    KEY_FIELDS,
    ItemValidator,
    header_problems,
    lower,
    misspelled_field,
)

_READ_BYTES = 256 * 1024
"""Bytes per read of an LDIF file."""

_SEND_BYTES = 64 * 1024
"""Minimum bytes per chunk of a request body."""


def make_header(
    *,
    connector_type: str,
    connector_id: str,
    connector_version: str,
    processing_direction: str,
    processing_mode: str = "partial",
    lx_version: str = "1.0.0",
    lx_workspace: str | None = None,
    description: str | None = None,
    custom_fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build an LDIF header from an operator's arguments, without those that are None.

    :param processing_mode: in any case; the vendor's OpenAPI file has it in lower case.
    """
    header = {
        "connectorType": connector_type,
        "connectorId": connector_id,
        "connectorVersion": connector_version,
        "lxVersion": lx_version,
        "lxWorkspace": lx_workspace,
        "description": description,
        "processingDirection": lower(processing_direction),
        "processingMode": lower(processing_mode),
        "customFields": dict(custom_fields) if custom_fields else None,
    }
    return {name: value for name, value in header.items() if value is not None}


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
    :param sha256: hash of the items.
    """

    header: Mapping[str, Any]
    items: Callable[[], Iterator[bytes]] = field(repr=False)
    count: int
    size: int
    sha256: str

    @property
    def connector(self) -> str:
        """The key of the processor configuration, joined by slashes."""
        return "/".join(str(self.header[name]) for name in KEY_FIELDS if name in self.header)

    def with_description(self, description: str) -> Ldif:
        """Return the same LDIF with another description."""
        return Ldif(
            {**self.header, "description": description}, self.items, self.count, self.size, self.sha256
        )

    def open(self) -> SizedBody:
        """Return the LDIF as a stream from the start."""
        head, tail = self._frame()
        length = len(head) + self.size + max(0, self.count - 1) + len(tail)
        return SizedBody(length, _join_chunks(self._chunks(head, tail)))

    def _frame(self) -> tuple[bytes, bytes]:
        import msgspec

        return msgspec.json.encode(dict(self.header))[:-1] + b',"content":[', b"]}"

    def _chunks(self, head: bytes, tail: bytes) -> Iterator[bytes]:
        yield head
        for number, item in enumerate(self.items()):
            yield b"," + item if number else item
        yield tail


def prepare(header: Mapping[str, Any], content: object, *, min_content: int | None = None) -> Ldif:
    """Validate and measure the LDIF of a header and a content, without sending it.

    A file is read twice, now and while it is sent, one item at a time.

    :param header: see :func:`make_header`.
    :param content: None, a list of items, or the path of a file: JSON Lines, Parquet (columns ``type``,
        ``id`` and ``data``, an object or JSON), or a whole LDIF in JSON.
    :param min_content: minimum number of items; None means 1 in full mode, because a full run deletes fact
        sheets that are missing from its content, and 0 in partial mode.
    :raises InputError: with every problem at once.
    """
    import msgspec

    problems = header_problems(header)
    outbound = header.get("processingDirection") == "outbound"
    validator, digest, count, size = ItemValidator(), hashlib.sha256(), 0, 0
    for number, item in read_items(content, header):
        validator.validate(number, item)
        data = msgspec.json.encode(item)
        digest.update(data)
        count += 1
        size += len(data)
    problems += validator.problems
    if outbound and count:
        problems.append("an outbound run takes no content")
    full = header.get("processingMode") == "full"
    minimum = min_content if min_content is not None else int(full)
    if count < minimum:
        risk = "; a full run deletes what it does not contain" if full else ""
        problems.append(f"the content has {count} items, fewer than {minimum}{risk}")
    if problems:
        raise InputError(problems, "the LDIF")

    def items() -> Iterator[bytes]:
        for _, item in read_items(content, header):
            yield msgspec.json.encode(item)

    return Ldif(header, items, count, size, digest.hexdigest())


def read_items(content: object, header: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Yield the items of a content with their numbers, counted from 1.

    :raises InputError: when the content cannot be read, or when an LDIF file names another connector.
    """
    from airflow_provider.core.files.reader import read_rows

    if content is None:
        return
    if isinstance(content, str) and content.lower().endswith((".json", ".ldif")):
        yield from _read_ldif_file(content, header)
    elif isinstance(content, str):
        for number, row in read_rows(content, "content"):
            yield number, _decode_data(row)
    elif isinstance(content, list):
        yield from enumerate(content, start=1)
    else:
        raise InputError(
            f"must be a list of items or the path of a file, not {type(content).__name__}", "content"
        )


def _read_ldif_file(path: str, header: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    import msgspec

    from airflow_provider.core.files.reader import open_source

    source = f"content '{path}'"
    parser = LdifStreamParser()
    with open_source(path, "content") as file:
        try:
            chunks = iter(lambda: file.read(_READ_BYTES), b"")
            for number, item in enumerate(iter_items(chunks, parser), start=1):
                yield number, msgspec.json.decode(item)
        except (ValueError, msgspec.DecodeError) as error:
            raise InputError(f"is no LDIF: {error}", source) from None
    problems = [text for name in parser.header for text in misspelled_field(name)]
    problems += [
        f"header field '{name}' is {parser.header[name]!r}, but the task's argument is {header.get(name)!r}"
        for name in KEY_FIELDS
        if name in parser.header and lower(parser.header[name]) != lower(header.get(name))
    ]
    if not parser.has_content:
        problems.append("has no list 'content'")
    if problems:
        raise InputError(problems, source)


def _decode_data(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its ``data`` decoded when it is JSON text."""
    import msgspec

    if isinstance(row.get("data"), str):
        try:
            return {**row, "data": msgspec.json.decode(row["data"])}
        except msgspec.DecodeError:
            return row
    return row


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
