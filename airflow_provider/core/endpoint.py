"""The far end of a connection: where calls go, what they carry, and how its answers are judged.

Both transports use it; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from airflow_provider import __version__
from airflow_provider.core.auth import Credential
from airflow_provider.core.calls import Call, Reply, pairs
from airflow_provider.core.limits import Budget
from airflow_provider.core.loglines import clean_http_logs
from airflow_provider.core.policy import Judgement, Lost, Patience, judge
from airflow_provider.core.redaction import Redactor, bare_url
from airflow_provider.core.replies import explain as default_explain
from airflow_provider.core.settings import Settings, is_loopback
from airflow_provider.errors import InputError

_USER_AGENT = f"airflow-provider-digital-twin/{__version__}"


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
    :param explain: reads code and message of an error reply.
    :param patience: how long to go on trying.
    """

    settings: Settings
    bases: Mapping[str, str]
    credential: Credential
    budget: Budget | None = None
    explain: Callable[[Reply], tuple[str, str]] = default_explain
    patience: Patience = field(default_factory=Patience)
    redactor: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        clean_http_logs()
        for secret in self.settings.secrets:
            self.redactor.add(secret)

    def prepare(self, call: Call[Any], token: str) -> Request:
        """Make a call ready for one try with this token.

        :raises InputError: when the call's URL is not on the connection's own origin.
        """
        url, query = self._split(call)
        headers = {"Accept": "application/json", "User-Agent": _USER_AGENT}
        body, content_type = call.body()
        if content_type:
            headers["Content-Type"] = content_type
        headers.update(call.headers)
        if call.authenticated:
            self.redactor.add_passing(token)
            self.credential.place(token, headers, query)
        return Request(call.method, f"{url}?{urlencode(query)}" if query else url, headers, body)

    def judge(self, call: Call[Any], outcome: Reply | Lost) -> Judgement:
        """Say what an outcome means, in words without secrets."""
        if isinstance(outcome, Lost):
            outcome = Lost(outcome.sent, self.redactor.clean(outcome.why), outcome.hopeless)
        return judge(call, outcome, self._explain_cleanly, self.describe(call))

    def describe(self, call: Call[Any]) -> str:
        """Give a call in one line, without query and secrets."""
        absolute = "://" in call.path.partition("?")[0]  # a link elsewhere, used without credentials
        where = self.redactor.clean(bare_url(call.path if absolute else self._url(call)))
        return f"{call.method} {where} ({call.name})" if call.name else f"{call.method} {where}"

    def check_download(self, url: str) -> None:
        """Refuse a download from a host that the connection does not allow.

        :raises InputError: unless it is https (or loopback) and the connection's own host or an allowed one.
        """
        parts = urlsplit(url)
        loopback = is_loopback(parts.hostname)
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise InputError(f"the download from {bare_url(url)} is not https; refused")
        own = {urlsplit(base).hostname for base in self.bases.values()}
        allowed = self.settings.allowed_hosts
        if parts.hostname in own or parts.hostname in allowed or parts.netloc.lower() in allowed:
            return
        if not loopback:
            raise InputError(
                f"the download is on host {parts.hostname}, which connection '{self.settings.conn_id}'"
                f" does not allow; add it to the extra 'allowed_hosts' if it is right"
            )

    def _explain_cleanly(self, reply: Reply) -> tuple[str, str]:
        code, message = self.explain(reply)
        return self.redactor.clean(code), self.redactor.clean(message)

    def _split(self, call: Call[Any]) -> tuple[str, list[tuple[str, str]]]:
        url, _, own_query = self._url(call).partition("?")
        return url, parse_qsl(own_query, keep_blank_values=True) + list(pairs(call.params))

    def _url(self, call: Call[Any]) -> str:
        base = self.bases[call.base]
        if "://" not in call.path.partition("?")[0]:
            return f"{base}/{call.path.lstrip('/')}" if call.path else base
        if origin(call.path) != origin(base):
            raise InputError(
                f"{bare_url(call.path)} is not on {origin(base)}; credentials of connection"
                f" '{self.settings.conn_id}' go to its own host only"
            )
        return call.path


def origin(url: str) -> str:
    """Give scheme, host and port of a URL, in one spelling."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"
