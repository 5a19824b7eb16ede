"""Takes credentials out of URLs and texts before anybody can read them."""

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

REDACTED = "***"


_SHORTEST = 4


_URL_SAFE = str.maketrans("+/", "-_")


_PASSING = 32


_PARAMETERS = re.compile(
    r"(?i)\b(token|access_token|refresh_token|id_token|client_secret|password|api_?key|secret|sig|signature"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token))(=|%3[dD])([^&\s\"'<>]+)"
)


_SCHEMES = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}")


def url_encodings(secret: str) -> set[str]:
    """Give the forms in which a secret shows up in URLs and headers: raw and percent-encoded."""
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="!~*'()")}
    encoded |= {re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text) for text in encoded}
    return {secret, *encoded}


def encodings(secret: str) -> set[str]:
    """Give every form in which a secret may show up in a text: raw, percent-encoded, JSON, HTML, base64."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    escaped |= {text.replace("/", "\\/") for text in escaped}
    escaped |= _in_html(secret)
    data = secret.encode("utf-8", "replace")
    escaped |= {repr(secret)[1:-1], repr(data)[2:-1]}
    return {*url_encodings(secret), *escaped, *_in_base64(data)}


def _in_html(secret: str) -> set[str]:
    text = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quoted = text.replace('"', "&quot;")
    return {text, *(quoted.replace("'", mark) for mark in ("'", "&#x27;", "&#39;"))}


def _in_base64(data: bytes) -> set[str]:
    """Give base64 of a secret: alone, and what it makes inside of a longer text, wherever it begins there."""
    texts = {base64.b64encode(data).decode()}
    texts |= {text.rstrip("=") for text in texts}
    if len(data) >= 2 * _SHORTEST:
        for before in range(3):
            first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            texts.add(base64.b64encode(bytes(before) + data)[first:last].decode())
    return texts | {text.translate(_URL_SAFE) for text in texts}


class Redactor:
    """Hides a set of secrets in any text.

    :param secrets: credentials to hide, in all their spellings. Very short ones are left alone: hiding them
        would garble every message.
    :param passing: how many tokens that pass are remembered.
    """

    def __init__(self, secrets: Iterable[str] = (), passing: int = _PASSING) -> None:
        self._lock = threading.Lock()
        self._secrets: list[str] = []
        self._passing: deque[str] = deque(maxlen=passing)
        self._spelled: dict[str, set[str]] = {}
        self._texts: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide this secret too, from now on."""
        with self._lock:
            if len(secret) >= _SHORTEST and secret not in self._secrets:
                self._secrets.append(secret)
                self._spell()

    def add_token(self, token: str) -> None:
        """Hide this token too, until many others came after it: in months, a process mints many."""
        with self._lock:
            if len(token) >= _SHORTEST and token not in self._passing and token not in self._secrets:
                self._passing.append(token)
                self._spell()

    def _spell(self) -> None:
        # No regular expression: compiling one of a few hundred long texts holds up an event loop.
        known = (*self._secrets, *self._passing)
        self._spelled = {secret: self._spelled.get(secret) or encodings(secret) for secret in known}
        texts = {text for some in self._spelled.values() for text in some if len(text) >= _SHORTEST}
        self._texts = sorted(texts, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Give the text without any of the secrets, and without whatever looks like a credential."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, REDACTED)
        text = _PARAMETERS.sub(rf"\1\2{REDACTED}", text)
        return _SCHEMES.sub(rf"\1 {REDACTED}", text)

    def redact_value(self, value: Any) -> Any:
        """Give a JSON value with every text in it, keys too, cleaned."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact_value(key): self.redact_value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.redact_value(item) for item in value)
        return value


def without_query(url: str) -> str:
    """Give a URL without user, query and fragment: what may be logged and stored of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no URL)"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path


def all_encodings(secrets: Iterable[str]) -> list[str]:
    """Give the secrets of a connection as the masker should know them: in every spelling."""
    return sorted({text for secret in secrets if secret for text in encodings(secret)})


def token_encodings(token: str) -> list[str]:
    """Give a minted token as the masker should know it.

    The masker never forgets, and works the harder the more it knows, so it gets only the spellings that
    requests have.
    """
    return sorted(url_encodings(token)) if token else []


def mask(texts: list[str]) -> None:
    """Keep these texts out of this process's logs and its supervisor's."""
    from airflow.sdk import log

    if texts:
        log.mask_secret(list(texts))


async def amask(texts: list[str]) -> None:
    """Do the same from an event loop, without a blocking call to the supervisor."""
    from airflow.sdk import log

    if not texts:
        return
    if hasattr(log, "amask_secret"):
        await log.amask_secret(list(texts))
    else:
        # Airflow 3.1 has no async form; masking in this process alone makes no call.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(list(texts))


_NAMES = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(
        f"urllib3.{part}"
        for part in ("connection", "connectionpool", "poolmanager", "response", "util.retry")
    ),
)

_redactor = Redactor(passing=64)


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _redactor.redact(record.getMessage()), ()
        # A traceback of these libraries repeats the URL or the headers.
        record.exc_info = record.exc_text = None
        return True


_cleaner = _RedactingFilter()


def redact_http_logs(secrets: Iterable[str] = ()) -> None:
    """Let the HTTP libraries' loggers hide tokens; doing it again changes nothing.

    :param secrets: credentials to hide from now on, besides whatever looks like one.
    """
    for secret in secrets:
        _redactor.add(secret)
    for name in _NAMES:
        logging.getLogger(name).addFilter(_cleaner)


def redact_token(token: str) -> None:
    """Hide a token that will not live long."""
    _redactor.add_token(token)


def redact(text: str) -> str:
    """Give a text without any credential that this process knows of."""
    return _redactor.redact(text)
