"""Subjects of the reports of exports."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.reports.report import Subject
from airflow_provider.core.reports.rows import Focus
from airflow_provider.iotstudio.export.parts.part import HistoryPart

HISTORY = Focus(times=("at",), types=("property",))

EVENTS = Focus(times=("at",), types=("event",))

THINGS = Focus(times=("created",), types=("type", "kind", "model", "status", "mode"))


def things_subject(task: Any) -> Subject:
    """Return the subject of an export of Things.

    :param task: the operator.
    """
    return Subject("Export of Things", _source(task, "Things"), THINGS)


def events_subject(task: Any) -> Subject:
    """Return the subject of an export of events.

    :param task: the operator.
    """
    return Subject("Export of events", _source(task, "events"), EVENTS, is_slice=task.incremental is True)


def history_subject(task: Any, part: HistoryPart | None) -> Subject:
    """Return the subject of an export of recorded values.

    :param task: the operator.
    :param part: the part of a plan that is exported; None for none.
    """
    title = "Export of recorded values"
    if part is not None:
        title = f"{title}, part {part.number + 1} of {part.count}"
    is_slice = task.incremental is True
    return Subject(title, _source(task, "recorded values"), HISTORY, is_slice, is_part=part is not None)


def _source(task: Any, what: str) -> str:
    space = f", space {task.space}" if task.space else ""
    category = getattr(task, "category", None)
    only = f" of the category {category}" if category else ""
    return f"IoT Studio, connection {task.iotstudio_conn_id}{space}, {what}{only}"
