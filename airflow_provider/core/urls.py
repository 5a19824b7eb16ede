r"""Reads links so that nobody can read them in another way.

What splits a URL here and what opens the connection are different parsers, which disagree about backslashes,
tabs and user names: ``https://evil\@good/`` leads to one of the two. So only plain links are taken.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_PLAIN = re.compile(r"(?i)https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?([/?#]|$)")


def split_plain(url: str) -> SplitResult:
    """Split a link that leads to one host, whoever reads it.

    :param url: ``https://host[:port]/path``; no user name, an international host as ``xn--...``.
    :raises ValueError: for anything else.
    """
    parts = urlsplit(url)
    if not _PLAIN.match(url) or (parts.port or 0) > 65535:
        raise ValueError("not a plain link")
    return parts


def origin(url: str) -> str:
    """Give scheme, host and port of a link, in one spelling.

    :raises ValueError: when it is no plain link.
    """
    parts = split_plain(url)
    default = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name means this machine."""
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
