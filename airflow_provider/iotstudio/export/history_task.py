"""Task of a history export: whole, since the last run, or one part of a plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.http.reply import service_time
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.reports.report import Report, open_report
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import ApiError
from airflow_provider.iotstudio.export.export import choose_format, export_history
from airflow_provider.iotstudio.export.history import Rows, Selection, Span
from airflow_provider.iotstudio.export.incremental import HISTORY_STATE, HistoryWatermark
from airflow_provider.iotstudio.export.parts.part import HistoryPart
from airflow_provider.iotstudio.export.parts.selection import output_path_of, read_selection, space_problems
from airflow_provider.iotstudio.export.report import history_subject
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context

_DATE_RESOLUTION = timedelta(seconds=1)
"""Resolution of the service's time in a reply, which is rounded down."""

_WARNED_SKEW = timedelta(seconds=10)
"""Difference of both clocks from which on the log has a warning."""


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
        watermark = HistoryWatermark(stored, task.log, selection.lag, lambda: present_time(task))
    ensure_writable(path)
    report = open_report(task, context, path, history_subject(task, part))
    if watermark is None:
        return _export(task, path, selection, selection.span, part=part, report=report)
    span = watermark.span(selection.span)
    result = _export(task, path, selection, span, watermark.new_rows, report=report)
    watermark.save(span, result["watermark"])
    return result


def present_time(task: Any) -> datetime:
    """Return the earlier one of the worker's time and the service's.

    Where the worker's clock is ahead, the span would include a time that has not come for the service: values
    of it that are recorded while the Things are read would be lost.

    :param task: the operator.
    """
    with IoTStudioHook(task.iotstudio_conn_id, space=task.space) as hook:
        try:
            served_at = service_time(hook.request("GET", "things", params={"limit": 1}))
        except ApiError as error:
            task.log.info("the service's time is unknown, so this worker's clock counts: %s", error)
            served_at = None
    now = datetime.now(UTC)
    if served_at is None:
        return now
    if now - served_at > _WARNED_SKEW:
        task.log.warning(
            "the service's clock is %.0f s behind this worker's: values after %s are left to the next run",
            *((now - served_at).total_seconds(), served_at),
        )
    return min(now, served_at + _DATE_RESOLUTION)


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
