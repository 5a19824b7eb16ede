"""Address of a PostgreSQL server, read without a word about its password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from airflow_provider.sandbox.service import StartError

FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Address:
    """Host, database and user of a server.

    :param parameters: libpq's parameters of a connection.
    """

    parameters: Mapping[str, str] = field(repr=False)

    def with_changes(self, **changes: str) -> dict[str, str]:
        """Return the parameters with some of them changed."""
        return {**self.parameters, **changes}

    def redacted(self, text: str) -> str:
        """Return a text without the password, in any encoding."""
        password = self.parameters.get("password", "")
        for secret in {password, quote(password), quote(password, safe=""), quote_plus(password)} - {""}:
            text = text.replace(secret, "***")
        return text

    @property
    def server(self) -> str:
        """Host, port and user, for messages."""
        given = self.parameters
        host, port = given.get("host", "the local socket"), given.get("port", "5432")
        return f"{host}:{port} as {given.get('user', 'the default user')}"


def read_address(url: str) -> Address:
    """Read a URL such as ``postgresql://user:password@host:5432/database``.

    :raises StartError: when it is of another form; the message holds no part of the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _form_error() from None
    if parts.scheme not in _SCHEMES or not parts.path.strip("/") or parts.fragment:
        raise _form_error()
    given = {
        "host": unquote(parts.hostname or ""),
        "port": str(port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.strip("/")),
        **dict(parse_qsl(parts.query)),
    }
    return Address({name: value for name, value in given.items() if value})


def _form_error() -> StartError:
    return StartError(
        f"AmigoCloud's SQL: the address must be {FORM}, with special characters in percent-encoding"
    )
