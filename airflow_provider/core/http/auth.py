"""How requests prove who sends them: static tokens, and tokens that are minted, shared and renewed."""

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

_HOUR = 3600.0


_LEAD = 60.0


_SHORT_LIFE = 600.0


_UNAUTHORIZED = 401

_MIN_RENEWAL_AGE = 60.0
"""Seconds before which a token is not renewed for a status that may mean a missing permission."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as a service issued it.

    :param value: the token.
    :param expires_in: its life in seconds.
    """

    value: str = field(repr=False)
    expires_in: float = 3600.0


def read_token(reply: Reply) -> Token:
    """Read an OAuth2 token reply; an ``expires_in`` that makes no sense counts as an hour."""
    body = reply.json()
    value = body["access_token"]
    if not isinstance(value, str) or not value:
        raise ValueError("access_token is not a text")
    return Token(value, _life(body.get("expires_in")))


def _life(said: Any) -> float:
    try:
        life = float(said)
    except (TypeError, ValueError, OverflowError):
        return _HOUR
    return life if 0 < life < float("inf") else _HOUR


def lead_time(life: float) -> float:
    """Give how long before its end a token is renewed: 60 seconds, or a tenth of a short life."""
    return _LEAD if life >= _SHORT_LIFE else life / 10


class Credential:
    """The base of all: nothing to prove."""

    def token(self, send: Send, realm: str) -> str:
        """Give the token to send along, fetching it when needed."""
        return ""

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Give the token to send along, fetching it when needed, without blocking the event loop."""
        return ""

    def forget(self, token: str, realm: str) -> None:
        """Do not use this token again: the service refused it."""

    def can_renew_after(self, status: int, token: str, realm: str) -> bool:
        """Return whether a new token may change a refusal with this status."""
        return False

    def place(self, token: str, headers: MutableMapping[str, str], query: list[tuple[str, str]]) -> None:
        """Put the token where the service looks for it."""
        if not (token.isascii() and token.isprintable()):
            raise InputError("the token holds characters that no HTTP header can carry; copy it again")
        if token:
            headers["Authorization"] = f"Bearer {token}"


class HeaderToken(Credential):
    """A static token, sent as ``Authorization: Bearer``."""

    def __init__(self, value: str) -> None:
        self._value = value

    def token(self, send: Send, realm: str) -> str:
        """Give the static token."""
        return self._value

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Give the static token."""
        return self._value


class QueryToken(HeaderToken):
    """A static token, sent in the query of every request.

    :param value: the token.
    :param name: the parameter's name.
    """

    def __init__(self, value: str, name: str = "token") -> None:
        super().__init__(value)
        self._name = name

    def place(self, token: str, headers: MutableMapping[str, str], query: list[tuple[str, str]]) -> None:
        """Put the token into the query, in place of any that is there."""
        query[:] = [pair for pair in query if pair[0] != self._name] + [(self._name, token)]


class MintedToken(Credential):
    """A token that is fetched with a call, shared by the whole process, and renewed before it ends.

    :param call: the token request (not authenticated; its reader gives a :class:`Token`).
    :param renew_on: statuses with which the service refuses a token that it no longer accepts. A status other
        than 401 may also mean a missing permission, so only a token older than a minute is renewed then.
    """

    def __init__(self, call: Call[Token], renew_on: Collection[int] = (401,)) -> None:
        self.call = call
        self._renew_on = frozenset(renew_on)

    def token(self, send: Send, realm: str) -> str:
        """Give a valid token; many threads that need one cause a single request."""
        slot = _slot(self.call, realm)
        with slot.fetching:
            if not (value := slot.valid()):
                with _refusals():
                    value = slot.keep(monotonic(), send(self.call))
                redact_token(value)
                mask(token_encodings(value))
            return value

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Give a valid token; many coroutines that need one cause a single request."""
        slot = _slot(self.call, realm)
        async with slot.fetching_here():
            if not (value := slot.valid()):
                started = monotonic()
                with _refusals():
                    value = slot.keep(started, await send(self.call))
                redact_token(value)
                await amask(token_encodings(value))
            return value

    def forget(self, token: str, realm: str) -> None:
        """Drop this token, unless another thread has replaced it already."""
        _slot(self.call, realm).drop(token)

    def can_renew_after(self, status: int, token: str, realm: str) -> bool:
        """Return whether a new token may change a refusal with this status."""
        if status not in self._renew_on:
            return False
        return status == _UNAUTHORIZED or _slot(self.call, realm).age(token) > _MIN_RENEWAL_AGE

    def cached(self, realm: str) -> str:
        """Give the token that the process holds, empty when there is none."""
        return _slot(self.call, realm).valid()


@contextmanager
def _refusals() -> Iterator[None]:
    """Say of a refused token request what it means: OAuth2 servers answer bad credentials with 400."""
    try:
        yield
    except (RequestRejectedError, PermissionDeniedError) as error:
        raise AuthenticationError(
            error.status, error.code, error.message, request=error.request, body=error.body
        ) from None


class _Slot:
    """One credential's place in the process's cache."""

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self._state = threading.Lock()
        self._value = ""
        self._issued_at = 0.0
        self._renew_at = 0.0
        self._loops: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    def fetching_here(self) -> asyncio.Lock:
        return self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def valid(self) -> str:
        with self._state:
            return self._value if monotonic() < self._renew_at else ""

    def keep(self, started: float, token: Token) -> str:
        # Counted from before the request: the service's clock started somewhere in between.
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
