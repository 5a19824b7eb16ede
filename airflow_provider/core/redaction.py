"""Takes credentials out of URLs and texts before anybody can read them."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

HIDDEN = "***"
_SHORTEST = 4
_PASSING = 8
_PARAMETERS = re.compile(
    r"(?i)\b(token|access_token|refresh_token|id_token|client_secret|password|api_?key|secret|sig|signature"
    r"|x-amz-signature|x-amz-credential|x-amz-security-token)(=|%3[dD])([^&\s\"'<>]+)"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}")


def url_spellings(secret: str) -> set[str]:
    """Give the forms in which a secret shows up in URLs and headers: raw and percent-encoded."""
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="!~*'()")}
    encoded |= {re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text) for text in encoded}
    return {secret, *encoded}


def spellings(secret: str) -> set[str]:
    """Give every form in which a secret may show up in a text: raw, percent-encoded, JSON, base64."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    data = secret.encode()
    packed = {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    packed |= {text.rstrip("=") for text in packed}
    return {*url_spellings(secret), *escaped, *packed, repr(secret)[1:-1]}


class Redactor:
    """Hides a set of secrets in any text.

    :param secrets: credentials to hide, in all their spellings. Very short ones are left alone: hiding them
        would garble every message.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self._passing: deque[str] = deque(maxlen=_PASSING)
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide this secret too, from now on."""
        if len(secret) >= _SHORTEST and secret not in self._secrets:
            self._secrets.append(secret)
            self._compile()

    def add_passing(self, token: str) -> None:
        """Hide this token too, until many others came after it: in months, a process mints many."""
        if len(token) >= _SHORTEST and token not in self._passing:
            self._passing.append(token)
            self._compile()

    def _compile(self) -> None:
        texts = {text for secret in (*self._secrets, *self._passing) for text in spellings(secret)}
        longest_first = sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def clean(self, text: str) -> str:
        """Give the text without any of the secrets, and without whatever looks like a credential."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        text = _PARAMETERS.sub(rf"\1\2{HIDDEN}", text)
        return _SCHEMES.sub(rf"\1 {HIDDEN}", text)


def bare_url(url: str) -> str:
    """Give a URL without user, query and fragment: what may be logged and stored of it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path
