"""Checks of files: whether their bytes are those that a manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider.core.files.storage import object_path, storage_errors

_THREADS = 8
"""Files that are read at the same time."""

_BLOCK = 1024 * 1024
"""Bytes that are read at once."""


def sha256_of(storage: Any, path: str) -> str:
    """Return the SHA-256 hash of a file, in hexadecimal.

    :param storage: the file system.
    :param path: the file's path in it.
    """
    digest = hashlib.sha256()
    with storage.open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_problems(files: Iterable[tuple[str, str, str | None]]) -> list[str]:
    """Return which files have another hash than their manifest names.

    :param files: name, location and hash of each file; those without a hash are not read.
    """
    hashed = [(name, path, object_path(path), sha256) for name, path, sha256 in files if sha256]
    # Storage is opened here, because that looks up a connection: a task asks Airflow from its main thread.
    opened = [(name, path, target.fs, target.path, sha256) for name, path, target, sha256 in hashed]

    def check(one: tuple[str, str, Any, str, str]) -> str | None:
        name, path, storage, place, sha256 = one
        try:
            with storage_errors(path, "read"):
                same = sha256_of(storage, place) == sha256.lower()
        except FileNotFoundError:
            return f"{name}: is not there any more"
        return None if same else f"{name}: has another SHA-256 hash than the manifest says"

    with ThreadPoolExecutor(_THREADS) as pool:
        return [problem for problem in pool.map(check, opened) if problem]
