"""Takes an LDIF apart while it flows by: its items one by one, then its header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

# A whole string, a bracket, or the beginning of a string whose end has not come yet.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)


_NOTHING = re.compile(rb"[\s,]*")


_LONGEST = 64 * 1024 * 1024


class Splitter:
    """Finds the items of an LDIF's ``content`` in a stream, holding one item at a time.

    A list at the top is taken for the content itself. Anything that is no LDIF raises ``ValueError``, which
    says what is wrong.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # up to here tokens were looked at
        self._kept = 0  # from here on bytes are not dealt with yet
        self._depth = 0
        self._inside = 0  # depth of the content's list while in it, else 0
        self._last_string = b""
        self._in_string = False
        self._skeleton = bytearray()
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
            elif not self._inside:
                self._last_string = token
        self._forget()
        return items

    def finish(self) -> None:
        """Read the header, now that everything has come."""
        import msgspec

        if self._depth or self._in_string:
            raise ValueError("it ends in the middle")
        self._skeleton += self._buffer
        try:
            header = msgspec.json.decode(self._skeleton)
        except msgspec.DecodeError as error:
            raise ValueError(f"it is not JSON: {error}") from None
        self.header = header if isinstance(header, dict) else {}

    def _open(self, token: bytes, at: int) -> None:
        self._depth += 1
        if self._inside:
            if self._depth == self._inside + 1:
                self._skip_until(at)
        elif token == b"[" and (self._depth == 1 or (self._depth == 2 and self._last_string == b'"content"')):
            self._inside = self._depth
            self.has_content = True
            self._skeleton += self._buffer[self._kept : at + 1]
            self._kept = at + 1

    def _close(self, at: int, items: list[bytes]) -> None:
        self._depth -= 1
        if self._depth < 0:
            raise ValueError("it is not JSON: a bracket closes that was never opened")
        if self._inside and self._depth == self._inside:
            items.append(bytes(self._buffer[self._kept : at + 1]))
            self._kept = at + 1
        elif self._inside and self._depth == self._inside - 1:
            self._skip_until(at)
            self._inside = 0

    def _skip_until(self, at: int) -> None:
        """Pass what stands between two items."""
        if not _NOTHING.fullmatch(self._buffer, self._kept, at):
            raise ValueError("its content holds something that is no object")
        self._kept = at

    def _forget(self) -> None:
        """Drop what is dealt with."""
        if not self._inside:
            self._skeleton += self._buffer[self._kept : self._scanned]
            self._kept = self._scanned
        del self._buffer[: self._kept]
        self._scanned -= self._kept
        self._kept = 0
        if len(self._buffer) > _LONGEST or len(self._skeleton) > _LONGEST:
            raise ValueError("it holds something of more than 64 MiB that is no item")


def split(chunks: Iterable[bytes], splitter: Splitter) -> Iterator[bytes]:
    """Give the items of an LDIF that comes in chunks; afterwards the splitter holds its header."""
    for chunk in chunks:
        yield from splitter.feed(chunk)
    splitter.finish()
