"""Waiting for something on a service: intervals, deadlines, tolerated failures, shared polls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


_KEPT_SECONDS = 600.0
"""A shared result that nobody has asked for in so long is dropped: a triggerer lives for months."""


class _Shared:
    """One poll's last result, and the request that is under way."""

    def __init__(self) -> None:
        self.at = float("-inf")
        self.keep_until = 0.0
        self.result: Any = None
        self.under_way: asyncio.Task[Any] | None = None


class _Shelf:
    """The shared results of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Shared] = {}
        self._swept = 0.0

    def entry(self, key: Hashable, max_age: float, now: float) -> _Shared:
        """Give the place of a key, and drop what nobody asks for any more."""
        if now - self._swept > _KEPT_SECONDS / 10:
            self._swept = now
            self._entries = {
                name: one for name, one in self._entries.items() if one.under_way or one.keep_until > now
            }
        entry = self._entries.setdefault(key, _Shared())
        entry.keep_until = now + max(max_age, _KEPT_SECONDS)
        return entry

    def __len__(self) -> int:
        return len(self._entries)


_shelves: WeakKeyDictionary[Any, _Shelf] = WeakKeyDictionary()


async def shared_result(key: Hashable, max_age: float, fetch: Callable[[], Awaitable[T]]) -> T:
    """Give a result that all who ask with the same key share, at most ``max_age`` seconds old.

    Many triggers that ask at about the same time cause one request. An error reaches everybody who waited
    for it, and the next to ask tries again. A result is forgotten when nobody has asked for ten minutes.

    :param key: what is asked, of whom; hashable.
    :param max_age: seconds that a result may be old.
    :param fetch: asks the service.
    """
    loop = asyncio.get_running_loop()
    entry = _shelves.setdefault(loop, _Shelf()).entry(key, max_age, loop.time())
    if loop.time() - entry.at <= max_age:
        result: T = entry.result
        return result
    if entry.under_way is None:
        # Its own task: when the trigger that asked first is cancelled, the others still get the answer.
        entry.under_way = loop.create_task(_ask(entry, fetch))
    return await asyncio.shield(entry.under_way)


async def _ask(entry: _Shared, fetch: Callable[[], Awaitable[T]]) -> T:
    try:
        entry.result = await fetch()
        entry.at = asyncio.get_running_loop().time()
        result: T = entry.result
        return result
    finally:
        entry.under_way = None
