"""A request as data: what to send, whether it may be sent twice, and how its reply is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its body read.

    :param status: HTTP status code.
    :param headers: names in lower case.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Decode the body; raises ``ValueError`` when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None

    @property
    def status_code(self) -> int:
        """The status, under the name that ``requests`` gives it."""
        return self.status

    @property
    def content(self) -> bytes:
        """The body, under the name that ``requests`` gives it."""
        return self.body

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


def read_json(reply: Reply) -> Any:
    """Read a reply as JSON."""
    return reply.json()


def read_nothing(_: Reply) -> None:
    """Ignore the body."""


def read_reply(reply: Reply) -> Reply:
    """Give the reply as it is."""
    return reply


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No usable answer came.

    :param sent: whether the service may have seen the request.
    :param why: what happened, without secrets.
    :param hopeless: whether another try cannot help (a certificate that does not verify, a reply too large).
    """

    sent: bool
    why: str
    hopeless: bool = False


MIB = 1024 * 1024


MAX_BYTES = 512 * MIB
"""Bytes of a good reply: what is larger has an endpoint that gives it in pages, or is streamed to a file."""


MAX_ERROR_BYTES = MIB
"""Bytes that are read of any other reply: enough to say why."""


class BodyReader:
    """The body of one reply, as it comes in.

    :param good: statuses that mean success; other replies are read in part.
    :param status: the reply's status.
    :param headers: its headers.
    """

    def __init__(self, good: Collection[int], status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._good = status in good
        self._left = MAX_BYTES if self._good else MAX_ERROR_BYTES
        self._chunks: list[bytes] = []

    @property
    def fits(self) -> bool:
        """Whether its body may be read: one that is packed twice unpacks a million times in one step."""
        return "," not in self._headers.get("content-encoding", "")

    def add(self, chunk: bytes) -> bool:
        """Take a piece, unpacked; tells whether there is room for more."""
        self._left -= len(chunk)
        self._chunks.append(chunk if self._left >= 0 else chunk[: self._left])
        return self._left >= 0

    def outcome(self) -> Reply | NoResponse:
        """Give the reply; of a refusal its beginning. A good reply that is too large is none."""
        too_large = (
            f"its reply is larger than {MAX_BYTES // MIB} MiB" if self._good and self._left < 0 else ""
        )
        if why := too_large if self.fits else "its reply is packed more than once":
            return NoResponse(sent=True, why=why, hopeless=True)
        return Reply(self._status, self._headers, b"".join(self._chunks))


_LONGEST = 500


# Both stop at the next tag, so that a page of nothing but their beginnings is still read in one go.
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)


_TAGS = re.compile(r"<[^<>]+>")


_CODES = ("error_code", "code", "error")


_MESSAGES = ("detail", "message", "error_description", "errorMessage", "title", "error", "errors", "warnings")


def read_error(reply: Reply) -> tuple[str, str]:
    """Give the service's error code and message, either empty when there is none.

    Understands the usual JSON forms (``error``/``error_description``, ``error_code``/``detail``, ``errors``,
    nested ``error`` objects, problem details), HTML pages of gateways, and plain text.
    """
    if not reply.body.strip():
        return "", ""
    try:
        value = reply.json()
        return _from_object(value) if isinstance(value, Mapping) else ("", truncate(_flat(value)))
    except (ValueError, RecursionError):
        return "", _from_text(reply.text)


def truncate(text: str, longest: int = _LONGEST) -> str:
    """Give the text in one line, cut to a readable length, without what steers a terminal."""
    line = " ".join(text.split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line if line.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in line)


def _from_text(text: str) -> str:
    if "<" in text and (title := _TITLE.search(text)):
        return truncate(f"an HTML page: {title.group(1)}")
    return truncate(_TAGS.sub(" ", text) if text.lstrip().startswith("<") else text)


def _from_object(value: Mapping[str, Any]) -> tuple[str, str]:
    inner = value.get("error")
    if isinstance(inner, Mapping):
        return _from_object(inner)
    code = next((str(value[key]) for key in _CODES if isinstance(value.get(key), (str, int))), "")
    said = [_flat(value[key]) for key in _MESSAGES if value.get(key) and str(value[key]) != code]
    return truncate(code, 100), truncate("; ".join(dict.fromkeys(text for text in said if text)))


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else str(value)
