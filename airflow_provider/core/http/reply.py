"""Replies: a response with its body read, a missing response, and readers of bodies and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from airflow_provider.errors import clauses, one_line


class Headers(Mapping[str, str]):
    """Headers of a reply, found by their names in any case; the names themselves are in lower case.

    :param headers: values by name.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response with its body read.

    :param status: HTTP status code.
    :param headers: values by name, in any case.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))

    @property
    def is_page(self) -> bool:
        """True for a web page (HTML), whatever the reply calls it."""
        start = self.body[:_PAGE_START].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if start.startswith((b"<!doctype html", b"<html")):
            return True
        return start.startswith(b"<") and "html" in self.headers.get("content-type", "").lower()

    def json(self) -> Any:
        """Return the decoded body.

        :raises ValueError: when the body is not JSON, or is nested more than :data:`MAX_DEPTH` levels deep.
        """
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if _may_be_deeper(self.body) and _is_deeper(value):
            raise ValueError(f"not JSON: nested more than {MAX_DEPTH} levels deep")
        return value

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


MAX_DEPTH = 100
"""Maximum nesting of a reply's lists and objects, as of users' own values. For more levels, functions that
call themselves for each one would end in ``RecursionError``."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _may_be_deeper(text: bytes) -> bool:
    """Return whether a JSON text may be nested too deeply; brackets within texts count as well.

    It takes a fraction of the time of decoding, which :func:`_is_deeper` does not.
    """
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        outer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(outer) == len(brackets):
            break
        brackets = outer
    return bool(brackets)


def _is_deeper(value: Any) -> bool:
    """Return whether a decoded value is nested too deeply."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            one
            for parent in level
            for one in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(one, (dict, list))
        ]
        if not level:
            return False
    return True


JsonPath = tuple[str | int, ...]
"""Keys and indexes that lead to a value in JSON."""


