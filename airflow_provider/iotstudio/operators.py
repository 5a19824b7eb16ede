"""Operators for Altair IoT Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import is_deferrable
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.pages.links import ReportLink
from airflow_provider.core.polling import clock, wait_for
from airflow_provider.errors import one_line
from airflow_provider.iotstudio import DEFAULT_CONN_ID
from airflow_provider.iotstudio.actions import (
    INITIAL_STATUS,
    ActionOptions,
    StatusLog,
    attempted_since,
    check_condition,
    finish,
    is_done,
    read_action,
    read_options,
    submit,
)
from airflow_provider.iotstudio.conditions import filter_problems, name_problems
from airflow_provider.iotstudio.events.operator import IoTStudioExportEventsOperator
from airflow_provider.iotstudio.export.parts.operator import HistoryOperator, IoTStudioPlanHistoryOperator
from airflow_provider.iotstudio.sync.operator import IoTStudioSyncThingsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.core.files.row_source import RowOptions
    from airflow_provider.core.state.submission import Submission
    from airflow_provider.iotstudio.hooks import IoTStudioHook
    from airflow_provider.iotstudio.properties.writes import WriteSpool


__all__ = [
    "IoTStudioExportEventsOperator",
    "IoTStudioExportHistoryOperator",
    "IoTStudioExportThingsOperator",
    "IoTStudioInvokeActionOperator",
    "IoTStudioPlanHistoryOperator",
    "IoTStudioSyncThingsOperator",
    "IoTStudioWritePropertiesOperator",
]


class IoTStudioWritePropertiesOperator(RowOperator):
    """Write properties of one Thing or of thousands, and verify that they were stored.

    All values of a Thing go in one request, Things are written concurrently, JSON types are preserved. The
    whole input is validated before the first write. When a row fails, all others are still written, and the
    task fails with an error that names each failure. A retry writes only the values that differ.

    A row is ``{"thing_id": ..., "properties": {...}}``, or wide: ``thing_id`` or ``uid``, and a field per
    property, as a Things export has them; its columns ``title``, ``categories``, ``model``, ``created`` and
    ``modified`` are not written. Values of wide rows get the types that the Things declare.

    Returns ``{"written": n, "skipped": n, "verified": n}``, counted in property values.

    Further arguments: ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive``
    and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of
    :class:`RowOperator`.

    :param thing_id: id of a single Thing; used with ``properties``.
    :param properties: its new values by name; NaN leaves a property alone, None is JSON null.
    :param writes: many Things instead: a list of rows, or the path of such rows (``.json``, ``.jsonl``,
        ``.csv`` with JSON in ``properties``, ``.parquet``), local or any URL for ``ObjectStoragePath``; or
        of many such files: a folder (with ``/`` at its end), a wildcard or a manifest.
    :param columns: names of fields by names in the rows: ``{"Device": "thing_id"}``.
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
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
        "space",
        "verify",
        "only_changed",
        "update_history",
        "concurrency",
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
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
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
        from airflow_provider.iotstudio.hooks import IoTStudioHook
        from airflow_provider.iotstudio.properties.wide import convert_wide
        from airflow_provider.iotstudio.properties.writer import MAX_CONCURRENCY, PropertyWriter
        from airflow_provider.iotstudio.properties.writes import WriteSpool

        boolean = Scalar("boolean")
        scalars = {
            "verify": boolean,
            "only_changed": boolean,
            "update_history": boolean,
            "concurrency": Scalar("integer", least=1, most=MAX_CONCURRENCY),
        }
        problems = read_scalars(self, scalars)
        problems += self._source_problems()
        options = self.row_options(problems)
        # Values that an earlier attempt has written are not written again: the history would have them twice.
        is_retry = getattr(context.get("ti"), "try_number", 1) > 1
        with (
            self.open_rows(self.writes) as rows,
            IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook,
            WriteSpool() as spool,
        ):
            self._read_plan(spool, rows, options)
            convert_wide(hook, spool)
            writer = PropertyWriter(
                hook,
                concurrency=self.concurrency,
                update_history=self.update_history,
                only_changed=self.only_changed or is_retry,
                verify=self.verify,
            )
            counts = writer.write(spool)
            return add_to_outlet_events(context, self.outlets, counts)

    def _source_problems(self) -> list[str]:
        from airflow_provider.core.arguments import check_without

        one_thing = {"thing_id": self.thing_id, "properties": self.properties}
        if self.sql is not None:
            return check_without("sql", {**one_thing, "writes": self.writes})
        if self.writes is not None:
            return check_without("writes", one_thing)
        return ["set thing_id and properties, or writes, or sql"] if None in one_thing.values() else []

    def _read_plan(self, spool: WriteSpool, rows: Any, options: RowOptions) -> None:
        """Validate all rows, and store the writes that they make."""
        from airflow_provider.iotstudio.properties.requests import read_plan

        plan = read_plan(
            spool, thing_id=self.thing_id, properties=self.properties, writes=rows, options=options
        )
        if plan.left_out:
            self.log.info(
                "Columns of the Things export are not written: %s", one_line(", ".join(plan.left_out))
            )
        if plan.empty_rows:
            self.log.info("%d rows have no values and write nothing", plan.empty_rows)


