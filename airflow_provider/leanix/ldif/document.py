"""LDIF, the format that runs take in: read from a list or a file, checked, and written as a stream."""

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

_CHUNK = 256 * 1024


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
    """Give an LDIF's header from an operator's arguments; what is None is left out.

    :param processing_mode: any case; the vendor's OpenAPI file has it in lower case.
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
    """A request body that is made while it is sent, and whose length is known before."""

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
    """An LDIF that was checked and measured, and is written as often as it is needed.

    :param header: all fields but the content.
    :param items: opens the items anew, each as JSON.
    :param count: how many items there are.
    :param size: their length in bytes together, without what stands between them.
    :param sha256: hash of the items.
    """

    header: Mapping[str, Any]
    items: Callable[[], Iterator[bytes]] = field(repr=False)
    count: int
    size: int
    sha256: str

    @property
    def connector(self) -> str:
        """What selects the processor configuration, in one word."""
        return "/".join(str(self.header[name]) for name in KEY_FIELDS if name in self.header)

    def with_description(self, description: str) -> Ldif:
        """Give the same LDIF with another description."""
        return Ldif(
            {**self.header, "description": description}, self.items, self.count, self.size, self.sha256
        )

    def open(self) -> SizedBody:
        """Write the LDIF as a stream."""
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
    """Check and measure the LDIF that a header and a content make; nothing is sent yet.

    A path is read twice, now and when it is sent, one item at a time.

    :param header: see :func:`make_header`.
    :param content: None, a list of items, or the path of a file: JSON Lines, Parquet (columns ``type``,
        ``id`` and ``data``, an object or JSON), or a whole LDIF in JSON.
    :param min_content: the fewest items that are no mistake; in full mode 1, because what a full run does
        not hold is deleted.
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
    fewest = min_content if min_content is not None else int(full)
    if count < fewest:
        why = "; a full run deletes what it does not hold" if full else ""
        problems.append(f"the content has {count} items, fewer than {fewest}{why}")
    if problems:
        raise InputError(problems, "the LDIF")

    def items() -> Iterator[bytes]:
        for _, item in read_items(content, header):
            yield msgspec.json.encode(item)

    return Ldif(header, items, count, size, digest.hexdigest())


def read_items(content: object, header: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Give the items of a content with their numbers, counted from 1.

    :raises InputError: when it cannot be read, or when a whole LDIF is meant for another connector.
    """
    from airflow_provider.core.files.reader import read_rows

    if content is None:
        return
    if isinstance(content, str) and content.lower().endswith((".json", ".ldif")):
        yield from _read_whole(content, header)
    elif isinstance(content, str):
        for number, row in read_rows(content, "content"):
            yield number, _decode_data(row)
    elif isinstance(content, list):
        yield from enumerate(content, start=1)
    else:
        raise InputError(
            f"must be a list of items or the path of a file, not {type(content).__name__}", "content"
        )


def _read_whole(path: str, header: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    import msgspec

    from airflow_provider.core.files.reader import open_source

    what = f"content '{path}'"
    parser = LdifStreamParser()
    with open_source(path, "content") as file:
        try:
            for number, item in enumerate(iter_items(iter(lambda: file.read(_CHUNK), b""), parser), start=1):
                yield number, msgspec.json.decode(item)
        except (ValueError, msgspec.DecodeError) as error:
            raise InputError(f"is no LDIF: {error}", what) from None
    problems = [text for name in parser.header for text in misspelled_field(name)]
    problems += [
        f"header field '{name}' is {parser.header[name]!r}, the task says {header.get(name)!r}"
        for name in KEY_FIELDS
        if name in parser.header and lower(parser.header[name]) != lower(header.get(name))
    ]
    if not parser.has_content:
        problems.append("holds no list 'content'")
    if problems:
        raise InputError(problems, what)


def _decode_data(row: dict[str, Any]) -> dict[str, Any]:
    """Read ``data`` that a table holds as JSON text."""
    import msgspec

    if isinstance(row.get("data"), str):
        try:
            return {**row, "data": msgspec.json.decode(row["data"])}
        except msgspec.DecodeError:
            return row
    return row


def _join_chunks(chunks: Iterable[bytes], size: int = 64 * 1024) -> Iterator[bytes]:
    """Join small pieces, so that each costs no packet of its own."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= size:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
