"""Endpoint: the service of one connection, with its base URLs, credential, limits and redaction.

Both transports prepare requests and classify outcomes with it; the endpoint itself sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from airflow_provider import __version__
from airflow_provider.core.connection import Settings
from airflow_provider.core.http.auth import Credential
from airflow_provider.core.http.call import Call, pairs
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.reply import NoResponse, Reply, has_plain_title
from airflow_provider.core.http.reply import read_error as default_read_error
from airflow_provider.core.http.retry import Outcome, OutcomeKind, RetryLimits, classify
from airflow_provider.core.redaction import Redactor, redact_http_logs, redact_token, without_query
from airflow_provider.core.urls import is_loopback, origin, split_plain
from airflow_provider.errors import ApiError, InputError, ProviderError, cut

if TYPE_CHECKING:
    from airflow_provider.core.http.concurrency import ConcurrencyLimit

_MIN_SIGNATURE = 16
"""Minimum characters of a query value that may be the signature of a signed link."""

MAX_RENEWALS = 2
"""Maximum new tokens for one attempt: a token of another process may be as dead as the refused one."""

CODINGS = "gzip, deflate"
"""Compressions that requests ask for; the libraries would ask for all that are installed."""

USER_AGENT = f"airflow-provider-digital-twin/{__version__}"


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A call prepared for one attempt.

    :param method: HTTP method.
    :param url: URL with query. It may hold a credential, so it is never logged.
    :param headers: all headers, the credential included.
    :param body: the body as bytes or as a stream of chunks.
    :param budget: the request budget that it counts in, or None.
    :param concurrency: the limit of requests at once that it counts in, or None.
    """

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | Iterator[bytes] | None = field(repr=False, default=None)
    budget: Budget | None = None
    concurrency: ConcurrencyLimit | None = None


