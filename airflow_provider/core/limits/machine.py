"""The machine's store: one small file per budget, locked with ``flock``, for all processes of one machine.

A process that is killed releases its locks, so no state is ever stuck. The clock is ``CLOCK_MONOTONIC``: all
processes share it, and no time service sets it. It starts at boot, so a file's name holds the boot's id.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import time
import zlib
from functools import cache

from airflow_provider.core.limits.plan import State
from airflow_provider.core.limits.store import LocalStore, Record, StoreUnusableError, WouldBlockError

FOLDER_VARIABLE = "DIGITAL_TWIN_STORE"
"""Environment variable with a folder that takes the place of the machine's own one."""

LONGEST_LOCK = 1.0
"""Maximum seconds to wait for a lock; its holder needs microseconds, unless it was stopped."""

IDLE = 86400.0
"""Seconds after its last use at which a file is removed."""

_REFRESH = 3600.0
"""Seconds after which a file that is only read counts as used once more."""

_HEAD = struct.Struct("<4sIB3xIIq")
"""Magic, checksum of the rest and the body, kind, count of slots (or length of the alias), offset of the
body, pause."""

_MAGIC = b"adt2"

_SLOTS, _ALIAS = 0, 1

_FILE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_LARGEST = 1 << 20
"""Maximum bytes of a file; a larger one is not from here."""

_SUFFIX = ".budget"

PERMIT_SUFFIX = ".permit"
"""End of the name of a file whose lock is a place of a semaphore."""

SEALED_SUFFIX = ".token"
"""End of the names of files that hold a sealed token, see :mod:`airflow_provider.core.tokens`."""


