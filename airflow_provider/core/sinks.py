"""Bytes out: one file, written beside its final name, published in one step, or not at all."""

from __future__ import annotations

import fcntl
import glob
import gzip
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.types import Logger

_LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class Publication:
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
            self._part, self._file = _open_part(path.parent, path.name, mode=0o666)
        else:
            self._part, self._file = _open_part(Path(tempfile.gettempdir()), path.name, mode=0o600)
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


def _open_part(folder: Path, name: str, mode: int) -> tuple[Path, IO[bytes]]:
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


class RowWriter:
    """Writes rows into a publication; the base of the row formats."""

    def __init__(self, out: IO[bytes] | Publication | gzip.GzipFile, columns: Sequence[str] = ()) -> None:
        self._out = out
        self.columns = list(columns)
        self.rows = 0

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows; the first ones say which columns there are, when nothing else did."""
        raise NotImplementedError

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows that are JSON already, undecoded where the format allows that.

        :param text: a row a line, without a line break at the end.
        :param rows: how many they are.
        """
        import msgspec

        self.write_rows(msgspec.json.Decoder(dict[str, Any]).decode_lines(text))

    def close(self) -> None:
        """Write what belongs at the end."""


class JsonLinesWriter(RowWriter):
    """One JSON object a line."""

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows."""
        import msgspec

        lines = []
        for row in rows:
            if not self.columns:
                self.columns = list(row)
            lines.append(msgspec.json.encode(row))
        self.write_lines(b"\n".join(lines), len(lines))

    def write_lines(self, text: bytes, rows: int) -> None:
        """Write rows that are JSON already, as they are."""
        if rows:
            self._out.write(text + b"\n")
            self.rows += rows


class CsvWriter(RowWriter):
    """Comma-separated values with a header, quoted where needed, in UTF-8; null is an empty field."""

    def __init__(self, out: IO[bytes] | Publication | gzip.GzipFile, columns: Sequence[str] = ()) -> None:
        super().__init__(out, columns)
        self._headed = False

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows.

        :raises InputError: when a row has a column that the first rows had not.
        """
        rows = list(rows)
        if not self.columns and rows:
            self.columns = list(rows[0])
        lines = [self._line(row) for row in rows]
        self._head()
        self._write(lines)
        self.rows += len(lines)

    def close(self) -> None:
        """Write the header, when there was no row."""
        self._head()

    def _head(self) -> None:
        if not self._headed and self.columns:
            self._write([self.columns])
            self._headed = True

    def _line(self, row: dict[str, Any]) -> list[Any]:
        unknown = row.keys() - set(self.columns)
        if unknown:
            raise InputError(f"row {self.rows + 1} has columns that the first row had not: {sorted(unknown)}")
        return [_field(row.get(name)) for name in self.columns]

    def _write(self, lines: list[Any]) -> None:
        import csv
        import io

        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._out.write(text.getvalue().encode())


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import msgspec

        return msgspec.json.encode(value).decode()
    return value


def manifest(
    publication: Publication, *, file_format: str, rows: int, columns: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Describe a published file, as operators return it: small JSON, no rows.

    :param publication: the file.
    :param file_format: name of its format.
    :param rows: how many rows it holds.
    :param columns: names of its columns.
    :param more: ``requests``, ``seconds``, and what else applies (``watermark``, ``state``).
    """
    file = {"uri": publication.uri, "rows": rows, "bytes": publication.bytes}
    return {
        "uri": publication.uri,
        "format": file_format,
        "rows": rows,
        "bytes": publication.bytes,
        "files": [file],
        "columns": list(columns),
        **more,
    }


def logged(manifest: dict[str, Any], log: Logger) -> dict[str, Any]:
    """Say in one log line what an export has made, and give its manifest on."""
    log.info(
        "Exported %d rows, %d bytes, with %d requests in %.1f s: %s",
        *(manifest[name] for name in ("rows", "bytes", "requests", "seconds", "uri")),
    )
    return manifest
