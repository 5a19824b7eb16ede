"""Report of an export: it observes the rows while they are written, and writes a page beside the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.input.scalars import Scalar
from airflow_provider.core.pages.links import record_page
from airflow_provider.core.pages.page import REPORT
from airflow_provider.core.redaction import redact, shown_path
from airflow_provider.core.reports.earlier import LastReport, read_own_report, report_path
from airflow_provider.core.reports.page import render
from airflow_provider.core.reports.profile import VERSION, Profile, Table
from airflow_provider.core.reports.rows import ColumnBudget, Focus, RowObserver, Rows
from airflow_provider.core.reports.texts import clean
from airflow_provider.core.state.identity import fingerprint

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

MOST_TABLES = 30
"""Maximum tables of a report."""

BATCH = 1_000
"""Rows that are observed together."""

REPORT_SCALAR: Mapping[str, Scalar] = {"report": Scalar("boolean")}
"""The argument ``report`` of an operator, for :func:`~airflow_provider.core.input.scalars.read_scalars`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The export that a report is about.

    :param title: title of the page.
    :param source: the source of the rows, as a phrase.
    :param focus: the columns that mean something to a reader.
    :param is_slice: whether the file has only the rows since the last export.
    :param is_part: whether the file is a part, whose report is merged with those of the others.
    """

    title: str
    source: str
    focus: Focus = field(default_factory=Focus)
    is_slice: bool = False
    is_part: bool = False


def open_report(task: Any, context: Any, output_path: str, subject: Subject) -> Report | None:
    """Return the report that a task is to write; None without the argument ``report``.

    :param task: the operator.
    :param context: the task's context.
    :param output_path: path of the file, or of a folder of tables.
    :param subject: the export.
    :raises InputError: when the page cannot be written, or its path has something else.
    """
    if task.report is not True:
        return None
    uri = report_path(output_path)
    ensure_writable(uri, "report")
    own, note = read_own_report(uri, output_path, task.log)
    last = LastReport(task, context, task.log)
    return Report(uri, output_path, subject, task, context, last, last.read() or own, note)


def observed(pages: Iterable[list[Any]], report: Report | None) -> Iterator[list[Any]]:
    """Yield pages of rows, each of which a report has taken.

    :param pages: the rows.
    :param report: the report; None for none.
    """
    for page in pages:
        if report is not None:
            report.add_rows(page)
        yield page


def observed_lines(lines: Iterable[bytes], report: Report | None) -> Iterator[bytes]:
    """Yield rows that are encoded as JSON, each of which a report takes.

    :param lines: one row each.
    :param report: the report; None for none.
    """
    pending: list[bytes] = []
    for line in lines:
        if report is not None:
            pending.append(line)
            if len(pending) >= BATCH:
                report.add_lines(b"\n".join(pending))
                pending = []
        yield line
    if report is not None:
        report.add_lines(b"\n".join(pending))


class Report:
    """Report of one export. It never fails an export: what goes wrong in it is logged.

    :param uri: path of the page.
    :param output_path: path of the file, or of a folder of tables.
    :param subject: the export.
    :param task: the operator.
    :param context: the task's context.
    :param last: store of the location of the last report.
    :param before: profile of the last export; None for none.
    :param note: why there is none.
    """

    def __init__(
        self,
        uri: str,
        output_path: str,
        subject: Subject,
        task: Any,
        context: Mapping[str, Any],
        last: LastReport,
        before: Profile | None,
        note: str,
    ) -> None:
        self.uri = uri
        self._output_path = output_path
        self._subject = subject
        self._task = task
        self._context = context
        self._last = last
        self._before = before
        self._note = note
        self.source = subject.source
        self._log: Logger = task.log
        self._failure = ""
        self._tables: dict[str, RowObserver] = {}
        self._pending: dict[str, list[Mapping[str, Any]]] = {}
        self._more: set[str] = set()
        self._budget = ColumnBudget()

    def restart(self) -> None:
        """Forget all rows: the export starts over."""
        self._failure = ""
        self._tables, self._pending, self._more, self._budget = {}, {}, set(), ColumnBudget()

    def add_lines(self, text: bytes) -> None:
        """Take rows that are encoded as JSON Lines.

        :param text: one row a line.
        """
        if text and not self._failure:
            try:
                self._observer("").add_lines(text)
            except Exception as error:
                self._note_failure("the rows cannot be observed", error)

    def add_encoded(self, rows: Iterable[bytes | msgspec.Raw]) -> None:
        """Take rows that are encoded as JSON, each perhaps in several lines.

        :param rows: the rows.
        """
        if not self._failure:
            try:
                decoded = [msgspec.json.decode(row) for row in rows]
            except Exception as error:
                self._note_failure("the rows cannot be observed", error)
            else:
                self.add_rows(decoded)

    def add_rows(self, rows: Rows, table: str = "") -> None:
        """Take rows.

        :param rows: the rows, in their order.
        :param table: name of their table; empty for the only one.
        """
        if self._failure:
            return
        if table not in self._pending and len(self._pending) >= MOST_TABLES:
            self._more.add(table)
            return
        pending = self._pending.setdefault(table, [])
        pending += rows
        if len(pending) >= BATCH:
            self._flush(table)

    def _flush(self, table: str) -> None:
        """Observe the rows that were taken in small numbers."""
        rows, self._pending[table] = self._pending[table], []
        try:
            self._observer(table).add(rows)
        except Exception as error:
            self._note_failure("the rows cannot be observed", error)

    def _observer(self, table: str) -> RowObserver:
        found = self._tables.get(table)
        if found is None:
            found = self._tables[table] = RowObserver(self._subject.focus, self._budget, table)
        return found

    def finish(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Write the page about a file that is there; return the manifest with its location as ``report``.

        When the page cannot be written, ``report`` is None and ``report_error`` has the reason.

        :param manifest: manifest of the file.
        """
        for table in self._pending:
            self._flush(table)
        if not self._failure:
            try:
                tables = [observer.profile() for observer in self._tables.values()]
                rows = sum(table.rows for table in tables)
                if rows != manifest["rows"] and not self._more:
                    return self.fail(manifest, f"{rows:,} of {manifest['rows']:,} rows were observed")
                return self._write(manifest, tables)
            except Exception as error:
                self._note_failure("the page cannot be written", error)
        return {**manifest, "report": None, "report_error": self._failure}

    def finish_merged(self, manifest: Mapping[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
        """Write the page about several files; return the manifest as :meth:`finish` does.

        :param manifest: manifest of all files.
        :param tables: their tables.
        """
        try:
            return self._write(manifest, tables)
        except Exception as error:
            self._note_failure("the page cannot be written", error)
        return {**manifest, "report": None, "report_error": self._failure}

    def fail(self, manifest: Mapping[str, Any], reason: str) -> dict[str, Any]:
        """Return the manifest of an export without a page, and log the reason.

        :param manifest: manifest of the file.
        :param reason: the reason.
        """
        self._note_failure(reason)
        return {**manifest, "report": None, "report_error": self._failure}

    def _write(self, manifest: Mapping[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
        profile = self._profile(manifest, tables)
        mark = fingerprint([self.uri, msgspec.to_builtins(profile)])
        with AtomicFile(self.uri) as file:
            for part in render(profile, self._before, self._note, mark):
                file.write(f"{part}\n".encode())
        self._log.info("Report: %s", shown_path(self.uri))
        try:
            self._last.move(self.uri)
            record_page(self._task, self._context, REPORT, self.uri, mark)
        except Exception as error:  # The page is there; its link and the next comparison lack it.
            self._log.warning("The location of the report cannot be stored: %s", redact(str(error))[:300])
        return {**manifest, "report": self.uri}

    def _profile(self, manifest: Mapping[str, Any], tables: Sequence[Table]) -> Profile:
        return Profile(
            version=VERSION,
            title=clean(self._subject.title, 200),
            source=clean(self.source, 300),
            uri=shown_path(self._output_path),
            at=datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
            format=str(manifest["format"]),
            rows=manifest["rows"],
            bytes=manifest["bytes"],
            files=len(manifest["files"]),
            is_slice=self._subject.is_slice,
            is_part=self._subject.is_part,
            task=self._task_name(),
            tables=list(tables),
            more_tables=len(self._more),
        )

    def _task_name(self) -> str:
        ti = self._context.get("ti")
        return f"{ti.dag_id}.{ti.task_id}" if ti is not None else ""

    def _note_failure(self, what: str, error: Exception | None = None) -> None:
        reason = f"{what}: {type(error).__name__}: {error}" if error is not None else what
        self._failure = clean(redact(reason), 500)
        self._log.error("There is no report of this export: %s", self._failure, exc_info=error)
