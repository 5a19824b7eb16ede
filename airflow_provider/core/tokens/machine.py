"""The machine's tokens: one sealed file per credential, in the folder of the request budgets.

The process that requests a token holds the file's lock, which the kernel frees when the process is killed.
The file is read without the lock; what is read in the middle of a write does not decrypt.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable

from airflow_provider.core.limits import machine
from airflow_provider.core.limits.machine import SEALED_SUFFIX, MachineStore, unusable
from airflow_provider.core.limits.store import StoreUnusableError, WouldBlockError
from airflow_provider.core.tokens.store import TokenLock, TokenStore

_LARGEST = 1 << 16
"""Maximum bytes of a file; no HTTP header carries as much."""


class MachineTokens(TokenStore):
    """Holds each record in a file.

    :param folder: absolute path of a folder that users or containers share; empty for the machine's own.
    :param clock: function that returns the seconds of the machine's monotonic clock.
    """

    shortest_poll = 0.002

    def __init__(self, folder: str, clock: Callable[[], float]) -> None:
        self._files = MachineStore(folder)
        self._clock = clock
        self.place = self._files.place

    def now(self) -> float:
        """Return the seconds of the machine's monotonic clock."""
        return self._clock()

    def full_name(self, name: str) -> str:
        """Return the file's name, with the boot's id: the clock starts at boot."""
        return f"{name}-{machine.boot_id()}{SEALED_SUFFIX}"

    def read(self, full_name: str) -> tuple[bytes, float]:
        """Return the bytes of a file, empty for none, and the current time."""
        try:
            file = self._files.open_file(full_name, create=False)
        except FileNotFoundError:
            return b"", self.now()
        except OSError as error:
            raise unusable(error) from None
        try:
            return os.pread(file, _LARGEST, 0), self.now()
        except OSError as error:
            raise unusable(error) from None
        finally:
            os.close(file)

    def write(self, full_name: str, data: bytes, seconds: float) -> None:
        """Replace the content of a file."""
        try:
            file = self._files.open_file(full_name, create=True)
            try:
                _replace(file, data)
            finally:
                os.close(file)
        except OSError as error:
            raise unusable(error) from None

    def remove(self, full_name: str, data: bytes) -> None:
        """Empty a file, if it still has this content; its name stays, as others may wait for its lock."""
        if self.read(full_name)[0] == data:
            self.write(full_name, b"", 0.0)

    def lock(self, full_name: str, turn: int) -> TokenLock | None:
        """Lock a file, or its second lock."""
        name = full_name if not turn else f"{full_name.removesuffix(SEALED_SUFFIX)}-{turn}{SEALED_SUFFIX}"
        try:
            return _FileLock(self._files.open_locked(name, block=False)[0])
        except WouldBlockError:
            return None
        except OSError as error:
            raise unusable(error) from None


class _FileLock(TokenLock):
    is_local = True

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # A process that was forked meanwhile has a duplicate, and would hold the lock with it.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _replace(file: int, data: bytes) -> None:
    if len(data) > _LARGEST:
        raise StoreUnusableError("the token is too large")
    try:
        if os.pwrite(file, data, 0) != len(data):
            raise StoreUnusableError("no space is left")
        os.ftruncate(file, len(data))
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
        raise
