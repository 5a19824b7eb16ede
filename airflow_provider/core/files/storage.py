"""Storage check: find out before the first request whether a file can be written."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider.core.redaction import redact, shown_path
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

LOCAL = ("", "file", "local")
"""Protocols of local disk."""

_WITH_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "wasb", "oss")
"""Protocols whose first part of a path is a bucket or container, which is never created by writing."""


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
    """
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(absolute(path))


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


def ensure_writable(output_path: str, argument: str = "output_path") -> None:
    """Check that a file can be written, without leaving anything behind but its local folder.

    On local disk a temporary file is created in the folder and removed. On object storage the connection is
    opened and the bucket looked up, because whether a key may be written shows only when it is.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes.
    :param argument: the operator's argument, for the error.
    :raises InputError: naming the path and the reason.
    """
    given: object = output_path
    if not isinstance(given, str) or not given.strip() or given.endswith("/"):
        shown = f"'{shown_path(given)}'" if isinstance(given, str) else f"{given!r:.200}"
        raise InputError(f"{shown} names no file", argument)
    try:
        target = storage_path(output_path, argument, "written")
        if target.protocol in LOCAL:
            _check_folder(Path(target.path))
        else:
            _check_bucket(target)
    except InputError:
        raise
    except Exception as error:  # Storage libraries raise errors of any class.
        reason = redact(f"{type(error).__name__}: {error}")
        raise InputError(f"'{shown_path(output_path)}' cannot be written: {reason:.500}", argument) from None


def _check_folder(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, probe = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".probe", dir=path.parent)
    os.close(descriptor)
    with suppress(FileNotFoundError):
        Path(probe).unlink()


def _check_bucket(target: Any) -> None:
    filesystem = target.fs
    if target.protocol not in _WITH_BUCKETS:
        return
    bucket = str(target.path).lstrip("/").partition("/")[0]
    if not filesystem.exists(bucket):
        raise FileNotFoundError(f"there is no bucket '{bucket}', or it may not be read")
