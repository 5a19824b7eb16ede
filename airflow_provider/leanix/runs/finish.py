"""Finish of a run: classify it when it has ended, and download its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider.leanix.runs import wait
from airflow_provider.leanix.runs.outcome import RunOutcome, raise_unless_successful, read_outcome
from airflow_provider.leanix.runs.request import RunRequest

if TYPE_CHECKING:
    from airflow_provider.core.reports.report import Report
    from airflow_provider.leanix.hooks import LeanIXHook


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """Arguments of a task that decide about an ended run, see the operator.

    :param results_seconds: seconds for which the results are requested.
    """

    fail_on: str
    max_errors: int
    allow_unprocessed: bool
    output_path: str | None
    output_format: str | None
    ldif_path: str | None
    allow_no_results: bool
    results_seconds: float

    @classmethod
    def of_task(cls, task: Any, deadline: float) -> FinishOptions:
        """Return the options of an operator; a dry run may process nothing and have no results.

        :param deadline: seconds since the epoch.
        """
        return cls(
            fail_on=task.fail_on,
            max_errors=task.max_errors,
            allow_unprocessed=task.allow_unprocessed or task.test_run,
            output_path=task.output_path,
            output_format=task.output_format,
            ldif_path=task.ldif_path,
            allow_no_results=task.allow_no_results or task.test_run,
            results_seconds=wait.results_seconds(deadline),
        )


def finish_run(
    hook: LeanIXHook,
    run_id: str,
    status: str,
    request: RunRequest,
    options: FinishOptions,
    report: Report | None = None,
) -> tuple[RunOutcome, dict[str, Any] | None]:
    """Return the outcome of a successful run, and the manifest of its results.

    :param status: the run's last status.
    :param report: the report of the results; None for none.
    :raises RunFailedError: when the run counts as failed, or has no results although it exists for them.
    """
    outcome = read_outcome(hook, run_id, status)
    raise_unless_successful(
        hook,
        outcome,
        fail_on=options.fail_on,
        max_errors=options.max_errors,
        sent=request.sent,
        allow_unprocessed=options.allow_unprocessed,
    )
    if not options.output_path:
        return outcome, None
    return outcome, wait.download_results(
        hook,
        run_id,
        options.output_path,
        options.output_format,
        seconds=options.results_seconds,
        required=request.is_export and not options.allow_no_results,
        ldif_path=options.ldif_path,
        report=report,
    )
