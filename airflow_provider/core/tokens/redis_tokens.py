"""The cluster's tokens: one sealed key per credential in Redis, on its clock.

A process that requests a token holds a further key, which ends by itself when the process is killed.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.tokens import store as stores
from airflow_provider.core.tokens.store import TokenLock, TokenStore

_COMPARE_AND_DELETE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisTokens(TokenStore):
    """Holds each record in one key of Redis.

    :param url: address with credentials.
    :raises InputError: when the URL is invalid.
    """

    shortest_poll = 0.02

    def __init__(self, url: str) -> None:
        self._store = RedisStore(url)
        self.place = self._store.place

    def now(self) -> float:
        """Return the seconds of Redis' clock."""
        return _seconds(self._store.use(lambda: self._store.open_client().time()))

    def full_name(self, name: str) -> str:
        """Return the key."""
        return f"airflow-dt:{{tokens}}:{name}"

    def read(self, full_name: str) -> tuple[bytes, float]:
        """Return the bytes of a key, empty for none, and the current time."""

        def read() -> tuple[Any, Any]:
            with self._store.open_client().pipeline(transaction=False) as both:
                text, time = both.get(full_name).time().execute(raise_on_error=False)
            for found in (time, text):
                # A value of another type is not from here, and will be replaced.
                if isinstance(found, Exception) and "WRONGTYPE" not in str(found):
                    raise found
            return text, time

        text, time = self._store.use(read)
        return _decoded(text), _seconds(time)

    def write(self, full_name: str, data: bytes, seconds: float) -> None:
        """Replace a key, which ends when its record is of no use."""
        milliseconds = max(1, int(min(seconds, 366 * 86400.0) * 1000))
        text = base64.b64encode(data)
        self._store.use(lambda: self._store.open_client().set(full_name, text, px=milliseconds))

    def remove(self, full_name: str, data: bytes) -> None:
        """Delete a key, if it still has this value."""
        text = base64.b64encode(data)
        client = self._store.open_client()
        self._store.use(lambda: client.eval(_COMPARE_AND_DELETE, 1, full_name, text))

    def lock(self, full_name: str, turn: int) -> TokenLock | None:
        """Set the key of the process that requests a token; it ends when others shall wait no longer."""
        key, owner = f"{full_name}:lock", os.urandom(16).hex()
        milliseconds = int(stores.LONGEST_FETCH * 1000)
        client = self._store.open_client()
        taken = self._store.use(lambda: client.set(key, owner, px=milliseconds, nx=True))
        return _KeyLock(self._store, key, owner) if taken else None


class _KeyLock(TokenLock):
    is_local = False

    def __init__(self, store: RedisStore, key: str, owner: str) -> None:
        self._store = store
        self._key = key
        self._owner: str | None = owner

    def release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            client = self._store.open_client()
            self._store.use(lambda: client.eval(_COMPARE_AND_DELETE, 1, self._key, owner))


def _decoded(text: Any) -> bytes:
    """Return the bytes of a value; anything that is not from here counts as none."""
    if not isinstance(text, (bytes, str)):
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _seconds(time: Any) -> float:
    seconds, microseconds = time
    return float(seconds) + float(microseconds) / 1e6
