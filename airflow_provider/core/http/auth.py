"""Credentials: static tokens, and tokens that are fetched, shared with other processes and renewed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
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

if TYPE_CHECKING:
    from airflow_provider.core.tokens.record import IssuedToken
    from airflow_provider.core.tokens.sharing import SharedToken, TokenRequest

monotonic = time.monotonic

Send = Callable[[Call["Token"]], "Token"]

AsyncSend = Callable[[Call["Token"]], Awaitable["Token"]]

_REFUSED_CREDENTIALS = frozenset({400, 401, 403, 422})
"""Statuses of a token service that does not accept the credentials; others do not come from one."""

_DEFAULT_LIFETIME = 3600.0
"""Seconds that a token without a valid ``expires_in`` is taken to live."""

_RENEWAL_LEAD = 60.0
"""Seconds before its end at which a token is renewed."""

_LAST_SECONDS = 10.0
"""Seconds after which a token request whose callers were all cancelled is cancelled, too: others may wait."""

_UNAUTHORIZED = 401

_MIN_RENEWAL_AGE = 60.0
"""Seconds before which a token is not renewed for a status that may mean a missing permission."""

_MAX_REFUSED = 8
"""Maximum refused tokens of a credential that a process remembers."""

_SECRET_FIELDS = frozenset({"password", "client_secret"})
"""Fields of a token request's form that hold its credential (RFC 6749, 2.3.1 and 4.3.2)."""


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
    if not _can_be_sent(value):  # It would be kept for as long as it lasts.
        raise ValueError("access_token has characters that no HTTP header can carry")
    return Token(value, _lifetime(body.get("expires_in")))


def _can_be_sent(token: str) -> bool:
    return token.isascii() and token.isprintable()


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
    return min(_RENEWAL_LEAD, lifetime / 10)


class Credential:
    """The base of credentials; requests with it are not authenticated."""

    def token(self, send: Send, realm: str, longest: Callable[[], float]) -> str:
        """Return the token to send along, fetched when needed.

        :param send: function that sends a token request.
        :param realm: base URL that the token is for; tokens are cached by realm.
        :param longest: function that returns the maximum seconds to wait for another process's request, now.
        """
        return ""

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Return the token to send along, without blocking the event loop; see :meth:`token`."""
        return ""

    def cached(self, realm: str) -> str:
        """Return the valid fetched token that the process holds; empty when there is none."""
        return ""

    def share(self, address: str, *, heed_refusals: bool) -> None:
        """Share fetched tokens with other processes.

        :param address: address of a store, as the extra ``rate_limit_store`` names it.
        :param heed_refusals: whether credentials that the token service refused a short time ago, in any
            process, are not sent again.
        """

    def forget(self, token: str, realm: str) -> None:
        """Drop a token that the service refused; the next one is another token."""

    def withdraw(self, token: str, realm: str) -> None:
        """Drop a token that was revoked, for all processes that share it."""

    def is_from_store(self, token: str, realm: str) -> bool:
        """Return whether another process may have fetched the token, before the service refused it."""
        return False

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
        if not _can_be_sent(token):
            raise InputError("the token holds characters that no HTTP header can carry; copy it again")
        if token:
            headers["Authorization"] = f"Bearer {token}"


class HeaderToken(Credential):
    """A static token, sent as ``Authorization: Bearer``."""

    def __init__(self, value: str) -> None:
        self._value = value

    def token(self, send: Send, realm: str, longest: Callable[[], float]) -> str:
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
    """A token that is fetched with a call, shared by processes, and renewed before it expires.

    :param call: the token request (not authenticated; its reader returns a :class:`Token`).
    :param renew_on: statuses with which the service refuses a token that it no longer accepts. A status other
        than 401 may also mean a missing permission, so only a token older than a minute is renewed then.
    :param service: base URL of the token service where it is not that of the API; a token of another one is
        not used in its place.
    """

    def __init__(self, call: Call[Token], renew_on: Collection[int] = (401,), service: str = "") -> None:
        self.call = call
        self._service = service
        self._renew_on = frozenset(renew_on)
        self._address: str | None = None
        self._heed_refusals: bool  # set with the address

    def share(self, address: str, *, heed_refusals: bool) -> None:
        """Share the token in a store; without this call only the threads of this process share it."""
        self._address, self._heed_refusals = address, heed_refusals

    def token(self, send: Send, realm: str, longest: Callable[[], float]) -> str:
        """Return a valid token; processes and threads that need it at the same time cause one request."""
        slot = self._slot(realm)
        with slot.fetching:
            if not (value := slot.valid()):
                value = slot.keep(self._obtain(send, realm, slot, longest))
                redact_token(value)
                mask(token_encodings(value))
            return value

    async def atoken(self, send: AsyncSend, realm: str) -> str:
        """Return a valid token; processes and coroutines that need it at the same time cause one request."""
        slot = self._slot(realm)
        async with slot.loop_lock():
            return slot.valid() or await slot.fetched(lambda: self._afetch(send, realm, slot))

    async def _afetch(self, send: AsyncSend, realm: str, slot: _Slot) -> str:
        value = slot.keep(await self._aobtain(send, realm, slot))
        redact_token(value)
        await amask(token_encodings(value))
        return value

    def _obtain(self, send: Send, realm: str, slot: _Slot, longest: Callable[[], float]) -> IssuedToken:
        def fetch() -> IssuedToken:
            started = monotonic()
            with _as_authentication_error():
                return _issued(send(self.call), started)

        if (shared := self._shared(realm)) is None:
            return fetch()
        return shared.obtain(fetch, slot.all_refused(), longest, heed_refusals=self._heed_refusals)

    async def _aobtain(self, send: AsyncSend, realm: str, slot: _Slot) -> IssuedToken:
        async def fetch() -> IssuedToken:
            started = monotonic()
            with _as_authentication_error():
                return _issued(await send(self.call), started)

        if (shared := self._shared(realm)) is None:
            return await fetch()
        return await shared.aobtain(fetch, slot.all_refused(), heed_refusals=self._heed_refusals)

    def _shared(self, realm: str) -> SharedToken | None:
        if self._address is None:
            return None
        from airflow_provider.core.tokens.sharing import shared_token

        return shared_token(self._address, self._request(realm), _clock)

    def _request(self, realm: str) -> TokenRequest:
        return _token_request(self.call, f"{realm}\0{self._service}")

    def _slot(self, realm: str) -> _Slot:
        # A token that may be revoked at any time is apart from the shared one of the same credentials.
        return _slot(self._request(realm), is_shared=self._address is not None)

    def requests_token_with(self, call: Call[Any]) -> bool:
        """Return whether a call is this credential's token request."""
        return call is self.call

    def forget(self, token: str, realm: str) -> None:
        """Drop a refused token, unless another thread has replaced it already.

        The store's copy is replaced when the next token is needed, unless another process has replaced it.
        """
        self._slot(realm).refuse(token)

    def withdraw(self, token: str, realm: str) -> None:
        """Drop a revoked token here and in the store."""
        self.forget(token, realm)
        if shared := self._shared(realm):
            shared.withdraw(token)

    def is_from_store(self, token: str, realm: str) -> bool:
        """Return whether another process may have fetched the token, before the service refused it."""
        return self._slot(realm).is_from_store(token)

    def can_renew_after(self, status: int, token: str, realm: str) -> bool:
        """Return whether a new token may change a refusal with this status."""
        if status not in self._renew_on:
            return False
        return status == _UNAUTHORIZED or self._slot(realm).age(token) > _MIN_RENEWAL_AGE

    def cached(self, realm: str) -> str:
        """Return the valid token that the process holds; empty when there is none."""
        return self._slot(realm).valid()


