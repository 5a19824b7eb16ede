"""Export of a source's rows into one atomic file, with a manifest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.export.formats import open_writer
from airflow_provider.core.compat import gauge
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.manifest import ProgressLog, log_manifest, manifest
from airflow_provider.core.redaction import redact
from airflow_provider.errors import IncompleteExportError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.amigocloud.export.incremental import Increment
    from airflow_provider.amigocloud.export.parts.part import Part
    from airflow_provider.amigocloud.export.sources import Source
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.pagination import Column, Page
    from airflow_provider.core.reports.report import Report


class RowCounter:
    """Counter of an export's rows, page by page, against the service's count.

    :param log: gets the progress every few seconds; so do Airflow's metrics ``amigocloud.export.rows`` and
        ``amigocloud.export.rows_per_second``.
    :param conn_id: id of the connection, which tags the metrics.
    """

    def __init__(self, log: Logger, conn_id: str = "") -> None:
        self._tags = {"conn_id": conn_id}
        self._progress = ProgressLog(log)
        self.rows = 0
        self.expected: int | None = None
        self.columns: list[Column] | None = None
        self._is_first = True

    def add(self, page: Page) -> None:
        """Count the rows of a page.

        :raises IncompleteExportError: when the columns differ from the first page's, or there are more rows
            than the service counted.
        """
        if self._is_first:
            self.expected, self.columns, self._is_first = page.count, page.columns, False
        if page.columns is not None and page.columns != self.columns:
            before, now = _names(self.columns), _names(page.columns)
            raise IncompleteExportError(
                f"the columns changed after {self.rows} rows, from {before} to {now}; nothing was published"
            )
        self.rows += len(page.rows)
        if self.expected is not None and self.rows > self.expected:
            raise self._mismatch("at least ")
        self._log_progress()

    def check(self) -> None:
        """Compare the rows to the service's count at the end.

        :raises IncompleteExportError: when rows are missing.
        """
        if self.expected is not None and self.rows != self.expected:
            raise self._mismatch()

    def _mismatch(self, at_least: str = "") -> IncompleteExportError:
        return IncompleteExportError(
            f"the service counted {self.expected} rows and returned {at_least}{self.rows}; the data may have"
            " changed while it was read; nothing was published"
        )

    def _log_progress(self) -> None:
        if (rate := self._progress.update(self.rows, self.expected)) is not None:
            gauge("amigocloud.export.rows", self.rows, self._tags)
            gauge("amigocloud.export.rows_per_second", rate, self._tags)


def export(
    hook: AmigoCloudHook,
    source: Source,
    output_path: str,
    file_format: Format,
    increment: Increment | None = None,
    part: Part | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write all rows of a source into a file, and return the manifest.

    One page at a time is held in memory.

    :param hook: hook used for this export only: the manifest counts all its requests.
    :param source: source of the rows.
    :param output_path: path of the file, see :class:`AtomicFile`.
    :param file_format: format of the file.
    :param increment: drops the rows that were exported before; None writes all.
    :param part: the part of a plan that the rows are.
    :param report: observes the rows, and is written after the file; None for none.
    :raises IncompleteExportError: when the rows differ from the service's count, or changed meanwhile; an
        existing file stays as it is.
    """
    started = time.monotonic()
    counter, written = RowCounter(hook.log, hook.conn_id), 0
    with AtomicFile(output_path, hashed=part is not None) as file:
        with open_writer(file, file_format) as writer:
            for page in source.pages():
                counter.add(page)
                new = increment.new_rows(page) if increment else page
                writer.write(new)
                written += len(new.rows)
                if report is not None:
                    report.add_lines(new.lines())
        counter.check()
        if increment is not None:
            increment.finish(hook.log)
    more: dict[str, Any] = {"state": source.state} if source.state else {}
    if increment is not None:
        more["watermark"] = increment.watermark
    if part is not None:
        more |= {**part.result(), "sha256": file.sha256}
    result = manifest(
        file,
        file_format=file_format.name,
        rows=written,
        columns=writer.columns,
        requests=hook.requests,
        seconds=round(time.monotonic() - started, 3),
        **more,
    )
    log_manifest(result, hook.log)
    return report.finish(result) if report is not None else result


def _names(columns: list[Column] | None) -> str:
    return redact(", ".join(f"{column.name} ({column.type})" for column in columns or ()) or "none")
