"""Exports of Things and of their history: the file is complete, or there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files import formats
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format
from airflow_provider.core.files.manifest import ProgressLog, log_manifest, manifest
from airflow_provider.core.files.spool import Spool, write_parquet
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter, RowWriter
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.export.history import COLUMNS, Span, read_history
from airflow_provider.iotstudio.export.retention import Retention

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


Rows = list[dict[str, Any]]

FIXED_COLUMNS = ("uid", "title")
"""First columns of a Things export; the properties follow."""

WRITERS: Mapping[str, type[RowWriter]] = {"jsonl": JsonLinesWriter, "csv": CsvWriter}
"""Writers by format; Parquet needs all columns first and has none."""


def choose_format(output_path: str) -> Format:
    """Return the format that a path's suffix names: ``jsonl``, ``csv`` or ``parquet``.

    :param output_path: a path or URL.
    :raises InputError: when the suffix names none of them.
    """
    return formats.choose_format(output_path, (*WRITERS, "parquet"), compressible=WRITERS)


def export_things(
    hook: IoTStudioHook, output_path: str, *, category: str | None, filters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Write one row per Thing (``uid``, ``title``, then its current values); return the manifest.

    :param hook: the space.
    :param output_path: a path or URL.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it.
    """
    things = hook.list_things(category=category, params=api.filters(filters))
    pages = ([_row(thing)] for thing in things)
    return _export(hook, output_path, pages, FIXED_COLUMNS)


def _row(thing: Mapping[str, Any]) -> dict[str, Any]:
    row = {"uid": thing["uid"], "title": thing.get("title")}
    for name, value in (thing.get("status") or {}).items():
        # A property may have the name of a fixed column.
        row[f"property:{name}" if name in FIXED_COLUMNS else name] = value
    return row


def export_history(
    hook: IoTStudioHook,
    output_path: str,
    *,
    thing_ids: Sequence[str] | None,
    category: str | None,
    filters: Mapping[str, Any] | None,
    span: Span,
    properties: Sequence[str] | None,
    concurrency: int,
) -> dict[str, Any]:
    """Write one row per recorded value, in the columns of :data:`COLUMNS`; return the manifest.

    Things are read concurrently. The rows of one request stay together, newest first.

    :param hook: the space.
    :param output_path: a path or URL.
    :param thing_ids: these Things; None for all that ``category`` and ``filters`` leave.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values.
    :param span: the time span of the values.
    :param properties: only these properties; None for all.
    :param concurrency: number of histories read at the same time.
    """
    if thing_ids is None:
        things = hook.list_things(category=category, params=api.filters(filters))
        thing_ids = [thing["uid"] for thing in things]
    # A Thing or property that is named twice is read once.
    thing_ids = list(dict.fromkeys(thing_ids))
    names = None if properties is None else list(dict.fromkeys(properties))
    retention = Retention(hook, span.start)
    newest = ""

    def note_newest(pages: Iterator[Rows]) -> Iterator[Rows]:
        nonlocal newest
        for rows in pages:
            newest = max(newest, max((row["at"] for row in rows), key=api.parse_time), key=_timestamp)
            yield rows

    pages = read_history(
        hook, thing_ids, span, properties=names, concurrency=concurrency, retention=retention
    )
    result = _export(hook, output_path, note_newest(pages), COLUMNS, fixed=True)
    missing = retention.report(len(thing_ids))
    return {**result, "things": len(thing_ids), "watermark": newest or None, **missing}


def _timestamp(text: str) -> float:
    return api.parse_time(text).timestamp() if text else 0.0


def _export(
    hook: IoTStudioHook,
    output_path: str,
    pages: Iterable[Rows],
    columns: Sequence[str],
    *,
    fixed: bool = False,
) -> dict[str, Any]:
    """Write pages of rows; return the manifest.

    :param columns: the first columns; all columns when they are ``fixed``.
    """
    started, before = time.monotonic(), hook.requests
    file_format = choose_format(output_path)
    pages = _log_progress(hook, pages)
    with AtomicFile(output_path) as file:
        if file_format.name == "jsonl" or (fixed and file_format.name == "csv"):
            rows, columns = _write_streamed(file, file_format, pages, columns)
        else:
            rows, columns = _write_spooled(file, file_format, pages, columns)
    made = manifest(
        file,
        file_format=file_format.name,
        rows=rows,
        columns=columns,
        requests=hook.requests - before,
        seconds=round(time.monotonic() - started, 3),
    )
    return log_manifest(made, hook.log)


def _write_streamed(
    file: AtomicFile, file_format: Format, pages: Iterable[Rows], columns: Sequence[str]
) -> tuple[int, list[str]]:
    seen = dict.fromkeys(columns)
    with formats.open_compressed(file, compressed=file_format.compressed) as out:
        writer = WRITERS[file_format.name](out, columns)
        for rows in pages:
            for row in rows:
                seen.update(dict.fromkeys(row))
            writer.write_rows(rows)
        writer.close()
    return writer.rows, _ordered_columns(seen, columns)


def _write_spooled(
    file: AtomicFile, file_format: Format, pages: Iterable[Rows], columns: Sequence[str]
) -> tuple[int, list[str]]:
    with Spool() as spool:
        for rows in pages:
            spool.add(rows)
        names = _ordered_columns(spool.kinds(), columns)
        if file_format.name == "parquet":
            write_parquet(file, spool, names)
        else:
            with formats.open_compressed(file, compressed=file_format.compressed) as out:
                writer = WRITERS[file_format.name](out, names)
                for batch in spool.batches():
                    writer.write_rows(batch)
                writer.close()
    return spool.rows, names


def _ordered_columns(seen: Iterable[str], first: Sequence[str]) -> list[str]:
    return [*first, *sorted(set(seen) - set(first))]


def _log_progress(hook: IoTStudioHook, pages: Iterable[Rows]) -> Iterator[Rows]:
    """Yield the pages, and log the progress every few seconds."""
    progress, count = ProgressLog(hook.log), 0
    for rows in pages:
        yield rows
        count += len(rows)
        progress.update(count)
