"""Operators that export Things and their history; users import them from ``operators``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.iotstudio.past import Span


class IoTStudioExportThingsOperator(BaseOperator):
    """Writes all Things into one file, one row each: ``uid``, ``title``, then one column a property.

    The values are the current ones; a Thing without a property has null there (in JSON Lines, no field). A
    property called ``uid`` or ``title`` gets the column ``property:uid`` or ``property:title``. The file is
    complete, or the task fails and leaves nothing.

    Returns the manifest: where the file is, its format, rows, bytes, columns, requests, seconds.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``.
    :param space: id of the space; the connection's own when it is left out.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = ("output_path", "category", "filters", "space", "iotstudio_conn_id")

    def __init__(
        self,
        *,
        output_path: str,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        space: str | None = None,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.category = category
        self.filters = filters
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export."""
        from airflow_provider.iotstudio.export import choose_format, export_things

        choose_format(self.output_path)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            made = export_things(hook, self.output_path, category=self.category, filters=self.filters)
            return tell(context, self.outlets, made)


class IoTStudioExportHistoryOperator(BaseOperator):
    """Writes recorded values of Things into one file, one row each.

    The columns are ``thing_id``, ``at``, ``property``, ``value``. A span holds its start and not its end, so
    that runs over data intervals neither miss nor repeat a value. The file is complete, or the task fails and
    leaves nothing.

    The service forgets old values (after one to three months, says the vendor); what it has forgotten is in
    no export. When ``start`` is more than four weeks ago, the log and the manifest tell of how many Things
    nothing from before it is kept.

    Returns the manifest, with ``things`` (how many were read), ``watermark`` (the newest time, or null) and,
    where values may be missing, ``retention``: ``{"start", "things": n, "kept_from": {thing_id: time of its
    oldest value, or null}}``, with at most 20 of the Things.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param thing_ids: these Things; without it, all that ``category`` and ``filters`` leave.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values: ``{"mode": "eco"}``.
    :param start: no value before this: ``"{{ data_interval_start }}"``.
    :param end: no value from here on: ``"{{ data_interval_end }}"``.
    :param properties: only these properties.
    :param concurrency: requests at the same time, 1 to 32.
    :param incremental: begin where the last run ended, which is kept on the task's one outlet asset and moves
        only after the file is published (Airflow 3.3). ``start`` is for the first run. What is recorded
        while the export runs is left to the next one. Values that come late, with a time before the newest
        one of the last export, are not seen again. A run that is cleared after it had ended well exports its
        own span again.
    :param space: id of the space; the connection's own when it is left out.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "thing_ids",
        "category",
        "filters",
        "start",
        "end",
        "properties",
        "space",
        "iotstudio_conn_id",
    )

    def __init__(
        self,
        *,
        output_path: str,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        properties: Sequence[str] | None = None,
        concurrency: int = 8,
        incremental: bool = False,
        space: str | None = None,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self.start = start
        self.end = end
        self.properties = properties
        self.concurrency = concurrency
        self.incremental = incremental
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export."""
        from airflow_provider.iotstudio.export import choose_format
        from airflow_provider.iotstudio.past import Span
        from airflow_provider.iotstudio.progress import Progress

        choose_format(self.output_path)
        self._check_arguments()
        asked = Span.read(self.start, self.end)
        if not self.incremental:
            return tell(context, self.outlets, self._export(asked))
        progress = Progress(context, self.outlets, self._source(), self.log)
        span = progress.span(asked)
        result = self._export(span)
        progress.finished(span, result["watermark"])
        return tell(context, self.outlets, result)

    def _source(self) -> list[Any]:
        chosen = [self.thing_ids, self.category, self.filters, self.properties]
        return [self.iotstudio_conn_id, self.space, *chosen]

    def _export(self, span: Span) -> dict[str, Any]:
        from airflow_provider.iotstudio.export import export_history

        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            return export_history(
                hook,
                self.output_path,
                thing_ids=self.thing_ids,
                category=self.category,
                filters=self.filters,
                span=span,
                properties=self.properties,
                concurrency=self.concurrency,
            )

    def _check_arguments(self) -> None:
        from airflow_provider.iotstudio.writer import MOST_THREADS

        problems = []
        for name in ("thing_ids", "properties"):
            value: object = getattr(self, name)
            if isinstance(value, str) or (value is not None and not all(map(_is_name, cast("Any", value)))):
                problems.append(f"'{name}' must be a list of texts")
        if self.thing_ids is not None and (self.category is not None or self.filters):
            problems.append("give 'thing_ids', or 'category' and 'filters', not both")
        if not 1 <= self.concurrency <= MOST_THREADS:
            problems.append(f"'concurrency' must be 1 to {MOST_THREADS}, not {self.concurrency}")
        if problems:
            raise InputError(problems, "the task's arguments")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)
