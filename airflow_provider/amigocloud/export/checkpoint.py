"""Checkpoint of an export: pages that earlier attempts have read, so that a retry reads only the rest.

Pages are saved in parts, in a folder beside the output whose name begins with a dot. Parts on object storage
are compressed; on local disk that would take more time than all the rest of an export. The task's state store
(Airflow 3.3) holds the number of complete parts, and where to resume after them.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Raw

from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.storage import is_local, object_path
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import (
    IncompleteExportError,
    InputError,
    PlanRejectedError,
    ProviderError,
    RequestRejectedError,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


PART_ROWS = 50_000
"""Rows after which a part is saved; until then they are held in memory."""

PART_BYTES = 32 * 1024 * 1024
"""Bytes of JSON after which a part is saved, whatever its number of rows."""

_USELESS = (IncompleteExportError, InputError, PlanRejectedError, RequestRejectedError)
"""Errors after which the saved pages cannot be used."""

_STORE_KEY = "amigocloud_export_parts"

ResumePoint = str | bool | int | float
"""Where to resume reading: the key of the last row, or the link to the next page."""


class SavedPages(msgspec.Struct):
    """Description of all saved parts together, as stored.

    :param request: fingerprint of the export's request; parts of another request are not used. It names their
        folder, so it is nothing but a fingerprint.
    :param state: hash of the snapshot that the rows belong to.
    :param count: rows of the snapshot, as the service counted them.
    :param limit: maximum rows per reply of the service.
    :param columns: columns of the rows.
    :param parts: number of complete parts.
    :param rows: number of rows in them.
    :param resume_point: where to resume after the last part.
    :param served_at: the service's time when it sent the first page.
    :param compressed: whether the parts are compressed, as all parts were once. These have checksums of
        their own.
    :param checksum: CRC-32 of the content of all parts that are not compressed.
    """

    request: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,64}$")]
    state: str
    count: int | None
    limit: int | None
    columns: list[Column] | None
    parts: int = 0
    rows: int = 0
    resume_point: ResumePoint | None = msgspec.field(default=None, name="place")
    served_at: datetime | None = None
    compressed: bool = True
    checksum: int = 0


class Checkpoint:
    """The saved pages of one export.

    :param store: the task's state store; without it no page is saved.
    :param output_path: path of the export's file.
    :param request: what is exported, as JSON.
    :param log: gets a line when the export resumes, or starts over.
    """

    def __init__(self, store: Any, output_path: str, request: Mapping[str, Any], log: Logger) -> None:
        self._store = store
        self._log = log
        if store is None:
            log.info(
                "No task state store is available (it needs Airflow 3.3): after a crash, a retry starts over"
            )
        self._request = fingerprint({**request, "output_path": output_path})
        self._output_path = output_path
        self.saved = self._load()

    def discard_unless(self, state: str, reason: str) -> None:
        """Delete the saved pages unless they belong to a state.

        :param state: hash of the snapshot to read.
        :param reason: why pages of another state cannot be used, for the log.
        """
        if self.saved is not None and self.saved.state != state:
            self._log.info("An earlier attempt read %d rows, but %s: starting over", self.saved.rows, reason)
            self.delete()
            self.saved = None

    def replay(self) -> Iterator[Page]:
        """Yield the saved pages.

        :raises IncompleteExportError: when a part is damaged, at the latest after the last one; the next
            attempt starts over.
        """
        if self.saved is None:
            return
        self._log.info("Resuming after %d rows of an earlier attempt", self.saved.rows)
        from airflow_provider.core.files.reader import open_source

        saved, checksum = self.saved, 0
        for number in range(saved.parts):
            with open_source(self._part(saved, number), "part of an export") as file:
                text = _unpacked(file.read()) if saved.compressed else file.read()
            checksum = 0 if saved.compressed else zlib.crc32(text, checksum)
            rows = [Raw(line) for line in text.split(b"\n")]
            yield Page(rows, None, saved.count, saved.limit, saved.columns, text, saved.served_at)
        if checksum != saved.checksum:
            raise IncompleteExportError("the saved parts of the export are damaged: their checksum differs")

    def record(
        self, pages: Iterator[Page], state: str, resume_point: Callable[[Page], ResumePoint | None]
    ) -> Iterator[Page]:
        """Yield pages, and save them a part at a time; the part that completes the export is not saved.

        :param pages: the pages after the saved ones.
        :param state: hash of the snapshot that they belong to.
        :param resume_point: returns where to resume after a page; None at the end.
        """
        pending: list[bytes] = []
        rows = size = 0
        for page in pages:
            if self.saved is None:
                self.saved = self._begin(page, state)
            if self._store is not None and page.rows:
                pending.append(page.lines())
                rows, size = rows + len(page.rows), size + len(pending[-1])
            is_full = rows >= PART_ROWS or size >= PART_BYTES
            is_last = self.saved.rows + rows == self.saved.count
            if is_full and not is_last and (point := resume_point(page)) is not None:
                self._save_part(self.saved, pending, rows, point)
                pending, rows, size = [], 0, 0
            yield page

    def keep_after(self, error: ProviderError) -> None:
        """Keep the saved pages for the retry, or delete them if resuming would fail in the same way.

        :param error: the error that ended the export.
        """
        if self.saved is None or not self.saved.parts:
            return
        if isinstance(error, _USELESS):
            self._log.info("The %d saved rows cannot be used: a retry starts over", self.saved.rows)
            self.delete()
        else:
            self._log.info("%d rows are saved: a retry resumes after them", self.saved.rows)

    def delete(self) -> None:
        """Delete the saved pages: the export is published, or they cannot be used."""
        if self._store is None:
            return
        TaskPauses.here().rest(self._log)  # a successor may read the pages
        if self.saved is not None and self.saved.parts:
            self._store.delete(_STORE_KEY)
        self._delete_folder(self._request)

    def _delete_folder(self, request: str) -> None:
        folder = object_path(self._folder(request))
        if not folder.exists():
            return
        # An attempt that was killed may have left temporary files and parts that the store does not count.
        for part in list(folder.iterdir()):
            part.unlink(missing_ok=True)
        if folder.exists():  # object storage has no folders
            folder.rmdir()

    def _folder(self, request: str) -> str:
        folder, slash, name = self._output_path.rpartition("/")
        return f"{folder}{slash}.{name}.{request}.parts"

    def _begin(self, page: Page, state: str) -> SavedPages:
        """Return the description before the first part."""
        return SavedPages(
            self._request,
            state,
            page.count,
            page.limit,
            page.columns,
            served_at=page.served_at,
            compressed=not is_local(self._output_path),
        )

    def _save_part(self, saved: SavedPages, pages: list[bytes], rows: int, resume_point: ResumePoint) -> None:
        checksum = saved.checksum
        with AtomicFile(self._part(saved, saved.parts), hashed=False) as part:
            if saved.compressed:
                part.write(gzip.compress(b"\n".join(pages), 1))
            else:
                for number, text in enumerate(pages):
                    for piece in (b"\n", text) if number else (text,):
                        part.write(piece)
                        checksum = zlib.crc32(piece, checksum)
        saved.parts += 1
        saved.rows += rows
        saved.checksum = checksum
        saved.resume_point = resume_point
        self._store.set(_STORE_KEY, msgspec.to_builtins(saved))

    def _load(self) -> SavedPages | None:
        if self._store is None:
            return None
        try:
            saved = msgspec.convert(self._store.get(_STORE_KEY), SavedPages)
        except (msgspec.ValidationError, UnicodeEncodeError):
            return None
        if saved.request == self._request:
            return saved
        # The task was changed between two attempts. If its path was changed, too, its old parts stay.
        self._store.delete(_STORE_KEY)
        self._delete_folder(saved.request)
        return None

    def _part(self, saved: SavedPages, number: int) -> str:
        suffix = ".jsonl.gz" if saved.compressed else ".jsonl"
        return f"{self._folder(self._request)}/{number:05d}{suffix}"


def _unpacked(data: bytes) -> bytes:
    """Return the rows of a part.

    :raises IncompleteExportError: when it is damaged; the next attempt starts over.
    """
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise IncompleteExportError(f"a saved part of the export is damaged: {error}") from None


class NoCheckpoint(Checkpoint):
    """A checkpoint that saves nothing, for rows that are read at once."""

    def __init__(self) -> None:
        self.saved = None

    def replay(self) -> Iterator[Page]:
        """Yield nothing."""
        yield from ()

    def record(
        self, pages: Iterator[Page], state: str, resume_point: Callable[[Page], ResumePoint | None]
    ) -> Iterator[Page]:
        """Return the pages as they are."""
        return pages
