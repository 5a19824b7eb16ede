"""Operators for Altair IoT Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.arguments import (
    check_not_empty,
    check_positive,
    check_range,
    check_texts,
    raise_problems,
)
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import is_deferrable
from airflow_provider.core.polling import clock, wait_for
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import NotFoundError, RunFailedError
from airflow_provider.iotstudio.actions import Verdicts, Wish, gone, submit
from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.iotstudio.export.history import Span


__all__ = [
    "IoTStudioExportHistoryOperator",
    "IoTStudioExportThingsOperator",
    "IoTStudioInvokeActionOperator",
    "IoTStudioWritePropertiesOperator",
]


class IoTStudioWritePropertiesOperator(BaseOperator):
    """Sets properties of one Thing or of thousands, and makes sure that they were taken.

    All values of a Thing go in one request, Things are written at the same time, JSON types are kept. The
    input is checked as a whole before the first request. When a row fails, all others are still written, the
    error names each failure, and the task fails; its next try writes only what is not right yet.

    Returns ``{"written": n, "skipped": n, "verified": n}``, counted in property values.

    :param thing_id: the one Thing to write to; goes with ``properties``.
    :param properties: its new values by name.
    :param writes: many Things instead: a list of ``{"thing_id": ..., "properties": {...}}``, or the path of
        such rows (``.json``, ``.jsonl``, ``.csv`` with JSON in ``properties``, ``.parquet``), local or any
        URL that ``ObjectStoragePath`` takes.
    :param space: id of the space; the connection's own when it is left out.
    :param verify: read back afterwards, in bulk, and fail with ``VerificationError`` when a value is not
        stored, clamped or rounded. Floats may differ by as much as a 32-bit float loses.
    :param only_changed: read first, and write only what differs; this also spares the history.
    :param update_history: False keeps the values out of the Things' history.
    :param concurrency: requests at the same time, 1 to 32.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "thing_id",
        "properties",
        "writes",
        "space",
        "iotstudio_conn_id",
    )

    def __init__(
        self,
        *,
        thing_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        writes: Sequence[Mapping[str, Any]] | str | None = None,
        space: str | None = None,
        verify: bool = True,
        only_changed: bool = False,
        update_history: bool = True,
        concurrency: int = 8,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thing_id = thing_id
        self.properties = properties
        self.writes = writes
        self.space = space
        self.verify = verify
        self.only_changed = only_changed
        self.update_history = update_history
        self.concurrency = concurrency
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Check all rows, write them, read them back."""
        from airflow_provider.iotstudio.properties.requests import plan_writes
        from airflow_provider.iotstudio.properties.writer import PropertyWriter

        writes = plan_writes(thing_id=self.thing_id, properties=self.properties, writes=self.writes)
        # What an earlier try has written is not written again: it would be in the history twice.
        again = getattr(context.get("ti"), "try_number", 1) > 1
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            writer = PropertyWriter(
                hook,
                concurrency=self.concurrency,
                update_history=self.update_history,
                only_changed=self.only_changed or again,
                verify=self.verify,
            )
            return add_to_outlet_events(context, self.outlets, writer.write(writes))


class IoTStudioInvokeActionOperator(BaseOperator):
    """Asks a Thing to do something, and waits until the device says how it went.

    The request is sent once: when its answer is lost, the Thing's action list tells whether it arrived; a
    later try of the task takes up the request of an earlier one. Only after the device said that it failed
    does a later try ask again.

    Returns ``{"action_id", "status", "output"}``.

    :param thing_id: the Thing.
    :param action: the action's name.
    :param input: the action's input, any JSON; None sends none.
    :param wait: False returns as soon as the request is stored.
    :param success_statuses: statuses that mean it was done; a device is free to name them (the vendor's docs
        know ``pending`` and ``completed``).
    :param failure_statuses: statuses that mean it was not; they fail the task.
    :param poll_interval: the longest interval between two looks, in seconds.
    :param timeout: seconds until the task gives up waiting; the request stays with the device, and a later
        try goes on waiting for it.
    :param space: id of the space; the connection's own when it is left out.
    :param deferrable: wait in the triggerer, not on a worker; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = ("thing_id", "action", "input", "space", "iotstudio_conn_id")

    def __init__(
        self,
        *,
        thing_id: str,
        action: str,
        input: Any = None,  # noqa: A002 - the API's own word
        wait: bool = True,
        success_statuses: Sequence[str] = ("completed",),
        failure_statuses: Sequence[str] = ("failed", "error", "cancelled"),
        poll_interval: float = 5,
        timeout: float = 3600,
        space: str | None = None,
        deferrable: bool | None = None,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thing_id = thing_id
        self.action = action
        self.input = input
        self.wait = wait
        self.success_statuses = success_statuses
        self.failure_statuses = failure_statuses
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.space = space
        self.deferrable = deferrable
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Request the action or take up its request, and wait for it here or in the triggerer."""
        self._check_arguments()
        submission = self._submission(context)
        deadline = clock() + self.timeout
        with self._hook() as hook:
            action_id = submit(hook, submission, self._wish, tried_since=_tried_since(context, submission))
            if not self.wait:
                submission.finished()
                asked = {"action_id": action_id, "status": "pending", "output": None}
                return add_to_outlet_events(context, self.outlets, asked)
            if is_deferrable(self.deferrable):
                self._wait_in_triggerer(action_id, deadline)
            entry = self._wait_here(hook, action_id, deadline)
        return add_to_outlet_events(context, self.outlets, self._conclude(submission, entry))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Judge the action that the trigger has waited for."""
        raise_for(event)
        with self._hook() as hook:
            entry = self._entry(hook, event["action_id"])
        return add_to_outlet_events(context, self.outlets, self._conclude(self._submission(context), entry))

    @property
    def _wish(self) -> Wish:
        return Wish(self.thing_id, self.action, self.input)

    @property
    def _verdicts(self) -> Verdicts:
        return Verdicts(tuple(self.success_statuses), tuple(self.failure_statuses))

    def _hook(self) -> IoTStudioHook:
        return IoTStudioHook(self.iotstudio_conn_id, space=self.space)

    def _submission(self, context: Context) -> Submission:
        asked = [self.iotstudio_conn_id, self.space, self.thing_id, self.action, self.input]
        return Submission(context, asked, self.log, "action")

    def _entry(self, hook: IoTStudioHook, action_id: str) -> dict[str, Any]:
        try:
            return hook.get_action(self.thing_id, self.action, action_id)
        except NotFoundError as error:
            raise gone(self._wish, action_id, error) from None

    def _wait_here(self, hook: IoTStudioHook, action_id: str, deadline: float) -> dict[str, Any]:
        def poll() -> dict[str, Any] | None:
            entry = self._entry(hook, action_id)
            return entry if self._verdicts.is_over(str(entry.get("status"))) else None

        try:
            return wait_for(poll, deadline=deadline, poll_interval=self.poll_interval, log=self.log)
        except TimeoutError:
            return self._entry(hook, action_id)

    def _wait_in_triggerer(self, action_id: str, deadline: float) -> None:
        from airflow_provider.iotstudio.triggers import IoTStudioActionTrigger

        trigger = IoTStudioActionTrigger(
            iotstudio_conn_id=self.iotstudio_conn_id,
            space=self.space,
            thing_id=self.thing_id,
            action=self.action,
            action_id=action_id,
            success_statuses=self.success_statuses,
            failure_statuses=self.failure_statuses,
            deadline=deadline,
            poll_interval=self.poll_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _conclude(self, submission: Submission, entry: dict[str, Any]) -> dict[str, Any]:
        """Give the operator's result, or raise."""
        status = str(entry.get("status"))
        if not self._verdicts.is_over(status):
            raise RunFailedError(entry["id"], status, f"{self._wish} was not over after {self.timeout:g} s")
        submission.finished()
        return self._verdicts.judge(self._wish, entry)

    def _check_arguments(self) -> None:
        from airflow_provider.iotstudio.properties.requests import not_json

        problems = [
            *check_not_empty("thing_id", self.thing_id),
            *check_not_empty("action", self.action),
            *check_not_empty("success_statuses", self.success_statuses),
            *check_positive("poll_interval", self.poll_interval),
            *check_positive("timeout", self.timeout),
            *check_texts("success_statuses", self.success_statuses),
            *check_texts("failure_statuses", self.failure_statuses),
        ]
        if why := not_json(self.input):
            problems.append(f"'input': {why}")
        raise_problems(problems)


def _tried_since(context: Context, submission: Submission) -> datetime | None:
    """Give when an earlier try may have begun, where nothing is remembered of it."""
    if submission.remembers or int(getattr(context["ti"], "try_number", 1) or 1) <= 1:
        return None
    started = getattr(context.get("dag_run"), "start_date", None)
    return started if isinstance(started, datetime) else None


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
        from airflow_provider.iotstudio.export.export import choose_format, export_things

        choose_format(self.output_path)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            made = export_things(hook, self.output_path, category=self.category, filters=self.filters)
            return add_to_outlet_events(context, self.outlets, made)


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
        from airflow_provider.iotstudio.export.export import choose_format
        from airflow_provider.iotstudio.export.history import Span
        from airflow_provider.iotstudio.export.incremental import Progress

        choose_format(self.output_path)
        self._check_arguments()
        asked = Span.read(self.start, self.end)
        if not self.incremental:
            return add_to_outlet_events(context, self.outlets, self._export(asked))
        progress = Progress(context, self.outlets, self._source(), self.log)
        span = progress.span(asked)
        result = self._export(span)
        progress.finished(span, result["watermark"])
        return add_to_outlet_events(context, self.outlets, result)

    def _source(self) -> list[Any]:
        chosen = [self.thing_ids, self.category, self.filters, self.properties]
        return [self.iotstudio_conn_id, self.space, *chosen]

    def _export(self, span: Span) -> dict[str, Any]:
        from airflow_provider.iotstudio.export.export import export_history

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
        from airflow_provider.iotstudio.properties.writer import MOST_THREADS

        problems = [
            *check_texts("thing_ids", self.thing_ids),
            *check_texts("properties", self.properties),
            *check_range("concurrency", self.concurrency, 1, MOST_THREADS),
        ]
        if self.thing_ids is not None and (self.category is not None or self.filters):
            problems.append("give 'thing_ids', or 'category' and 'filters', not both")
        raise_problems(problems)
