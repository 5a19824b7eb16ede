"""Exports of Things and of their history: the file is complete, or there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files import formats
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.manifest import ProgressLog, log_manifest, manifest
from airflow_provider.core.files.parquet import TypedParquetWriter, json_text
from airflow_provider.core.files.spool import Spool
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter, RowWriter
from airflow_provider.core.reports.report import Report, observed
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.actions import CLOCK_SKEW
from airflow_provider.iotstudio.export.coverage import Coverage
from airflow_provider.iotstudio.export.history import Rows, Selection, Span, read_history
from airflow_provider.iotstudio.export.retention import Retention
from airflow_provider.iotstudio.export.things import ThingColumns
from airflow_provider.iotstudio.known_names import unknown_properties

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


HISTORY_SCHEMA = {
    "thing_id": "text",
    "at": "moment",
    "property": "text",
    "value": "text",
    "number": "number",
}
"""Columns of a history in Parquet; they do not depend on the values."""

WRITERS: Mapping[str, type[RowWriter]] = {"jsonl": JsonLinesWriter, "csv": CsvWriter}
"""Writers by format; Parquet needs all columns first and has none."""


def choose_format(output_path: str) -> Format:
    """Return the format that a path's suffix names: ``jsonl``, ``csv`` or ``parquet``.

    :param output_path: a path or URL.
    :raises InputError: when the suffix names none of them.
    """
    return formats.choose_format(output_path, (*WRITERS, "parquet"), compressible=WRITERS)


def export_things(
    hook: IoTStudioHook,
    output_path: str,
    *,
    category: str | None,
    filters: Mapping[str, Any] | None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write one row per Thing (its description, then its current values); return the manifest.

    :param hook: the space.
    :param output_path: a path or URL.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it.
    :param report: observes the rows, and is written after the file; None for none.
    """
    columns = ThingColumns(category)
    rows_of_things = ([columns.row(thing)] for thing in _list_whole(hook, category, api.filters(filters)))
    pages = observed(rows_of_things, report)

    def write(file: AtomicFile, file_format: Format) -> tuple[int, list[str]]:
        if file_format.name == "jsonl":
            rows = _write_streamed(file, file_format, _log_progress(hook, pages), ())
        else:
            rows = _write_spooled(file, file_format, _log_progress(hook, pages), columns.schema)
        return rows, list(columns.schema())

    result = _export(hook, output_path, write, report=report)
    if filters and not result["rows"]:
        log_unknown_properties(hook, filters, category)
    for name in columns.broken():
        hook.log.warning("property %r has values of other types than the Things declare", name)
    return result


