"""Manifest of an export in parts: the list of its files, written when all of them are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import msgspec

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.paths.checks import sha256_of
from airflow_provider.core.files.paths.manifests import NoManifestError, manifest_data
from airflow_provider.core.files.storage import StoredFile, object_path, storage_errors
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError
from airflow_provider.warehouse.results import PartFile, PartResult

_THREADS = 8
"""Files that are checked at the same time."""

_PARQUET = ("parquet", "geoparquet")


def file_problems(results: Sequence[PartResult], *, checksums: bool) -> list[str]:
    """Return which files are not in storage as their tasks wrote them.

    :param results: results of the tasks.
    :param checksums: whether files are read to compare their hashes, too.
    """
    checks = [_FileCheck(result, file) for result in results for file in result.all_files()]
    # Storage is opened here, because that looks up a connection: a task asks Airflow from its main thread.
    problems = [check.open() for check in checks]
    opened = [check for check in checks if check.storage is not None]
    with ThreadPoolExecutor(_THREADS) as pool:
        problems += pool.map(lambda check: check.problem(checksums=checksums), opened)
    return [problem for problem in problems if problem]


class _FileCheck:
    """Check of one file."""

    def __init__(self, result: PartResult, file: PartFile) -> None:
        self.storage: Any = None
        self._file = file
        self._path = ""
        self._is_parquet = result.format in _PARQUET and find_spec("pyarrow") is not None
        self._place = f"{result.label}: the file '{file.uri}'"

    def open(self) -> str | None:
        """Open the file's storage; return the problem if it cannot be opened."""
        try:
            path = object_path(self._file.uri)
            self.storage, self._path = path.fs, path.path
        except Exception as error:  # Storage libraries raise errors of any class.
            return self._unreadable(error)
        return None

    def problem(self, *, checksums: bool) -> str | None:
        """Return the problem of the file, if there is one."""
        expected = self._file
        try:
            with storage_errors(expected.uri, "read"):
                size = self.storage.info(self._path)["size"]
            if size != expected.bytes:
                return f"{self._place} has {size} bytes, and its task wrote {expected.bytes}; clear the task"
            if checksums and expected.sha256 and self._sha256() != expected.sha256:
                return f"{self._place} has other bytes than its task wrote; clear the task"
            rows = self._rows() if self._is_parquet else expected.rows
        except FileNotFoundError:
            return f"{self._place} is not there; clear its task"
        except OSError as error:
            if error.errno is not None:  # It is the storage's, which may answer a retry of this task.
                raise
            return self._unreadable(error)
        except Exception as error:  # Storage and Parquet libraries raise errors of any class.
            return self._unreadable(error)
        if expected.rows is not None and rows != expected.rows:
            return f"{self._place} has {rows} rows, and its task wrote {expected.rows}; clear the task"
        return None

    def _unreadable(self, error: Exception) -> str:
        return f"{self._place} cannot be read: {type(error).__name__}: {error!s:.300}"

    def _rows(self) -> int:
        """Return the number of rows that a Parquet file's footer has."""
        from pyarrow import parquet

        with storage_errors(self._file.uri, "read"):
            opened = self.storage.open(self._path, "rb")
        with StoredFile(opened, self._file.uri) as file:
            return int(parquet.read_metadata(file).num_rows)

    def _sha256(self) -> str:
        with storage_errors(self._file.uri, "read"):
            return sha256_of(self.storage, self._path)


def manifest_of(results: Sequence[PartResult]) -> dict[str, Any]:
    """Return the manifest of all parts together, the same for the same parts.

    :param results: results of the tasks, in the order of their parts.
    """
    first = results[0]
    files = [file for result in results for file in result.all_files()]
    common = {name: getattr(first, name) for name in ("dataset", "state", "plan")}
    return {
        "format": first.format,
        "rows": sum(result.rows for result in results),
        "bytes": sum(file.bytes for file in files),
        "files": [msgspec.to_builtins(file) for file in files],
        "columns": first.columns,
        **{name: value for name, value in common.items() if value is not None},
    }


def write_manifest(output_path: str, manifest: dict[str, Any]) -> str:
    """Write a manifest in one step, and return its location.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes.
    :param manifest: the manifest, see :func:`manifest_of`.
    """
    with AtomicFile(output_path) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
    return file.uri


def read_manifest(path: str) -> dict[str, Any]:
    """Return a manifest: that of :func:`write_manifest`, or any other that operators read files by.

    :param path: its location.
    :raises InputError: when there is none, or the file is no manifest.
    """
    from airflow_provider.core.files.reader import open_source

    with open_source(path, "manifest") as file:
        data = file.read()
    try:
        return manifest_data(data)
    except NoManifestError as error:
        raise InputError(f"'{shown_path(path)}' is no manifest of files: {error}", "manifest") from None
