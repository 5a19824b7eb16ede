"""Folder of any object storage: what is in it, freshly listed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from airflow_provider.core.files.storage import LOCAL, storage_errors, storage_path

_FLAT = ("s3", "s3a", "gs", "gcs", "abfs", "abfss")
"""Protocols of storage without real folders, where all files below a prefix are listed at once."""

NOT_REGULAR = -1
"""Size of what is neither a folder nor a file that can be read: a named pipe, a broken or circular link."""


class Found(NamedTuple):
    """A file or folder in storage.

    :param name: its path below the folder that was listed.
    :param is_folder: whether it is a folder.
    :param bytes: size of a file.
    :param etag: the storage's ETag of a file; where there is none, the time of its last change.
    """

    name: str
    is_folder: bool
    bytes: int = 0
    etag: str | None = None


class Folder:
    """A folder, listed without what was cached earlier.

    :param text: its path or URL, which ends in ``/``; empty for the current folder.
    :param subject: what it is, for errors.
    :raises InputError: when its storage is not known.
    """

    def __init__(self, text: str, subject: str = "source") -> None:
        self.text = text
        path = storage_path(text or ".", subject)
        self.is_local = path.protocol in LOCAL
        self._is_flat = path.protocol in _FLAT
        self.storage: Any = path.fs
        self._root = str(self.storage._strip_protocol(path.path)).rstrip("/")
        self.storage.invalidate_cache()

    def entries(self, below: str = "") -> Iterator[Found]:
        """Yield the files and folders of one level; nothing when there is no such folder.

        :param below: path of the level below this folder; empty, or ending in ``/``.
        """
        if self.is_local:
            yield from self._local_entries(below)
            return
        place = f"{self._root}/{below}".rstrip("/")
        try:
            with storage_errors(self.text + below, "listed"):
                listed = self.storage.ls(place, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        for info in listed:
            name = str(info["name"])
            # A folder may have an object of its own, whose key ends in a slash.
            if name.endswith("/") and info["type"] != "directory":
                continue
            # A path that is a file lists itself.
            if name.strip("/") != place.strip("/"):
                yield _found(below + name.rstrip("/").rpartition("/")[2], info)

    def files(self, below: str = "") -> Iterator[Found]:
        """Yield the files of all levels.

        :param below: as for :meth:`entries`.
        """
        if self._is_flat:
            yield from self._flat_files(below)
            return
        left, seen = [below], {self._identity(below)}
        while left:
            for found in self.entries(left.pop()):
                if not found.is_folder:
                    yield found
                elif (identity := self._identity(found.name)) not in seen:
                    seen.add(identity)
                    left.append(f"{found.name}/")

    def info(self, name: str) -> Found | None:
        """Return a file or folder below this one; None when it is not there.

        :param name: its path below this folder.
        """
        try:
            if self.is_local:
                return _of_stat(name, os.stat(f"{self._root}/{name}"))
            with storage_errors(self.text + name, "read"):
                return _found(name, self.storage.info(f"{self._root}/{name}".rstrip("/")))
        except OSError as error:
            if error.errno == errno.ELOOP:
                return Found(name, False, NOT_REGULAR)
            if not _is_absent(error):
                raise
            return None

    def read(self, name: str) -> bytes:
        """Return the bytes of a file below this folder."""
        with (
            storage_errors(self.text + name, "read"),
            self.storage.open(f"{self._root}/{name}", "rb") as file,
        ):
            data = file.read()
        return bytes(data)

    def _flat_files(self, below: str) -> Iterator[Found]:
        place = f"{self._root}/{below}".rstrip("/")
        try:
            with storage_errors(self.text + below, "listed"):
                listed = self.storage.find(place, detail=True)
        except FileNotFoundError:  # There is no such bucket.
            return
        for name, info in listed.items():
            path = str(name).strip("/").removeprefix(place.strip("/")).lstrip("/")
            if path and not str(name).endswith("/") and info["type"] != "directory":
                yield _found(below + path, info)

    def _local_entries(self, below: str) -> Iterator[Found]:
        try:
            with os.scandir(f"{self._root}/{below}") as listed:
                names = [one.name for one in listed]
        except OSError as error:
            if not _is_absent(error):
                raise
            return
        for name in names:
            path = f"{self._root}/{below}{name}"
            try:
                yield _of_stat(below + name, os.stat(path))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
                if os.path.islink(path):  # Its file is missing, which must not go unseen.
                    yield Found(below + name, False, NOT_REGULAR)

    def _identity(self, below: str) -> object:
        """Return what tells a folder from all others: links may lead back to a folder above."""
        return os.path.realpath(f"{self._root}/{below}") if self.is_local else below


def _found(name: str, info: dict[str, Any]) -> Found:
    etag = info.get("ETag") or info.get("etag") or info.get("LastModified") or info.get("mtime")
    is_folder = info["type"] == "directory"
    return Found(name, is_folder, int(info.get("size") or 0), None if etag is None else str(etag))


def _is_absent(error: OSError) -> bool:
    """Return whether an error means that there is nothing of this name, which may be too long for any."""
    return isinstance(error, (FileNotFoundError, NotADirectoryError)) or error.errno == errno.ENAMETOOLONG


def _of_stat(name: str, found: os.stat_result) -> Found:
    if stat.S_ISDIR(found.st_mode):
        return Found(name, True)
    # Renamed files keep their time, so the inode is part of what must stay the same.
    size = found.st_size if stat.S_ISREG(found.st_mode) else NOT_REGULAR
    return Found(name, False, size, f"{found.st_mtime_ns}-{found.st_ino}")