class IoTStudioInvokeActionOperator(CheckedOperator):
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
    :param timeout: seconds until the task stops waiting and fails; ``execution_timeout`` is a further
        bound, also while the task is deferred. The request stays with the device, and a retry resumes
        waiting for it.
    :param done_when: condition by property name, such as ``{"position": "gte:20"}``: once it holds for the
        same Thing, the action is done, too. For devices that never set a status.
    :param space: id of the space; by default the connection's.
    :param deferrable: wait in the triggerer, not on a worker; by default Airflow's option
        ``[operators] default_deferrable``.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "thing_id",
        "action",
        "input",
        "wait",
        "success_statuses",
        "failure_statuses",
        "poll_interval",
        "timeout",
        "done_when",
        "space",
        "iotstudio_conn_id",
    )

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
        done_when: Mapping[str, Any] | None = None,
        space: str | None = None,
        deferrable: bool | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
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
        self.done_when = done_when
        self.space = space
        self.deferrable = deferrable
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Request the action or resume its request; wait on the worker or in the triggerer."""
        options = read_options(self)
        submission = self._submission(context, options)
        deadline = clock() + options.timeout
        with self._hook() as hook:
            if options.done_when and not submission.is_known:
                check_condition(hook, options)
            since = attempted_since(context, submission)
            action_id = submit(
                hook, submission, options.request, attempted_since=since, classifier=options.classifier
            )
            if not options.wait:
                submission.finished()
                result = {"action_id": action_id, "status": INITIAL_STATUS, "output": None}
                return add_to_outlet_events(context, self.outlets, result)
            if is_deferrable(self.deferrable):
                self._wait_in_triggerer(options, action_id, deadline)
            entry, is_met = self._wait_on_worker(hook, options, action_id, deadline)
        result = finish(submission, options, entry, is_met=is_met)
        return add_to_outlet_events(context, self.outlets, result)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the action that the trigger has waited for, or raise its error."""
        from airflow_provider.core.trigger_events import raise_for

        raise_for(event)
        options = read_options(self)
        with self._hook() as hook:
            entry = read_action(hook, options.request, event["action_id"])
        submission, is_met = self._submission(context, options), bool(event.get("done_when"))
        result = finish(submission, options, entry, is_met=is_met)
        return add_to_outlet_events(context, self.outlets, result)

    def _hook(self) -> IoTStudioHook:
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        return IoTStudioHook(self.iotstudio_conn_id, space=self.space)

    def _submission(self, context: Context, options: ActionOptions) -> Submission:
        from airflow_provider.core.state.submission import Submission

        payload = options.request.input_value
        request = [self.iotstudio_conn_id, self.space, self.thing_id, self.action, payload]
        return Submission(context, request, self.log, "action")

    def _wait_on_worker(
        self, hook: IoTStudioHook, options: ActionOptions, action_id: str, deadline: float
    ) -> tuple[dict[str, Any], bool]:
        """Return the action, and whether ``done_when`` holds."""
        statuses = StatusLog(self.log, options.classifier, options.request)

        def poll() -> tuple[dict[str, Any], bool] | None:
            entry = read_action(hook, options.request, action_id)
            status = str(entry.get("status"))
            if options.classifier.is_final(status):
                return entry, False
            statuses.check(status)
            return (entry, True) if is_done(hook, options.done_when) else None

        try:
            return wait_for(poll, deadline=deadline, poll_interval=options.poll_interval, log=self.log)
        except TimeoutError:
            return read_action(hook, options.request, action_id), False

    def _wait_in_triggerer(self, options: ActionOptions, action_id: str, deadline: float) -> None:
        from airflow_provider.iotstudio.triggers import IoTStudioActionTrigger

        trigger = IoTStudioActionTrigger(
            iotstudio_conn_id=self.iotstudio_conn_id,
            space=self.space,
            thing_id=self.thing_id,
            action=self.action,
            action_id=action_id,
            success_statuses=options.classifier.success,
            failure_statuses=options.classifier.failure,
            deadline=deadline,
            poll_interval=options.poll_interval,
            done_when=self.done_when,
        )
        self.defer(trigger=trigger, method_name="execute_complete")


