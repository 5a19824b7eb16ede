"""Takes an LDIF apart while it flows by: its items one by one, then its header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

# A whole string, a bracket, or the beginning of a string whose end has not come yet.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)


_SEPARATORS = re.compile(rb"[\s,]*")


_MAX_BUFFERED_BYTES = 64 * 1024 * 1024


class LdifStreamParser:
    """Finds the items of an LDIF's ``content`` in a stream, holding one item at a time.

    A list at the top is taken for the content itself. Anything that is no LDIF raises ``ValueError``, which
    says what is wrong.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # up to here tokens were looked at
        self._consumed = 0  # from here on bytes are not dealt with yet
        self._depth = 0
        self._content_depth = 0  # depth of the content's list while in it, else 0
        self._last_string = b""
        self._in_string = False
        self._header_bytes = bytearray()
        self.header: dict[str, Any] = {}
        self.has_content = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; gives the items that are complete now, as raw JSON."""
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
        """Read the header, now that everything has come."""
        import msgspec

        if self._depth or self._in_string:
            raise ValueError("it ends in the middle")
        self._header_bytes += self._buffer
        try:
            header = msgspec.json.decode(self._header_bytes)
        except msgspec.DecodeError as error:
            raise ValueError(f"it is not JSON: {error}") from None
        self.header = header if isinstance(header, dict) else {}

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
            raise ValueError("it is not JSON: a bracket closes that was never opened")
        if self._content_depth and self._depth == self._content_depth:
            items.append(bytes(self._buffer[self._consumed : at + 1]))
            self._consumed = at + 1
        elif self._content_depth and self._depth == self._content_depth - 1:
            self._skip_separators(at)
            self._content_depth = 0

    def _skip_separators(self, at: int) -> None:
        """Pass what stands between two items."""
        if not _SEPARATORS.fullmatch(self._buffer, self._consumed, at):
            raise ValueError("its content holds something that is no object")
        self._consumed = at

    def _drop_consumed(self) -> None:
        """Drop what is dealt with."""
        if not self._content_depth:
            self._header_bytes += self._buffer[self._consumed : self._scanned]
            self._consumed = self._scanned
        del self._buffer[: self._consumed]
        self._scanned -= self._consumed
        self._consumed = 0
        if len(self._buffer) > _MAX_BUFFERED_BYTES or len(self._header_bytes) > _MAX_BUFFERED_BYTES:
            raise ValueError("it holds something of more than 64 MiB that is no item")


def iter_items(chunks: Iterable[bytes], parser: LdifStreamParser) -> Iterator[bytes]:
    """Give the items of an LDIF that comes in chunks; afterwards the parser holds its header."""
    for chunk in chunks:
        yield from parser.feed(chunk)
    parser.finish()
