"""Connection settings: an Airflow connection, parsed and validated once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from airflow_provider.core.urls import is_loopback, is_plain_and_remote, read_broker, split_plain
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection


Need = Literal["required", "optional", "unused"]

_MAX_NUMBER = 1e9
"""Maximum of a numeric extra, in its unit: a socket accepts no longer timeout in seconds."""


class Extra(NamedTuple):
    """One field of a connection's extra.

    :param kind: ``text``, ``number``, ``integer``, ``boolean``, ``list`` (a list, or blank- or
        comma-separated text), ``hosts`` (such a list of ``name`` or ``name:port``), ``url`` (validated like
        the host), ``socket`` (the URL of a WebSocket: ``wss://`` is read as ``https://``), ``broker`` (the
        address of an MQTT broker), or ``store`` (the holder of request budgets, see
        :mod:`airflow_provider.core.limits.address`).
    :param default: value when the field is absent, null or blank.
    :param required: whether the field must be present.
    :param choices: the values allowed; empty for any value.
    :param above: exclusive minimum of a number.
    :param secret: whether the value is a credential, which no message may hold.
    """

    kind: Literal[
        "text", "number", "integer", "boolean", "list", "hosts", "url", "socket", "broker", "store"
    ] = "text"
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    above: float = 0.0
    secret: bool = False


COMMON_EXTRAS: Mapping[str, Extra] = {
    "timeout": Extra("number", 60.0),
    "connect_timeout": Extra("number", 10.0),
    "attempts": Extra("integer"),
    "patience": Extra("number"),
    "max_concurrency": Extra("integer"),
    "verify": Extra("text", True),
    "allow_http": Extra("boolean", False),
    "allowed_hosts": Extra("hosts", ()),
    "rate_limit_store": Extra("store", "", secret=True),
    "share_tokens": Extra("boolean"),
}


class ConnectionSpec(NamedTuple):
    """The fields of one connection type.

    :param conn_type: Airflow's connection type.
    :param default_host: base URL of a connection without host; empty when the host is required.
    :param login: whether the login is required.
    :param password: whether the password is required.
    :param extras: the fields of its extra, without the fields that all types share.
    """

    conn_type: str
    default_host: str = ""
    login: Need = "optional"
    password: Need = "required"  # noqa: S105 - a requirement, not a password
    extras: Mapping[str, Extra] = MappingProxyType({})

    @property
    def all_extras(self) -> dict[str, Extra]:
        """The type's own extras and the shared ones."""
        return {**self.extras, **COMMON_EXTRAS}


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """A validated connection.

    :param conn_id: id of the Airflow connection.
    :param host: base URL without trailing slash.
    :param login: login, empty when unset.
    :param password: password, empty when unset.
    :param extras: all extras of the type, parsed, with defaults.
    :param secrets: password and secret extras, for redaction.
    """

    conn_id: str
    host: str
    login: str
    password: str = field(repr=False)
    extras: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())

    @property
    def timeout(self) -> tuple[float, float]:
        """Maximum seconds of connecting, and of a stalled read."""
        return self.extras["connect_timeout"], self.extras["timeout"]

    @property
    def verify(self) -> bool | str:
        """Return whether TLS certificates are verified, or the path of a CA bundle to verify them against."""
        value: bool | str = self.extras["verify"]
        return value

    @property
    def rate_limit_store(self) -> str:
        """Address of the store of request budgets; empty for the machine's own one."""
        value: str = self.extras["rate_limit_store"]
        return value

    @property
    def max_concurrency(self) -> int | None:
        """Maximum requests at once of all tasks that use the connection; None for no limit."""
        value: int | None = self.extras["max_concurrency"]
        return value

    @property
    def names_store_connection(self) -> bool:
        """True if the store of request budgets is the id of an Airflow connection."""
        from airflow_provider.core.limits.address import is_connection_id

        return bool(self.rate_limit_store) and is_connection_id(self.rate_limit_store)

    @property
    def shares_tokens(self) -> bool:
        """True if fetched tokens are shared in the store of request budgets; with Redis on demand only."""
        from airflow_provider.core.limits.address import PROCESS

        address, chosen = self.rate_limit_store, self.extras["share_tokens"]
        if address == PROCESS:
            return False
        return "://" not in address if chosen is None else bool(chosen)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Further hosts that downloads may come from, in lower case."""
        return frozenset(host.lower() for host in self.extras["allowed_hosts"])


_ANY_SERVICE = ("generic", "http", "https")
"""Types that name no service: those of connections by hand, and of connections from a URL."""


def read_settings(connection: Connection, spec: ConnectionSpec, conn_type: str = "") -> Settings:
    """Validate a connection against its type, and return its settings.

    :param connection: the connection as Airflow returns it.
    :param spec: the fields of its type.
    :param conn_type: a further name of the type, of a hook that is derived from a service's.
    :raises InputError: for a connection of another type, whose credentials are another service's; else with
        all problems of the connection at once. No request was sent.
    """
    if connection.conn_type and connection.conn_type not in {spec.conn_type, conn_type, *_ANY_SERVICE}:
        text = f"its type is '{connection.conn_type:.60}', not '{spec.conn_type}'"
        raise InputError(text, f"connection '{connection.conn_id}'")
    problems: list[str] = []
    raw = _extras_of(connection, problems)
    known = spec.all_extras
    unknown = sorted(set(raw) - set(known))
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown)
        problems.append(f"unknown extra {names}; the known extras are {', '.join(sorted(known))}")
    extras = {name: _parse(name, raw.get(name), extra, problems) for name, extra in known.items()}
    allow_http = extras["allow_http"] is True
    for name, extra in known.items():
        if extra.kind in {"url", "socket"} and extras[name]:
            extras[name] = _check_url(str(extras[name]), f"extra '{name}'", allow_http, problems)
        elif extra.kind == "broker" and extras[name] and not allow_http:
            _check_broker(extras[name], name, problems)
    host = _check_url(_host_of(connection, spec, problems), "host", allow_http, problems)
    login = _required_text(connection.login, "login", spec.login, problems)
    password = _required_text(connection.password, "password", spec.password, problems)
    texts = {
        "login": login,
        "password": password,
        **{f"extra '{name}'": value for name, value in raw.items()},
    }
    problems += [f"{name} has half a character, which no request can carry" for name in _halved(texts)]
    if problems:
        raise InputError(problems, f"connection '{connection.conn_id}'")
    secrets = [password]
    for name, extra in known.items():
        if extra.secret and extras[name]:
            secrets += _store_secrets(extras[name]) if extra.kind == "store" else [str(extras[name])]
    return Settings(connection.conn_id, host, login, password, extras, tuple(filter(None, secrets)))


def with_store(settings: Settings, connection: Connection | None) -> Settings:
    """Return settings whose store of request budgets is the one that an Airflow connection leads to.

    :param connection: the connection that the extra ``rate_limit_store`` names; None when there is none.
    :raises InputError: when there is none, or it is no connection to Redis.
    """
    from airflow_provider.core.limits.address import address_of

    name = settings.rate_limit_store
    if connection is None:
        raise InputError(
            f"extra 'rate_limit_store' names the connection '{name}', which does not exist",
            f"connection '{settings.conn_id}'",
        )
    address = address_of(connection)
    extras = {**settings.extras, "rate_limit_store": address}
    return replace(settings, extras=extras, secrets=(*settings.secrets, *_store_secrets(address)))


def _store_secrets(address: str) -> list[str]:
    from airflow_provider.core.limits.address import secrets_of

    return secrets_of(address)


def _store(value: Any) -> str:
    from airflow_provider.core.limits.address import read_address

    return read_address(value)


def _extras_of(connection: Connection, problems: list[str]) -> dict[str, Any]:
    if not connection.extra:
        return {}
    import json

    try:
        value = json.loads(connection.extra)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    problems.append("extra is not a JSON object")
    return {}


def _host_of(connection: Connection, spec: ConnectionSpec, problems: list[str]) -> str:
    host = (connection.host or "").strip() or spec.default_host
    schema = (connection.schema or "").strip().lower()
    if schema not in ("", "http", "https"):
        # Its text is not shown: behind a "/" of a password that is not quoted, it is the password's rest.
        problems.append(
            "the schema is neither http nor https, and no request would use it: a path belongs to the host;"
            " in a connection's URI, quote each '/' of the host as %2F"
        )
        schema = ""  # So that the host gets no problem that is not its own.
    if host and "://" not in host:
        host = f"{schema or 'https'}://{host}"
    if not host or not connection.port:
        return host
    scheme, _, rest = host.partition("://")
    name, slash, path = rest.partition("/")
    if named := re.search(r":(\d+)$", name):
        if int(named[1]) != connection.port:
            ports = f"the port {named[1]}, and the connection has the port {connection.port}"
            problems.append(f"host names {ports}: leave one of them out")
        return host
    return f"{scheme}://{name}:{connection.port}{slash}{path}"


def _required_text(value: str | None, name: str, need: Need, problems: list[str]) -> str:
    # A secret pasted from a terminal often ends in a line break, which no header can carry.
    text = "" if _is_blank(value) else str(value).strip("\r\n")
    if not text and need == "required":
        problems.append(f"{name} is missing")
    return text


def _halved(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of values with a surrogate alone, as JSON may write one: it has no UTF-8."""
    for name, value in values.items():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            yield name


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _check_url(url: str, where: str, allow_http: bool, problems: list[str]) -> str:
    if not url:
        problems.append(f"{where} is missing; enter a full base URL, such as https://example.com")
        return ""
    try:
        parts = urlsplit(url)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        problems.append(f"{where} is not a URL")
        return ""
    if parts.scheme not in ("http", "https") or not hostname:
        problems.append(f"{where} must start with https:// and name a host")
    elif parts.username or parts.password or "@" in parts.netloc:
        problems.append(f"{where} must not hold a user name or password")
    elif not _is_plain(url):
        problems.append(f"{where} has spaces, backslashes or non-ASCII characters; use punycode")
    elif "?" in url or "#" in url:  # Also an empty one: what is appended to the URL would be a part of it.
        problems.append(f"{where} must not hold a query or fragment")
    elif parts.scheme == "http" and not (allow_http or is_loopback(hostname)):
        problems.append(
            f"{where} uses plain http to {hostname}; use https, or set the extra 'allow_http' to true"
        )
    return url.rstrip("/")


