"""Remembers what an export has read, so that the next try of the task does only what is missing.

Pages are kept in parts, compressed, in a folder beside the output whose name begins with a dot. What the
parts hold together is in the task's state store (Airflow 3.3). A part counts once it is there as a whole.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from airflow_provider.amigocloud.pages import Column, Page
from airflow_provider.core.durable import fingerprint
from airflow_provider.core.sinks import Publication

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

PART_ROWS = 50_000
_NAME = "amigocloud_export_parts"


class Kept(msgspec.Struct):
    """What the parts hold together.

    :param request: what is exported; parts of another request do not count.
    :param state: hash of the snapshot that the rows are from.
    :param last: the last row's key.
    :param count: rows that the service counted in the snapshot.
    :param limit: the most rows that the service gave at once.
    """

    request: str
    state: str
    count: int | None
    limit: int | None
    columns: list[Column] | None
    parts: int = 0
    rows: int = 0
    last: str | int | float | None = None


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
        self._request = fingerprint({**request, "output_path": output_path})
        folder, slash, name = output_path.rpartition("/")
        self._folder = f"{folder}{slash}.{name}.{self._request}.parts"
        self.kept = self._known()

    @property
    def state(self) -> str | None:
        """The snapshot to go on with, None for a fresh one."""
        return self.kept.state if self.kept else None

    def replay(self) -> Iterator[Page]:
        """Give what earlier tries have read."""
        if self.kept is None:
            return
        self._log.info("Going on after %d rows of an earlier try", self.kept.rows)
        from airflow_provider.core.rows import opened

        for n in range(self.kept.parts):
            with opened(self._part(n), "part of an export") as file:
                lines = gzip.decompress(file.read()).split(b"\n")
            yield Page(
                [Raw(line) for line in lines], None, self.kept.count, self.kept.limit, self.kept.columns
            )

    def record(self, pages: Iterator[Page], state: str, key: str) -> Iterator[Page]:
        """Give pages on, and keep them, a part at a time.

        :param state: the snapshot that they are from.
        :param key: the column that they are ordered by.
        """
        waiting: list[Raw] = []
        for page in pages:
            if self.kept is None:
                self.kept = Kept(self._request, state, page.count, page.limit, page.columns)
            waiting += page.rows
            if self._store is not None and len(waiting) >= PART_ROWS:
                self._keep(self.kept, waiting, key)
                waiting = []
            elif self._store is None:
                waiting.clear()
            yield page

    def forget(self) -> None:
        """Take the parts away: the export is published, or they are of no use."""
        if self._store is None:
            return
        from airflow.sdk import ObjectStoragePath

        if self.kept is not None and self.kept.parts:
            self._store.delete(_NAME)
        folder = ObjectStoragePath(self._folder)
        if not folder.exists():
            return
        # A try that was killed may have left more than what counts.
        for part in list(folder.iterdir()):
            part.unlink(missing_ok=True)
        if folder.exists():  # object storage has no folders
            folder.rmdir()

    def _keep(self, kept: Kept, rows: list[Raw], key: str) -> None:
        with Publication(self._part(kept.parts)) as part:
            part.write(gzip.compress(b"\n".join(map(bytes, rows)), 1))
        kept.parts += 1
        kept.rows += len(rows)
        kept.last = msgspec.json.decode(rows[-1], type=dict[str, Any])[key]
        self._store.set(_NAME, msgspec.to_builtins(kept))

    def _known(self) -> Kept | None:
        try:
            kept = msgspec.convert(self._store.get(_NAME), Kept) if self._store is not None else None
        except msgspec.ValidationError:
            return None
        return kept if kept is not None and kept.request == self._request else None

    def _part(self, n: int) -> str:
        return f"{self._folder}/{n:05d}.jsonl.gz"
