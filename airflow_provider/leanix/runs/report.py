"""Report of a run's results: its subject."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.reports.report import Report, Subject, open_report
from airflow_provider.core.reports.rows import Focus

_TYPES = ("type", "status", "lifecycle")


def open_results_report(task: Any, context: Any) -> Report | None:
    """Return the report that a task is to write about a run's results; None without one.

    :param task: the operator.
    :param context: the task's context.
    :raises InputError: when the page cannot be written.
    """
    if not task.output_path:
        return None
    source = f"LeanIX, connection {task.leanix_conn_id}"
    subject = Subject("Results of a LeanIX run", source, Focus(types=_TYPES))
    return open_report(task, context, task.output_path, subject)
