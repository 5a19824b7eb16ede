"""The far end of a connection: where calls go, what they carry, and how its answers are judged.

Both transports use it; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from airflow_provider import __version__
from airflow_provider.core.connection import Settings
from airflow_provider.core.http.auth import Credential
from airflow_provider.core.http.call import Call, pairs
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.reply import NoResponse, Reply
from airflow_provider.core.http.reply import read_error as default_read_error
from airflow_provider.core.http.retry import Outcome, RetryLimits, classify
from airflow_provider.core.redaction import Redactor, redact_http_logs, redact_token, without_query
from airflow_provider.core.urls import is_loopback, origin, split_plain
from airflow_provider.errors import ApiError, InputError, ProviderError

_SIGNATURE = 16
"""Characters from which on a value in a signed link may be what signs it."""


USER_AGENT = f"airflow-provider-digital-twin/{__version__}"


@dataclass(frozen=True, slots=True)
class Request:
    """A call made ready for one try.

    :param url: with query; may hold a credential, so it is never logged.
    """

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | Iterator[bytes] | None = field(repr=False, default=None)


@dataclass
class Endpoint:
    """A service as one connection sees it.

    :param settings: the checked connection.
    :param bases: base URLs by name; ``api`` is always there.
    :param credential: how requests prove who sends them.
    :param budget: the request budget, or None.
    :param read_error: reads code and message of an error reply.
    :param retry_limits: how long to keep retrying trying.
    """

    settings: Settings
    bases: Mapping[str, str]
    credential: Credential
    budget: Budget | None = None
    read_error: Callable[[Reply], tuple[str, str]] = default_read_error
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    redactor: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        redact_http_logs(self.settings.secrets)
        for secret in self.settings.secrets:
            self.redactor.add(secret)

    def prepare(self, call: Call[Any], token: str) -> Request:
        """Make a call ready for one try with this token.

        :raises InputError: when the call's URL is not on the connection's own origin.
        """
        url, query = self._split(call)
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        body, content_type = call.body()
        if content_type:
            headers["Content-Type"] = content_type
        headers.update(call.headers)
        if call.authenticated:
            self.redactor.add_token(token)
            self.credential.place(token, headers, query)
        return Request(call.method, f"{url}?{urlencode(query)}" if query else url, headers, body)

    def classify(self, call: Call[Any], reply: Reply | NoResponse) -> Outcome:
        """Classify the outcome of an attempt; its error holds no secret."""
        redact = self.redactor.redact
        if isinstance(reply, NoResponse):
            reply = NoResponse(reply.sent, redact(reply.why), reply.hopeless)
        outcome = classify(call, reply, self._read_error, self.describe(call), redact)
        if outcome.error is not None:
            self._redact_error(outcome.error)
        return outcome

    def can_renew_token(self, call: Call[Any], outcome: Outcome, token: str) -> bool:
        """Return whether the call was refused for its token, so that a new token is worth an attempt."""
        if not call.authenticated or not isinstance(outcome.error, ApiError):
            return False
        return self.credential.can_renew_after(outcome.error.status, token, self.bases[call.base])

    def describe(self, call: Call[Any]) -> str:
        """Give a call in one line, without query and secrets."""
        absolute = "://" in call.path.partition("?")[0]  # a link elsewhere, used without credentials
        where = self.redactor.redact(without_query(call.path if absolute else self._url(call)))
        return f"{call.method} {where} ({call.name})" if call.name else f"{call.method} {where}"

    def check_download(self, url: str) -> None:
        """Refuse a download from a host that the connection does not allow; hide what signs the link.

        Links to this machine are taken from services on this machine only: a far one could reach what
        listens here for nobody else.

        :raises InputError: unless it is https (or loopback) and the connection's own host or an allowed one.
        """
        shown = self.redactor.redact(without_query(url))
        try:
            parts = split_plain(url)
        except ValueError:
            raise InputError(f"the download from {shown} is no plain https link; refused") from None
        here = is_loopback(parts.hostname)
        if parts.scheme != "https" and not here:
            raise InputError(f"the download from {shown} is not https; refused")
        own = {split_plain(base).hostname for base in self.bases.values()}
        known = own | self.settings.allowed_hosts
        near = here and any(map(is_loopback, own))
        if not (near or parts.hostname in known or parts.netloc.lower() in known):
            raise InputError(
                f"the download from {shown} is on a host which connection '{self.settings.conn_id}'"
                f" does not allow; add it to the extra 'allowed_hosts' if it is right"
            )
        for _, value in parse_qsl(parts.query):
            if len(value) >= _SIGNATURE:
                self.redactor.add_token(value)
                redact_token(value)

    def _read_error(self, reply: Reply) -> tuple[str, str]:
        """Clean before and after: what is cut in between could leave a piece of a secret."""
        code, message = self.read_error(replace(reply, body=self._redacted_body(reply)))
        return self.redactor.redact(code), self.redactor.redact(message)

    def _redacted_body(self, reply: Reply) -> bytes:
        try:
            return msgspec.json.encode(self.redactor.redact_value(reply.json()))
        except (ValueError, RecursionError):
            return self.redactor.redact(reply.text).encode("utf-8", "replace")

    def _redact_error(self, error: ProviderError) -> None:
        """Clean what a reader may have quoted of the reply."""
        error.args = self.redactor.redact_value(error.args)
        for name, value in vars(error).items():
            setattr(error, name, self.redactor.redact_value(value))

    def _split(self, call: Call[Any]) -> tuple[str, list[tuple[str, str]]]:
        url, _, own_query = self._url(call).partition("?")
        return url, parse_qsl(own_query, keep_blank_values=True) + list(pairs(call.params))

    def _url(self, call: Call[Any]) -> str:
        base = self.bases[call.base]
        if "://" not in call.path.partition("?")[0]:
            return f"{base}/{call.path.lstrip('/')}" if call.path else base
        try:
            own = origin(call.path) == origin(base)
        except ValueError:
            own = False
        if not own:
            raise InputError(
                f"{self.redactor.redact(without_query(call.path))} is not on {origin(base)}; credentials of"
                f" connection '{self.settings.conn_id}' go to its own host only"
            )
        return call.path
