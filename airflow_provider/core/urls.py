r"""Plain URLs: links that every parser splits in the same way.

The parser here and the parser of the HTTP library disagree about backslashes, tabs and user names:
``https://evil\@good/`` leads to one host for the first and to the other host for the second. So only plain
links are accepted.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_PLAIN = r"(?i)https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?([/?#]|$)"


def split_plain(url: str) -> SplitResult:
    """Split a link whose host is the same for every parser.

    :param url: ``https://host[:port]/path``, without user name; an international host in its ``xn--`` form.
    :raises ValueError: for any other link.
    """
    parts = urlsplit(url)
    if not re.match(_PLAIN, url) or (parts.port or 0) > 65535:
        raise ValueError("not a plain link")
    return parts


def origin(url: str) -> str:
    """Return scheme, host and port of a link in normal form.

    :raises ValueError: when the link is not plain.
    """
    parts = split_plain(url)
    default = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def is_loopback(host: str | None) -> bool:
    """Return whether a host name is a loopback address of this machine."""
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
