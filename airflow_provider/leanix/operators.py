"""Operators of LeanIX: start runs, wait for them, download results, and store configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.core.arguments import check_choice
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import gauge, is_deferrable
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.pages.links import ReportLink
from airflow_provider.core.polling import bounded
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import ProviderError, RunFailedError
from airflow_provider.leanix import DEFAULT_CONN_ID
from airflow_provider.leanix.api import ENDED, FINISHED, run_id_problems
from airflow_provider.leanix.arguments import (
    FAIL_ON,
    FETCH_SCALARS,
    RUN_SCALARS,
    ensure_output,
    output_problems,
)
from airflow_provider.leanix.as_code.operator import LeanIXPutConfigurationOperator
from airflow_provider.leanix.links import LeanIXSyncLogLink
from airflow_provider.leanix.runs import wait
from airflow_provider.leanix.runs.operator import LeanIXStartRunOperator
from airflow_provider.leanix.runs.request import RunRequest
from airflow_provider.leanix.sync_log.operator import LeanIXExportSyncLogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.hooks import LeanIXHook
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


class LeanIXRunOperator(LeanIXStartRunOperator):
    """Start a run, wait until it has ended, classify its outcome, and download its results.

    The result is the same in deferred mode. A retry of the task resumes the run of an earlier attempt: the
    task waits for a live run, and classifies and downloads a FINISHED run; a new run is started only after
    an unsuccessful run. The run is stopped at the deadline and when the task is killed.

    :param output_path: destination of the LDIF that the run produced: a local path, or any URL that
        ``ObjectStoragePath`` takes. Its ending decides the format: ``.json`` and ``.ldif`` for the unchanged
        bytes, ``.jsonl`` and ``.ndjson`` for the items of the content, one per line; each also with ``.gz``.
        A folder, with ``/`` at its end, gets one table for each type, by the rule of
        :mod:`airflow_provider.leanix.tables.flatten`. None downloads nothing. For an inbound run without
        ``content`` or ``sql`` it means ``write_to_ldif=True``, unless that is given.
    :param output_format: ``ldif`` or ``jsonl``, for a path without ending; for a folder
        ``jsonl``, ``csv`` or ``parquet``.
    :param ldif_path: further file, ``.ldif`` or ``.json``, that keeps the unchanged bytes beside the tables.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. ``results`` has its path as ``report``.
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
        "report",
        "fail_on",
        "max_shrink",
        "max_errors",
        "allow_unprocessed",
        "allow_no_results",
        "poll_interval",
        "timeout",
    )
    operator_extra_links = (LeanIXSyncLogLink(), ReportLink())
    scalars: ClassVar[Mapping[str, Scalar]] = RUN_SCALARS

    def __init__(
        self,
        *,
        output_path: str | None = None,
        output_format: str | None = None,
        ldif_path: str | None = None,
        report: bool | str = False,
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
        self.report = report
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
        from airflow_provider.leanix.runs.report import open_results_report

        self._check_arguments()
        ensure_output(self.output_path, self.ldif_path)
        open_results_report(self, context)
        seconds = bounded(self.timeout, self.execution_timeout)
        deadline = wait.deadline_after(seconds)
        with LeanIXHook(self.leanix_conn_id) as hook:
            with self.open_rows(self.content) as content:
                ldif = self._ldif(hook, content)
                request = RunRequest.of(ldif, self._fingerprint(ldif))
                if request.is_full and self.max_shrink is not None:
                    self._last_item_count(context, request).raise_if_shrunk(request.sent, self.max_shrink)
                submission = Submission(context, request.fingerprint, self.log)
                run_id = self._submit(context, hook, submission, ldif)
            self.sync_log_url = hook.sync_log_url()
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
        from airflow_provider.leanix.runs.report import open_results_report

        submission = self._submission or Submission(context, request.fingerprint, self.log)
        options = FinishOptions.of_task(self, deadline)
        report = open_results_report(self, context)
        try:
            status = status or wait.stop_at_deadline(hook, run_id)
            self.sync_log_url = hook.sync_log_url()
            outcome, results = finish_run(hook, run_id, status, request, options, report)
        except RunFailedError as error:
            if error.status in ENDED:  # a run that could not be stopped may still succeed
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

    def _writes(self) -> bool:
        """Return whether the run is to write an LDIF: without rows, an inbound run for a file is for that."""
        if self.write_to_ldif is not None:
            return self.write_to_ldif
        is_inbound = str(self.processing_direction).lower() == "inbound"
        return bool(self.output_path) and is_inbound and not self._has_rows

    def _check_arguments(self) -> None:
        problems = read_scalars(self, self.scalars)
        problems += check_choice("fail_on", self.fail_on, FAIL_ON)
        if self.output_path is None and self.ldif_path is not None:
            problems.append("'ldif_path' goes with a folder as 'output_path' only")
        elif self.output_path is None and self.report is True:
            problems.append("'report' goes with 'output_path' only: it is about the rows of that file")
        elif self.output_path is not None:
            problems += output_problems(self.output_path, self.output_format, self.ldif_path)
        self._raise_problems(problems)


class LeanIXFetchResultsOperator(CheckedOperator):
    """Download the LDIF that a FINISHED run produced.

    :param run_id: id of the run, which must be FINISHED.
    :param output_path: destination of the LDIF: a local path, or any URL that ``ObjectStoragePath`` takes.
        Its ending decides the format: ``.json`` and ``.ldif`` for the unchanged bytes, ``.jsonl`` and
        ``.ndjson`` for the items of the content, one per line; each also with ``.gz``. A folder, with ``/``
        at its end, gets one table for each type, see :class:`LeanIXRunOperator`.
    :param output_format: ``ldif`` or ``jsonl``, for a path without ending; for a folder
        ``jsonl``, ``csv`` or ``parquet``.
    :param ldif_path: further file, ``.ldif`` or ``.json``, that keeps the unchanged bytes beside the tables.
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, and what
        changed since the last export, see ``docs/reports.md``. The result has its path as ``report``.
    :param allow_no_results: accept a run without results; no file is written then.
    :param leanix_conn_id: id of the connection.

    Returns the manifest of the file, or None when the run produced no LDIF and that is allowed.
    """

    template_fields: Sequence[str] = (
        "run_id",
        "output_path",
        "output_format",
        "ldif_path",
        "report",
        "allow_no_results",
        "leanix_conn_id",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        run_id: str,
        output_path: str,
        output_format: str | None = None,
        ldif_path: str | None = None,
        report: bool | str = False,
        allow_no_results: bool = False,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.output_path = output_path
        self.output_format = output_format
        self.ldif_path = ldif_path
        self.report = report
        self.allow_no_results = allow_no_results
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Download the results."""
        from airflow_provider.leanix.hooks import LeanIXHook
        from airflow_provider.leanix.runs.report import open_results_report

        problems = [*run_id_problems(self.run_id), *read_scalars(self, FETCH_SCALARS)]
        raise_problems([*problems, *output_problems(self.output_path, self.output_format, self.ldif_path)])
        ensure_output(self.output_path, self.ldif_path)
        report = open_results_report(self, context)
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
                report=report,
            )
        return add_to_outlet_events(context, self.outlets, manifest) if manifest else None