@dataclass(eq=False)
class Endpoint:
    """The service that one connection leads to.

    :param settings: the validated connection.
    :param bases: base URLs by name, ``api`` among them.
    :param credential: the credential that authenticates requests.
    :param budget: the request budget of calls to the API, or None.
    :param token_budget: the request budget of token requests, or None.
    :param concurrency: the limit of calls to the API at once, or None.
    :param read_error: function that reads code and message of an error reply.
    :param retry_limits: limits of retries and backoff.
    :param redactor: redactor that knows the connection's secrets.
    """

    settings: Settings
    bases: Mapping[str, str]
    credential: Credential
    budget: Budget | None = None
    token_budget: Budget | None = None
    concurrency: ConcurrencyLimit | None = None
    read_error: Callable[[Reply], tuple[str, str]] = default_read_error
    retry_limits: RetryLimits = field(default_factory=RetryLimits)
    redactor: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        redact_http_logs(self.settings.secrets)
        for secret in self.settings.secrets:
            self.redactor.add(secret)

    def prepare(self, call: Call[Any], token: str) -> Request:
        """Prepare a call for one attempt with this token.

        :param token: the credential's token; not used for a call without authentication.
        :raises InputError: when the call's URL is not on the connection's own origin.
        """
        url, query = self._split(call)
        headers = {"Accept": "application/json", "Accept-Encoding": CODINGS, "User-Agent": USER_AGENT}
        body, content_type = call.body()
        if content_type:
            headers["Content-Type"] = content_type
        headers.update(call.headers)
        if call.authenticated:
            self.redactor.add_token(token)
            self.credential.apply(token, headers, query)
        full_url = f"{url}?{urlencode(query)}" if query else url
        # A token is fetched within an attempt of a call, which may hold the only place.
        concurrency = None if self.credential.requests_token_with(call) else self.concurrency
        return Request(call.method, full_url, headers, body, self.budget_of(call), concurrency)

    def classify(self, call: Call[Any], reply: Reply | NoResponse) -> Outcome:
        """Classify the outcome of an attempt; its error holds no secret."""
        redact = self.redactor.redact
        if isinstance(reply, NoResponse):
            reply = reply._replace(reason=redact(reply.reason))
        is_for_token = self.credential.requests_token_with(call)
        read_error = self._read_token_error if is_for_token else self._read_error
        outcome = classify(call, reply, read_error, self.describe(call), redact)
        if outcome.error is not None:
            self._redact_error(outcome.error)
        return outcome

    def can_renew_token(self, call: Call[Any], outcome: Outcome, token: str) -> bool:
        """Return whether the call was refused for its token, so that a new token is worth an attempt."""
        if not call.authenticated or not isinstance(outcome.error, ApiError):
            return False
        return self.credential.can_renew_after(outcome.error.status, token, self.bases[call.base])

    def budget_of(self, call: Call[Any]) -> Budget | None:
        """Return the budget that the requests of a call to the service count in."""
        return self.token_budget if self.credential.requests_token_with(call) else self.budget

    def pause_after(self, outcome: Outcome) -> float:
        """Return the seconds for which all users of a budget pause after an outcome; 0 for none."""
        if outcome.kind is not OutcomeKind.RATE_LIMITED:
            return 0.0
        return 2 * self.retry_limits.base if outcome.retry_after is None else outcome.retry_after

    def describe(self, call: Call[Any]) -> str:
        """Return a call in one line, without query and secrets."""
        absolute = "://" in call.path.partition("?")[0]  # a link to another host, used without credentials
        url = self.redactor.redact(without_query(call.path if absolute else self._url(call)))
        return cut(f"{call.method} {url} ({call.name})" if call.name else f"{call.method} {url}")

    def describe_request(self, request: Request) -> str:
        """Return a request in one line, without query and secrets."""
        return cut(f"{request.method} {self.redactor.redact(without_query(request.url))}")

    def check_download(self, url: str) -> None:
        """Raise for a download from a host that the connection does not allow; redact the link's signature.

        Links to this machine are accepted only from services on this machine: a remote service could
        otherwise read from local servers that it cannot reach itself.

        :raises InputError: unless the link is https (or loopback) and on the connection's own host or an
            allowed host.
        """
        shown = self.redactor.redact(without_query(url))
        try:
            parts = split_plain(url)
        except ValueError:
            raise InputError(
                f"the download from {shown} is refused: the link is not a plain https URL"
            ) from None
        local = is_loopback(parts.hostname)
        if parts.scheme != "https" and not local:
            raise InputError(f"the download from {shown} is refused: the link is not https")
        own = {split_plain(base).hostname for base in self.bases.values()}
        known = own | self.settings.allowed_hosts
        from_local_service = local and any(map(is_loopback, own))
        if not (from_local_service or parts.hostname in known or parts.netloc.lower() in known):
            raise InputError(
                f"the download from {shown} is on a host which connection '{self.settings.conn_id}'"
                f" does not allow; add the host to the extra 'allowed_hosts' if you trust it"
            )
        for _, value in parse_qsl(parts.query):
            if len(value) >= _MIN_SIGNATURE:
                self.redactor.add_token(value)
                redact_token(value)

    def _read_error(self, reply: Reply) -> tuple[str, str]:
        """Redact before and after reading: the reader may cut a message in the middle of a secret."""
        code, message = self.read_error(replace(reply, body=self._redacted_body(reply)))
        return self.redactor.redact(code), self.redactor.redact(message)

    def _read_token_error(self, reply: Reply) -> tuple[str, str]:
        """Read an error of a request for a token: any text of its reply may be one.

        Only fields of an error are quoted, and a page's title if it consists of plain words.
        """
        try:
            is_quotable = isinstance(reply.json(), Mapping)
        except ValueError:
            if reply.is_page and not has_plain_title(reply.text):
                return "", "an HTML page"
            is_quotable = reply.is_page
        return self._read_error(reply) if is_quotable else ("", "")

    def _redacted_body(self, reply: Reply) -> bytes:
        try:
            return msgspec.json.encode(self.redactor.redact_value(reply.json()))
        except (ValueError, RecursionError):
            return self.redactor.redact(reply.text).encode("utf-8", "replace")

    def _redact_error(self, error: ProviderError) -> None:
        """Redact the parts of the reply that a reader may have quoted in its error."""
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
