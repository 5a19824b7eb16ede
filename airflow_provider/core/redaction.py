"""Redaction: remove credentials, in all their encodings, from texts, URLs and logs."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from airflow_provider.errors import one_line

REDACTED = "***"


_MIN_LENGTH = 4
"""Minimum characters of a secret that is redacted."""

_URL_SAFE = str.maketrans("+/", "-_")

_MAX_PATH = 200
"""Maximum characters of a path in a message."""

_MAX_TOKENS = 32
"""Maximum recent tokens that a redactor knows."""

_AHEAD = 100
"""Characters that are read, beside those of the longest secret, after the last one that is shown."""

_MAX_LOGGABLE = 1000
"""Maximum characters of a service's id, status or the like."""

_PARAMETERS = (
    r"(?i)\b(token|access_token|refresh_token|id_token|client_secret|password|api_?key|secret|sig|signature"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token))(=|%3[dD])([^&\s\"'<>]+)"
)


_TOKEN_MEMBERS = r'(?i)("(?:access_token|refresh_token|id_token|client_secret)"\s*:\s*")[^"]+'  # noqa: S105
"""JSON members with a credential: a service may send one that this process does not know yet."""

_TOKEN_NAMES = frozenset({"access_token", "refresh_token", "id_token", "client_secret"})

_SCHEMES = r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}"


def url_encodings(secret: str) -> set[str]:
    """Return the encodings of a secret in URLs and headers: raw and percent-encoded."""
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="!~*'()")}
    encoded |= {re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text) for text in encoded}
    return {secret, *encoded}


