"""Credentials: static tokens, and tokens that are fetched, shared by the process and renewed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from airflow_provider.core.http.call import Call, pairs
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.redaction import amask, mask, redact_token, token_encodings
from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    PermissionDeniedError,
    RequestRejectedError,
)

monotonic = time.monotonic

Send = Callable[[Call["Token"]], "Token"]

AsyncSend = Callable[[Call["Token"]], Awaitable["Token"]]

_REFUSED_CREDENTIALS = frozenset({400, 401, 403, 422})
"""Statuses of a token service that does not accept the credentials; others do not come from one."""

_DEFAULT_LIFETIME = 3600.0
"""Seconds that a token without a valid ``expires_in`` is taken to live."""

_RENEWAL_LEAD = 60.0
"""Seconds before its end at which a token is renewed."""

_SHORT_LIFETIME = 600.0
"""Seconds of life below which a token is renewed after nine tenths of its life."""


_UNAUTHORIZED = 401

_MIN_RENEWAL_AGE = 60.0
"""Seconds before which a token is not renewed for a status that may mean a missing permission."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a service issued it.

    :param value: the token.
    :param expires_in: its lifetime in seconds.
    """

    value: str = field(repr=False)
    expires_in: float = _DEFAULT_LIFETIME


def read_token(reply: Reply) -> Token:
    """Read an OAuth2 token reply (RFC 6749, 5.1); an invalid ``expires_in`` counts as an hour."""
    body = reply.json()
    value = body["access_token"]
    if not isinstance(value, str) or not value:
        raise ValueError("access_token is not a text")
    return Token(value, _lifetime(body.get("expires_in")))


def _lifetime(expires_in: Any) -> float:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return _DEFAULT_LIFETIME
    return seconds if 0 < seconds < float("inf") else _DEFAULT_LIFETIME


def lead_time(lifetime: float) -> float:
    """Return the seconds before its end at which a token is renewed: 60, or a tenth of a short lifetime.

    :param lifetime: seconds.
    """
    return _RENEWAL_LEAD if lifetime >= _SHORT_LIFETIME else lifetime / 10


class Credential:
    """The base of credentials; requests with it are not authenticated."""

    def token(self, send: Send, realm: str) -> str:
        """Return the token to send along, fetched when needed.

        :param send: function that sends a token request.
        :param realm: base URL that the token is for; tokens are cached by realm.
        """
        return ""

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Return the token to send along, without blocking the event loop; see :meth:`token`."""
        return ""

    def cached(self, realm: str) -> str:
        """Return the valid fetched token that the process holds; empty when there is none."""
        return ""

    def forget(self, token: str, realm: str) -> None:
        """Drop a token that the service refused."""

    def can_renew_after(self, status: int, token: str, realm: str) -> bool:
        """Return whether a new token may change a refusal with this status."""
        return False

    def requests_token_with(self, call: Call[Any]) -> bool:
        """Return whether a call is this credential's token request."""
        return False

    def apply(self, token: str, headers: MutableMapping[str, str], query: list[tuple[str, str]]) -> None:
        """Add the token to a request's headers or query, as the service expects it.

        :param token: the token; empty for no authentication.
        :param headers: the request's headers, changed in place.
        :param query: the request's query pairs, changed in place.
        :raises InputError: when the token has characters that no HTTP header can carry.
        """
        if not (token.isascii() and token.isprintable()):
            raise InputError("the token holds characters that no HTTP header can carry; copy it again")
        if token:
            headers["Authorization"] = f"Bearer {token}"


