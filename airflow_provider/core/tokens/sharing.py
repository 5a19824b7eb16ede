"""Sharing: one token for all processes, requested by one of them while the others wait."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from airflow_provider.core.limits.address import place_of
from airflow_provider.core.limits.store import StoreUnusableError
from airflow_provider.core.tokens import store as stores
from airflow_provider.core.tokens.access import StoreAccess, open_access
from airflow_provider.core.tokens.record import (
    REFUSED_SECONDS,
    IssuedToken,
    Record,
    RefusalRecord,
    TokenRecord,
    concerns_credentials,
    decode,
    encode,
    refusal_of,
)
from airflow_provider.core.tokens.sealing import Seal
from airflow_provider.core.tokens.store import TokenLock
from airflow_provider.errors import AuthenticationError

_TURNS = 2
"""Locks for which a process waits; then it requests a token without one."""

_POLL_GROWTH = 25
"""Ratio of the longest pause between two polls to the shortest one."""

_log = logging.getLogger(__name__)


class TokenRequest(NamedTuple):
    """The request of a token, by which processes recognise that they need the same one.

    :param secret: all of it, with the credential.
    :param identity: all of it, without the credential.
    :param is_guessable: whether a person chose the credential.
    """

    secret: bytes
    identity: bytes
    is_guessable: bool


class SharedToken:
    """The token of one credential, shared in a store. Nothing is opened or derived before its first use.

    :param address: address of the store, as the extra ``rate_limit_store`` names it.
    :param request: the token request.
    :param clock: function that returns the seconds of the machine's monotonic clock.
    """

    def __init__(self, address: str, request: TokenRequest, clock: Callable[[], float]) -> None:
        self._address = address
        self._request = request
        self._clock = clock

    @cached_property
    def access(self) -> StoreAccess:
        """The store."""
        return open_access(self._address, self._clock)

    @cached_property
    def seal(self) -> Seal:
        """The seal; that of a password takes a tenth of a second to derive."""
        secret, identity, is_guessable = self._request
        return Seal(secret, identity, is_guessable=is_guessable)

    def obtain(
        self,
        fetch: Callable[[], IssuedToken],
        refused: Container[str],
        longest: Callable[[], float],
        *,
        heed_refusals: bool,
    ) -> IssuedToken:
        """Return the stored token, or fetch one and store it, while other processes wait for it.

        :param fetch: function that requests a token.
        :param refused: tokens that the service refused.
        :param longest: function that returns the maximum seconds to wait for another process, now.
        :param heed_refusals: whether a stored refusal of the credentials is raised.
        :raises AuthenticationError: when the token service refuses the credentials, or has done so less than
            a minute ago.
        """
        search = _Search(self, refused, heed_refusals)
        try:
            while (found := search.poll()) is None and not search.is_our_turn:
                if (seconds := longest()) <= 0:
                    break
                time.sleep(min(search.pause(), seconds))
            if found is not None:
                return found
            try:
                issued = fetch()
            except AuthenticationError as error:
                search.refuse(error)
                raise
            search.keep(issued)
            return issued
        finally:
            search.leave()

    async def aobtain(
        self,
        fetch: Callable[[], Awaitable[IssuedToken]],
        refused: Container[str],
        *,
        heed_refusals: bool,
    ) -> IssuedToken:
        """Return the stored token, or fetch one, without blocking the event loop; see :meth:`obtain`."""
        search = _Search(self, refused, heed_refusals)
        try:
            while (found := await asyncio.to_thread(search.poll)) is None and not search.is_our_turn:
                await asyncio.sleep(search.pause())
            if found is not None:
                return found
            try:
                issued = await fetch()
            except AuthenticationError as error:
                await asyncio.to_thread(search.refuse, error)
                raise
            await asyncio.to_thread(search.keep, issued)
            return issued
        finally:
            await search.aleave()

    def withdraw(self, token: str) -> None:
        """Remove a token that is no longer valid from the store, if the store still holds it."""
        search = _Search(self, {token}, heed_refusals=False)
        search.poll()  # Removes it as soon as no other process is about to replace it.
        search.leave()


class _Search:
    """The search of one caller for a token: in the store, or by its turn to request one.

    Its methods may run in a thread that the caller no longer waits for; a lock that is taken after
    :meth:`leave` is released at once.
    """

    def __init__(self, token: SharedToken, refused: Container[str], heed_refusals: bool) -> None:
        self.is_our_turn = False
        self._token = token
        self._refused = refused
        self._heed_refusals = heed_refusals
        self._began = time.monotonic()
        self._turn = 0
        self._polls = 0
        self._mutex = threading.Lock()
        self._lock: TokenLock | None = None
        self._is_left = False
        self._is_stored = True

    # -- finding ----------------------------------------------------------------------------------

    def poll(self) -> IssuedToken | None:
        """Return the stored token; None when there is none, and perhaps it is our turn to request one.

        :raises AuthenticationError: when the token service has refused the credentials a short time ago.
        """
        access = self._token.access
        if not access.is_usable:
            self._alone()
            return None
        try:
            found = self._poll()
        except StoreUnusableError as error:
            access.give_up(error)
            self._alone()
            return None
        access.recover()
        return found

    def pause(self) -> float:
        """Return the seconds before the next poll."""
        self._polls += 1
        shortest = self._token.access.store.shortest_poll
        return min(shortest * 1.5**self._polls, shortest * _POLL_GROWTH)

    def _alone(self) -> None:
        self.leave()
        self.is_our_turn, self._is_stored = True, False

    def _poll(self) -> IssuedToken | None:
        if found := self._read():
            return found
        store = self._token.access.store
        lock = store.lock(self._full_name, self._turn)
        if lock is None:
            self._wait_longer()
            return None
        self._hold(lock)
        # The process that held the lock before may have stored a token meanwhile.
        if found := self._read(remove_refused=True):
            self.leave()
            return found
        if self._turn:
            self._warn()
        self.is_our_turn = True
        return None

    def _read(self, *, remove_refused: bool = False) -> IssuedToken | None:
        store = self._token.access.store
        data, now = store.read(self._full_name)
        plain = self._token.seal.open(data, self._full_name) if data else None
        record = decode(plain) if plain else None
        if isinstance(record, RefusalRecord):
            if self._heed_refusals and (error := record.at(now)):
                raise error
            return None
        found = record.at(now) if record else None
        if found and found.value in self._refused:
            if remove_refused:
                store.remove(self._full_name, data)
            return None
        if found:
            _log.info("access token shared in %s, issued %.0f s ago", store.place, found.age)
        return found

    def _wait_longer(self) -> None:
        """Move to the next lock when the holder of this one takes too long: it may have been stopped."""
        if time.monotonic() - self._began > stores.LONGEST_FETCH * (self._turn + 1):
            self._turn += 1
        if self._turn >= _TURNS:
            self._warn()
            self.is_our_turn = True

    def _warn(self) -> None:
        _log.warning(
            "another process has requested an access token for more than %.0f s, and has not stored it in %s;"
            " this process requests one, too",
            time.monotonic() - self._began,
            self._token.access.store.place,
        )

    # -- storing ----------------------------------------------------------------------------------

    def keep(self, issued: IssuedToken) -> None:
        """Store a token that was just requested, and let the other processes have it."""
        left = issued.renew_after - issued.age
        if left > 0 and self._write(
            lambda now: TokenRecord(issued.value, now - issued.age, issued.renew_after), left
        ):
            _log.info("access token requested, shared in %s", self._token.access.store.place)

    def refuse(self, error: AuthenticationError) -> None:
        """Store that the token service refused the credentials; other refusals may pass."""
        if concerns_credentials(error):
            self._write(lambda now: refusal_of(error, now), REFUSED_SECONDS)

    def _write(self, make: Callable[[float], Record], seconds: float) -> bool:
        """Store the record that a function makes from the current time; returns whether that worked."""
        access = self._token.access
        if self._is_stored:
            try:
                sealed = self._token.seal.seal(encode(make(access.store.now())), self._full_name)
                access.store.write(self._full_name, sealed, seconds)
            except StoreUnusableError as error:
                access.give_up(error)
                return False
        return self._is_stored

    # -- the lock ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """Release the lock, also one that is being taken by a thread."""
        if lock := self._take_lock():
            _release(lock)

    async def aleave(self) -> None:
        """Release the lock without blocking the event loop."""
        lock = self._take_lock()
        if lock is not None and lock.is_local:
            _release(lock)
        elif lock is not None:
            await asyncio.to_thread(_release, lock)

    def _hold(self, lock: TokenLock) -> None:
        with self._mutex:
            if not self._is_left:
                self._lock = lock
                return
        _release(lock)

    def _take_lock(self) -> TokenLock | None:
        with self._mutex:
            self._is_left = True
            lock, self._lock = self._lock, None
            return lock

    @property
    def _full_name(self) -> str:
        return self._token.access.store.full_name(self._token.seal.name)


def _release(lock: TokenLock) -> None:
    """Release a lock; that of a store that cannot be used ends by itself."""
    with suppress(StoreUnusableError, OSError):
        lock.release()


_tokens: dict[bytes, SharedToken] = {}


def shared_token(address: str, request: TokenRequest, clock: Callable[[], float]) -> SharedToken:
    """Return the process's access to the shared token of a credential.

    :param address: address of the store, as the extra ``rate_limit_store`` names it.
    :param request: the token request.
    :param clock: function that returns the seconds of the machine's monotonic clock.
    """
    identity = (*place_of(address), request.secret.hex(), request.identity.hex())
    key = hashlib.sha256("\0".join(identity).encode()).digest()
    return _tokens.setdefault(key, SharedToken(address, request, clock))