def non_finite_values(body: bytes) -> Iterator[tuple[JsonPath, str]]:
    """Yield path and name of each NaN and infinity in a body; none when it is no JSON apart from them.

    Python writes them, and JSON has no such numbers: no reader of the rest of the reply takes them.

    :param body: the body of a reply that is not JSON.
    """
    try:
        value = json.loads(body, parse_constant=_NonFinite)
    except (ValueError, RecursionError):
        return
    pending: list[tuple[JsonPath, Any]] = [((), value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, _NonFinite):
            yield path, value.name
        elif isinstance(value, Mapping):
            pending += [((*path, key), item) for key, item in reversed(list(value.items()))]
        elif isinstance(value, list):
            pending += [((*path, n), item) for n, item in reversed(list(enumerate(value)))]


class _NonFinite:
    def __init__(self, name: str) -> None:
        self.name = name


def read_json(reply: Reply) -> Any:
    """Return a reply's decoded JSON."""
    return reply.json()


def read_nothing(_: Reply) -> None:
    """Ignore a reply's body."""


def read_reply(reply: Reply) -> Reply:
    """Return the reply unchanged."""
    return reply


class NoResponse(NamedTuple):
    """A request without a usable response.

    :param sent: whether the service may have seen the request.
    :param reason: the cause, without secrets.
    :param permanent: whether a retry cannot succeed (a certificate that does not verify, a reply too large).
    :param cause: the kind of cause, see :class:`~airflow_provider.errors.TransportError`.
    """

    sent: bool
    reason: str
    permanent: bool = False
    cause: str = ""


def no_proxy_response(reason: str) -> NoResponse:
    """Return the missing response of a request that did not get beyond the proxy.

    :param reason: the library's own words, with the status of the proxy's reply, if it replied.
    """
    refused = re.search(_PROXY_STATUS, reason)
    if not refused:
        return NoResponse(False, f"no connection to the proxy ({truncate(reason, 200)})", cause="proxy")
    permanent = refused.group().startswith("4")
    said = f"the proxy refuses the connection ({truncate(reason[refused.start() :], 100)})"
    return NoResponse(False, said, permanent, cause="proxy")


_PROXY_STATUS = r"(?<=failed: )[45]\d\d\b|^[45]\d\d\b"

MIB = 1024 * 1024

MAX_BYTES = 512 * MIB
"""Maximum bytes of a successful reply. Larger results come in pages, or are streamed to a file."""

MAX_ERROR_BYTES = MIB
"""Maximum bytes read of an error reply: enough for its message."""


MAX_EXPANSION = 200
"""Maximum bytes that a byte of a large compressed reply becomes; JSON rarely reaches 50."""

FREE_BYTES = 64 * MIB
"""Bytes of a reply that may be the expansion of any number of bytes."""

_DENSE_CODINGS = frozenset({"br", "zstd"})
"""Compressions that can expand a few bytes into gigabytes at once. No request asks for them."""


def coding_problem(headers: Mapping[str, str]) -> str:
    """Return why a body cannot be decompressed in bounded memory; empty when it can.

    A doubly compressed body can expand a million-fold.

    :param headers: headers of the reply.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if "," in coding:
        return "its reply is compressed more than once"
    return f"its reply is compressed as {coding}, unasked" if coding in _DENSE_CODINGS else ""


class BodyReader:
    """Collects the body of one reply, chunk by chunk, up to a maximum size.

    :param success_statuses: statuses that mean success; of other replies only the beginning is read.
    :param status: the reply's status.
    :param headers: its headers.
    """

    def __init__(self, success_statuses: Collection[int], status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = Headers(headers)
        self._success = status in success_statuses
        self._bytes_left = MAX_BYTES if self._success else MAX_ERROR_BYTES
        self._bytes = 0
        self._expands = False
        self._body: bytes | bytearray = b""

    @property
    def readable(self) -> bool:
        """Return whether the body may be read, see :func:`coding_problem`."""
        return not coding_problem(self._headers)

    def add(self, chunk: bytes, received: int) -> bool:
        """Add a decompressed chunk; returns whether there is room for more.

        :param received: bytes of the body so far, compressed; 0 when that is unknown.
        """
        self._bytes_left -= len(chunk)
        self._bytes += len(chunk)
        kept = chunk if self._bytes_left >= 0 else chunk[: self._bytes_left]
        # Not a list: a service may send a body in chunks of a byte, each of which is a large object.
        if not self._body:
            self._body = kept
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body) + kept
        else:
            self._body += kept
        self._expands = bool(received) and self._bytes > max(FREE_BYTES, MAX_EXPANSION * received)
        return self._bytes_left >= 0 and not self._expands

    def result(self) -> Reply | NoResponse:
        """Return the reply, or no response when a successful reply is too large or compressed twice.

        An error reply has the beginning of its body.
        """
        reason = coding_problem(self._headers)
        if not reason and self._success and self._expands:
            reason = f"its reply expands more than {MAX_EXPANSION}-fold"
        elif not reason and self._success and self._bytes_left < 0:
            reason = f"its reply is larger than {MAX_BYTES // MIB} MiB"
        if reason:
            return NoResponse(sent=True, reason=reason, permanent=True)
        return Reply(self._status, self._headers, bytes(self._body))


_PAGE_START = 1024
"""Bytes at the beginning of a body that tell whether it is a web page."""

_MAX_MESSAGE = 500
"""Maximum characters of an error message."""

# Both patterns stop at the next tag, so that a page of opening tags only is read in linear time.
_TITLE = r"(?i)<title[^<>]*>([^<]*)"
_TAGS = r"<[^<>]+>"

_PLAIN_TITLE = r"(?:[\w.,:;!()-]{1,20}(?: |$))*"
_MAX_TITLE = 100
"""Maximum characters of a page's title."""

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
        return _from_object(value) if isinstance(value, Mapping) else ("", truncate(flat(value)))
    except (ValueError, RecursionError):
        return "", _from_text(reply.text)


def truncate(text: str, longest: int = _MAX_MESSAGE) -> str:
    """Return a text as one line of limited length, without control characters and markers of groups.

    :param longest: maximum number of characters, before markers are broken up.
    """
    line = " ".join(text.split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return one_line("".join(char if char.isprintable() else "\ufffd" for char in line))


def page_title(text: str) -> str:
    """Return the title of a web page, on one line; empty when it has none."""
    title = re.search(_TITLE, text)
    return truncate(title.group(1), _MAX_TITLE) if title else ""


def has_plain_title(text: str) -> bool:
    """Return whether the title of a web page consists of words as people write them: no token is one."""
    return re.fullmatch(_PLAIN_TITLE, page_title(text)) is not None


def _from_text(text: str) -> str:
    if "<" in text and re.search(_TITLE, text):
        return truncate(f"an HTML page: {page_title(text)}")
    return truncate(re.sub(_TAGS, " ", text) if text.lstrip().startswith("<") else text)


def _from_object(value: Mapping[str, Any]) -> tuple[str, str]:
    inner = value.get("error")
    if isinstance(inner, Mapping):
        return _from_object(inner)
    code = next((str(value[key]) for key in _CODES if isinstance(value.get(key), (str, int))), "")
    texts = [flat(value[key]) for key in _MESSAGES if value.get(key) and str(value[key]) != code]
    return truncate(code, 100), truncate(clauses(*dict.fromkeys(texts)))


def flat(value: Any) -> str:
    """Return the texts of a value of JSON as one sentence, with the names of their fields."""
    if isinstance(value, Mapping):
        return clauses(*(f"{key}: {flat(item)}" for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return clauses(*map(flat, value), by=", ")
    return "" if value is None else str(value)


def service_time(reply: Reply) -> datetime | None:
    """Return the service's time when it sent a reply; None if it has none."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
