"""Replies: a response with its body read, a missing response, and readers of bodies and errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Reply:
    """A response with its body read.

    :param status: HTTP status code.
    :param headers: names in lower case.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the decoded body.

        :raises ValueError: when the body is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None

    @property
    def status_code(self) -> int:
        """The status, under its name in ``requests``."""
        return self.status

    @property
    def content(self) -> bytes:
        """The body, under its name in ``requests``."""
        return self.body

    @property
    def text(self) -> str:
        """The body as UTF-8 text; invalid bytes are replaced."""
        return self.body.decode("utf-8", "replace")


def read_json(reply: Reply) -> Any:
    """Return a reply's decoded JSON."""
    return reply.json()


def read_nothing(_: Reply) -> None:
    """Ignore a reply's body."""


def read_reply(reply: Reply) -> Reply:
    """Return the reply unchanged."""
    return reply


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request without a usable response.

    :param sent: whether the service may have seen the request.
    :param reason: the cause, without secrets.
    :param permanent: whether a retry cannot succeed (a certificate that does not verify, a reply too large).
    """

    sent: bool
    reason: str
    permanent: bool = False


MIB = 1024 * 1024

MAX_BYTES = 512 * MIB
"""Maximum bytes of a successful reply. Larger results come in pages, or are streamed to a file."""

MAX_ERROR_BYTES = MIB
"""Maximum bytes read of an error reply: enough for its message."""


class BodyReader:
    """Collects the body of one reply, chunk by chunk, up to a maximum size.

    :param success_statuses: statuses that mean success; of other replies only the beginning is read.
    :param status: the reply's status.
    :param headers: its headers.
    """

    def __init__(self, success_statuses: Collection[int], status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._success = status in success_statuses
        self._bytes_left = MAX_BYTES if self._success else MAX_ERROR_BYTES
        self._chunks: list[bytes] = []

    @property
    def readable(self) -> bool:
        """Return whether the body may be read: a doubly compressed body can expand a million-fold."""
        return "," not in self._headers.get("content-encoding", "")

    def add(self, chunk: bytes) -> bool:
        """Add a decompressed chunk; returns whether there is room for more."""
        self._bytes_left -= len(chunk)
        self._chunks.append(chunk if self._bytes_left >= 0 else chunk[: self._bytes_left])
        return self._bytes_left >= 0

    def result(self) -> Reply | NoResponse:
        """Return the reply, or no response when a successful reply is too large or compressed twice.

        An error reply has the beginning of its body.
        """
        reason = ""
        if not self.readable:
            reason = "its reply is compressed more than once"
        elif self._success and self._bytes_left < 0:
            reason = f"its reply is larger than {MAX_BYTES // MIB} MiB"
        if reason:
            return NoResponse(sent=True, reason=reason, permanent=True)
        return Reply(self._status, self._headers, b"".join(self._chunks))


_MAX_MESSAGE = 500
"""Maximum characters of an error message."""

# Both patterns stop at the next tag, so that a page of opening tags only is read in linear time.
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TAGS = re.compile(r"<[^<>]+>")

_CODES = ("error_code", "code", "error")

_MESSAGES = ("detail", "message", "error_description", "errorMessage", "title", "error", "errors", "warnings")


def read_error(reply: Reply) -> tuple[str, str]:
    """Read the service's error code and message; each is empty when the reply has none.

    The usual JSON forms are known (``error``/``error_description``, ``error_code``/``detail``, ``errors``,
    nested ``error`` objects, problem details), and also HTML pages of gateways and plain text.
    """
    if not reply.body.strip():
        return "", ""
    try:
        value = reply.json()
        return _from_object(value) if isinstance(value, Mapping) else ("", truncate(_flat(value)))
    except (ValueError, RecursionError):
        return "", _from_text(reply.text)


def truncate(text: str, longest: int = _MAX_MESSAGE) -> str:
    """Return a text as one line of limited length, without control characters.

    :param longest: maximum number of characters.
    """
    line = " ".join(text.split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line if line.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in line)


def _from_text(text: str) -> str:
    if "<" in text and (title := _TITLE.search(text)):
        return truncate(f"an HTML page: {title.group(1)}")
    return truncate(_TAGS.sub(" ", text) if text.lstrip().startswith("<") else text)


def _from_object(value: Mapping[str, Any]) -> tuple[str, str]:
    inner = value.get("error")
    if isinstance(inner, Mapping):
        return _from_object(inner)
    code = next((str(value[key]) for key in _CODES if isinstance(value.get(key), (str, int))), "")
    texts = [_flat(value[key]) for key in _MESSAGES if value.get(key) and str(value[key]) != code]
    return truncate(code, 100), truncate("; ".join(dict.fromkeys(text for text in texts if text)))


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else str(value)
