"""Operator that exports events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import ReportLink
from airflow_provider.iotstudio import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context


class IoTStudioExportEventsOperator(CheckedOperator):
    """Export the events of Things to one file, one row each.

    The columns are ``thing_id``, ``at``, ``event``, ``event_id``, ``data``. In Parquet ``at`` is a time in
    UTC, ``data`` JSON text (null without data), and a sixth column ``number`` has the data as a double, null
    when it is no number. A span includes its start and excludes its end; the service tells times of events in
    whole seconds. Events of one Thing are together, newest first. When the task fails, no file is left
    behind.

    The service keeps the last hundred events of a Thing and name. When all of them are within the span, older
    ones may be gone: the log has a warning, and the manifest ``rolled_off``, the number of such Things.

    Returns the manifest, with ``things`` (number of Things read), ``missing_things`` (Things that are gone
    meanwhile), ``without_events`` (Things without an event in the span) and ``watermark`` (the newest time,
    or null).

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param events: only events of these names; by default all. An empty list selects none.
    :param thing_ids: these Things; by default all that ``category`` and ``filters`` leave, and that declare
        an event. An empty list selects none.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values: ``{"mode": "eco"}``. Not together
        with ``incremental``: a Thing that does not match during a run would lose its events.
    :param start: start of the span, inclusive: ``"{{ data_interval_start }}"``. A text in ISO 8601, a
        datetime, a date, or seconds or milliseconds since the epoch; UTC without a time zone.
    :param end: end of the span, exclusive: ``"{{ data_interval_end }}"``.
    :param concurrency: number of requests at the same time, 1 to 32.
    :param incremental: start where the last run ended. The watermark is stored on the task's single outlet
        asset (Airflow 3.3), and moves only once the file has its final name. ``start`` applies to the first
        run. When a run that had succeeded is cleared, it exports its own span again. A Thing that is missing
        during a run keeps its place, and its events are exported by a run in which it is back.
    :param lag: how late an event may show, as a ``timedelta`` or in seconds. Each incremental run reads so
        far back behind the watermark, and exports the events that no run has exported yet.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. The result has its path as ``report``.
    :param space: id of the space; by default the connection's.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "events",
        "thing_ids",
        "category",
        "filters",
        "start",
        "end",
        "concurrency",
        "incremental",
        "lag",
        "report",
        "space",
        "iotstudio_conn_id",
    )
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        output_path: str,
        events: Sequence[str] | None = None,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        start: str | datetime | date | float | None = None,
        end: str | datetime | date | float | None = None,
        concurrency: int = 8,
        incremental: bool = False,
        lag: timedelta | float | None = None,
        report: bool | str = False,
        space: str | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.events = events
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self.start = start
        self.end = end
        self.concurrency = concurrency
        self.incremental = incremental
        self.lag = lag
        self.report = report
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the events; return the manifest."""
        from airflow_provider.iotstudio.events.export import run_export

        return add_to_outlet_events(context, self.outlets, run_export(self, context))