class MachineStore(LocalStore):
    """Holds each budget in a file that is locked for some microseconds.

    :param folder: absolute path of a folder that users or containers share; empty for the machine's own
        folder, which belongs to this user alone.
    """

    def __init__(self, folder: str = "") -> None:
        named = folder or os.environ.get(FOLDER_VARIABLE, "")
        self._folder = named or default_folder()
        self._is_named = bool(named)
        self._swept_at = float("-inf")
        self.place = f"this machine ({self._folder})"

    def now(self) -> int:
        """Return the microseconds of the machine's monotonic clock."""
        return time.monotonic_ns() // 1000

    def locked(self, key: str, block: bool) -> _LockedFile:
        """Return a context that locks the file of a key, and yields its record.

        :raises StoreUnusableError: when the file or its folder is not safe to use, or the lock is not free
            within :data:`LONGEST_LOCK` seconds.
        """
        if not block and self._is_named:
            raise WouldBlockError  # Such a folder may be on a disk, or on another machine.
        return _LockedFile(self, f"{key}-{boot_id()}{_SUFFIX}", block)

    def open_locked(self, name: str, block: bool) -> tuple[int, int]:
        """Open and lock a file; returns its descriptor and its size."""
        folder = self._open_folder()
        try:
            while True:
                file = self._open(name, folder)
                try:
                    _lock(file, block)
                    found = os.fstat(file)
                    self._check(found, "file")
                    if found.st_nlink:
                        if time.time() - found.st_mtime > _REFRESH:
                            os.utime(file)
                        return file, found.st_size
                except BaseException:
                    os.close(file)
                    raise
                os.close(file)  # It was swept in between, and has no name: it is created a second time.
        finally:
            os.close(folder)

    def open_file(self, name: str, *, create: bool) -> int:
        """Open a file without its lock; returns its descriptor.

        :raises FileNotFoundError: when there is none, and it is not created.
        :raises StoreUnusableError: when the file or its folder is not safe to use.
        """
        folder = self._open_folder()
        try:
            file = self._open(name, folder) if create else os.open(name, _FILE_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            found = os.fstat(file)
            self._check(found, "file")
            if time.time() - found.st_mtime > _REFRESH:
                os.utime(file)
        except BaseException:
            os.close(file)
            raise
        return file

    def _open_folder(self) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            folder = os.open(self._folder, flags)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            folder = os.open(self._folder, flags)
        try:
            self._check(os.fstat(folder), "folder")
        except BaseException:
            os.close(folder)
            raise
        return folder

    def _open(self, name: str, folder: int) -> int:
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, _FILE_FLAGS, dir_fd=folder)
        self._sweep(folder)
        try:
            file = os.open(name, _FILE_FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        except FileExistsError:
            return os.open(name, _FILE_FLAGS, dir_fd=folder)
        if self._is_named and os.fstat(folder).st_mode & stat.S_IWGRP:
            # All members of the folder's group use the files.
            os.fchmod(file, 0o660)  # nosec B103
        return file

    def _check(self, found: os.stat_result, kind: str) -> None:
        """Raise when others could read or change what the folder or file holds."""
        if kind == "file" and not (stat.S_ISREG(found.st_mode) and found.st_nlink <= 1):
            raise StoreUnusableError("a file in it is a link or no regular file")
        if found.st_mode & (0o002 if self._is_named else 0o077):
            advice = "; name a folder in it" if self._is_named and kind == "folder" else ""
            raise StoreUnusableError(f"other users may write into the {kind} or read it{advice}")
        if not self._is_named and found.st_uid != os.geteuid():
            raise StoreUnusableError(f"the {kind} belongs to another user")

    def _sweep(self, folder: int) -> None:
        """Remove files that were idle for a day, when a new file is created."""
        if time.monotonic() - self._swept_at < _REFRESH:
            return
        self._swept_at = time.monotonic()
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.endswith((_SUFFIX, PERMIT_SUFFIX, SEALED_SUFFIX)):
                    with contextlib.suppress(OSError, WouldBlockError):
                        _remove_idle(name, folder)


class _LockedFile:
    """A context that holds the lock of a file; this one is entered before each request."""

    __slots__ = ("_block", "_body", "_file", "_name", "_record", "_size", "_store")

    def __init__(self, store: MachineStore, name: str, block: bool) -> None:
        self._store = store
        self._name = name
        self._block = block

    def __enter__(self) -> Record:
        try:
            self._file, self._size = self._store.open_locked(self._name, self._block)
            try:
                self._record, self._body = _read(self._file, self._size)
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise unusable(error) from None
        return self._record

    def __exit__(self, *exc: object) -> None:
        try:
            if self._record.is_changed:
                _write(self._file, self._size, self._body, self._record)
        except OSError as error:
            raise unusable(error) from None
        finally:
            # A process that was forked meanwhile has a duplicate, and would hold the lock with it.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)


def unusable(error: OSError) -> StoreUnusableError:
    """Return an error of the operating system as the store's error, without path."""
    return StoreUnusableError(f"{type(error).__name__}: {os.strerror(error.errno or 0)}")


def _remove_idle(name: str, folder: int) -> None:
    if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < IDLE:
        return
    file = os.open(name, _FILE_FLAGS, dir_fd=folder)
    try:
        _lock(file, block=False)  # Its user sees afterwards that it has no name, and opens a new one.
        if time.time() - os.fstat(file).st_mtime > IDLE:
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(file)


def _lock(file: int, block: bool) -> None:
    """Lock an open file.

    :param block: whether to wait for the lock, for :data:`LONGEST_LOCK` seconds at most.
    """
    pause, deadline = 50e-6, time.monotonic() + LONGEST_LOCK
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not block:
                raise WouldBlockError from None
            if time.monotonic() > deadline:
                raise StoreUnusableError(
                    f"a process has held its lock for more than {LONGEST_LOCK:g} s"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 5e-3)
        else:
            return


def _read(file: int, size: int) -> tuple[Record, slice]:
    """Return the record of a file, and where its body lies."""
    data = os.pread(file, min(size, _LARGEST), 0)
    if not data:
        return Record(), slice(0, 0)
    try:
        body, kind, paused_until = _layout(data)
        if kind == _ALIAS:
            return Record(alias=data[body].decode("ascii")), body
        slots = struct.unpack(f"<{(body.stop - body.start) // 8}q", data[body])
    except ValueError:
        return Record(is_damaged=True), slice(0, 0)
    return Record(State(slots, paused_until)), body


def _layout(data: bytes) -> tuple[slice, int, int]:
    """Return the place of the body, the kind and the pause.

    :raises ValueError: when the file was not written by this module, or is damaged.
    """
    if len(data) < _HEAD.size:
        raise ValueError("too short")
    magic, checksum, kind, count, start, paused_until = _HEAD.unpack_from(data)
    body = slice(start, start + (8 * count if kind == _SLOTS else count))
    if magic != _MAGIC or kind > _ALIAS or not _HEAD.size <= start <= body.stop <= len(data):
        raise ValueError("damaged")
    if zlib.crc32(data[body], zlib.crc32(data[8 : _HEAD.size])) != checksum:
        raise ValueError("damaged")
    return body, kind, paused_until


def _write(file: int, size: int, used: slice, record: Record) -> None:
    """Write a record: its body where the last one is not, then the head that names the place.

    The kernel writes page by page, and a process may be killed between two pages. The head lies in one page.

    :param size: size of the file.
    :param used: place of the last body.
    """
    slots, alias = record.state.slots, record.alias.encode()
    kind, count = (_ALIAS, len(alias)) if alias else (_SLOTS, len(slots))
    body = alias or struct.pack(f"<{count}q", *slots)
    fits_before = _HEAD.size + len(body) <= used.start
    start = _HEAD.size if fits_before else max(used.stop, _HEAD.size)
    end = start + len(body)
    if end > _LARGEST:
        raise StoreUnusableError("too many requests wait")
    rest = _HEAD.pack(_MAGIC, 0, kind, count, start, record.state.paused_until)[8:]
    head = _MAGIC + struct.pack("<I", zlib.crc32(body, zlib.crc32(rest))) + rest
    parts = [(body, start), (head, 0)] if used.stop else [(head + body, 0)]
    for data, offset in parts:
        if os.pwrite(file, data, offset) != len(data):
            raise StoreUnusableError("no space is left")
    if size > 3 * end + 512:
        os.ftruncate(file, end)


# Owner and mode of the folder in it are checked each time that it is opened.
_IN_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108


@cache
def boot_id() -> str:
    """Return a short id of the machine's current boot; the same text where it has none.

    Without it, moments of an earlier boot are recognised by lying too far ahead.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip().replace("-", "")[:12]
    except OSError:
        return "boot"


def default_folder() -> str:
    """Return the folder of this user's budgets: in memory, where the machine has such a file system."""
    if os.path.isdir(_IN_MEMORY) and os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        root = _IN_MEMORY
    else:
        import tempfile

        root = tempfile.gettempdir()
    return os.path.join(root, f"airflow-dt-{os.geteuid()}")
