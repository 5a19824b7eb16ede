"""The task that starts a LeanIX run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider.core.arguments import check_choice, check_positive, raise_problems
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import gauge, is_deferrable
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import ProviderError, RunFailedError
from airflow_provider.leanix.api import FINISHED
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif.document import Ldif, make_header, prepare
from airflow_provider.leanix.ldif.download import output_problems
from airflow_provider.leanix.links import LeanIXSyncLogLink
from airflow_provider.leanix.runs import submit, wait
from airflow_provider.leanix.runs.outcome import FAIL_ON, Outcome, judge

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.runs.shrink_guard import LastCount


class LeanIXStartRunOperator(BaseOperator):
    """Start a run of a stored processor configuration, and return its id at once.

    The first five arguments select the configuration. A later try of the task takes up the run that an
    earlier one has made, and never starts a second one beside it.

    :param connector_type: as in the processor configuration.
    :param connector_id: as in the processor configuration.
    :param connector_version: as in the processor configuration.
    :param processing_direction: ``inbound`` or ``outbound``.
    :param processing_mode: ``partial``, or ``full``, which deletes what the content does not hold.
    :param lx_version: version of the format.
    :param lx_workspace: id of the workspace that the data is meant for; checked against the API token.
    :param description: shown in the run list, at most 500 characters, of which a marker takes some 30.
    :param custom_fields: values that all processors can read.
    :param content: what an inbound run takes in: a list of ``{"type", "id", "data"}``, or the path of a JSON
        Lines, Parquet or LDIF file.
    :param min_content: the fewest items that are no mistake; 1 in full mode unless given.
    :param test_run: a dry run that changes nothing.
    :param leanix_conn_id: the connection.
    """

    template_fields: Sequence[str] = (
        "connector_type",
        "connector_id",
        "connector_version",
        "processing_direction",
        "processing_mode",
        "lx_workspace",
        "description",
        "custom_fields",
        "content",
        "leanix_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"custom_fields": "json"}
    operator_extra_links = (LeanIXSyncLogLink(),)
    ui_color = "#d9e8f6"

    sync_log_url = ""
    _submission: Submission | None = None

    def __init__(
        self,
        *,
        connector_type: str,
        connector_id: str,
        connector_version: str,
        processing_direction: str,
        processing_mode: str = "partial",
        lx_version: str = "1.0.0",
        lx_workspace: str | None = None,
        description: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
        content: list[dict[str, Any]] | str | None = None,
        min_content: int | None = None,
        test_run: bool = False,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
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
        self.min_content = min_content
        self.test_run = test_run
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> Any:
        """Start the run, or take up the one that an earlier try has started."""
        with LeanIXHook(self.leanix_conn_id) as hook:
            ldif = self._ldif(hook)
            submission = self._remember(context, self._request(ldif))
            run_id = self._submit(context, hook, submission, ldif)
            self.sync_log_url = hook.sync_log_url()
        submission.finished()
        return run_id

    def on_kill(self) -> None:
        """Stop the run: the task was killed."""
        run_id = self._submission.remote_id if self._submission else None
        if run_id:
            with LeanIXHook(self.leanix_conn_id) as hook:
                stopped = hook.stop_run(run_id)
            self.log.info("Run %s %s", run_id, "was stopped" if stopped else "was not running")

    def _ldif(self, hook: LeanIXHook) -> Ldif:
        header = make_header(
            connector_type=self.connector_type,
            connector_id=self.connector_id,
            connector_version=self.connector_version,
            processing_direction=self.processing_direction,
            processing_mode=self.processing_mode,
            lx_version=self.lx_version,
            lx_workspace=self.lx_workspace,
            description=self.description,
            custom_fields=self.custom_fields,
        )
        ldif = prepare(header, self.content, min_content=self.min_content)
        hook.check_workspace(self.lx_workspace)
        return ldif

    def _request(self, ldif: Ldif) -> str:
        """Name what is asked for: a changed input is new work."""
        parts = [self.leanix_conn_id, dict(ldif.header), ldif.count, ldif.sha256, self.test_run]
        return fingerprint(parts)

    def _remember(self, context: Context, request: str) -> Submission:
        return Submission(context, request, self.log)

    def _submit(self, context: Context, hook: LeanIXHook, submission: Submission, ldif: Ldif) -> str:
        self._submission = submission
        tried_before = int(getattr(context["ti"], "try_number", 1) or 1) > 1
        return submit.submit(hook, submission, ldif, test=self.test_run, tried_before=tried_before)


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
        deadline = wait.deadline_after(self.timeout)
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
            return wait.wait_until_over(hook, run_id, deadline=deadline, poll_interval=self.poll_interval)
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
            status = status or wait.stop_at_deadline(hook, run_id)
            self.sync_log_url = hook.sync_log_url()
            outcome = judge(
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
        return add_to_outlet_events(context, self.outlets, {**outcome.summary(), "results": results})

    def _last_count(self, context: Context) -> LastCount:
        from airflow_provider.leanix.runs.shrink_guard import LastCount

        connector = f"{self.connector_type}/{self.connector_id}/{self.connector_version}"
        return LastCount(context, self.outlets, connector)

    def _measure(self, outcome: Outcome) -> None:
        tags = {"connector": f"{self.connector_type}/{self.connector_id}", "dag_id": self.dag_id}
        for name in ("processed", "errors", "warnings"):
            gauge(f"leanix.run.{name}", getattr(outcome, name) or 0, tags)

    def _check_arguments(self) -> None:
        problems = check_choice("fail_on", self.fail_on, FAIL_ON)
        if self.output_path is not None:
            problems += output_problems(self.output_path, self.output_format)
        problems += check_positive("poll_interval", self.poll_interval)
        problems += check_positive("timeout", self.timeout)
        raise_problems(problems)


class LeanIXFetchResultsOperator(BaseOperator):
    """Fetch the LDIF that a FINISHED run made.

    :param run_id: the run, which must be FINISHED.
    :param output_path: where the LDIF goes, byte for byte: a local path, or any URL that
        ``ObjectStoragePath`` takes.
    :param output_format: ``ldif``, or ``jsonl`` for the items of its content only, one a line.
    :param leanix_conn_id: the connection.

    Returns the manifest of the file, or None when the run made no LDIF.
    """

    template_fields: Sequence[str] = ("run_id", "output_path", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        run_id: str,
        output_path: str,
        output_format: str = "ldif",
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.output_path = output_path
        self.output_format = output_format
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Fetch the results."""
        raise_problems(output_problems(self.output_path, self.output_format))
        with LeanIXHook(self.leanix_conn_id) as hook:
            status = hook.get_run_status(self.run_id)
            if status != FINISHED:
                raise RunFailedError(
                    self.run_id, status, "only a FINISHED run has results; wait for it first"
                )
            made = hook.download_results(self.run_id, self.output_path, output_format=self.output_format)
        return add_to_outlet_events(context, self.outlets, made) if made else None


