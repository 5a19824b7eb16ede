"""LDIF stream parser: yields the items of a document in chunks, then its header."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

# A whole string, a bracket, or the beginning of a string whose end is in a later chunk.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)

_SEPARATORS = re.compile(rb"[\s,]*")

_MAX_BUFFERED_BYTES = 64 * 1024 * 1024
"""Maximum bytes of one item, and of everything outside the items."""


class LdifStreamParser:
    """Incremental parser of an LDIF's ``content``, which holds one item at a time in memory.

    A document that is a list is taken as the content itself. Input that is no LDIF raises ``ValueError``
    with the reason.

    ``header`` holds all other fields after :meth:`finish`, ``repeated`` the names that an object outside of
    the items has more than once, and ``is_object`` tells whether the document is an object; ``has_content``
    is true once a content list was found.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # end of the tokens that were read
        self._consumed = 0  # end of the bytes that were handled
        self._depth = 0
        self._content_depth = 0  # depth of the content list while inside it, else 0
        self._last_string = b""
        self._in_string = False
        self._header_bytes = bytearray()
        self.header: dict[str, Any] = {}
        self.repeated: list[str] = []
        self.has_content = False
        self.is_object = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Parse the next bytes; return the items that are complete now, as raw JSON."""
        self._buffer += chunk
        items: list[bytes] = []
        self._in_string = False
        for match in _TOKEN.finditer(self._buffer, self._scanned):
            token = match.group()
            if token == b'"':
                self._scanned = match.start()
                self._in_string = True
                break
            self._scanned = match.end()
            if token in (b"{", b"["):
                self._open(token, match.start())
            elif token in (b"}", b"]"):
                self._close(match.start(), items)
            elif not self._content_depth:
                self._last_string = token
        self._drop_consumed()
        return items

    def finish(self) -> None:
        """Parse the header after the last chunk.

        :raises ValueError: when the document is incomplete or not JSON.
        """
        import msgspec

        if self._depth or self._in_string:
            raise ValueError("it ends before it is complete")
        self._header_bytes += self._buffer
        if not self._header_bytes.strip():
            raise ValueError("it is not JSON: it is empty")
        header, problem = None, ""
        try:
            header = msgspec.json.decode(self._header_bytes)
            json.loads(self._header_bytes, object_pairs_hook=self._note_repeated)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            problem = f"it is not JSON: {error}"
        if problem:  # Raised here, it has no context: some of these errors hold all bytes.
            raise ValueError(problem)
        self.is_object = isinstance(header, dict)
        self.header = header if isinstance(header, dict) else {}

    def _note_repeated(self, pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in pairs)
        self.repeated += sorted(name for name, count in counts.items() if count > 1)

    def _open(self, token: bytes, at: int) -> None:
        self._depth += 1
        if self._content_depth:
            if self._depth == self._content_depth + 1:
                self._skip_separators(at)
        elif token == b"[" and (self._depth == 1 or (self._depth == 2 and self._last_string == b'"content"')):
            self._content_depth = self._depth
            self.has_content = True
            self._header_bytes += self._buffer[self._consumed : at + 1]
            self._consumed = at + 1

    def _close(self, at: int, items: list[bytes]) -> None:
        self._depth -= 1
        if self._depth < 0:
            raise ValueError("it is not JSON: a bracket is closed that was never opened")
        if self._content_depth and self._depth == self._content_depth:
            items.append(bytes(self._buffer[self._consumed : at + 1]))
            self._consumed = at + 1
        elif self._content_depth and self._depth == self._content_depth - 1:
            self._skip_separators(at)
            self._content_depth = 0

    def _skip_separators(self, at: int) -> None:
        """Skip the separators between two items."""
        if not _SEPARATORS.fullmatch(self._buffer, self._consumed, at):
            raise ValueError("its content has an item that is no object")
        self._consumed = at

    def _drop_consumed(self) -> None:
        """Remove handled bytes from the buffer."""
        if not self._content_depth:
            self._header_bytes += self._buffer[self._consumed : self._scanned]
            self._consumed = self._scanned
        del self._buffer[: self._consumed]
        self._scanned -= self._consumed
        self._consumed = 0
        if len(self._buffer) > _MAX_BUFFERED_BYTES or len(self._header_bytes) > _MAX_BUFFERED_BYTES:
            raise ValueError("an item or its header is larger than 64 MiB")


def iter_items(chunks: Iterable[bytes], parser: LdifStreamParser) -> Iterator[bytes]:
    """Yield the items of an LDIF that comes in chunks; the parser has its header afterwards."""
    for chunk in chunks:
        yield from parser.feed(chunk)
    parser.finish()
