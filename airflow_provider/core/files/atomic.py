"""Atomic files: bytes go to a temporary file, renamed on success."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import io
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from airflow_provider.core.files.storage import beginning, is_local, object_path, storage_errors
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


_log = logging.getLogger(__name__)

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


@contextmanager
def named_errors(place: object) -> Iterator[None]:
    """Add a place to errors of the local disk: those of an open file name none.

    :param place: path of the file, or of its folder.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(place)) from None


class NamedFile(io.FileIO):
    """A file without a buffer, whose errors name a place.

    :param file: its path, or its descriptor.
    :param mode: as of :func:`open`.
    :param place: the place.
    """

    def __init__(self, file: str | int, mode: str, place: object) -> None:
        super().__init__(file, mode)
        self._place = place

    def write(self, data: Any) -> int:
        """Write bytes; returns their number, which may be smaller than that of the data."""
        with named_errors(self._place):
            return super().write(data)


class SpoolFile(io.BufferedRandom):
    """A file without a name on the local disk, gone when it is closed; its errors name the folder."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            super().__init__(NamedFile(os.dup(file.fileno()), "r+b", tempfile.gettempdir()))

    def close(self) -> None:
        """Close the file; its last bytes, which are not needed any more, may not fit on a full disk."""
        with suppress(OSError):
            super().close()


class AtomicFile:
    """A file that gets its final name in one step, when it is complete.

    Within the ``with`` block, bytes go to a temporary file. When the block ends without an exception, the
    file gets its final name (by a rename on local disk, by one upload on object storage). When the block
    raises, the temporary file is removed, and an earlier file of the same name stays as it was.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes.
    :param hashed: whether to hash the bytes.
    """

    def __init__(self, output_path: str, *, hashed: bool = True) -> None:
        self.uri = output_path
        self.bytes = 0
        self._digest = hashlib.sha256() if hashed else None
        self._file: IO[bytes] | None = None
        self._temporary: Path | None = None
        self._target: ObjectStoragePath | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 hash of all bytes written so far, in hexadecimal; empty if they are not hashed."""
        return self._digest.hexdigest() if self._digest is not None else ""

    def write(self, data: bytes) -> int:
        """Write bytes to the temporary file; returns their number."""
        if self._file is None:
            raise ValueError("the file is not open")
        self._file.write(data)
        if self._digest is not None:
            self._digest.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed before it gets its final name."""

    @property
    def closed(self) -> bool:
        """Return whether the file is closed for writing; pyarrow reads this attribute."""
        return self._file is None

    def __enter__(self) -> Self:
        TaskPauses.here()
        if not self.uri.strip() or self.uri.endswith("/"):
            raise InputError(f"'{self.uri}' names no file", "output_path")
        self._target = object_path(self.uri)
        path = Path(self._target.path)
        if is_local(self.uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary, self._file = _open_temporary(path.parent, path.name, mode=0o666)
        else:
            folder = Path(tempfile.gettempdir())
            self._temporary, self._file = _open_temporary(folder, path.name, mode=0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._file is None or self._temporary is None or self._target is None:
            return
        try:
            if kind is None:
                self._file.flush()
                with named_errors(self._temporary):
                    os.fsync(self._file.fileno())
                # A task that was paused may have a successor, whose file is complete already.
                TaskPauses.here().rest(_log)
                self._set_final_name(self._temporary, self._target)
        finally:
            self._temporary.unlink(missing_ok=True)
            with suppress(OSError):  # After a failure its last bytes may not fit on a full disk.
                self._file.close()
            self._file = None

    def _set_final_name(self, temporary: Path, target: ObjectStoragePath) -> None:
        if is_local(self.uri):
            temporary.replace(target.path)
        else:
            with storage_errors(self.uri, "written"):
                target.fs.put_file(str(temporary), target.path)


def remove_leftovers(output_path: str, names: str) -> None:
    """Remove the temporary files that killed processes have left of files in a folder.

    It is for names that differ from attempt to attempt: each file removes the leftovers of its own name.

    :param output_path: the folder, with ``/`` at its end.
    :param names: pattern of the files' names, with the wildcards of :mod:`glob`.
    """
    folder = object_path(output_path).path if is_local(output_path) else tempfile.gettempdir()
    _remove_leftovers(Path(folder), names)


def _open_temporary(folder: Path, name: str, mode: int) -> tuple[Path, IO[bytes]]:
    """Open a temporary file, locked as long as its process lives; returns its path and the file."""
    name = beginning(name)
    _remove_leftovers(folder, glob.escape(name))
    while True:
        temporary = folder / f".{name}.{uuid.uuid4().hex[:12]}.part"
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        file = io.BufferedWriter(NamedFile(descriptor, "wb", temporary))
        with suppress(OSError):  # On a file system without locks, leftovers are not removed.
            fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # Another process removed the file as a leftover, before it was locked.


def _remove_leftovers(folder: Path, names: str) -> None:
    """Remove the temporary files of killed processes: no living process holds their lock."""
    for leftover in folder.glob(f".{names}.*.part"):
        # In a shared folder, such a name may be a link or a named pipe: neither is followed or waited for.
        with suppress(OSError), os.fdopen(os.open(leftover, _OPEN_FLAGS), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()
