"""Export of events: of a span, or since the last run; the file is complete, or there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.parquet import json_text
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.scalars import read_scalars
from airflow_provider.core.reports.report import open_report
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import (
    ApiError,
    InputError,
    NotFoundError,
    clauses,
    one_line,
    shorten,
)
from airflow_provider.iotstudio.conditions import incremental_problems
from airflow_provider.iotstudio.events.fleet import Fleet, fleet_problems
from airflow_provider.iotstudio.events.incremental import STATE, EventsWatermark
from airflow_provider.iotstudio.events.reader import ThingEvents, declaring_things, read_things
from airflow_provider.iotstudio.export.export import NewestTime, choose_format, export_rows
from airflow_provider.iotstudio.export.history import EXPORT_SCALARS, Rows, Span
from airflow_provider.iotstudio.export.report import events_subject
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.core.reports.report import Report

SCHEMA = {
    "thing_id": "text",
    "at": "moment",
    "event": "text",
    "event_id": "text",
    "data": "text",
    "number": "number",
}
"""Columns of events in Parquet; they do not depend on the data."""

SHORTEST_LAG = timedelta(minutes=1)
"""How far an incremental run reads back at least: times are in whole seconds, and clocks differ a little."""


@dataclass(frozen=True, slots=True)
class EventSelection:
    """The arguments of an export of events, read after templating.

    :param fleet: the Things.
    :param events: names of the events; None for all.
    :param span: the requested span.
    :param concurrency: number of requests at the same time.
    :param incremental: whether the export starts where the last one ended.
    :param lag: how late an event may show; None for no late events.
    """

    fleet: Fleet
    events: list[str] | None
    span: Span
    concurrency: int
    incremental: bool
    lag: timedelta | None

    @classmethod
    def read(cls, task: Any) -> EventSelection:
        """Read the arguments of a task.

        :param task: the operator.
        :raises InputError: with every problem.
        """
        problems = read_scalars(task, EXPORT_SCALARS)
        problems += incremental_problems(task, "events")
        problems += [*list_problems(task.events, "events"), *fleet_problems(task)]
        span = Span()
        try:
            span = Span.parse(task.start, task.end)
        except InputError as error:
            problems += error.problems
        raise_problems(problems)
        lag = None if task.lag is None else timedelta(seconds=task.lag)
        events = None if task.events is None else list(dict.fromkeys(task.events))
        return cls(Fleet.of(task), events, span, task.concurrency, task.incremental, lag)

    def source(self) -> list[Any]:
        """Return what an incremental export depends on, as JSON."""
        filters = None if self.fleet.filters is None else dict(self.fleet.filters)
        ids = None if self.fleet.thing_ids is None else list(self.fleet.thing_ids)
        return [ids, self.fleet.category, filters, self.events]


def run_export(task: Any, context: Context) -> dict[str, Any]:
    """Export the events that a task's arguments select; return the manifest.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    :raises InputError: with all problems of the arguments, before any request.
    """
    selection = EventSelection.read(task)
    choose_format(task.output_path)
    watermark = None
    if selection.incremental:
        source = [task.iotstudio_conn_id, task.space, *selection.source()]
        stored = Watermark(context, task.outlets, source, task.log, name=STATE, argument="incremental")
        watermark = EventsWatermark(stored, task.log, max(selection.lag or SHORTEST_LAG, SHORTEST_LAG))
    ensure_writable(task.output_path)
    report = open_report(task, context, task.output_path, events_subject(task))
    span = selection.span if watermark is None else watermark.span(selection.span)
    with IoTStudioHook(task.iotstudio_conn_id, space=task.space) as hook:
        result = export_events(hook, task.output_path, selection, span, watermark, report)
    if watermark is not None:
        watermark.save(span, result["watermark"])
    return result


def export_events(
    hook: IoTStudioHook,
    output_path: str,
    selection: EventSelection,
    span: Span,
    watermark: EventsWatermark | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write one row per event, in the columns of :data:`SCHEMA`; return the manifest.

    :param hook: the space.
    :param output_path: a path or URL.
    :param selection: the Things and events.
    :param span: the time span of the events.
    :param watermark: leaves out what earlier runs have exported; None for a full export.
    :param report: observes the rows, and is written after the file; None for none.
    :raises NotFoundError: when not one of the Things that were given by their ids is there.
    """
    things = _Things(hook, selection, watermark)
    newest = NewestTime()
    new_rows = None if watermark is None else watermark.new_rows
    pages = newest.pages(things.pages(span), new_rows)
    result = export_rows(hook, output_path, pages, SCHEMA, _cells, report=report)
    newest.log_future(hook)
    return {**result, **things.report(span), "watermark": newest.text or None}


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "data": None if row["data"] is None else json_text(row["data"]), "number": row["data"]}


class _Things:
    """The Things of an export, and what was found of each.

    :param hook: the space.
    :param selection: the Things and events.
    :param watermark: gets the Things that were read; None for a full export.
    """

    def __init__(
        self, hook: IoTStudioHook, selection: EventSelection, watermark: EventsWatermark | None = None
    ) -> None:
        self._watermark = watermark
        self._hook = hook
        self._selection = selection
        self._ids: Sequence[str] = ()
        self._missing: list[str] = []
        self._without = 0
        self._rolled_off: list[str] = []

    def pages(self, span: Span) -> Iterator[Rows]:
        """Yield the rows of one Thing after the other.

        :param span: the time span of the events.
        """
        names = self._selection.events
        if names == []:
            return
        declared, self._ids = declaring_things(self._hook, self._selection.fleet, names)
        for problem in declared.problems():
            self._hook.log.warning("events: %s", problem)
        mark, concurrency = self._watermark, self._selection.concurrency
        starts = {} if mark is None else mark.starts(self._ids)
        for thing in read_things(self._hook, self._ids, names, span.start, concurrency, starts):
            yield self._rows(thing, span)
        if mark is not None:
            mark.note_things(self._ids, self._missing)

    def _rows(self, thing: ThingEvents, span: Span) -> Rows:
        if thing.error is not None:
            self._missing.append(thing.thing_id)
            if len(self._missing) == len(self._ids) and self._selection.fleet.thing_ids is not None:
                raise _explained(thing.error)
        elif thing.rolled_off:
            self._rolled_off.append(thing.thing_id)
        rows = [event.row() for event in reversed(thing.events) if span.end is None or event.at < span.end]
        self._without += not rows and thing.error is None
        return rows

    def report(self, span: Span) -> dict[str, int]:
        """Log what was not there; return the counts for the manifest.

        :param span: the time span of the events.
        """
        if self._missing:
            self._hook.log.warning(
                "%d of %d Things are gone, or do not have the event: %s",
                len(self._missing),
                len(self._ids),
                one_line(", ".join(shorten(sorted(self._missing), 10))),
            )
        if self._rolled_off:
            self._hook.log.warning(
                "%d Things have more events%s than the service keeps (the last hundred of a name), so"
                " older ones are gone: %s",
                len(self._rolled_off),
                f" since {span.start}" if span.start else "",
                one_line(", ".join(shorten(sorted(self._rolled_off), 10))),
            )
        counts = {
            "things": len(self._ids),
            "missing_things": len(self._missing),
            "without_events": self._without,
        }
        return {**counts, "rolled_off": len(self._rolled_off)} if self._rolled_off else counts


def _explained(error: ApiError) -> NotFoundError:
    return NotFoundError(
        error.status,
        error.code,
        clauses(error.message, "none of the Things is there and has the event"),
        request=error.request,
        body=error.body,
    )
