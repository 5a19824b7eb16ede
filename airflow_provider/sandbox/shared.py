"""State that several processes of a sandbox share: issued tokens, and the levels of rate limits."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SharedState:
    """Two temporary files without names, opened before the processes are forked.

    One file is a log of events, to which each process appends, and which each reads from where it left off.
    The other one has numbers by name, which a process changes while it holds a lock.
    """

    def __init__(self) -> None:
        # Open as long as the process runs.
        self._log = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115
        self._table = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115

    def append(self, event: dict[str, Any]) -> None:
        """Append an event; the other processes see it when this returns."""
        os.write(self._log.fileno(), json.dumps(event).encode() + b"\n")

    def end(self) -> int:
        """Return the position after the last event."""
        return os.fstat(self._log.fileno()).st_size

    def events(self, start: int) -> tuple[list[dict[str, Any]], int]:
        """Return the events from a position on, and the position after them."""
        size = self.end() - start
        if size <= 0:
            return [], start
        whole = os.pread(self._log.fileno(), size, start)
        return [json.loads(line) for line in whole.splitlines()], start + len(whole)

    def change(self, name: str, change: Callable[[list[float] | None], list[float]]) -> None:
        """Replace the numbers of a name, while no other process does.

        :param change: returns the new numbers; its argument is the old ones, None without any.
        """
        with self._numbers() as numbers:
            numbers[name] = change(numbers.get(name))

    def forget(self, prefix: str) -> None:
        """Remove the numbers of all names that begin with a prefix."""
        with self._numbers() as numbers:
            for name in [name for name in numbers if name.startswith(prefix)]:
                del numbers[name]

    @contextmanager
    def _numbers(self) -> Iterator[dict[str, list[float]]]:
        """Lock the numbers, yield them to be changed, and write them."""
        # A lock of lockf() belongs to a process; one of flock() would belong to all that share the file.
        file = self._table.fileno()
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            raw = os.pread(file, os.fstat(file).st_size, 0)
            numbers = json.loads(raw) if raw else {}
            yield numbers
            written = json.dumps(numbers).encode()
            os.pwrite(file, written, 0)
            os.ftruncate(file, len(written))
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN)