def _list_whole(
    hook: IoTStudioHook, category: str | None, filters: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield Things with all their categories, which a list below a category does not name.

    :raises NotFoundError: for a category that does not exist.
    """
    params = dict(filters) if category is None else {**filters, "category[]": category}
    found = False
    for thing in hook.list_things(params=params):
        found = True
        yield thing
    if not found and category is not None:
        hook.send(api.things(hook.space, category=category, params={"limit": 1}))


def log_unknown_properties(hook: IoTStudioHook, filters: Mapping[str, Any], category: str | None) -> None:
    """Log a warning for each condition that no Thing can meet; call it when nothing matches.

    :param hook: the space.
    :param filters: condition by property name, or the query parameters made of them.
    :param category: only Things of this category.
    """
    for problem in unknown_properties(hook, filters, category=category):
        hook.log.warning("filters: %s", problem)


def export_history(
    hook: IoTStudioHook,
    output_path: str,
    selection: Selection,
    span: Span,
    new_rows: Callable[[Rows], Rows] | None = None,
    *,
    with_hash: bool = False,
    may_be_empty: bool = False,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write one row per recorded value, in the columns of :data:`HISTORY_SCHEMA`; return the manifest.

    Things are read concurrently. The rows of one request stay together, newest first.

    :param hook: the space.
    :param output_path: a path or URL.
    :param selection: the Things and properties.
    :param span: the time span of the values.
    :param new_rows: returns the rows of a page that are to be exported; None for all.
    :param with_hash: whether the manifest has the file's hash.
    :param may_be_empty: whether not one of the histories need exist.
    :param report: observes the rows, and is written after the file; None for none.
    """
    thing_ids = thing_ids_of(hook, selection)
    names = selection.properties
    if span.start and span.start > datetime.now(UTC):
        hook.log.warning(
            "start %s has not come yet: no value is as late, unless a clock is wrong", span.start
        )
    retention, coverage = Retention(hook, span.start), Coverage(hook.log)
    newest = NewestTime()
    pages = read_history(
        hook,
        thing_ids,
        span,
        properties=names,
        concurrency=selection.concurrency,
        retention=retention,
        coverage=coverage,
        may_be_empty=may_be_empty,
    )

    exported = newest.pages(pages, new_rows)
    result = export_rows(
        hook, output_path, exported, HISTORY_SCHEMA, _history_cells, with_hash=with_hash, report=report
    )
    newest.log_future(hook)
    missing = retention.report(len(thing_ids))
    counts = coverage.report(len(thing_ids))
    return {**result, "things": len(thing_ids), **counts, "watermark": newest.text or None, **missing}


def export_rows(
    hook: IoTStudioHook,
    output_path: str,
    pages: Iterable[Rows],
    schema: Mapping[str, str],
    cells: Callable[[Mapping[str, Any]], dict[str, Any]],
    *,
    with_hash: bool = False,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write rows whose columns are known before the first one; return the manifest.

    :param hook: the space.
    :param output_path: a path or URL.
    :param pages: the rows.
    :param schema: columns in Parquet by name; other formats have all but ``number``.
    :param cells: returns a row as Parquet has it.
    :param with_hash: whether the manifest has the file's hash.
    :param report: observes the rows, and is written after the file; None for none.
    """

    def write(file: AtomicFile, file_format: Format) -> tuple[int, list[str]]:
        exported = _log_progress(hook, observed(pages, report))
        if file_format.name != "parquet":
            columns = [name for name in schema if name != "number"]
            return _write_streamed(file, file_format, exported, columns), columns
        with TypedParquetWriter(file, schema) as writer:
            for rows in exported:
                writer.write_rows(map(cells, rows))
        return writer.rows, list(schema)

    return _export(hook, output_path, write, with_hash=with_hash, report=report)


def thing_ids_of(hook: IoTStudioHook, selection: Selection) -> list[str]:
    """Return the ids of the selected Things; a Thing that is named twice is read once.

    :param hook: the space.
    :param selection: the Things and properties.
    """
    if selection.properties == []:
        return []
    if selection.thing_ids is not None:
        return selection.thing_ids
    filters = api.filters(selection.filters)
    things = hook.list_things(category=selection.category, params=filters)
    found = list(dict.fromkeys(thing["uid"] for thing in things))
    if filters and not found:
        log_unknown_properties(hook, filters, selection.category)
    return found


def _history_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "value": json_text(row["value"]), "number": row["value"]}


class NewestTime:
    """The newest time among exported values; a time that has not come yet does not count."""

    def __init__(self) -> None:
        self.text = ""
        self._moment = datetime.min.replace(tzinfo=UTC)
        self._future = 0

    def pages(self, pages: Iterable[Rows], new_rows: Callable[[Rows], Rows] | None) -> Iterator[Rows]:
        """Yield the rows that are to be exported, and take their times.

        :param pages: the rows that were read.
        :param new_rows: returns the rows of a page that are to be exported; None for all.
        """
        for page in pages:
            rows = page if new_rows is None else new_rows(page)
            limit = datetime.now(UTC) + CLOCK_SKEW
            for row in rows:
                moment = api.parse_time(row["at"])
                if moment > limit:
                    self._future += 1
                elif moment > self._moment:
                    self.text, self._moment = row["at"], moment
            if rows:
                yield rows

    def log_future(self, hook: IoTStudioHook) -> None:
        """Log the number of values from the future: a device's clock is wrong.

        :param hook: the space.
        """
        if self._future:
            hook.log.warning("%d values have a time that has not come yet: a clock is wrong", self._future)


def _export(
    hook: IoTStudioHook,
    output_path: str,
    write: Callable[[AtomicFile, Format], tuple[int, list[str]]],
    *,
    with_hash: bool = False,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write a file; return the manifest.

    :param write: writes rows in a format; returns their number and the columns.
    :param with_hash: whether the manifest has the file's hash.
    :param report: the report of the rows; None for none.
    """
    started, before = time.monotonic(), hook.requests
    file_format = choose_format(output_path)
    with AtomicFile(output_path) as file:
        rows, columns = write(file, file_format)
    made = manifest(
        file,
        file_format=file_format.name,
        rows=rows,
        columns=columns,
        requests=hook.requests - before,
        seconds=round(time.monotonic() - started, 3),
        **({"sha256": file.sha256} if with_hash else {}),
    )
    log_manifest(made, hook.log)
    return report.finish(made) if report is not None else made


def _write_streamed(
    file: AtomicFile, file_format: Format, pages: Iterable[Rows], columns: Sequence[str]
) -> int:
    with formats.open_compressed(file, compressed=file_format.compressed) as out:
        writer = WRITERS[file_format.name](out, columns)
        for rows in pages:
            writer.write_rows(rows)
        writer.close()
    return writer.rows


def _write_spooled(
    file: AtomicFile,
    file_format: Format,
    pages: Iterable[Rows],
    schema: Callable[[], Mapping[str, str]],
) -> int:
    """Write pages of rows whose columns are known once all of them were read."""
    with Spool() as spool:
        for rows in pages:
            spool.add(rows)
        if file_format.name == "parquet":
            with TypedParquetWriter(file, schema()) as typed:
                for batch in spool.batches():
                    typed.write_rows(batch)
        else:
            with formats.open_compressed(file, compressed=file_format.compressed) as out:
                writer = WRITERS[file_format.name](out, list(schema()))
                for batch in spool.batches():
                    writer.write_rows(batch)
                writer.close()
    return spool.rows


def _log_progress(hook: IoTStudioHook, pages: Iterable[Rows]) -> Iterator[Rows]:
    """Yield the pages, and log the progress every few seconds."""
    progress, count = ProgressLog(hook.log), 0
    for rows in pages:
        yield rows
        count += len(rows)
        progress.update(count)
