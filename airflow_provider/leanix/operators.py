"""Operators of LeanIX: start runs, wait for them, download results, and store configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider.core.arguments import check_choice, check_without
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import gauge, is_deferrable
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import ProviderError, RunFailedError
from airflow_provider.leanix import DEFAULT_CONN_ID
from airflow_provider.leanix.api import FINISHED, HEADER_ARGUMENTS, run_id_problems
from airflow_provider.leanix.arguments import (
    FAIL_ON,
    FETCH_SCALARS,
    RUN_SCALARS,
    START_SCALARS,
    ensure_output,
    output_problems,
)
from airflow_provider.leanix.as_code.operator import LeanIXPutConfigurationOperator
from airflow_provider.leanix.links import LeanIXSyncLogLink
from airflow_provider.leanix.runs import wait
from airflow_provider.leanix.runs.request import RunRequest
from airflow_provider.leanix.sync_log.operator import LeanIXExportSyncLogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.hooks import LeanIXHook
    from airflow_provider.leanix.ldif.document import Ldif
    from airflow_provider.leanix.runs.outcome import RunOutcome
    from airflow_provider.leanix.runs.shrink_guard import LastItemCount

__all__ = [
    "LeanIXExportSyncLogOperator",
    "LeanIXFetchResultsOperator",
    "LeanIXPutConfigurationOperator",
    "LeanIXRunOperator",
    "LeanIXStartRunOperator",
]

_DAY_SECONDS = 24 * 3600.0


class LeanIXStartRunOperator(RowOperator):
    """Start a run of a stored processor configuration, and return its id without waiting.

    The first five arguments select the configuration; a whole LDIF file as content may contain them instead,
    and what it contains must not contradict them. A retry of the task resumes the run of an earlier attempt,
    and never starts a second run beside it.

    Further arguments: ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive``
    and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of
    :class:`RowOperator`.

    :param connector_type: as in the processor configuration.
    :param connector_id: as in the processor configuration.
    :param connector_version: as in the processor configuration.
    :param processing_direction: ``inbound`` or ``outbound``.
    :param processing_mode: ``partial``, or ``full``, which deletes what the content does not contain; None
        means the mode of an LDIF file, else ``partial``.
    :param lx_version: version of the LDIF format; None means that of an LDIF file, else ``1.0.0``.
    :param lx_workspace: id of the workspace that the data is meant for; compared with the API token.
    :param description: text in the run list, at most 500 characters, of which a marker takes some 30.
    :param custom_fields: values that all processors can read; they replace those of an LDIF file.
    :param content: input of an inbound run: a list of rows, or the path of a JSON Lines, CSV, Parquet or LDIF
        file, or of many files of rows: a folder (with ``/`` at its end), a wildcard or a manifest. A row has
        ``type``, ``id`` and ``data``, or ``type``, ``id`` and a column a field of the data.
    :param columns: names of fields by names in the rows: ``{"key": "id"}``.
    :param allow_duplicates: accept items with the same type and id, such as points of a metric.
    :param min_content: minimum number of items; None means 1 in full mode, else 0.
    :param test_run: start a dry run, which changes nothing.
    :param leanix_conn_id: id of the connection.
    """

    template_fields: Sequence[str] = (
        *HEADER_ARGUMENTS.values(),
        "content",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
        "allow_duplicates",
        "min_content",
        "test_run",
        "leanix_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **RowOperator.template_fields_renderers,
        "custom_fields": "json",
    }
    scalars: ClassVar[Mapping[str, Scalar]] = START_SCALARS
    operator_extra_links = (LeanIXSyncLogLink(),)
    ui_color = "#d9e8f6"

    sync_log_url = ""
    _submission: Submission | None = None

    def __init__(
        self,
        *,
        connector_type: str | None = None,
        connector_id: str | None = None,
        connector_version: str | None = None,
        processing_direction: str | None = None,
        processing_mode: str | None = None,
        lx_version: str | None = None,
        lx_workspace: str | None = None,
        description: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
        content: list[dict[str, Any]] | str | None = None,
        allow_duplicates: bool = False,
        min_content: int | None = None,
        test_run: bool = False,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector_type = connector_type
        self.connector_id = connector_id
        self.connector_version = connector_version
        self.processing_direction = processing_direction
        self.processing_mode = processing_mode
        self.lx_version = lx_version
        self.lx_workspace = lx_workspace
        self.description = description
        self.custom_fields = custom_fields
        self.content = content
        self.allow_duplicates = allow_duplicates
        self.min_content = min_content
        self.test_run = test_run
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> Any:
        """Start the run, or resume the run of an earlier attempt; return its id."""
        from airflow_provider.leanix.hooks import LeanIXHook

        self._check_arguments()
        with LeanIXHook(self.leanix_conn_id) as hook, self.open_rows(self.content) as content:
            ldif = self._ldif(hook, content)
            submission = Submission(context, self._fingerprint(ldif), self.log)
            run_id = self._submit(context, hook, submission, ldif)
            self.sync_log_url = hook.sync_log_url()
        submission.finished()
        return run_id

    def on_kill(self) -> None:
        """Stop the run, because the task was killed."""
        from airflow_provider.leanix.hooks import LeanIXHook
        from airflow_provider.leanix.runs.submit import stop_killed_run

        if self._submission and self._submission.remote_id:
            with LeanIXHook(self.leanix_conn_id) as hook:
                stop_killed_run(hook, self._submission.remote_id, self.log)

    def _check_arguments(self) -> None:
        """Read the rendered arguments as their types, and raise all their problems."""
        self._raise_problems(read_scalars(self, self.scalars))

    def _raise_problems(self, problems: list[str]) -> None:
        """Raise the problems of arguments, with those of the arguments about rows."""
        if self.sql is not None:
            problems += check_without("sql", {"content": self.content})
        self.row_options(problems)

    def _ldif(self, hook: LeanIXHook, content: object) -> Ldif:
        from airflow_provider.leanix.ldif.document import make_header, prepare

        ldif = prepare(
            make_header(**{name: getattr(self, name) for name in HEADER_ARGUMENTS.values()}),
            content,
            min_content=self.min_content,
            options=self.row_options(),
            allow_duplicates=self.allow_duplicates,
        )
        hook.check_workspace(ldif.header.get("lxWorkspace"))
        return ldif

    def _fingerprint(self, ldif: Ldif) -> str:
        """Return the fingerprint of the request; a changed input is a new request."""
        parts = [self.leanix_conn_id, dict(ldif.header), ldif.count, ldif.sha256, self.test_run]
        return fingerprint(parts)

    def _submit(self, context: Context, hook: LeanIXHook, submission: Submission, ldif: Ldif) -> str:
        from airflow_provider.leanix.runs.submit import submit

        self._submission = submission
        is_retry = int(getattr(context["ti"], "try_number", 1) or 1) > 1
        return submit(hook, submission, ldif, test=self.test_run, is_retry=is_retry)


class LeanIXRunOperator(LeanIXStartRunOperator):
    """Start a run, wait until it has ended, classify its outcome, and download its results.

    The result is the same in deferred mode. A retry of the task resumes the run of an earlier attempt: the
    task waits for a live run, and classifies and downloads a FINISHED run; a new run is started only after
    an unsuccessful run. The run is stopped at the deadline and when the task is killed.

    :param output_path: destination of the LDIF that the run produced: a local path, or any URL that
        ``ObjectStoragePath`` takes. Its ending decides the format: ``.json`` and ``.ldif`` for the unchanged
        bytes, ``.jsonl`` and ``.ndjson`` for the items of the content, one per line; each also with ``.gz``.
        A folder, with ``/`` at its end, gets one table for each type, by the rule of
        :mod:`airflow_provider.leanix.tables.flatten`. None downloads nothing.
    :param output_format: ``ldif`` or ``jsonl``, for a path without ending; for a folder
        ``jsonl``, ``csv`` or ``parquet``.
    :param ldif_path: further file, ``.ldif`` or ``.json``, that keeps the unchanged bytes beside the tables.
    :param fail_on: ``failed``: the task fails only when the run as a whole failed; ``errors``: also when
        items failed, or when none of the items sent was processed; ``warnings``: also when there are
        warnings, or when the service cannot tell.
    :param max_shrink: in full mode, share of the last run's items that may be missing from the content;
        needs an outlet asset, on which the count is stored, and Airflow 3.3. None accepts any content.
    :param max_errors: number of failed items that is tolerated.
    :param allow_unprocessed: accept a run that processed none of the items sent.
    :param allow_no_results: accept an outbound run without results; no file is written then.
    :param poll_interval: maximum seconds between polls.
    :param timeout: seconds until the run is stopped and the task fails; ``execution_timeout`` is a further
        bound, also while the task is deferred.
    :param deferrable: wait in the triggerer instead of on a worker; None means Airflow's option
        ``[operators] default_deferrable``.

    The other parameters are those of :class:`LeanIXStartRunOperator`. Returns ``run_id``, ``status``,
    ``processed``, ``errors``, ``warnings`` (None: unknown), and ``results``: the file's manifest, or None.
    """

    template_fields: Sequence[str] = (
        *LeanIXStartRunOperator.template_fields,
        "output_path",
        "output_format",
        "ldif_path",
        "fail_on",
        "max_shrink",
        "max_errors",
        "allow_unprocessed",
        "allow_no_results",
        "poll_interval",
        "timeout",
    )
    scalars: ClassVar[Mapping[str, Scalar]] = RUN_SCALARS

    def __init__(
        self,
        *,
        output_path: str | None = None,
        output_format: str | None = None,
        ldif_path: str | None = None,
        fail_on: str = "errors",
        max_errors: int = 0,
        max_shrink: float | None = 0.5,
        allow_unprocessed: bool = False,
        allow_no_results: bool = False,
        poll_interval: float = 5.0,
        timeout: float = _DAY_SECONDS,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.output_format = output_format
        self.ldif_path = ldif_path
        self.fail_on = fail_on
        self.max_errors = max_errors
        self.max_shrink = max_shrink
        self.allow_unprocessed = allow_unprocessed
        self.allow_no_results = allow_no_results
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Start or resume the run, and wait for it on the worker or in the triggerer."""
        from airflow_provider.leanix.hooks import LeanIXHook

        self._check_arguments()
        ensure_output(self.output_path, self.ldif_path)
        seconds = wait.bounded(self.timeout, self.execution_timeout)
        deadline = wait.deadline_after(seconds)
        with LeanIXHook(self.leanix_conn_id) as hook:
            with self.open_rows(self.content) as content:
                ldif = self._ldif(hook, content)
                request = RunRequest.of(ldif, self._fingerprint(ldif))
                if request.is_full and self.max_shrink is not None:
                    self._last_item_count(context, request).raise_if_shrunk(request.sent, self.max_shrink)
                submission = Submission(context, request.fingerprint, self.log)
                run_id = self._submit(context, hook, submission, ldif)
            self.log.info("Waiting for run %s, at most %g seconds", run_id, seconds)
            if is_deferrable(self.deferrable):
                self._wait_in_triggerer(run_id, deadline, request)
            status = self._wait_on_worker(hook, run_id, deadline)
            return self._finish(context, hook, run_id, status, request, deadline)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        request: str = "",
        sent: int = 0,
        facts: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Classify the run that the trigger has waited for, and download its results."""
        from airflow_provider.leanix.hooks import LeanIXHook

        self._check_arguments()
        if event["status"] == "error":
            self._warn_of_unwatched_run(event["run_id"])
        raise_for(event)
        status = event["run_status"] if event["status"] == "done" else ""
        with LeanIXHook(self.leanix_conn_id) as hook:
            found = self._resumed_request(hook, request, sent, facts)
            self._submission = Submission(context, found.fingerprint, self.log)
            return self._finish(context, hook, event["run_id"], status, found, deadline=0.0)

    def _resumed_request(
        self, hook: LeanIXHook, request: str, sent: int, facts: Mapping[str, Any] | None
    ) -> RunRequest:
        if not request:  # ``dag.test()`` resumes a task without the arguments that it deferred with
            with self.open_rows(self.content) as content:
                ldif = self._ldif(hook, content)
            return RunRequest.of(ldif, self._fingerprint(ldif))
        if facts:
            return RunRequest.from_kwargs(request, sent, facts)
        return RunRequest.of_task(request, sent, self)

    def _warn_of_unwatched_run(self, run_id: str) -> None:
        self.log.warning("Run %s cannot be watched; it may still be live, and a retry resumes it", run_id)

    def _wait_in_triggerer(self, run_id: str, deadline: float, request: RunRequest) -> None:
        from airflow_provider.leanix.triggers import LeanIXRunTrigger

        trigger = LeanIXRunTrigger(
            leanix_conn_id=self.leanix_conn_id,
            run_id=run_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            results_seconds=wait.RESULTS_SECONDS if self.output_path else 0.0,
        )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=request.to_kwargs())

    def _wait_on_worker(self, hook: LeanIXHook, run_id: str, deadline: float) -> str:
        try:
            return wait.wait_until_over(hook, run_id, deadline=deadline, poll_interval=self.poll_interval)
        except TimeoutError:
            return ""
        except ProviderError:
            self._warn_of_unwatched_run(run_id)
            raise

    def _finish(
        self,
        context: Context,
        hook: LeanIXHook,
        run_id: str,
        status: str,
        request: RunRequest,
        deadline: float,
    ) -> dict[str, Any]:
        """Return the operator's result, or raise when the run is no success.

        :param status: the run's last status; empty after the deadline.
        :param deadline: seconds since the epoch, for the results.
        """
        from airflow_provider.leanix.runs.finish import FinishOptions, finish_run

        submission = self._submission or Submission(context, request.fingerprint, self.log)
        options = FinishOptions.of_task(self, deadline)
        try:
            status = status or wait.stop_at_deadline(hook, run_id)
            self.sync_log_url = hook.sync_log_url()
            outcome, results = finish_run(hook, run_id, status, request, options)
        except RunFailedError:
            submission.renew()
            raise
        if request.is_full and not self.test_run:
            self._last_item_count(context, request).record(request.sent)
        submission.finished()
        self._emit_metrics(outcome, request)
        return add_to_outlet_events(context, self.outlets, {**outcome.summary(), "results": results})

    def _last_item_count(self, context: Context, request: RunRequest) -> LastItemCount:
        from airflow_provider.leanix.runs.shrink_guard import LastItemCount

        return LastItemCount(context, self.outlets, request.connector)

    def _emit_metrics(self, outcome: RunOutcome, request: RunRequest) -> None:
        tags = {"connector": request.connector.rpartition("/")[0], "dag_id": self.dag_id}
        for name in ("processed", "errors", "warnings"):
            if (count := getattr(outcome, name)) is not None:
                gauge(f"leanix.run.{name}", count, tags)

    def _check_arguments(self) -> None:
        problems = read_scalars(self, self.scalars)
        problems += check_choice("fail_on", self.fail_on, FAIL_ON)
        if self.output_path is None and self.ldif_path is not None:
            problems.append("'ldif_path' goes with a folder as 'output_path' only")
        elif self.output_path is not None:
            problems += output_problems(self.output_path, self.output_format, self.ldif_path)
        self._raise_problems(problems)


class LeanIXFetchResultsOperator(BaseOperator):
    """Download the LDIF that a FINISHED run produced.

    :param run_id: id of the run, which must be FINISHED.
    :param output_path: destination of the LDIF: a local path, or any URL that ``ObjectStoragePath`` takes.
        Its ending decides the format: ``.json`` and ``.ldif`` for the unchanged bytes, ``.jsonl`` and
        ``.ndjson`` for the items of the content, one per line; each also with ``.gz``. A folder, with ``/``
        at its end, gets one table for each type, see :class:`LeanIXRunOperator`.
    :param output_format: ``ldif`` or ``jsonl``, for a path without ending; for a folder
        ``jsonl``, ``csv`` or ``parquet``.
    :param ldif_path: further file, ``.ldif`` or ``.json``, that keeps the unchanged bytes beside the tables.
    :param allow_no_results: accept a run without results; no file is written then.
    :param leanix_conn_id: id of the connection.

    Returns the manifest of the file, or None when the run produced no LDIF and that is allowed.
    """

    template_fields: Sequence[str] = (
        "run_id",
        "output_path",
        "output_format",
        "ldif_path",
        "allow_no_results",
        "leanix_conn_id",
    )
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        run_id: str,
        output_path: str,
        output_format: str | None = None,
        ldif_path: str | None = None,
        allow_no_results: bool = False,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.output_path = output_path
        self.output_format = output_format
        self.ldif_path = ldif_path
        self.allow_no_results = allow_no_results
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Download the results."""
        from airflow_provider.leanix.hooks import LeanIXHook

        problems = [*run_id_problems(self.run_id), *read_scalars(self, FETCH_SCALARS)]
        raise_problems([*problems, *output_problems(self.output_path, self.output_format, self.ldif_path)])
        ensure_output(self.output_path, self.ldif_path)
        with LeanIXHook(self.leanix_conn_id) as hook:
            status = hook.get_run_status(self.run_id)
            if status != FINISHED:
                raise RunFailedError(
                    self.run_id, status, "only a FINISHED run has results; wait until it is FINISHED"
                )
            manifest = wait.download_results(
                hook,
                self.run_id,
                self.output_path,
                self.output_format,
                seconds=wait.RESULTS_SECONDS,
                required=not self.allow_no_results,
                ldif_path=self.ldif_path,
            )
        return add_to_outlet_events(context, self.outlets, manifest) if manifest else None
