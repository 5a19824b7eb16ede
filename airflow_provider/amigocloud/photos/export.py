"""Export of photos: read the galleries, download what is new, and write the list of all photos last."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud.photos.download import path_of, save_photo
from airflow_provider.amigocloud.photos.galleries import Gallery, Photo, photo_of
from airflow_provider.amigocloud.photos.index import COLUMNS, PhotoIndex, read_rows, row_of, write_rows
from airflow_provider.core.files.manifest import PROGRESS_SECONDS, manifest
from airflow_provider.core.files.storage import object_path
from airflow_provider.core.reports.report import Report, observed_lines
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import IncompleteExportError, InputError, one_line

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.amigocloud.hooks import AmigoCloudHook

LIST = "photos.jsonl"
"""Name of the list in the folder."""

BATCH = 256
"""Photos whose rows are kept together: a retry after a crash downloads at most so many of them again."""

_SHOWN = 20


class PhotoExport:
    """Export of a dataset's photos into a folder.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param folder: the folder, with ``/`` at its end.
    :param identity: what identifies the task instance, so that its next attempt finds what this one did.
    :param concurrency: photos that are downloaded at once.
    :param log: receives the lines.
    :param report: observes the rows of the list, and is written after it; None for none.
    """

    def __init__(
        self,
        hook: AmigoCloudHook,
        dataset: str,
        folder: str,
        identity: Sequence[str],
        concurrency: int,
        log: Logger | logging.Logger,
        report: Report | None = None,
    ) -> None:
        self._hook = hook
        self._dataset = dataset
        self._folder = folder
        self._parts = f"{folder}.unfinished-{fingerprint([dataset, *identity])}"
        self._concurrency = concurrency
        self._log = log
        self._report = report
        self._stop = threading.Event()
        self._progress_at = time.monotonic()
        self._new = self._number = 0
        self._missing: list[str] = []
        self._missing_count = 0

    def run(self, galleries: Sequence[Gallery], *, incremental: bool) -> dict[str, Any]:
        """Download the photos, and return the manifest of their list.

        :param galleries: the dataset's galleries.
        :param incremental: whether to leave photos that the folder's list has as they are.
        """
        with tempfile.TemporaryDirectory() as name, closing(PhotoIndex(Path(name, "photos.db"))) as index:
            self._check_folder()
            self._add(index, f"{self._folder}{LIST}", is_done=incremental)
            resumed = self._resume(index)
            self._new += resumed
            if resumed:
                self._log.info("Resuming after %d photos of an earlier attempt", resumed)
            for gallery in galleries:
                self._export(gallery, index)
            return self._publish(index)

    def _check_folder(self) -> None:
        """Refuse a folder that has the photos of another dataset."""
        first = next((row for rows in read_rows(f"{self._folder}{LIST}") for row in rows), None)
        if first is not None and first.get("dataset") != self._dataset:
            raise InputError(
                f"'{self._folder}' has the photos of dataset {first.get('dataset')}: each dataset needs"
                " a folder of its own",
                "output_path",
            )

    def _add(self, index: PhotoIndex, uri: str, *, is_done: bool) -> int:
        added = 0
        for rows in read_rows(uri):
            there = [row for row in rows if row["uri"] is not None]
            index.add(there, is_done=is_done)
            added += len(there)
        return added

    def _resume(self, index: PhotoIndex) -> int:
        """Add what earlier attempts have downloaded; return the number of photos."""
        found = 0
        while object_path(self._part(self._number)).exists():
            found += self._add(index, self._part(self._number), is_done=True)
            self._number += 1
        return found

    def _part(self, number: int) -> str:
        return f"{self._parts}/part-{number:05}.jsonl"

    def _export(self, gallery: Gallery, index: PhotoIndex) -> None:
        photos = (photo for photo in self._photos(gallery) if not index.place(photo, if_done=True))
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="photos") as pool:
            while batch := list(islice(photos, BATCH)):
                rows, error = self._download(pool, batch)
                if rows:
                    encoded = [msgspec.json.encode(row) for row in rows]
                    write_rows(self._part(self._number), encoded)
                    self._number += 1
                    index.add(rows, is_done=True)
                if error is not None:
                    self._log.error("%d photos are in the folder; a retry continues after them", self._new)
                    raise error
                for photo in batch:
                    index.place(photo)

    def _photos(self, gallery: Gallery) -> Iterator[Photo]:
        """Yield a gallery's photos, in the order of their ids.

        :raises IncompleteExportError: when they are more or fewer than the service counts before and after.
        """
        from airflow_provider.amigocloud.export.keyset import KeysetReader
        from airflow_provider.amigocloud.export.readers import ReadOptions
        from airflow_provider.amigocloud.export.sources import UncheckedSource

        reader = KeysetReader(self._hook, gallery.relation, "amigo_id", ReadOptions())
        counts, rows = [gallery.count(self._hook)], 0
        for page in UncheckedSource(reader).pages():
            for row in page.decoded():
                rows += 1
                yield photo_of(gallery, row)
        counts.append(gallery.count(self._hook))
        if not min(counts) <= rows <= max(counts):
            raise IncompleteExportError(
                f"the gallery '{gallery.name}' has {counts[-1]} photos, and {rows} were listed; a retry"
                " continues"
            )

    def _download(
        self, pool: ThreadPoolExecutor, batch: list[Photo]
    ) -> tuple[list[dict[str, Any]], Exception | None]:
        """Download photos; return the rows of those that are there, and the first error."""
        rows, error = [], None
        for photo, found in zip(batch, pool.map(self._save, batch), strict=True):
            if isinstance(found, Exception):
                error = error or found
            elif found is not None:
                rows.append(found)
                self._note(photo, found)
        return rows, error

    def _save(self, photo: Photo) -> dict[str, Any] | Exception | None:
        """Download a photo; return its row, or the error, or None after another one's error."""
        if self._stop.is_set():
            return None
        try:
            return row_of(
                self._dataset, photo, save_photo(self._hook, photo, f"{self._folder}{path_of(photo)}")
            )
        except Exception as error:  # Storage libraries raise errors of any class.
            self._stop.set()
            return error

    def _note(self, photo: Photo, row: dict[str, Any]) -> None:
        if row["uri"] is None:
            self._missing_count += 1
            if len(self._missing) < _SHOWN:
                self._missing.append(photo.id)
            return
        self._new += 1
        if time.monotonic() - self._progress_at > PROGRESS_SECONDS:
            self._progress_at = time.monotonic()
            self._log.info("%d new photos so far", self._new)

    def _publish(self, index: PhotoIndex) -> dict[str, Any]:
        """Write the list, remove what a retry would need, and return the manifest."""
        if self._missing:
            more = ", …" if self._missing_count > len(self._missing) else ""
            self._log.warning(
                "%d photos are listed, but the service has no file for them: %s%s; the next export asks"
                " again",
                *(self._missing_count, one_line(", ".join(self._missing)), more),
            )
        file, rows = write_rows(f"{self._folder}{LIST}", observed_lines(index.rows(), self._report))
        for number in range(self._number):
            object_path(self._part(number)).unlink(missing_ok=True)
        with suppress(OSError):  # Object storage has no folders.
            object_path(self._parts).rmdir()
        found = manifest(file, file_format="jsonl", rows=rows, columns=COLUMNS)
        if self._report is not None:
            found = self._report.finish(found)
        return {
            **found,
            "sha256": file.sha256,
            "new": self._new,
            "missing": self._missing_count,
            "photo_bytes": index.total_bytes(),
        }
