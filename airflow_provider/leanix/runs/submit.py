"""Run submission: create and start at most one run per request of a task, across retries and crashes.

A run is created first and started second. A run that was created but not started does nothing, so a lost
reply to a create leaves at most an idle run. The service rejects a second start of a run, so a start can
be repeated. A task finds its run by the id in its state store, or by the marker in the run's description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.core.compat import without_retry
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    RunTimeoutError,
    clauses,
    one_line,
)
from airflow_provider.leanix.api import CREATED, ENDED, LIVE, MAX_TEXT_LENGTH, UNSUCCESSFUL, id_of_run
from airflow_provider.leanix.runs.wait import deadline_after, status_after_stop

SUPERSEDED_SECONDS = 60.0
"""Maximum seconds until a run with an earlier input has ended after its stop."""

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.core.state.submission import Submission
    from airflow_provider.leanix.hooks import LeanIXHook
    from airflow_provider.leanix.ldif.document import Ldif


def submit(
    hook: LeanIXHook,
    submission: Submission,
    ldif: Ldif,
    *,
    test: bool,
    is_retry: bool,
    execution_group: str | None = None,
) -> str:
    """Ensure that a run of this LDIF is started; return its id.

    A run of an earlier attempt is resumed: a created run is started, a live or FINISHED run is left as it
    is. After a FAILED or STOPPED run a new run is created.

    :param submission: the task's stored submission; its request must identify this LDIF.
    :param test: start a dry run.
    :param is_retry: whether an earlier attempt may have created a run that is not in the state store.
    :param execution_group: the group whose configurations are run; None for the one that the header selects.
    :raises AmbiguousWriteError: when an earlier attempt may have started a run that cannot be found.
    """
    run_id, status = _find_run(hook, submission, is_retry) or ("", "")
    if is_retry:
        _report_idle_runs(hook, submission, run_id)
    if not run_id:
        _stop_superseded_runs(hook, submission, is_retry)
        submission.intend()
        run_id, status = _create_run(hook, submission, ldif, execution_group), CREATED
        if is_retry and not submission.remembers:
            _ensure_no_hidden_run(hook, submission, run_id)
        name = f"execution group {execution_group}" if execution_group else ldif.connector
        hook.log.info("Created run %s of %s with %d items (%s)", run_id, name, ldif.count, submission.marker)
    else:
        hook.log.info("Resuming run %s of an earlier attempt, it is %s", run_id, status)
    if submission.remote_id != run_id:
        _record(hook, submission, run_id, status)
    if status == CREATED:
        start_once(hook, run_id, test=test)
    return run_id


def start_once(hook: LeanIXHook, run_id: str, *, test: bool) -> None:
    """Start a run unless it was started already.

    :param test: start a dry run.
    :raises RequestRejectedError: when the service rejects the start of a run that is not started.
    """
    if hook.start_run(run_id, test=test):
        hook.log.info("Started run %s", run_id)
    elif (status := hook.get_run_status(run_id)) == CREATED:
        raise RequestRejectedError(400, "", f"the service does not start run {run_id}, which is {status}")
    else:
        hook.log.info("Run %s was started before, it is %s", run_id, status)


def stop_killed_run(hook: LeanIXHook, run_id: str, log: Logger) -> None:
    """Stop the run of a killed task, unless another attempt may wait for it.

    Airflow also ends a task that continues after a pause, when its next attempt has started.

    :param log: the task's log.
    """
    if seconds := TaskPauses.here().within(60.0):
        log.warning(
            "Run %s is not stopped: this task did not run for %.0f s, and another attempt may wait",
            run_id,
            seconds,
        )
    else:
        log.info("Run %s %s", run_id, "was asked to stop" if hook.stop_run(run_id) else "was not running")


def _record(hook: LeanIXHook, submission: Submission, run_id: str, status: str) -> None:
    """Record a run before it is started."""
    try:
        submission.created(run_id)
    except Exception:
        if status == CREATED:
            hook.log.error(
                "Run %s was created and is not started here: this attempt's state cannot be stored, perhaps"
                " because another attempt has taken over. LeanIX can neither stop nor delete the run",
                run_id,
            )
        raise


def _report_idle_runs(hook: LeanIXHook, submission: Submission, run_id: str) -> None:
    """Log the runs that earlier attempts have created and not started, except the one to start."""
    try:
        rows = hook.list_runs()
    except ProviderError as error:
        hook.log.info("Runs that were never started are not searched for: %s", error)
        return
    for row in rows:
        is_mine = submission.task_marker in str(row.get("description") or "")
        if is_mine and row.get("status") == CREATED and row.get("id") != run_id:
            hook.log.warning(
                "Run %s of an earlier attempt was created and never started. It does nothing; LeanIX can"
                " neither stop nor delete it",
                one_line(str(row.get("id"))),
            )


def _find_run(hook: LeanIXHook, submission: Submission, is_retry: bool) -> tuple[str, str] | None:
    """Return id and status of the existing run of this request; None when a new run is needed."""
    if submission.remote_id:
        status = _status_or_none(hook, submission.remote_id)
        if status and status not in UNSUCCESSFUL:
            return submission.remote_id, status
        hook.log.info(
            "Run %s of an earlier attempt is %s", submission.remote_id, status or "unknown to the service"
        )
        submission.renew()
        return None
    if submission.earlier_id and submission.earlier_was_same:
        # The task was cleared while its run was live.
        status = _status_or_none(hook, submission.earlier_id)
        if status in LIVE:
            return submission.earlier_id, str(status)
    if submission.is_known or (is_retry and not submission.remembers):
        return _find_run_by_marker(hook, submission)
    return None


def _find_run_by_marker(hook: LeanIXHook, submission: Submission) -> tuple[str, str] | None:
    """Return id and status of the run with the marker; after an unsuccessful run, take the next marker."""
    found = select_marked_run(hook.list_runs(), submission.marker)
    if found is None:
        return None
    generation, run_id, status = found
    if status in UNSUCCESSFUL:
        submission.generation = generation + 1
        return None
    submission.generation = generation
    return run_id, status


def select_marked_run(rows: Iterable[Mapping[str, Any]], marker: str) -> tuple[int, str, str] | None:
    """Return the latest run with a marker, or with a later generation of the same marker.

    When several runs have the same marker, because the reply to a create was lost, the started run is
    returned.

    :param rows: the run list.
    :return: generation, id and status.
    """
    request, _, generation = marker.rpartition(".")
    best: tuple[tuple[int, int], str, str] | None = None
    for row in rows:
        before, mark, after = str(row.get("description") or "").rpartition(f"{request}.")
        if not mark or not after.isdigit() or int(after) < int(generation) or before.endswith(request):
            continue
        status = str(row.get("status") or "")
        rank = (int(after), 0 if status == CREATED else 1)
        if best is None or rank > best[0]:
            best = (rank, id_of_run(row), status)
    return (best[0][0], best[1], best[2]) if best else None


def _ensure_no_hidden_run(hook: LeanIXHook, submission: Submission, run_id: str) -> None:
    """Raise unless a run of an earlier attempt would have been found by its marker.

    It is not certain that the list of runs has descriptions, nor that runs of groups keep theirs. The new
    run, which is not started yet, shows it.
    """
    if select_marked_run(hook.list_runs(), submission.marker):
        return
    raise without_retry(
        AmbiguousWriteError(
            "an earlier attempt of this task may have started a run, and the service's list of runs does not"
            f" have the descriptions by which it would be found. Run {run_id} was created"
            " and is not started. Look into the workspace's sync log; if there is no run, start the task in a"
            " new DAG run. From Airflow 3.3 on, the run's id is remembered"
        )
    )


def _create_run(hook: LeanIXHook, submission: Submission, ldif: Ldif, execution_group: str | None) -> str:
    description = append_marker(ldif.header.get("description"), submission.marker)
    marked = ldif.with_description(description)
    try:
        return _send_create(hook, marked, execution_group)
    except AmbiguousWriteError as error:
        found = select_marked_run(hook.list_runs(), submission.marker)
        if found:
            hook.log.info("The reply to the create was lost, but run %s was created", found[1])
            return found[1]
        # At worst an idle run is left behind.
        hook.log.warning("%s. No run with the marker exists, so another create is sent", error)
        return _send_create(hook, marked, execution_group)


def _send_create(hook: LeanIXHook, ldif: Ldif, execution_group: str | None) -> str:
    """Create a run; a refusal says what to check, because the service may not."""
    try:
        return hook.create_run(ldif, execution_group=execution_group)
    except (NotFoundError, PermissionDeniedError, RequestRejectedError) as error:
        key = ldif.connector
        wanted = (
            f"execution group '{execution_group}'" if execution_group else f"processor configuration {key}"
        )
        workspace = ldif.header.get("lxWorkspace")
        also = f", and that lxWorkspace {workspace} is its id" if workspace else ""
        advice = f"check that the workspace of the API token has the {wanted}{also}"
        error.message = clauses(error.message or "refused", advice)
        raise


def _stop_superseded_runs(hook: LeanIXHook, submission: Submission, is_retry: bool) -> None:
    """Stop the runs that earlier attempts have started with another input, before the new run starts.

    :raises RunTimeoutError: when one of them does not end.
    """
    superseded: list[str] = []
    if submission.earlier_id and _status_or_none(hook, submission.earlier_id) in LIVE:
        superseded.append(submission.earlier_id)
    if is_retry and not submission.remembers:
        superseded += live_run_ids(hook.list_runs(), submission.task_marker)
    for run_id in superseded:
        hook.log.warning("The input has changed: stopping run %s of an earlier attempt", run_id)
        hook.stop_run(run_id)
        status = status_after_stop(hook, run_id, deadline_after(SUPERSEDED_SECONDS))
        if status not in ENDED:
            raise RunTimeoutError(
                run_id,
                status,
                f"the input has changed, and {SUPERSEDED_SECONDS:g} s after its stop the run of an earlier"
                " attempt had not ended; no new run was created beside it, a retry looks again",
            )


def live_run_ids(rows: Iterable[Mapping[str, Any]], marker: str) -> list[str]:
    """Return the ids of the live runs whose description contains a marker.

    :param rows: the run list.
    """
    return [
        id_of_run(row)
        for row in rows
        if row.get("status") in LIVE and marker in str(row.get("description") or "")
    ]


def _status_or_none(hook: LeanIXHook, run_id: str) -> str | None:
    """Return a run's status, or None for an unknown run.

    A 404 may come from a gateway, and which status an unknown run has is not documented: the run list tells.
    """
    try:
        return hook.get_run_status(run_id)
    except (NotFoundError, PermissionDeniedError, RequestRejectedError):
        found = (str(row.get("status")) for row in hook.list_runs() if row.get("id") == run_id)
        return next(found, None)


def append_marker(text: object, marker: str) -> str:
    """Return the user's text with the marker appended, shortened to the length that the service allows."""
    room = MAX_TEXT_LENGTH - len(marker) - 1
    shown = str(text or "").strip()
    if len(shown) > room:
        shown = shown[: room - 1] + "…"
    return f"{shown} {marker}".strip()
