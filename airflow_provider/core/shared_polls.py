"""Shared polls: triggers of one process share the results of equal requests.

An import that many triggers need is such a request, too. The triggers that wait for a result continue in
groups: thousands at once would stop the event loop for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from importlib import import_module
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_UNUSED_SECONDS = 600.0
"""Seconds after its last use at which a result is dropped: a triggerer runs for months."""


WOKEN_AT_ONCE = 50
"""Maximum triggers that continue in one turn of the event loop."""


class _Entry:
    """The last result of one poll, and its running request."""

    drop_at: float

    def __init__(self) -> None:
        self.at = float("-inf")
        self.asked = float("-inf")
        self.result: Any = None
        self.request: asyncio.Task[None] | None = None
        self.waiting: list[asyncio.Future[Any]] = []


class _Cache:
    """The shared results of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._swept = float("-inf")

    def entry(self, key: Hashable, max_age: float, now: float) -> _Entry:
        """Return the entry of a key, and drop unused entries."""
        if now - self._swept > _UNUSED_SECONDS / 10:
            self._swept = now
            self._entries = {
                name: entry for name, entry in self._entries.items() if entry.request or entry.drop_at > now
            }
        entry = self._entries.setdefault(key, _Entry())
        entry.drop_at = now + max(max_age, _UNUSED_SECONDS)
        return entry

    def __len__(self) -> int:
        return len(self._entries)


_imported: set[str] = set()

_caches: WeakKeyDictionary[Any, _Cache] = WeakKeyDictionary()


async def shared_result(
    key: Hashable, max_age: float, fetch: Callable[[], Awaitable[T]], *, asked_since: float = float("-inf")
) -> T:
    """Return a result that all callers with the same key share, at most ``max_age`` seconds old.

    Triggers that call at about the same time cause one request. An error is raised in all callers that
    waited for it, and the next call sends a new request. A result is dropped ten minutes after its last use.

    :param key: the request and its connection; hashable.
    :param max_age: maximum age of a result in seconds.
    :param fetch: function that sends the request.
    :param asked_since: earliest time of the loop at which the request may have been sent.
    """
    loop = asyncio.get_running_loop()
    entry = _caches.setdefault(loop, _Cache()).entry(key, max_age, loop.time())
    if entry.request and entry.asked < asked_since:
        await asyncio.wait([entry.request])
    if loop.time() - entry.at <= max_age and entry.asked >= asked_since:
        result: T = entry.result
        return result
    if entry.request is None:
        entry.asked = loop.time()
        # A task of its own: when the first caller is cancelled, the other callers still get the result.
        entry.request = loop.create_task(_fetch(entry, fetch))
    future: asyncio.Future[T] = loop.create_future()
    entry.waiting.append(future)
    return await future


async def import_aside(*names: str) -> None:
    """Import modules in a thread, once for all triggers; on the event loop it would stop all others.

    :param names: full names of the modules.
    """
    if not _imported.issuperset(names):
        await shared_result(("modules", *names), _UNUSED_SECONDS, lambda: asyncio.to_thread(_import, names))


def _import(names: Sequence[str]) -> None:
    for name in names:
        import_module(name)
    _imported.update(names)


async def wake(waiting: Sequence[asyncio.Future[T]], complete: Callable[[asyncio.Future[T]], None]) -> None:
    """Complete futures, a group of them in each turn of the event loop; those that are done are left out.

    :param waiting: the futures.
    :param complete: function that sets the result or the error of one.
    """
    for number, future in enumerate(waiting, start=1):
        if not future.done():
            complete(future)
        if number % WOKEN_AT_ONCE == 0:
            await asyncio.sleep(0)


async def _fetch(entry: _Entry, fetch: Callable[[], Awaitable[Any]]) -> None:
    failure: Exception | None = None
    try:
        entry.result = await fetch()
        entry.at = asyncio.get_running_loop().time()
    except Exception as error:
        failure = error
    except BaseException:
        for future in entry.waiting:
            future.cancel()
        raise
    finally:
        waiting, entry.waiting, entry.request, result = entry.waiting, [], None, entry.result
    await wake(waiting, lambda one: one.set_result(result) if failure is None else one.set_exception(failure))
