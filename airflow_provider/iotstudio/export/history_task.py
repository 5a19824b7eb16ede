"""Task of a history export: whole, since the last run, or one part of a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.reports.report import Report, open_report
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.iotstudio.export.export import choose_format, export_history
from airflow_provider.iotstudio.export.history import Rows, Selection, Span
from airflow_provider.iotstudio.export.incremental import HISTORY_STATE, HistoryWatermark
from airflow_provider.iotstudio.export.parts.part import HistoryPart
from airflow_provider.iotstudio.export.parts.selection import output_path_of, read_selection, space_problems
from airflow_provider.iotstudio.export.report import history_subject
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context


def run_export(task: Any, context: Context) -> dict[str, Any]:
    """Export what a task's arguments select; return the manifest.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    :raises InputError: with all problems of the arguments, before any request.
    """
    selection, part = read_selection(task)
    path = output_path_of(task, part)
    choose_format(path)
    watermark = None
    if selection.incremental:
        source = [task.iotstudio_conn_id, task.space, *selection.source()]
        stored = Watermark(
            context, task.outlets, source, task.log, name=HISTORY_STATE, argument="incremental"
        )
        watermark = HistoryWatermark(stored, task.log, selection.lag)
    ensure_writable(path)
    report = open_report(task, context, path, history_subject(task, part))
    if watermark is None:
        return _export(task, path, selection, selection.span, part=part, report=report)
    span = watermark.span(selection.span)
    result = _export(task, path, selection, span, watermark.new_rows, report=report)
    watermark.save(span, result["watermark"])
    return result


def _export(
    task: Any,
    path: str,
    selection: Selection,
    span: Span,
    new_rows: Callable[[Rows], Rows] | None = None,
    part: HistoryPart | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    with IoTStudioHook(task.iotstudio_conn_id, space=task.space) as hook:
        if part is None:
            return export_history(hook, path, selection, span, new_rows, report=report)
        raise_problems(space_problems(part, hook.space))
        # The Things of a part may all be gone, or lack a property that those of other parts have.
        may_be_empty = part.is_listed or selection.properties is not None
        result = export_history(
            hook, path, selection, span, with_hash=True, may_be_empty=may_be_empty, report=report
        )
        return {**result, **part.result(span, selection.properties)}
