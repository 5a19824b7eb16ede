"""Storage: its paths and errors, and a check before the first request whether a file can be written."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.mapping import shared_by_mapping
from airflow_provider.core.redaction import redact, shown_path
from airflow_provider.errors import InputError, ProviderError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

LOCAL = ("", "file", "local")
"""Protocols of local disk."""

_WITH_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "wasb", "oss")
"""Protocols whose first part of a path is a bucket or container, which is never created by writing."""


_PASSING_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EBUSY, errno.EAGAIN)
"""Numbers of errors that pass; libraries of storages use EBUSY for 503."""

_PASSING_CLASSES = {"TimeoutError", "ConnectionError", "HTTPClientError", "ClientConnectionError"}
"""Names of classes of errors that pass, of Python and of the libraries of storages."""

_LOST = re.compile(r"[\0\t\n\r]|://.*::(?!\w+://)", re.DOTALL)
"""Parts of a path that storages' libraries drop without a word, so that another file is meant, or refuse."""

_UNKNOWN = ("No filesystem registered", "Unsupported filesystem")
"""Beginnings of the errors about an unknown protocol, of Airflow and of universal_pathlib."""


def absolute(path: str) -> str:
    """Return a path from the root; a relative one is in the working folder, and a URL stays as it is.

    :param path: a path, or any URL that ``ObjectStoragePath`` takes.
    """
    return path if "://" in path or path.startswith(("/", "~")) else os.path.abspath(path)


def object_path(path: str) -> ObjectStoragePath:
    """Return the ``ObjectStoragePath`` of a path; Airflow 3.1 takes a relative one for one from the root.

    :param path: a path, or any URL that ``ObjectStoragePath`` takes.
    :raises InputError: when it is not certain to lead to the file that it names.
    """
    from airflow.sdk import ObjectStoragePath

    if _LOST.search(path):
        raise InputError("a path may not have line breaks, tabs, NUL characters, or '::' in a URL")
    return ObjectStoragePath(absolute(path))


def is_no_file(path: str) -> bool:
    """Return whether a local path leads to a device, a named pipe, a socket, or in a circle of links.

    Reading from one of them could wait without end, or never come to an end.

    :param path: the path.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.errno == errno.ELOOP
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_local(path: str) -> bool:
    """Return whether a path leads to local disk.

    :param path: a path, or any URL that ``ObjectStoragePath`` takes.
    """
    return object_path(path).protocol in LOCAL


def storage_path(path: str, subject: str, purpose: str = "opened") -> Any:
    """Return the ``ObjectStoragePath`` of a path whose storage Airflow knows.

    :param path: a path, or any URL that ``ObjectStoragePath`` takes.
    :param subject: what the file is, for the error.
    :param purpose: what cannot be done with it, for the error.
    :raises InputError: when it has none, such as a protocol of no installed provider.
    """
    try:
        found = object_path(path)
        _ = found.fs
    except ValueError as error:
        reason = str(error)
        if reason.startswith(_UNKNOWN):
            reason = f"{path.partition('://')[0]}:// needs an Airflow provider that is not installed here"
        raise InputError(f"'{shown_path(path)}' cannot be {purpose}: {reason}", subject) from None
    return found


@contextmanager
def storage_errors(path: str, purpose: str) -> Iterator[None]:
    """Name the path in errors of object storage, whose libraries repeat no more than the service's words.

    What says that there is no such file or folder stays an error of its class.

    :param path: a path, or any URL that ``ObjectStoragePath`` takes.
    :param purpose: what cannot be done with it, for the error.
    :raises OSError: naming the path and the reason.
    """
    try:
        yield
    except (ProviderError, IsADirectoryError, NotADirectoryError):
        raise
    except Exception as error:  # Storage libraries raise errors of any class.
        if is_local(path):
            raise
        if isinstance(error, FileNotFoundError):
            text = f"cannot be {purpose}: not found"
            raise FileNotFoundError(errno.ENOENT, text, shown_path(path)) from None
        # The library's own error has the code, such as SlowDown.
        cause = error.__cause__ or error.__context__ or error
        reason = redact(f"{type(cause).__name__}: {cause}").removesuffix(": ")
        raise OSError(errno.EIO, f"cannot be {purpose}: {reason:.500}", shown_path(path)) from None


class StoredFile(io.RawIOBase):
    """A file of object storage that is open for reading, whose errors name it.

    :param file: the file, as the storage's library opens it.
    :param path: its path, for errors.
    """

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return that any position can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer; returns their number."""
        with storage_errors(self._path, "read"):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Read all bytes that are left."""
        with storage_errors(self._path, "read"):
            return bytes(self._file.read())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; returns it."""
        return int(self._file.seek(offset, whence))

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