class HeaderToken(Credential):
    """A static token, sent as ``Authorization: Bearer``."""

    def __init__(self, value: str) -> None:
        self._value = value

    def token(self, send: Send, realm: str) -> str:
        """Return the static token."""
        return self._value

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Return the static token."""
        return self._value


class QueryToken(HeaderToken):
    """A static token, sent in the query of every request.

    :param value: the token.
    :param name: the query parameter's name.
    """

    def __init__(self, value: str, name: str = "token") -> None:
        super().__init__(value)
        self._name = name

    def apply(self, token: str, headers: MutableMapping[str, str], query: list[tuple[str, str]]) -> None:
        """Set the token in the query, in place of a token that is already there."""
        query[:] = [pair for pair in query if pair[0] != self._name] + [(self._name, token)]


class MintedToken(Credential):
    """A token that is fetched with a call, shared by the whole process, and renewed before it expires.

    :param call: the token request (not authenticated; its reader returns a :class:`Token`).
    :param renew_on: statuses with which the service refuses a token that it no longer accepts. A status other
        than 401 may also mean a missing permission, so only a token older than a minute is renewed then.
    """

    def __init__(self, call: Call[Token], renew_on: Collection[int] = (401,)) -> None:
        self.call = call
        self._renew_on = frozenset(renew_on)

    def token(self, send: Send, realm: str) -> str:
        """Return a valid token; threads that need it at the same time cause a single request."""
        slot = _slot(self.call, realm)
        with slot.fetching:
            if not (value := slot.valid()):
                with _as_authentication_error():
                    value = slot.keep(monotonic(), send(self.call))
                redact_token(value)
                mask(token_encodings(value))
            return value

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Return a valid token; coroutines that need it at the same time cause a single request."""
        slot = _slot(self.call, realm)
        async with slot.loop_lock():
            if not (value := slot.valid()):
                started = monotonic()
                with _as_authentication_error():
                    value = slot.keep(started, await send(self.call))
                redact_token(value)
                await amask(token_encodings(value))
            return value

    def requests_token_with(self, call: Call[Any]) -> bool:
        """Return whether a call is this credential's token request."""
        return call is self.call

    def forget(self, token: str, realm: str) -> None:
        """Drop a refused token, unless another thread has replaced it already."""
        _slot(self.call, realm).drop(token)

    def can_renew_after(self, status: int, token: str, realm: str) -> bool:
        """Return whether a new token may change a refusal with this status."""
        if status not in self._renew_on:
            return False
        return status == _UNAUTHORIZED or _slot(self.call, realm).age(token) > _MIN_RENEWAL_AGE

    def cached(self, realm: str) -> str:
        """Return the valid token that the process holds; empty when there is none."""
        return _slot(self.call, realm).valid()


@contextmanager
def _as_authentication_error() -> Iterator[None]:
    """Raise a refused token request as an authentication error: OAuth2 servers reply 400 to bad credentials.

    See RFC 6749, 5.2.
    """
    try:
        yield
    except (RequestRejectedError, PermissionDeniedError) as error:
        if error.status not in _REFUSED_CREDENTIALS:
            raise
        details: dict[str, Any] = {"request": error.request, "body": error.body, "is_page": error.is_page}
        raise AuthenticationError(error.status, error.code, error.message, **details) from None


class _Slot:
    """The entry of one credential in the process's token cache."""

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self._state = threading.Lock()
        self._value = ""
        self._issued_at = 0.0
        self._renew_at = 0.0
        self._loops: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    def loop_lock(self) -> asyncio.Lock:
        return self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def valid(self) -> str:
        with self._state:
            return self._value if monotonic() < self._renew_at else ""

    def keep(self, started: float, token: Token) -> str:
        # The lifetime counts from before the request: the service started it before its reply.
        with self._state:
            self._value = token.value
            self._issued_at = started
            self._renew_at = started + token.expires_in - lead_time(token.expires_in)
        return token.value

    def age(self, value: str) -> float:
        """Return the seconds since a token was issued; infinite when another one has replaced it."""
        with self._state:
            return monotonic() - self._issued_at if self._value == value else float("inf")

    def drop(self, value: str) -> None:
        with self._state:
            if self._value == value:
                self._value, self._renew_at = "", 0.0


_slots: dict[str, _Slot] = {}

_slots_lock = threading.Lock()


def _slot(call: Call[Token], realm: str) -> _Slot:
    identity = [realm, call.path, urlencode(pairs(call.params)), urlencode(call.form or {})]
    identity.append(urlencode(dict(call.headers)))
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    with _slots_lock:
        return _slots.setdefault(key, _Slot())
