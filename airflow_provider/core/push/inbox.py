"""Inbox: pushed values of one watcher, the newest by key, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

MAX_KEYS = 10_000
"""Maximum keys with unread values; more of them are found by a poll."""

MAX_BYTES = 4 << 20
"""Maximum bytes of all unread values, about; what is beyond them is found by a poll."""


def _size(key: str, values: Mapping[str, Any]) -> int:
    """Return about how many bytes a key with its values takes."""
    return len(key) + sum(len(name) + _size_of(value) for name, value in values.items())


def _size_of(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, int):
        return 8 + value.bit_length() // 8
    return 8 if value is None or isinstance(value, float) else len(repr(value))


class Inbox:
    """Values that arrive in a network thread, and are read by an event loop.

    A newer value of a key replaces an older one. ``poll_due`` is set when a poll must find what was pushed:
    after a connection was made, and when more has come than is stored: then ``flooded`` is set, too,
    and the poll may wait a little. Its result must be asked for after ``due_from``, in the loop's time.
    """

    def __init__(self) -> None:
        self.connected = False
        self.due_from = 0.0
        self.poll_due = False
        self.flooded = False
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._values: dict[str, dict[str, Any]] = {}
        self._bytes = 0
        self._is_waking = False
        self._changed = asyncio.Event()

    def put(self, key: str, values: Mapping[str, Any]) -> None:
        """Add values of a key, from any thread.

        :param key: what they belong to.
        :param values: values by name.
        """
        with self._lock:
            before = self._values.get(key)
            merged = {**(before or {}), **values}
            size = self._bytes + _size(key, merged) - (0 if before is None else _size(key, before))
            if (before is not None or len(self._values) < MAX_KEYS) and size <= MAX_BYTES:
                self._values[key], self._bytes = merged, size
            else:
                self.poll_due = self.flooded = True
                self.due_from = self._loop.time()
            if self._is_waking:
                return
            self._is_waking = True
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._is_waking = False
        self._changed.set()

    def set_connected(self, connected: bool, *, whole: bool = True) -> None:
        """Note that the connection was made or has broken; a poll is due after it was made.

        :param connected: whether values are pushed.
        :param whole: whether all of them are: not when the broker refuses some topics.
        """
        self.connected = connected and whole
        if connected:
            self.poll_due, self.flooded, self.due_from = True, False, self._loop.time()
        self._changed.set()

    def take_poll_due(self) -> bool:
        """Return whether a poll was due, and note that it follows."""
        with self._lock:
            was_due, self.poll_due, self.flooded = self.poll_due, False, False
        return was_due

    def take(self) -> dict[str, dict[str, Any]]:
        """Return all unread values by key, and forget them."""
        with self._lock:
            values, self._values, self._bytes = self._values, {}, 0
        return values

    def __len__(self) -> int:
        return len(self._values)

    async def wait(self, seconds: float) -> None:
        """Wait until something has changed, at most for some seconds."""
        # Not wait_for(): on Python 3.11 it swallows a cancellation that comes just when the wait is over.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()
        self._changed.clear()