def ensure_writable(output_path: str, argument: str = "output_path") -> None:
    """Check that a file can be written, without leaving anything behind but its local folder.

    On local disk a temporary file is created in the folder and removed. On object storage the connection is
    opened and the bucket looked up, because whether a key may be written shows only when it is. A storage
    that is full, down or busy is no invalid argument: the task is retried.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes.
    :param argument: the operator's argument, for the error.
    :raises InputError: naming the path and the reason; also when all tasks of a mapping share the path.
    :raises OSError: the same, when a later attempt may succeed.
    """
    given: object = output_path
    if not isinstance(given, str) or not given.strip() or given.endswith("/"):
        shown = f"'{shown_path(given)}'" if isinstance(given, str) else f"{given!r:.200}"
        raise InputError(f"{shown} names no file", argument)
    if shared_by_mapping(argument):
        raise InputError(
            f"'{shown_path(output_path)}' is the path of all tasks of this mapping, of which each would"
            " replace the file of another; put {{ ti.map_index }} into it, or give it to expand()",
            argument,
        )
    try:
        target = storage_path(output_path, argument, "written")
        if target.protocol in LOCAL:
            _check_folder(Path(target.path))
        else:
            _check_bucket(target, output_path)
    except InputError:
        raise
    except Exception as error:  # Storage libraries raise errors of any class.
        reason = redact(f"{type(error).__name__}: {error}")
        if conn_id := _missing_connection(output_path):
            reason = f"there is no connection '{conn_id}'; without it: {reason}"
        elif _may_pass(error):
            raise OSError(errno.EIO, f"cannot be written: {reason:.500}", shown_path(output_path)) from None
        raise InputError(f"'{shown_path(output_path)}' cannot be written: {reason:.500}", argument) from None


def _may_pass(error: Exception) -> bool:
    """Return whether an error of a storage or a disk may be gone at the next attempt."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_PASSING_CLASSES) or getattr(error, "errno", None) in _PASSING_NUMBERS


def beginning(name: str) -> str:
    """Return the beginning of a file's name, short enough to have a name made of it: they have 255 bytes.

    :param name: the name.
    """
    return name.encode(errors="surrogateescape")[:200].decode(errors="ignore")


def _missing_connection(path: str) -> str | None:
    """Return the id of the connection that a path names, when there is none; storages do without it then."""
    from airflow.sdk import BaseHook

    from airflow_provider.core.compat import connection_not_found

    conn_id: str | None = getattr(object_path(path), "conn_id", None)
    try:
        if conn_id:
            BaseHook.get_connection(conn_id)
    except connection_not_found():
        return conn_id
    return None


def _check_folder(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    if is_no_file(str(path)):
        raise FileExistsError("it is no regular file, and would be replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, probe = tempfile.mkstemp(prefix=f".{beginning(path.name)}.", suffix=".probe", dir=path.parent)
    os.close(descriptor)
    with suppress(FileNotFoundError):
        Path(probe).unlink()


def _check_bucket(target: Any, path: str) -> None:
    filesystem = target.fs
    if target.protocol not in _WITH_BUCKETS:
        return
    bucket = str(target.path).lstrip("/").partition("/")[0]
    if filesystem.exists(bucket):
        return
    # It was not found for any reason, also because the storage is down, or its connection is missing.
    with suppress(FileNotFoundError, PermissionError):
        if not _missing_connection(path):
            filesystem.info(bucket)
            return
    raise FileNotFoundError(f"there is no bucket '{bucket}', or it may not be read")
