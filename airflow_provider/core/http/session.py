"""Session: pool of keep-alive connections of ``requests``, with less work for each request than its own.

To make a request takes ``requests`` as long as to read half a megabyte: it parses and quotes the whole URL,
and looks for cookies, passwords and proxies. Here all that is equal for the requests of a host is done once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from airflow_provider.core.urls import is_loopback

_POOL = 32
"""Maximum keep-alive connections to one host."""

_KNOWN_URLS = 256
"""Maximum URLs, without their queries, that are remembered as they are sent."""

_QUOTED = re.compile(r"(?:[\w.~+&=*-]|%[0-9A-F]{2})*", re.ASCII)
"""A query that is sent as it is, as ``urlencode`` writes it."""


class Session(requests.Session):
    """Sends requests without cookies, netrc and redirects."""

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[Any, Any] = {}
        self._quoted = lru_cache(_KNOWN_URLS)(_quoted)
        adapter = HTTPAdapter(pool_maxsize=_POOL)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes] | None,
        *,
        timeout: tuple[float, float],
        verify: bool | str,
    ) -> requests.Response:
        """Send a request; returns the response, whose body is not read yet.

        :param method: HTTP method.
        :param url: URL with query.
        :param headers: all headers; no other one is added but for the body and the connection.
        :param body: the body as bytes or as a stream of chunks.
        :param timeout: seconds to connect, and between two bytes.
        :param verify: whether to verify certificates, or the path of a bundle of them.
        """
        request = requests.PreparedRequest()
        request.prepare_method(method)
        path, mark, query = url.partition("?")
        is_quoted = _QUOTED.fullmatch(query) is not None
        request.url = self._quoted(path) + mark + query if is_quoted else _quoted(url)
        request.prepare_headers({"Connection": "keep-alive", **headers})
        request.prepare_body(body, None)
        settings = self.merge_environment_settings(request.url, {}, True, verify, None)
        return self.send(request, timeout=timeout, allow_redirects=False, **settings)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Ignore redirects: requests parses the target even if it does not follow it, and may fail."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return proxies and certificates for a host, read from the environment once for each host.

        To read them takes about as long as the rest of a request. Loopback hosts have no proxy: plain
        http is allowed there, and must stay local.
        """
        parts = urlsplit(url)
        asked = (parts.scheme, parts.netloc, stream, verify, cert)
        settings = self._environment.get(asked)
        if settings is None:
            settings = super().merge_environment_settings(url, dict(proxies), stream, verify, cert)
            if is_loopback(parts.hostname):
                settings["proxies"] = {}
            self._environment[asked] = settings
        return {**settings, "proxies": dict(settings["proxies"])}


def _quoted(url: str) -> str:
    """Return a URL as it is sent: ``requests`` quotes what may be in none, and refuses what leads nowhere."""
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    return str(request.url)