def encodings(secret: str) -> set[str]:
    """Return all encodings of a secret in texts: raw, percent-encoded, JSON, HTML, Python, base64."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    escaped |= {text.replace("/", "\\/") for text in escaped}
    escaped |= _in_html(secret)
    data = secret.encode()
    escaped |= {repr(secret)[1:-1], repr(data)[2:-1]}
    return {*url_encodings(secret), *escaped, *_in_base64(data)}


def _in_html(secret: str) -> set[str]:
    text = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quoted = text.replace('"', "&quot;")
    return {text, *(quoted.replace("'", mark) for mark in ("'", "&#x27;", "&#39;"))}


def _in_base64(data: bytes) -> set[str]:
    """Return base64 of a secret alone, and its part of the base64 of a longer text, at each alignment."""
    texts = {base64.b64encode(data).decode()}
    texts |= {text.rstrip("=") for text in texts}
    if len(data) >= 2 * _MIN_LENGTH:
        for before in range(3):
            first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            texts.add(base64.b64encode(bytes(before) + data)[first:last].decode())
    return texts | {text.translate(_URL_SAFE) for text in texts}


class Redactor:
    """Replaces a set of secrets in texts.

    :param secrets: credentials to redact, in all their encodings. Very short secrets are ignored: redacting
        them would garble most messages.
    :param max_tokens: maximum recent tokens that are known besides the secrets.
    """

    def __init__(self, secrets: Iterable[str] = (), max_tokens: int = _MAX_TOKENS) -> None:
        self._lock = threading.Lock()
        self._secrets: list[str] = []
        self._tokens: deque[str] = deque(maxlen=max_tokens)
        self._encodings: dict[str, set[str]] = {}
        self._texts: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Add a secret to redact."""
        with self._lock:
            if len(secret) >= _MIN_LENGTH and secret not in self._secrets:
                self._secrets.append(secret)
                self._update()

    def add_token(self, token: str) -> None:
        """Add a token to redact until many newer tokens follow: over months, a process receives many."""
        with self._lock:
            if len(token) >= _MIN_LENGTH and token not in self._tokens and token not in self._secrets:
                self._tokens.append(token)
                self._update()

    def _update(self) -> None:
        # No regular expression: compiling one of a few hundred long texts would block an event loop.
        known = (*self._secrets, *self._tokens)
        self._encodings = {secret: self._encodings.get(secret) or encodings(secret) for secret in known}
        texts = {text for forms in self._encodings.values() for text in forms if len(text) >= _MIN_LENGTH}
        self._texts = sorted(texts, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return a text without the known secrets, and without texts in the form of a credential."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, REDACTED)
        text = re.sub(_TOKEN_MEMBERS, rf"\1{REDACTED}", text)
        text = re.sub(_PARAMETERS, rf"\1\2{REDACTED}", text)
        return re.sub(_SCHEMES, rf"\1 {REDACTED}", text)

    def redact_beginning(self, text: str, longest: int) -> str:
        """Return the beginning of a text, redacted, without reading all of a very long one.

        A secret that is cut in two is not found. So more is redacted than is returned, and the whole text
        where that got shorter.

        :param text: the text.
        :param longest: maximum number of characters to return.
        """
        head = text[: longest + _AHEAD + max(map(len, self._texts), default=0)]
        shown = self.redact(head)
        return (shown if shown == head else self.redact(text))[:longest]

    def redact_value(self, value: Any) -> Any:
        """Return a JSON value with all its texts redacted, keys included."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact_value(key): self._redact_member(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.redact_value(item) for item in value)
        return value

    def _redact_member(self, key: Any, item: Any) -> Any:
        is_token = isinstance(key, str) and key.lower() in _TOKEN_NAMES and isinstance(item, str)
        return REDACTED if is_token else self.redact_value(item)


def without_query(url: str) -> str:
    """Return a URL without user, query and fragment: the part that may be logged and stored."""
    scheme, separator, rest = url.partition("://")
    try:
        parts = urlsplit(f"{scheme}://{without_login(rest)}" if separator else url)
    except ValueError:
        return "(no URL)"
    return f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.scheme else parts.path


def without_login(rest: str, *, has_ports: bool = True) -> str:
    """Return what follows the scheme of a URL without user and password, also one with a "/" as it is.

    :param rest: host, path and query.
    :param has_ports: whether digits after the host can be a port.
    """
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        return host.rpartition("@")[2] + rest[len(host) :]
    password = host.partition(":")[2]
    if not password or host.startswith("[") or (has_ports and password.isdecimal()):
        return rest
    # Where such a password ends nothing says: at the last "@", before which nothing is shown.
    return rest.rpartition("@")[2]


def shown_path(path: str) -> str:
    """Return a path or URL for a message: the connection's id stays, credentials and the query do not.

    :param path: a local path, or any URL of object storage.
    """
    scheme, separator, rest = path.partition("://")
    if separator:
        user, at, _ = rest.partition("/")[0].rpartition("@")
        # A name alone is the id of a connection; with a colon it is a user and a password.
        if not at or ":" in user:
            rest = without_login(rest, has_ports=False)
        query = rest.find("?")
        rest = rest[:query] if query >= 0 and "=" in rest[query:] else rest
        path = f"{scheme}://{rest}"
    text = redact(path)
    # A name may have line breaks, which would look like further lines of the log.
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _MAX_PATH else f"{text[:60]}…{text[61 - _MAX_PATH :]}"


def all_encodings(secrets: Iterable[str]) -> list[str]:
    """Return all encodings of a connection's secrets, for Airflow's secrets masker."""
    return sorted({text for secret in secrets if secret for text in encodings(secret)})


def token_encodings(token: str) -> list[str]:
    """Return the encodings of a fetched token for Airflow's secrets masker: those of URLs and headers only.

    The masker never drops a text, and each text slows it down.
    """
    return sorted(url_encodings(token)) if token else []


def mask(texts: list[str]) -> None:
    """Mask texts in the logs of this process and of its supervisor."""
    from airflow.sdk import log

    if texts:
        log.mask_secret(list(texts))


async def amask(texts: list[str]) -> None:
    """Mask texts as :func:`mask` does, without a blocking call to the supervisor."""
    from airflow.sdk import log

    if not texts:
        return
    if hasattr(log, "amask_secret"):
        await log.amask_secret(list(texts))
    else:
        # Airflow 3.1 has no async function; masking in this process alone makes no call.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(list(texts))


_LOGGERS = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(
        f"urllib3.{part}"
        for part in ("connection", "connectionpool", "poolmanager", "response", "util.retry")
    ),
)
"""Loggers of the HTTP libraries, which log URLs and headers."""

_redactor = Redactor(max_tokens=64)


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _redactor.redact(record.getMessage()), ()
        # A traceback from these libraries repeats the URL or the headers.
        record.exc_info = record.exc_text = None
        return True


_filter = _RedactingFilter()


def redact_http_logs(secrets: Iterable[str] = ()) -> None:
    """Redact the logs of the HTTP libraries; a repeated call has no further effect.

    :param secrets: credentials to redact, besides texts in the form of a credential.
    """
    for secret in secrets:
        _redactor.add(secret)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_filter)


def redact_token(token: str) -> None:
    """Add a short-lived token to the credentials that this process redacts."""
    _redactor.add_token(token)


def redact(text: str) -> str:
    """Return a text without the credentials that this process knows."""
    return _redactor.redact(text)


def redact_beginning(text: str, longest: int) -> str:
    """Return the beginning of a text without the credentials that this process knows.

    :param text: the text, which may be very long.
    :param longest: maximum number of characters to return.
    """
    return _redactor.redact_beginning(text, longest)


def loggable(text: str) -> str:
    """Return a text of a service that will be logged and stored, such as the id of a job.

    :raises ValueError: when it holds a credential that this process knows, is longer than
        :data:`_MAX_LOGGABLE` characters, or has what would add lines to a log, or hide some.
    """
    if redact(text) != text:
        raise ValueError("a text holds a credential, which no log and no state may have")
    if len(text) > _MAX_LOGGABLE or one_line(text) != text:
        raise ValueError(f"a name is no printable line of at most {_MAX_LOGGABLE} characters")
    return text