def _check_broker(address: str, name: str, problems: list[str]) -> None:
    if is_plain_and_remote(address):
        problems.append(
            f"extra '{name}' is {address}, to which the password would be sent unencrypted; use mqtts://, or"
            " set the extra 'allow_http' to true"
        )


def _is_plain(url: str) -> bool:
    try:
        split_plain(url)
    except ValueError:
        return False
    return True


def _parse(name: str, value: Any, extra: Extra, problems: list[str]) -> Any:
    if _is_blank(value):
        if extra.required:
            problems.append(f"extra '{name}' is missing")
        return extra.default
    try:
        parsed = _PARSERS[name if name == "verify" else extra.kind](value)
        if extra.choices and parsed not in extra.choices:
            raise ValueError(f"one of {', '.join(extra.choices)}")
        if extra.kind in {"number", "integer"} and not parsed > extra.above:
            whole = "whole " if extra.kind == "integer" else ""
            raise ValueError(f"a {whole}number above {extra.above:g}")
    except ValueError as error:
        problems.append(f"extra '{name}' must be {error}")
        return extra.default
    return parsed


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise ValueError("text")
    return str(value).strip("\r\n")


def _number(value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a number") from None
    if not number < _MAX_NUMBER:
        raise ValueError(f"a number below {_MAX_NUMBER:g}")
    return number


def _integer(value: Any) -> int:
    try:
        number = _number(value)
    except ValueError:
        number = 0.5
    if not number.is_integer():
        raise ValueError("a whole number")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("a list of texts, or a blank-separated text")


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/*?#@:,\[\]\\]+)(:\d+)?|[0-9a-f]*(:[0-9a-f]*){2,}", re.IGNORECASE)
"""Name or address of a host, perhaps with a port."""


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = tuple(host for item in _list(value) if (host := item.strip()))
    for number, host in enumerate(hosts, 1):
        if not _HOST.fullmatch(host):
            raise ValueError(f"names of hosts, each as name or name:port: entry {number} is none")
    return hosts


def _verify(value: Any) -> bool | str:
    try:
        return _boolean(value)
    except ValueError:
        if isinstance(value, str):
            return value
        raise ValueError("true, false, or the path of a CA bundle") from None


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "text": _text,
    "url": _text,
    "socket": lambda value: re.sub(r"^ws(s?)://", r"http\1://", _text(value)),
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "list": _list,
    "hosts": _hosts,
    "verify": _verify,
    "broker": read_broker,
    "store": _store,
}
