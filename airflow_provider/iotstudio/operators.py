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
from airflow_provider.iotstudio.actions import ActionRequest, StatusClassifier, missing_action_error, submit
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
    """Write properties of one Thing or of thousands, and verify that they were stored.

    All values of a Thing go in one request, Things are written concurrently, JSON types are preserved. The
    whole input is validated before the first request. When a row fails, all others are still written, and the
    task fails with an error that names each failure. A retry writes only the values that differ.

    Returns ``{"written": n, "skipped": n, "verified": n}``, counted in property values.

    :param thing_id: id of a single Thing; used with ``properties``.
    :param properties: its new values by name.
    :param writes: many Things instead: a list of ``{"thing_id": ..., "properties": {...}}``, or the path of
        such rows (``.json``, ``.jsonl``, ``.csv`` with JSON in ``properties``, ``.parquet``), local or any
        URL that ``ObjectStoragePath`` takes.
    :param space: id of the space; by default the connection's.
    :param verify: read back in bulk afterwards, and fail with ``VerificationError`` when a value was not
        stored, was clamped or was rounded. Floats may differ by the precision of a 32-bit float.
    :param only_changed: read first, and write only values that differ; equal values add nothing to the
        history.
    :param update_history: False keeps the values out of the Things' history.
    :param concurrency: number of requests at the same time, 1 to 32.
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
        """Validate all rows, write them and read them back; return the counts."""
        from airflow_provider.iotstudio.properties.requests import plan_writes
        from airflow_provider.iotstudio.properties.writer import PropertyWriter

        writes = plan_writes(thing_id=self.thing_id, properties=self.properties, writes=self.writes)
        # Values that an earlier attempt has written are not written again: the history would have them twice.
        is_retry = getattr(context.get("ti"), "try_number", 1) > 1
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            writer = PropertyWriter(
                hook,
                concurrency=self.concurrency,
                update_history=self.update_history,
                only_changed=self.only_changed or is_retry,
                verify=self.verify,
            )
            return add_to_outlet_events(context, self.outlets, writer.write(writes))


class IoTStudioInvokeActionOperator(BaseOperator):
    """Request an action of a Thing, and wait for its outcome.

    The request is sent once. When no response arrives, the Thing's action list shows whether the request was
    stored. A retry of the task resumes the request of the earlier attempt; only when the device has reported
    a failure does a retry request the action again.

    Returns ``{"action_id", "status", "output"}``.

    :param thing_id: the Thing's id.
    :param action: the action's name.
    :param input: the action's input, any JSON; None sends none.
    :param wait: False returns as soon as the request is stored.
    :param success_statuses: statuses of an action that was done. Devices name their statuses freely; the
        vendor's docs name ``pending`` and ``completed``.
    :param failure_statuses: statuses of an action that was not done; they fail the task.
    :param poll_interval: maximum seconds between polls.
    :param timeout: seconds until the task stops waiting and fails. The request stays with the device, and a
        retry resumes waiting for it.
    :param space: id of the space; by default the connection's.
    :param deferrable: wait in the triggerer, not on a worker; by default Airflow's option
        ``[operators] default_deferrable``.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = ("thing_id", "action", "input", "space", "iotstudio_conn_id")

    def __init__(
        self,
        *,
        thing_id: str,
        action: str,
        input: Any = None,  # noqa: A002 - the API's name
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
        """Request the action or resume its request; wait on the worker or in the triggerer."""
        self._check_arguments()
        submission = self._submission(context)
        deadline = clock() + self.timeout
        with self._hook() as hook:
            action_id = submit(
                hook, submission, self._request, attempted_since=_attempted_since(context, submission)
            )
            if not self.wait:
                submission.finished()
                result = {"action_id": action_id, "status": "pending", "output": None}
                return add_to_outlet_events(context, self.outlets, result)
            if is_deferrable(self.deferrable):
                self._wait_in_triggerer(action_id, deadline)
            entry = self._wait_on_worker(hook, action_id, deadline)
        return add_to_outlet_events(context, self.outlets, self._finish(submission, entry))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the action that the trigger has waited for, or raise its error."""
        raise_for(event)
        with self._hook() as hook:
            entry = self._read_action(hook, event["action_id"])
        return add_to_outlet_events(context, self.outlets, self._finish(self._submission(context), entry))

    @property
    def _request(self) -> ActionRequest:
        return ActionRequest(self.thing_id, self.action, self.input)

    @property
    def _classifier(self) -> StatusClassifier:
        return StatusClassifier(tuple(self.success_statuses), tuple(self.failure_statuses))

    def _hook(self) -> IoTStudioHook:
        return IoTStudioHook(self.iotstudio_conn_id, space=self.space)

    def _submission(self, context: Context) -> Submission:
        request = [self.iotstudio_conn_id, self.space, self.thing_id, self.action, self.input]
        return Submission(context, request, self.log, "action")

    def _read_action(self, hook: IoTStudioHook, action_id: str) -> dict[str, Any]:
        try:
            return hook.get_action(self.thing_id, self.action, action_id)
        except NotFoundError as error:
            raise missing_action_error(self._request, action_id, error) from None

    def _wait_on_worker(self, hook: IoTStudioHook, action_id: str, deadline: float) -> dict[str, Any]:
        def poll() -> dict[str, Any] | None:
            entry = self._read_action(hook, action_id)
            return entry if self._classifier.is_final(str(entry.get("status"))) else None

        try:
            return wait_for(poll, deadline=deadline, poll_interval=self.poll_interval, log=self.log)
        except TimeoutError:
            return self._read_action(hook, action_id)

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

    def _finish(self, submission: Submission, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the operator's result, or raise the action's error."""
        status = str(entry.get("status"))
        if not self._classifier.is_final(status):
            raise RunFailedError(
                entry["id"], status, f"{self._request} was not finished after {self.timeout:g} s"
            )
        submission.finished()
        return self._classifier.result_or_raise(self._request, entry)

    def _check_arguments(self) -> None:
        from airflow_provider.iotstudio.properties.requests import json_problem

        problems = [
            *check_not_empty("thing_id", self.thing_id),
            *check_not_empty("action", self.action),
            *check_not_empty("success_statuses", self.success_statuses),
            *check_positive("poll_interval", self.poll_interval),
            *check_positive("timeout", self.timeout),
            *check_texts("success_statuses", self.success_statuses),
            *check_texts("failure_statuses", self.failure_statuses),
        ]
        if problem := json_problem(self.input):
            problems.append(f"'input': {problem}")
        raise_problems(problems)


def _attempted_since(context: Context, submission: Submission) -> datetime | None:
    """Return when an earlier attempt may have started, when no state of it can be stored."""
    if submission.remembers or int(getattr(context["ti"], "try_number", 1) or 1) <= 1:
        return None
    started = getattr(context.get("dag_run"), "start_date", None)
    return started if isinstance(started, datetime) else None


class IoTStudioExportThingsOperator(BaseOperator):
    """Export all Things to one file, one row each: ``uid``, ``title``, then one column per property.

    The file holds current values. A Thing without a property has null in its column, and no field in JSON
    Lines. A property called ``uid`` or ``title`` gets the column ``property:uid`` or ``property:title``. When
    the task fails, no file is left behind.

    Returns the manifest: the file's location, format, rows, bytes and columns, and the requests and seconds
    that the export took.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``.
    :param space: id of the space; by default the connection's.
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
        """Export the Things; return the manifest."""
        from airflow_provider.iotstudio.export.export import choose_format, export_things

        choose_format(self.output_path)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            manifest = export_things(hook, self.output_path, category=self.category, filters=self.filters)
            return add_to_outlet_events(context, self.outlets, manifest)


class IoTStudioExportHistoryOperator(BaseOperator):
    """Export recorded values of Things to one file, one row each.

    The columns are ``thing_id``, ``at``, ``property``, ``value``. A span includes its start and excludes its
    end, so that runs over data intervals neither miss nor repeat a value. When the task fails, no file is
    left behind.

    The service deletes old values (after one to three months, according to the vendor). When ``start`` is
    more than four weeks ago, the log and the manifest report the Things that have no stored value from before
    it.

    Returns the manifest, with ``things`` (number of Things read), ``watermark`` (the newest time, or null)
    and, when values may be missing, ``retention``: ``{"start", "things": n, "kept_from": {thing_id: time of
    its oldest value, or null}}``, with at most 20 of the Things.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param thing_ids: these Things; by default all that ``category`` and ``filters`` leave.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values: ``{"mode": "eco"}``.
    :param start: start of the span, inclusive: ``"{{ data_interval_start }}"``.
    :param end: end of the span, exclusive: ``"{{ data_interval_end }}"``.
    :param properties: only these properties.
    :param concurrency: number of requests at the same time, 1 to 32.
    :param incremental: start where the last run ended. The watermark is stored on the task's single outlet
        asset (Airflow 3.3), and moves only once the file has its final name. ``start`` applies to the first
        run. Values recorded during an export are left to the next run. Values that arrive late, with a time
        before the newest time of the last export, are missed. When a run that had succeeded is cleared, it
        exports its own span again.
    :param space: id of the space; by default the connection's.
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
        """Export the history; return the manifest."""
        from airflow_provider.iotstudio.export.export import choose_format
        from airflow_provider.iotstudio.export.history import Span
        from airflow_provider.iotstudio.export.incremental import HistoryWatermark

        choose_format(self.output_path)
        self._check_arguments()
        requested = Span.parse(self.start, self.end)
        if not self.incremental:
            return add_to_outlet_events(context, self.outlets, self._export(requested))
        watermark = HistoryWatermark(context, self.outlets, self._source(), self.log)
        span = watermark.span(requested)
        result = self._export(span)
        watermark.save(span, result["watermark"])
        return add_to_outlet_events(context, self.outlets, result)

    def _source(self) -> list[Any]:
        selection = [self.thing_ids, self.category, self.filters, self.properties]
        return [self.iotstudio_conn_id, self.space, *selection]

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
        from airflow_provider.iotstudio.properties.writer import MAX_CONCURRENCY

        problems = [
            *check_texts("thing_ids", self.thing_ids),
            *check_texts("properties", self.properties),
            *check_range("concurrency", self.concurrency, 1, MAX_CONCURRENCY),
        ]
        if self.thing_ids is not None and (self.category is not None or self.filters):
            problems.append("set 'thing_ids', or 'category' and 'filters', not both")
        raise_problems(problems)
