"""List of the photos in a folder: a row for each, in a database on local disk while they are collected."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from airflow_provider.amigocloud.photos.galleries import Photo
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.storage import object_path
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError

COLUMNS = (
    "dataset",
    "gallery",
    "gallery_name",
    "source_amigo_id",
    "amigo_id",
    "filename",
    "uri",
    "bytes",
    "sha256",
)
"""Columns of the list: ``source_amigo_id`` is the row's ``amigo_id``, and ``uri`` is null without a photo."""


_ADD = """
INSERT INTO photos VALUES (?, ?, ?, ?, ?, NULL, ?) ON CONFLICT DO UPDATE SET
  source = excluded.source, filename = excluded.filename, is_done = excluded.is_done, row = excluded.row
WHERE ? OR source IS NOT excluded.source OR filename IS NOT excluded.filename"""


class PhotoIndex:
    """Photos that are in a folder, by gallery and id.

    :param path: path of the database, which does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # The file lives as long as the task, so nothing of it must outlive a crash.
        self._database = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE photos (gallery, id, source, filename, is_done, place, row,"
            " PRIMARY KEY (gallery, id)) WITHOUT ROWID",
            "CREATE INDEX places ON photos (place)",
        ):
            self._database.execute(statement)
        self._place = 0

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, rows: list[dict[str, Any]], *, is_done: bool) -> None:
        """Add photos; they are no part of the list until they are placed.

        A photo without a file takes no other one's place: an earlier file of it is better than none.

        :param is_done: whether they need not be downloaded again.
        """
        self._database.executemany(
            _ADD,
            [
                (
                    *(row[name] for name in ("gallery", "amigo_id", "source_amigo_id", "filename")),
                    *(is_done, msgspec.json.encode(row), row["uri"] is not None),
                )
                for row in rows
            ],
        )

    def place(self, photo: Photo, *, if_done: bool = False) -> bool:
        """Put a photo at the end of the list; return False when it is not there as this row's, by this name.

        :param if_done: whether only a photo counts that need not be downloaded again.
        """
        self._place += 1
        return bool(
            self._database.execute(
                "UPDATE photos SET place = ? WHERE gallery = ? AND id = ? AND source IS ? AND filename IS ?"
                " AND is_done >= ?",
                (self._place, photo.gallery.id, photo.id, photo.source, photo.filename, if_done),
            ).rowcount
        )

    def rows(self) -> Iterator[bytes]:
        """Yield the JSON of each photo of the list, in its order."""
        for (row,) in self._database.execute("SELECT row FROM photos WHERE place > 0 ORDER BY place"):
            yield row

    def total_bytes(self) -> int:
        """Return the bytes of all photos of the list."""
        found = self._database.execute(
            "SELECT sum(json_extract(CAST(row AS TEXT), '$.bytes')) FROM photos WHERE place > 0"
        )
        return int(found.fetchone()[0] or 0)


def read_rows(uri: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a list that was written before, some hundred at a time; none when it is not there.

    :param uri: path of the list, in JSON Lines.
    :raises InputError: when it is no such list.
    """
    rows: list[dict[str, Any]] = []
    try:
        file = object_path(uri).open("rb")  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        return
    with file:
        for line in file:
            rows.append(_read_row(line, uri))
            if len(rows) == _ROWS:
                yield rows
                rows = []
    yield rows


def _read_row(line: bytes, uri: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        row = {}
    if row.keys() != set(COLUMNS):
        raise InputError(
            f"'{shown_path(uri)}' is no list of photos, or was cut off: move it away", "output_path"
        )
    return row


_ROWS = 500


def write_rows(uri: str, rows: Iterator[bytes] | list[bytes]) -> tuple[AtomicFile, int]:
    """Write a list; return its file, and the number of its rows."""
    count = 0
    with AtomicFile(uri) as file:
        for row in rows:
            file.write(row + b"\n")
            count += 1
    return file, count


def row_of(dataset: str, photo: Photo, saved: Any | None) -> dict[str, Any]:
    """Return the row of a photo.

    :param dataset: id of the dataset.
    :param photo: the photo.
    :param saved: its file; None when the service has none.
    """
    values: Mapping[str, Any] = {
        "dataset": dataset,
        "gallery": photo.gallery.id,
        "gallery_name": photo.gallery.name,
        "source_amigo_id": photo.source,
        "amigo_id": photo.id,
        "filename": photo.filename,
        "uri": saved.uri if saved else None,
        "bytes": saved.bytes if saved else None,
        "sha256": saved.sha256 if saved else None,
    }
    return {name: values[name] for name in COLUMNS}
