"""Tasks that start LeanIX runs, see them through, and fetch what they produce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import tell
from airflow_provider.core.compat import gauge, is_deferrable
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import InputError, ProviderError, RunFailedError
from airflow_provider.leanix import runs
from airflow_provider.leanix.configuration_operator import LeanIXPutConfigurationOperator
from airflow_provider.leanix.fetch_operator import LeanIXFetchResultsOperator
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.results import output_problems
from airflow_provider.leanix.start_operator import LeanIXStartRunOperator
from airflow_provider.leanix.verdict import FAIL_ON, Outcome

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.core.state.submission import Submission
    from airflow_provider.leanix.shrinking import LastCount

__all__ = [
    "LeanIXFetchResultsOperator",
    "LeanIXPutConfigurationOperator",
    "LeanIXRunOperator",
    "LeanIXStartRunOperator",
]

_DAY = 24 * 3600.0


class LeanIXRunOperator(LeanIXStartRunOperator):
    """Start a run, wait until it is over, judge it, and fetch its results.

    Deferred or not, the result is the same. A later try of the task takes up the run of an earlier one:
    a live run is waited for, a FINISHED one is judged and fetched, and only after one that failed comes a
    new one. At the deadline, and when the task is killed, the run is stopped.

    :param output_path: where the LDIF that the run made goes, byte for byte: a local path, or any URL that
        ``ObjectStoragePath`` takes. None fetches nothing.
    :param output_format: ``ldif``, or ``jsonl`` for the items of its content only, one a line.
    :param fail_on: ``failed``: the task fails only when the run as a whole broke; ``errors``: also when
        items failed, or none of those sent was processed; ``warnings``: also when there are warnings.
    :param max_shrink: in full mode, the share of the last run's items that may be missing from the content;
        needs an outlet asset, which keeps the count, and Airflow 3.3. None allows anything.
    :param max_errors: so many failed items are tolerated.
    :param allow_unprocessed: it is fine when none of the items sent was processed.
    :param poll_interval: the longest interval between two looks at the run, in seconds.
    :param timeout: seconds until the run is given up.
    :param deferrable: wait in the triggerer, not on a worker; by default what Airflow's option
        ``[operators] default_deferrable`` says.

    The other parameters are those of :class:`LeanIXStartRunOperator`. Returns ``run_id``, ``status``,
    ``processed``, ``errors``, ``warnings``, and ``results``: the manifest of the file, or None.
    """

    template_fields: Sequence[str] = (*LeanIXStartRunOperator.template_fields, "output_path")

    def __init__(
        self,
        *,
        output_path: str | None = None,
        output_format: str = "ldif",
        fail_on: str = "errors",
        max_errors: int = 0,
        max_shrink: float | None = 0.5,
        allow_unprocessed: bool = False,
        poll_interval: float = 5.0,
        timeout: float = _DAY,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.output_format = output_format
        self.fail_on = fail_on
        self.max_errors = max_errors
        self.max_shrink = max_shrink
        self.allow_unprocessed = allow_unprocessed
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the run or take it up, and wait for it here or in the triggerer."""
        self._check_arguments()
        deadline = runs.deadline_after(self.timeout)
        with LeanIXHook(self.leanix_conn_id) as hook:
            ldif = self._ldif(hook)
            if self.processing_mode.lower() == "full" and self.max_shrink is not None:
                self._last_count(context).check(ldif.count, self.max_shrink)
            request = self._request(ldif)
            submission = self._remember(context, request)
            run_id = self._submit(context, hook, submission, ldif)
            self.log.info("Waiting for run %s, at most %g seconds", run_id, self.timeout)
            if is_deferrable(self.deferrable):
                self._wait_in_triggerer(run_id, deadline, {"request": request, "sent": ldif.count})
            status = self._wait_here(hook, run_id, deadline)
            return self._conclude(context, hook, run_id, status, submission, ldif.count)

    def execute_complete(
        self, context: Context, event: dict[str, Any], request: str = "", sent: int = 0
    ) -> dict[str, Any]:
        """Judge the run that the trigger has waited for, and fetch its results."""
        if event["status"] == "error":
            self._tell_it_goes_on(event["run_id"])
        raise_for(event)
        status = event["run_status"] if event["status"] == "done" else ""
        with LeanIXHook(self.leanix_conn_id) as hook:
            if not request:  # a DAG test resumes a task without the arguments it deferred with
                ldif = self._ldif(hook)
                request, sent = self._request(ldif), ldif.count
            submission = self._remember(context, request)
            return self._conclude(context, hook, event["run_id"], status, submission, sent)

    def _tell_it_goes_on(self, run_id: str) -> None:
        self.log.warning("Run %s cannot be watched; it may go on, and the next try takes it up", run_id)

    def _wait_in_triggerer(self, run_id: str, deadline: float, more: dict[str, Any]) -> None:
        from airflow_provider.leanix.triggers import LeanIXRunTrigger

        trigger = LeanIXRunTrigger(
            leanix_conn_id=self.leanix_conn_id,
            run_id=run_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=more)

    def _wait_here(self, hook: LeanIXHook, run_id: str, deadline: float) -> str:
        try:
            return runs.wait_until_over(hook, run_id, deadline=deadline, poll_interval=self.poll_interval)
        except TimeoutError:
            return ""
        except ProviderError:
            self._tell_it_goes_on(run_id)
            raise

    def _conclude(
        self,
        context: Context,
        hook: LeanIXHook,
        run_id: str,
        status: str,
        submission: Submission,
        sent: int,
    ) -> dict[str, Any]:
        """Give the operator's result, or raise.

        :param status: the run's last status; empty when the deadline came first.
        """
        try:
            status = status or runs.stop_at_deadline(hook, run_id)
            self.sync_log_url = hook.sync_log_url()
            outcome = runs.judge(
                hook,
                run_id,
                status,
                fail_on=self.fail_on,
                max_errors=self.max_errors,
                sent=sent,
                empty_is_fine=self.allow_unprocessed or self.test_run,
            )
        except RunFailedError:
            submission.renew()
            raise
        results = None
        if self.output_path:
            results = hook.download_results(run_id, self.output_path, output_format=self.output_format)
        if self.output_path and results is None:
            self.log.warning("Run %s has no results; nothing was written to %s", run_id, self.output_path)
        if self.processing_mode.lower() == "full" and not self.test_run:
            self._last_count(context).keep(sent)
        submission.finished()
        self._measure(outcome)
        return tell(context, self.outlets, {**outcome.summary(), "results": results})

    def _last_count(self, context: Context) -> LastCount:
        from airflow_provider.leanix.shrinking import LastCount

        connector = f"{self.connector_type}/{self.connector_id}/{self.connector_version}"
        return LastCount(context, self.outlets, connector)

    def _measure(self, outcome: Outcome) -> None:
        tags = {"connector": f"{self.connector_type}/{self.connector_id}", "dag_id": self.dag_id}
        for name in ("processed", "errors", "warnings"):
            gauge(f"leanix.run.{name}", getattr(outcome, name) or 0, tags)

    def _check_arguments(self) -> None:
        problems = []
        if self.fail_on not in FAIL_ON:
            problems.append(f"'fail_on' must be one of {', '.join(FAIL_ON)}, not {self.fail_on!r}")
        if self.output_path is not None:
            problems += output_problems(self.output_path, self.output_format)
        problems += [
            f"'{name}' must be above 0"
            for name in ("poll_interval", "timeout")
            if not getattr(self, name) > 0
        ]
        if problems:
            raise InputError(problems, "the task's arguments")
