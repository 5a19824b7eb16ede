"""Files of a source on local disk: hashed as they are copied, and checked against what is known of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import ExitStack
from io import BufferedWriter
from pathlib import Path
from typing import Any, NamedTuple, Self

from airflow_provider.core.files.atomic import NamedFile
from airflow_provider.core.files.listing import SourceFile
from airflow_provider.core.files.storage import LOCAL, object_path
from airflow_provider.errors import InputError

_BLOCK = 1024 * 1024
"""Bytes that are read at once."""


class LocalFile(NamedTuple):
    """A file of the source as it was read first.

    :param name: its name in errors.
    :param path: where its bytes are on local disk.
    :param format: its format, such as ``csv``.
    :param compressed: whether it is compressed with gzip.
    :param bytes: its size.
    :param sha256: its hash.
    :param expected: what is known of it from a listing or a manifest.
    """

    name: str
    path: str
    format: str
    compressed: bool
    bytes: int
    sha256: str
    expected: SourceFile


class LocalFiles:
    """Copies of files, removed at the end; a file on local disk is read where it is.

    The bytes are read once from object storage. So the rows that are checked are the rows that are loaded.
    """

    def __init__(self) -> None:
        self._folder: str | None = None
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def fetch(self, file: SourceFile) -> LocalFile:
        """Return a file with its hash.

        :param file: the file as it was listed.
        :raises InputError: when it is not there any more.
        """
        from airflow_provider.core.files.reader import open_source

        path = object_path(file.path)
        is_local = path.protocol in LOCAL
        with ExitStack() as stack:
            opened = stack.enter_context(open_source(file.path, "source"))
            place = Path(path.path) if is_local else self._new_path()
            out = (
                None if is_local else stack.enter_context(BufferedWriter(NamedFile(str(place), "wb", place)))
            )
            digest, size = _copy(opened, out)
        compressed = file.path.lower().endswith(".gz")
        return LocalFile(file.name, str(place), file.format, compressed, size, digest, file)

    def _new_path(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="twin-load-")
        self._count += 1
        return Path(self._folder, str(self._count))


def open_local(file: LocalFile) -> Any:
    """Open a file for reading bytes.

    :raises InputError: when it is not as it was when it was read first.
    """
    try:
        opened = open(file.path, "rb")  # noqa: SIM115 - the caller closes it
    except FileNotFoundError:
        raise InputError("the file vanished while it was read", f"source '{file.name}'") from None
    if os.fstat(opened.fileno()).st_size != file.bytes:
        opened.close()
        raise InputError("the file changed while it was read", f"source '{file.name}'")
    return opened


def _copy(file: Any, out: Any) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if out is not None:
            out.write(block)
    return digest.hexdigest(), size


def content_problems(file: LocalFile) -> list[str]:
    """Return how a file differs from what its listing or its manifest says."""
    expected = file.expected
    if expected.bytes != file.bytes:
        return [f"'{file.name}' has {file.bytes} bytes, and it had {expected.bytes} when it was found"]
    if expected.sha256 and expected.sha256 != file.sha256:
        return [f"'{file.name}' has other bytes than its manifest says (sha256)"]
    return []