class IoTStudioExportThingsOperator(CheckedOperator):
    """Export all Things to one file, one row each.

    The columns are ``uid``, ``title``, ``categories``, ``model``, ``created``, ``modified``, then one per
    property. The file holds current values. A Thing without a property has null in its column, and no field
    in JSON Lines. A property with the name of another column gets the column ``property:uid``, and so on. The
    types in Parquet are those that the Things declare, double for other numbers. When the task fails, no file
    is left behind.

    Returns the manifest: the file's location, format, rows, bytes and columns, and the requests and seconds
    that the export took.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. The result has its path as ``report``.
    :param space: id of the space; by default the connection's.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "category",
        "filters",
        "report",
        "space",
        "iotstudio_conn_id",
    )
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        output_path: str,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        report: bool | str = False,
        space: str | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.category = category
        self.filters = filters
        self.report = report
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the Things; return the manifest."""
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.reports.report import REPORT_SCALAR, open_report
        from airflow_provider.iotstudio.export.export import choose_format, export_things
        from airflow_provider.iotstudio.export.report import things_subject
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        choose_format(self.output_path)
        problems = [*name_problems(self.category, "category"), *filter_problems(self.filters)]
        raise_problems([*problems, *read_scalars(self, REPORT_SCALAR)])
        ensure_writable(self.output_path)
        report = open_report(self, context, self.output_path, things_subject(self))
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            manifest = export_things(
                hook, self.output_path, category=self.category, filters=self.filters, report=report
            )
            return add_to_outlet_events(context, self.outlets, manifest)


class IoTStudioExportHistoryOperator(HistoryOperator):
    """Export recorded values of Things to one file, one row each.

    The columns are ``thing_id``, ``at``, ``property``, ``value``. In Parquet ``at`` is a time in UTC,
    ``value`` JSON text, and a fifth column ``number`` has the value as a double, null when it is no number.
    A span includes its start and excludes its end, so that runs over data intervals neither miss nor repeat a
    value. When the task fails, no file is left behind.

    The service deletes old values (after one to three months, according to the vendor). When ``start`` is
    more than four weeks ago, the log and the manifest report the Things that have no stored value from before
    it.

    Returns the manifest, with ``things`` (number of Things read), ``missing_things`` (Things that are gone
    meanwhile), ``without_values`` (Things without a value in the span), ``watermark`` (the newest time that
    has passed, or null) and, when values may be missing, ``retention``: ``{"start", "things": n, "kept_from":
    {thing_id: time of its oldest value, or null}}``, with at most 20 of the Things.

    What is exported is said by the arguments of :class:`HistoryOperator`.

    :param output_path: a local path, or any URL that ``ObjectStoragePath`` takes, ending in ``.jsonl``,
        ``.csv`` (each also with ``.gz``) or ``.parquet``.
    :param concurrency: number of requests at the same time, 1 to 32.
    :param incremental: start where the last run ended. The watermark is stored on the task's single outlet
        asset (Airflow 3.3), and moves only once the file has its final name. ``start`` applies to the first
        run. Values recorded during an export are left to the next run. When a run that had succeeded is
        cleared, it exports its own span again. Not together with ``filters``: a Thing that does not match
        during a run would lose its values.
    :param lag: how late a value may arrive, as a ``timedelta`` or in seconds, for devices that upload later
        what they have recorded offline. Each incremental run reads so far back behind the watermark, and
        exports the values that no run has exported yet. Without it, a value with a time before the newest
        time of the last export is missed.
    :param part: one of the parts that ``IoTStudioPlanHistoryOperator`` returns, from
        ``expand(part=plan.output)``: export the histories of its Things into a file of its own. In
        ``output_path``, ``{part}`` stands for ``00003-of-00008``; a folder with ``/`` at its end gets the
        file ``part-00003-of-00008.jsonl``. Not with ``incremental``.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. The result has its path as ``report``.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "concurrency",
        "incremental",
        "lag",
        "part",
        "report",
        *HistoryOperator.SELECTION_FIELDS,
    )
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        output_path: str,
        concurrency: int = 8,
        incremental: bool = False,
        lag: timedelta | float | None = None,
        part: Mapping[str, Any] | None = None,
        report: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.concurrency = concurrency
        self.incremental = incremental
        self.lag = lag
        self.part = part
        self.report = report

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the history; return the manifest."""
        from airflow_provider.iotstudio.export.history_task import run_export

        return add_to_outlet_events(context, self.outlets, run_export(self, context))
