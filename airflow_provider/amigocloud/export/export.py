"""Exports rows into one file: complete and published in one step, or not at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.export.formats import open_writer
from airflow_provider.core.compat import gauge
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.manifest import ProgressLog, log_manifest, manifest
from airflow_provider.errors import IncompleteExportError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.amigocloud.export.incremental import Increment
    from airflow_provider.amigocloud.export.sources import Source
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.pagination import Column, Page


class Tally:
    """Counts an export's rows against what the service says, page by page.

    :param log: gets the progress every few seconds; so do Airflow's metrics ``amigocloud.export.rows`` and
        ``amigocloud.export.rows_per_second``.
    :param conn_id: the connection, which tags the metrics.
    """

    def __init__(self, log: Logger, conn_id: str = "") -> None:
        self._tags = {"conn_id": conn_id}
        self._progress = ProgressLog(log)
        self.rows = 0
        self.expected: int | None = None
        self.columns: list[Column] | None = None
        self._first = True

    def add(self, page: Page) -> None:
        """Count a page.

        :raises IncompleteExportError: when it does not belong to the same result as the first one.
        """
        if self._first:
            self.expected, self.columns, self._first = page.count, page.columns, False
        if page.columns is not None and page.columns != self.columns:
            before, now = _names(self.columns), _names(page.columns)
            raise IncompleteExportError(
                f"the columns changed after {self.rows} rows, from {before} to {now}; nothing was published"
            )
        self.rows += len(page.rows)
        if self.expected is not None and self.rows > self.expected:
            raise self._mismatch("at least ")
        self._report()

    def check(self) -> None:
        """Compare at the end.

        :raises IncompleteExportError: when rows are missing.
        """
        if self.expected is not None and self.rows != self.expected:
            raise self._mismatch()

    def _mismatch(self, at_least: str = "") -> IncompleteExportError:
        return IncompleteExportError(
            f"the service counted {self.expected} rows and gave {at_least}{self.rows}; the data may have"
            " changed while it was read; nothing was published"
        )

    def _report(self) -> None:
        if (rate := self._progress.update(self.rows, self.expected)) is not None:
            gauge("amigocloud.export.rows", self.rows, self._tags)
            gauge("amigocloud.export.rows_per_second", rate, self._tags)


def export(
    hook: AmigoCloudHook,
    source: Source,
    output_path: str,
    wanted: Format,
    increment: Increment | None = None,
) -> dict[str, Any]:
    """Write all rows of a source into a file; gives the manifest.

    One page at a time is held in memory.

    :param hook: the connection, not used for anything else: all its requests are counted.
    :param source: the rows.
    :param output_path: see :class:`AtomicFile`.
    :param wanted: the file's format.
    :param increment: leaves out the rows that were exported before.
    :raises IncompleteExportError: when the rows are not what the service says they should be; what had the
        file's name before still has it.
    """
    started = time.monotonic()
    tally, written = Tally(hook.log, hook.conn_id), 0
    with AtomicFile(output_path) as publication:
        with open_writer(publication, wanted) as writer:
            for page in source.pages():
                tally.add(page)
                fresh = increment.fresh(page) if increment else page
                writer.write(fresh)
                written += len(fresh.rows)
        tally.check()
    more: dict[str, Any] = {"state": source.state} if source.state else {}
    if increment is not None:
        more["watermark"] = increment.watermark
    made = manifest(
        publication,
        file_format=wanted.name,
        rows=written,
        columns=writer.columns,
        requests=hook.requests,
        seconds=round(time.monotonic() - started, 3),
        **more,
    )
    return log_manifest(made, hook.log)


def _names(columns: list[Column] | None) -> str:
    return ", ".join(f"{column.name} ({column.type})" for column in columns or ()) or "none"