def _clock() -> float:
    return monotonic()


def _issued(token: Token, started: float) -> IssuedToken:
    """Return a fetched token, whose lifetime counts from before the request: the service started it then."""
    from airflow_provider.core.tokens.record import IssuedToken

    age = monotonic() - started
    return IssuedToken(token.value, age, token.expires_in - lead_time(token.expires_in))


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
        self._refused: deque[str] = deque(maxlen=_MAX_REFUSED)
        self._value = ""
        self._is_from_store = False
        self._issued_at = 0.0
        self._renew_at = 0.0
        self._loops: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
        self._fetches: WeakKeyDictionary[Any, asyncio.Task[str]] = WeakKeyDictionary()
        self._timers: WeakKeyDictionary[Any, asyncio.TimerHandle] = WeakKeyDictionary()

    def loop_lock(self) -> asyncio.Lock:
        return self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def fetched(self, fetch: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Return what ``fetch`` returns, or the same of an earlier caller, who was cancelled meanwhile.

        It runs in a task of its own: a token that is issued after its caller's end is kept for the next one.
        """
        loop = asyncio.get_running_loop()
        if (running := self._fetches.get(loop)) is None:
            running = self._fetches[loop] = loop.create_task(fetch())
            running.add_done_callback(self._fetch_ended)
        self._stop_timer(loop)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._timers[loop] = loop.call_later(_LAST_SECONDS, running.cancel)
            raise

    def _stop_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if timer := self._timers.pop(loop, None):
            timer.cancel()

    def _fetch_ended(self, fetch: asyncio.Task[str]) -> None:
        self._fetches.pop(fetch.get_loop(), None)
        self._stop_timer(fetch.get_loop())
        if not fetch.cancelled():
            fetch.exception()  # Raised in the callers that wait for it, if there are any left.

    def valid(self) -> str:
        with self._state:
            return self._value if monotonic() < self._renew_at else ""

    def keep(self, issued: IssuedToken) -> str:
        with self._state:
            self._value = issued.value
            self._issued_at = monotonic() - issued.age
            self._renew_at = self._issued_at + issued.renew_after
            self._is_from_store = issued.is_from_store
        return issued.value

    def age(self, value: str) -> float:
        """Return the seconds since a token was issued; infinite when another one has replaced it."""
        with self._state:
            return monotonic() - self._issued_at if self._value == value else float("inf")

    def is_from_store(self, value: str) -> bool:
        with self._state:
            return self._value == value and self._is_from_store

    def all_refused(self) -> frozenset[str]:
        with self._state:
            return frozenset(self._refused)

    def refuse(self, value: str) -> None:
        with self._state:
            self._refused.append(value)
            if self._value == value:
                self._value, self._renew_at = "", 0.0


_slots: dict[str, _Slot] = {}

_slots_lock = threading.Lock()


def _slot(request: TokenRequest, *, is_shared: bool) -> _Slot:
    key = hashlib.sha256(request.secret + (b"\0shared" if is_shared else b"")).hexdigest()
    with _slots_lock:
        return _slots.setdefault(key, _Slot())


def _token_request(call: Call[Token], realm: str) -> TokenRequest:
    """Return what makes processes share a token: the request as it is sent."""
    from airflow_provider.core.tokens.sharing import TokenRequest

    form = call.form or {}
    where = [realm, call.path, urlencode(pairs(call.params))]
    public = urlencode({name: text for name, text in form.items() if name not in _SECRET_FIELDS})
    secret = [*where, urlencode(form), urlencode(dict(call.headers))]
    is_guessable = form.get("grant_type") == "password"
    return TokenRequest("\0".join(secret).encode(), "\0".join([*where, public]).encode(), is_guessable)
