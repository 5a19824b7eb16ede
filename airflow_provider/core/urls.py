r"""Plain URLs: links that every parser splits in the same way.

The parser here and the parser of the HTTP library disagree about backslashes, tabs and user names:
``https://evil\@good/`` leads to one host for the first and to the other host for the second. So only plain
links are accepted.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any
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


BROKER_PORTS = {"mqtts": 8883, "mqtt": 1883}
"""Default ports of the schemes of MQTT brokers, with and without TLS."""

_BROKER_FORM = "an address such as mqtts://broker.example.com:8883, without user name, path and query"


def read_broker(value: Any) -> str:
    """Return the address of an MQTT broker in full: ``mqtts://host:port``, or ``mqtt://`` without TLS.

    :param value: the extra; without a scheme it is the host of a broker with TLS.
    :raises ValueError: saying what it must be; the value is not repeated, as it may hold a password.
    """
    if not isinstance(value, str):
        raise ValueError(_BROKER_FORM)
    text = value.strip()
    if text.lower() in ("none", "null"):  # what a script makes of a missing value
        raise ValueError(_BROKER_FORM)
    scheme, separator, rest = text.partition("://")
    scheme, rest = (scheme.lower(), rest.rstrip("/")) if separator else ("mqtts", text)
    if scheme not in BROKER_PORTS:
        raise ValueError(_BROKER_FORM)
    parts = _split_host(rest)
    host = f"[{parts[0]}]" if ":" in parts[0] else parts[0]
    return f"{scheme}://{host}:{parts[1] or BROKER_PORTS[scheme]}"


def _split_host(rest: str) -> tuple[str, int | None]:
    """Return host and port of the text behind the scheme.

    :raises ValueError: when there is anything else.
    """
    try:
        parts = split_plain(f"https://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_BROKER_FORM) from None
    if not host or port == 0 or parts.path or parts.query or parts.fragment or "?" in rest or "#" in rest:
        raise ValueError(_BROKER_FORM)
    return host, port


def is_plain_and_remote(address: str) -> bool:
    """Return whether a password would leave this machine unencrypted.

    :param address: the address in full.
    """
    parts = urlsplit(address)
    return parts.scheme == "mqtt" and not is_loopback(parts.hostname)
