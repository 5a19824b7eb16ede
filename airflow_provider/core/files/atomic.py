"""Bytes out: one file, written beside its final name, published in one step, or not at all."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


_LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class AtomicFile:
    """A file on its way to its final name.

    Within the ``with`` block bytes are written to a file of no name that counts. When the block ends well the
    file gets its final name in one step (a rename on local disk, one upload on object storage); when it ends
    with an exception, nothing is left, and what had the name before still has it.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes.
    """

    def __init__(self, output_path: str) -> None:
        self.uri = output_path
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._part: Path | None = None
        self._target: ObjectStoragePath | None = None

    @property
    def sha256(self) -> str:
        """The hash of all bytes written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        """Write bytes."""
        if self._file is None:
            raise ValueError("the publication is not open")
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is published."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be written, as file-like objects tell it (pyarrow asks)."""
        return self._file is None

    def __enter__(self) -> Self:
        from airflow.sdk import ObjectStoragePath

        if not self.uri.strip() or self.uri.endswith("/"):
            raise InputError(f"'{self.uri}' names no file", "output_path")
        self._target = ObjectStoragePath(self.uri)
        path = Path(self._target.path)
        if self._is_local(self._target):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part, self._file = _open_temporary(path.parent, path.name, mode=0o666)
        else:
            self._part, self._file = _open_temporary(Path(tempfile.gettempdir()), path.name, mode=0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._file is None or self._part is None or self._target is None:
            return
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._publish(self._part, self._target)
        finally:
            self._part.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    @staticmethod
    def _is_local(path: ObjectStoragePath) -> bool:
        return path.protocol in ("", "file", "local")

    def _publish(self, part: Path, target: ObjectStoragePath) -> None:
        if self._is_local(target):
            part.replace(target.path)
        else:
            target.fs.put_file(str(part), target.path)


def _open_temporary(folder: Path, name: str, mode: int) -> tuple[Path, IO[bytes]]:
    """Open a file beside its final name, locked as long as its process lives; give its path, too."""
    _remove_leftovers(folder, name)
    while True:
        part = folder / f".{name}.{uuid.uuid4().hex[:12]}.part"
        file = os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb")
        with suppress(OSError):  # a file system without locks: nothing will be removed there
            fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()  # somebody took it for a leftover in the instant before it was locked


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove the files that killed processes have left: no living one has locked them."""
    for part in folder.glob(f".{glob.escape(name)}.*.part"):
        # In a folder that others write to, anything may lie under such a name: a link, a pipe that waits.
        with suppress(OSError), os.fdopen(os.open(part, _LOOK), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)
