"""Export of the sync log: its items as one file, all of them or those since the last run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format, choose_format, open_compressed
from airflow_provider.core.files.manifest import log_manifest, manifest
from airflow_provider.core.files.parquet import json_text
from airflow_provider.core.files.spool import Spool, write_parquet
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter
from airflow_provider.core.input.conditions import list_problems, raise_problems, text_condition
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.input.values import UnreadableValueError, read_moment, shown
from airflow_provider.core.reports.report import REPORT_SCALAR, Report, Subject, observed, open_report
from airflow_provider.core.reports.rows import Focus
from airflow_provider.errors import IncompleteExportError
from airflow_provider.leanix.sync_items import STATUSES
from airflow_provider.leanix.sync_log.increment import Increment, Progress

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.hooks import LeanIXHook

FORMATS = ("jsonl", "csv", "parquet")

COLUMNS = ("type", "status", "source", "createdAt")
"""Columns that each file has, first of all: the fields that items are known to have."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The arguments of an export, read after templating.

    :param statuses: statuses of the items; None for all.
    :param since: time before which items are left out.
    """

    statuses: tuple[str, ...] | None
    since: datetime | None
    incremental: bool
    output: Format

    @classmethod
    def read(cls, task: Any) -> Selection:
        """Read the arguments of a task.

        :param task: the operator.
        :raises InputError: with every problem.
        """
        problems = read_scalars(task, {"incremental": Scalar("boolean"), **REPORT_SCALAR})
        problems += _status_problems(task.statuses)
        since = None
        if empty := text_condition(task.since, "since"):
            problems += empty
        elif task.since is not None:
            try:
                since = read_moment(task.since, UTC)
            except UnreadableValueError as error:
                problems.append(f"'since' {error}")
        raise_problems(problems)
        output = choose_format(task.output_path, FORMATS, compressible=("jsonl", "csv"))
        statuses = None if task.statuses is None else tuple(sorted({*map(str.upper, task.statuses)}))
        return cls(statuses, since, task.incremental, output)


def _status_problems(statuses: Any) -> list[str]:
    if statuses is None:
        return []
    if problems := list_problems(statuses, "statuses"):
        return problems
    if not statuses:
        return ["statuses is empty; leave it out for all"]
    return [
        f"statuses has {shown(status)}; there are {', '.join(STATUSES)}"
        for status in statuses
        if str(status).upper() not in STATUSES
    ]


def run_export(task: Any, context: Context) -> dict[str, Any]:
    """Export the items that a task's arguments select; return the manifest.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    :raises InputError: with all problems of the arguments, before any request.
    """
    from airflow_provider.leanix.hooks import LeanIXHook

    selection = Selection.read(task)
    progress = None
    if selection.incremental:
        source = [task.leanix_conn_id, selection.statuses]
        progress = Progress(context, task.outlets, source, task.log)
    ensure_writable(task.output_path)
    subject = Subject(
        "Export of the sync log",
        f"LeanIX, connection {task.leanix_conn_id}",
        Focus(times=("createdAt",), types=("status", "type", "source")),
        is_slice=selection.incremental,
    )
    report = open_report(task, context, task.output_path, subject)
    increment = Increment(selection.since, progress, task.log)
    with LeanIXHook(task.leanix_conn_id) as hook:
        result = _export(hook, task.output_path, selection, increment, report)
    increment.save()
    return {**result, "watermark": increment.until}


def _export(
    hook: LeanIXHook,
    output_path: str,
    selection: Selection,
    increment: Increment,
    report: Report | None = None,
) -> dict[str, Any]:
    started, before = time.monotonic(), hook.requests
    statuses = selection.statuses
    # The service is known to take one status; several are selected here.
    asked = statuses[0] if statuses and len(statuses) == 1 else None
    with Spool() as spool:
        items = hook.iter_sync_items(status=asked, since=increment.since)
        new = increment.new(_of_statuses(items, statuses))
        spool.add(row for rows in observed(([item] for item in new), report) for row in rows)
        columns = [*COLUMNS, *(name for name in spool.kinds() if name not in COLUMNS)]
        with AtomicFile(output_path) as file:
            if selection.output.name == "parquet":
                write_parquet(file, spool, columns)
            else:
                _write_text(file, spool, columns, selection.output)
    result = manifest(file, file_format=selection.output.name, rows=spool.rows, columns=columns)
    result |= {"sha256": file.sha256, "requests": hook.requests - before}
    result["seconds"] = round(time.monotonic() - started, 3)
    log_manifest(result, hook.log)
    return report.finish(result) if report is not None else result


def _of_statuses(
    items: Iterable[dict[str, Any]], statuses: tuple[str, ...] | None
) -> Iterator[dict[str, Any]]:
    for item in items:
        if statuses is not None and not isinstance(item.get("status"), str):
            raise IncompleteExportError("an item of the sync log has no 'status': leave out 'statuses'")
        if statuses is None or item["status"].upper() in statuses:
            yield item


def _write_text(file: AtomicFile, spool: Spool, columns: list[str], output: Format) -> None:
    kinds = spool.kinds()
    with open_compressed(file, compressed=output.compressed) as target:
        writer = (CsvWriter if output.name == "csv" else JsonLinesWriter)(target, columns)
        for rows in spool.batches():
            writer.write_rows(
                {name: _cell(row.get(name), kinds.get(name)) for name in columns} for row in rows
            )
        writer.close()


def _cell(value: Any, kind: str | None) -> Any:
    return json_text(value) if kind == "json" and value is not None else value