class LeanIXPutConfigurationOperator(BaseOperator):
    """Make the workspace's processor configuration what a file, or the DAG, says.

    Nothing is written when there is no difference. The log names the fields that differ, not their values.

    :param configuration: the configuration, or the path of a JSON file that holds it. One with credentials in
        it belongs into a file: what stands in the DAG, Airflow shows in its UI.
    :param leanix_conn_id: the connection.

    Returns ``{"configuration": [...], "changed": bool, "differences": [...]}``: the five fields of its key,
    and the fields that were added (``+``), removed (``-``) or given another value (``~``).
    """

    template_fields: Sequence[str] = ("configuration", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any] | str,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare, and write when something differs."""
        from airflow_provider.leanix.configurations import differences, key_of, read_configuration

        wanted = read_configuration(self.configuration)
        key = key_of(wanted)
        with LeanIXHook(self.leanix_conn_id) as hook:
            stored = hook.list_configurations(connector_type=key[0], connector_id=key[1])
            found = next((one for one in stored if key_of(one) == key), {})
            changes = list(differences(wanted, found))
            if changes:
                hook.put_configuration(wanted)
        self.log.info("Configuration %s: %s", "/".join(key), ", ".join(changes) or "nothing to change")
        result = {"configuration": list(key), "changed": bool(changes), "differences": changes[:100]}
        return add_to_outlet_events(context, self.outlets, result)
