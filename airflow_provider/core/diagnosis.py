"""Diagnosis: name the cause of a failed connection test in one sentence.

Here are the causes that all services share: the network, proxies, and hosts that are not the API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider.core.redaction import without_login
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import (
    ApiError,
    InputError,
    NotFoundError,
    ProviderError,
    TransportError,
    clauses,
    cut,
    without_stop,
)

_URL = re.compile(r"https?://[^\s()]+")
_LOGIN = re.compile(r"(?i)log-?_?in|sign-?_?in|auth|sso|saml|session|account")
_PORTAL = re.compile(
    r"(?i)\b(captive|portal|proxy|squid|zscaler|firewall|blocked|wi-?fi|wlan|hotspot|web ?filter|gateway)\b"
)
_GATEWAY_STATUSES = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of one error.

    :param error: the error of the connection test.
    :param example: base URL of the API, as an example; empty when there is none.
    """

    error: ProviderError
    example: str = ""

    def sentence(self) -> str:
        """Return one sentence about the network, a proxy or a wrong address; empty for all other causes."""
        if isinstance(self.error, TransportError):
            return self._no_response(self.error)
        if isinstance(self.error, ApiError):
            return self._reply(self.error)
        return ""

    @property
    def _url(self) -> str:
        found = _URL.search(getattr(self.error, "request", ""))
        return found.group() if found else ""

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc or "the host"

    @property
    def _proxy(self) -> str:
        return proxy_of(self._url)

    def _no_response(self, error: TransportError) -> str:
        if error.cause == "proxy":
            proxy = self._proxy or "of the environment"
            said = clauses(error.reason, _PROXY_ADVICE)
            return f"The proxy {proxy} does not lead to {self._host}: {said}."
        if error.cause == "name":
            name = urlsplit(self._url).hostname or "of the host"
            return f"The host cannot be reached: the name {name} is not known (DNS); check its spelling."
        if error.cause == "tls":
            advice = _PLAIN_ADVICE if _PLAIN_REPLY.search(error.reason) else _TLS_ADVICE
            return f"The host cannot be reached securely: {clauses(cut(error.reason, 160), advice)}"
        return ""

    def _reply(self, error: ApiError) -> str:
        if error.status in _BY_STATUS:
            return _BY_STATUS[error.status].format(
                host=self._host, proxy=self._proxy or "on the way", advice=_PROXY_ADVICE, should=self._should
            )
        if 300 <= error.status < 400:
            return self._redirect(error)
        if error.is_page and 200 <= error.status < 300:
            return self._page(error)
        if error.is_page and self._proxy and error.status in {403, *_GATEWAY_STATUSES}:
            said = clauses(f"{error.status} {cut(error.message, 100)}", _PROXY_ADVICE)
            return f"The proxy {self._proxy} does not lead to {self._host}: {said}."
        if error.is_page and error.status == 403:
            said = cut(error.message, 100)
            return (
                f"{self._host} answers with a web page (403, {said}), not like the API: a proxy, firewall or"
                f" gateway on the way refuses the request; {_PROXY_ADVICE}."
            )
        if error.is_page and isinstance(error, NotFoundError):
            return f"{self._host} answers with a web page (404), not like the API; {self._should}."
        if 200 <= error.status < 300 and error.message.startswith("the reply cannot be read"):
            said = without_stop(cut(error.message, 120))
            return f"{self._host} answers, but not like the API ({said}); {self._should}."
        return ""

    def _page(self, error: ApiError) -> str:
        start = f"{self._host} answers with {cut(error.message, 150)}"
        if self._is_portal(error.message):
            return f"{start}: {self._portal} answers in its place; {_PROXY_ADVICE}."
        return (
            f"{start}: this looks like the address of the web interface; {self._should}"
            " (a proxy or login portal on the way would answer like this, too)."
        )

    def _redirect(self, error: ApiError) -> str:
        here, there = urlsplit(self._url), urlsplit(error.location)
        start = f"{self._host} redirects to {cut(error.location, 120) or 'another address'}"
        same = not there.hostname or there.hostname == here.hostname
        if same and (here.scheme, there.scheme) == ("http", "https"):
            return f"{start}: enter the host with https://."
        if not same and self._is_portal(error.location):
            return f"{start}: {self._portal} answers in its place; {_PROXY_ADVICE}."
        if _LOGIN.search(f"{there.netloc if not same else ''}{there.path}"):
            return f"{start}, a login page: this looks like the address of the web interface; {self._should}."
        return f"{start}: this is not the address of the API; {self._should}."

    def _is_portal(self, words: str) -> bool:
        """Return whether something on the way may have answered: a proxy that is set, or over plain http."""
        parts = urlsplit(self._url)
        plain = parts.scheme == "http" and not is_loopback(parts.hostname)
        return plain or bool(self._proxy) or bool(_PORTAL.search(words))

    @property
    def _portal(self) -> str:
        return f"the proxy {self._proxy}" if self._proxy else "a proxy or login portal of the network"

    @property
    def _should(self) -> str:
        such = f", such as {self.example}" if self.example else ""
        return f"check that the host is the API's base URL{such}"


_TLS_ADVICE = (
    "for a certificate of your organisation's own, set the extra 'verify' to the path of its CA bundle."
)
_PLAIN_ADVICE = (
    "what answers there does not speak TLS; check the port, and whether the URL begins with http://."
)
_PLAIN_REPLY = re.compile(
    r"WRONG.VERSION.NUMBER|RECORD.LAYER.FAILURE|PACKET.LENGTH.TOO.LONG|HTTP.REQUEST", re.I
)
"""Reasons of OpenSSL for a reply that is no TLS record: which one it gives depends on its version."""

_PROXY_ADVICE = "check HTTPS_PROXY, or add the host to NO_PROXY"

_BY_STATUS = {
    405: "{host} answers, but does not accept this method there (405 Method Not Allowed); {should}.",
    407: "The proxy {proxy} requires a login (407); put user name and password into HTTPS_PROXY, or add the"
    " host to NO_PROXY.",
    511: "A login portal of the network answers in place of {host} (511); {advice}.",
}


def proxy_of(url: str) -> str:
    """Return host and port of the proxy that the environment sets for a URL; empty for none.

    :param url: the URL of a request.
    """
    if not url or is_loopback(urlsplit(url).hostname):
        return ""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None)) or ""
    try:
        return urlsplit(f"//{without_login(proxy.partition('://')[2] or proxy, has_ports=False)}").netloc
    except ValueError:
        return "of the environment"


def unmade_request(url: str, error: Exception) -> InputError:
    """Return the error of a request that a library refuses to send: its proxy is none, or its URL.

    :param url: the URL of the request.
    :param error: the library's error.
    """
    if proxy_of(url):
        return unusable_proxy(error)
    return InputError(f"the request cannot be made: {type(error).__name__}")


def unusable_proxy(error: Exception) -> InputError:
    """Return the error of a proxy of the environment that a library cannot use.

    :param error: the library's error, which may hold the proxy's password.
    """
    # A package is missing: that text names it, and nothing else.
    said = str(error) if isinstance(error, ImportError) else type(error).__name__
    return InputError(
        "the request cannot be made: the environment names a proxy that cannot be used, see HTTPS_PROXY,"
        f" HTTP_PROXY and ALL_PROXY ({said})"
    )
