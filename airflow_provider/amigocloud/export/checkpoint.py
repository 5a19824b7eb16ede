"""Remembers what an export has read, so that the next try of the task does only what is missing.

Pages are kept in parts, compressed, in a folder beside the output whose name begins with a dot. What the
parts hold together is in the task's state store (Airflow 3.3). A part counts once it is there as a whole.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from airflow_provider.amigocloud.pagination import Column, Page
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import IncompleteExportError, InputError, ProviderError, RequestRejectedError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


PART_ROWS = 50_000


PART_BYTES = 32 * 1024 * 1024
"""A part is kept when it has so many rows, or so many bytes: it is held in memory until then."""

_NAME = "amigocloud_export_parts"

Place = str | int | float
"""Where to go on: a row's key, or the link to a page."""


class Kept(msgspec.Struct):
    """What the parts hold together.

    :param request: what is exported; parts of another request do not count.
    :param state: hash of the snapshot that the rows are from.
    :param count: rows that the service counted in the snapshot.
    :param limit: the most rows that the service gave at once.
    :param place: where to go on behind them.
    """

    request: str
    state: str
    count: int | None
    limit: int | None
    columns: list[Column] | None
    parts: int = 0
    rows: int = 0
    place: Place | None = None


class Journal:
    """The parts of one export.

    :param store: the task's state store; without one nothing is remembered.
    :param output_path: where the export goes.
    :param request: what is exported, as JSON.
    :param log: gets one line when an earlier try is gone on with.
    """

    def __init__(self, store: Any, output_path: str, request: Mapping[str, Any], log: Logger) -> None:
        self._store = store
        self._log = log
        if store is None:
            log.info(
                "No task state store here (it came with Airflow 3.3): a try that comes after a crash begins"
                " anew"
            )
        self._request = fingerprint({**request, "output_path": output_path})
        self._output_path = output_path
        self.kept = self._known()

    def keep_only(self, state: str, otherwise: str) -> None:
        """Take away what earlier tries have read of any other state than this.

        :param otherwise: says why it is of no use.
        """
        if self.kept is not None and self.kept.state != state:
            self._log.info("An earlier try read %d rows, but %s: beginning anew", self.kept.rows, otherwise)
            self.forget()
            self.kept = None

    def replay(self) -> Iterator[Page]:
        """Give what earlier tries have read."""
        if self.kept is None:
            return
        self._log.info("Going on after %d rows of an earlier try", self.kept.rows)
        from airflow_provider.core.files.reader import open_source

        for n in range(self.kept.parts):
            with open_source(self._part(n), "part of an export") as file:
                text = gzip.decompress(file.read())
            rows = [Raw(line) for line in text.split(b"\n")]
            yield Page(rows, None, self.kept.count, self.kept.limit, self.kept.columns, text)

    def record(
        self, pages: Iterator[Page], state: str, place: Callable[[Page], Place | None]
    ) -> Iterator[Page]:
        """Give pages on, and keep them, a part at a time; what completes the export is not kept.

        :param state: the snapshot that they are from.
        :param place: says where to go on behind a page; None at the end.
        """
        waiting: list[bytes] = []
        rows = size = 0
        for page in pages:
            if self.kept is None:
                self.kept = Kept(self._request, state, page.count, page.limit, page.columns)
            if self._store is not None and page.rows:
                waiting.append(page.lines())
                rows, size = rows + len(page.rows), size + len(waiting[-1])
            full = rows >= PART_ROWS or size >= PART_BYTES
            if full and self.kept.rows + rows != self.kept.count and (behind := place(page)) is not None:
                self._keep(self.kept, b"\n".join(waiting), rows, behind)
                waiting, rows, size = [], 0, 0
            yield page

    def failed(self, error: ProviderError) -> None:
        """Say what the next try will do, and take the parts away where going on would end in the same way."""
        if self.kept is None or not self.kept.parts:
            return
        if isinstance(error, (IncompleteExportError, InputError, RequestRejectedError)):
            self._log.info(
                "The %d rows that were kept are of no use: the next try begins anew", self.kept.rows
            )
            self.forget()
        else:
            self._log.info("%d rows are kept: the next try goes on behind them", self.kept.rows)

    def forget(self) -> None:
        """Take the parts away: the export is published, or they are of no use."""
        if self._store is None:
            return
        if self.kept is not None and self.kept.parts:
            self._store.delete(_NAME)
        self._remove(self._request)

    def _remove(self, request: str) -> None:
        from airflow.sdk import ObjectStoragePath

        folder = ObjectStoragePath(self._folder(request))
        if not folder.exists():
            return
        # A try that was killed may have left more than what counts.
        for part in list(folder.iterdir()):
            part.unlink(missing_ok=True)
        if folder.exists():  # object storage has no folders
            folder.rmdir()

    def _folder(self, request: str) -> str:
        folder, slash, name = self._output_path.rpartition("/")
        return f"{folder}{slash}.{name}.{request}.parts"

    def _keep(self, kept: Kept, text: bytes, rows: int, place: Place) -> None:
        with AtomicFile(self._part(kept.parts)) as part:
            part.write(gzip.compress(text, 1))
        kept.parts += 1
        kept.rows += rows
        kept.place = place
        self._store.set(_NAME, msgspec.to_builtins(kept))

    def _known(self) -> Kept | None:
        try:
            kept = msgspec.convert(self._store.get(_NAME), Kept) if self._store is not None else None
        except msgspec.ValidationError:
            return None
        if kept is None or kept.request == self._request:
            return kept
        # The task was changed between two tries. With another path, too, its old parts are not found.
        self._store.delete(_NAME)
        self._remove(kept.request)
        return None

    def _part(self, n: int) -> str:
        return f"{self._folder(self._request)}/{n:05d}.jsonl.gz"
