"""Submits runs so that none starts twice, whatever breaks in between, and sees them through.

A run is made in two steps. One that was created but not started does nothing, so a lost answer to a create
costs nothing; starting one a second time is refused by the service, so a lost answer to a start costs
nothing either. What a task must not lose is which run is its own: that is what the marker in the run's
description and the task's memory are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    RequestRejectedError,
)
from airflow_provider.leanix.api import CREATED, LIVE, UNSUCCESSFUL
from airflow_provider.leanix.ldif.document import Ldif
from airflow_provider.leanix.ldif.validation import MAX_TEXT_LENGTH

if TYPE_CHECKING:
    from airflow_provider.core.state.submission import Submission
    from airflow_provider.leanix.hooks import LeanIXHook


def submit(hook: LeanIXHook, submission: Submission, ldif: Ldif, *, test: bool, is_retry: bool) -> str:
    """See to it that one run of this LDIF is started, and give its id.

    A run that an earlier try of the task has made is taken up: one that was created is started, one that
    is live or FINISHED is left as it is. After one that FAILED or was STOPPED comes a new one.

    :param submission: what the task remembers; its request must stand for this LDIF.
    :param test: a dry run.
    :param is_retry: whether another try may have made a run that the memory does not know of.
    """
    run_id, status = _find_run(hook, submission, is_retry) or ("", "")
    if not run_id:
        _stop_superseded_runs(hook, submission, is_retry)
        submission.intend()
        run_id, status = _create_run(hook, submission, ldif), CREATED
        hook.log.info("Created run %s of %s (%s)", run_id, ldif.connector, submission.marker)
    else:
        hook.log.info("Taking up run %s of an earlier try, it is %s", run_id, status)
    if submission.remote_id != run_id:
        submission.created(run_id)
    if status == CREATED:
        start_once(hook, run_id, test=test)
    return run_id


def start_once(hook: LeanIXHook, run_id: str, *, test: bool) -> None:
    """Start a run unless it was started already.

    :raises RequestRejectedError: when the service refuses, and the run is not started either.
    """
    if hook.start_run(run_id, test=test):
        hook.log.info("Started run %s", run_id)
    elif (status := hook.get_run_status(run_id)) == CREATED:
        raise RequestRejectedError(400, "", f"the service does not start run {run_id}, which is {status}")
    else:
        hook.log.info("Run %s was started before, it is %s", run_id, status)


def _find_run(hook: LeanIXHook, submission: Submission, is_retry: bool) -> tuple[str, str] | None:
    """Give the run that this work already has, with its status; None when a new one is due."""
    if submission.remote_id:
        status = _status_or_none(hook, submission.remote_id)
        if status and status not in UNSUCCESSFUL:
            return submission.remote_id, status
        hook.log.info("Run %s of an earlier try is %s", submission.remote_id, status or "unknown by now")
        submission.renew()
        return None
    if submission.earlier_id and submission.earlier_was_same:
        # The task was cleared while what it had started was still going on.
        status = _status_or_none(hook, submission.earlier_id)
        if status in LIVE:
            return submission.earlier_id, str(status)
    if submission.is_known or (is_retry and not submission.remembers):
        return _find_run_by_marker(hook, submission)
    return None


def _find_run_by_marker(hook: LeanIXHook, submission: Submission) -> tuple[str, str] | None:
    """Look for the marker through the run list; moves on to the next marker after a run that broke."""
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
    """Find the run that counts among those with a marker or a later one of the same work.

    Of several with the same marker (an answer to a create was lost), the one that was started counts.

    :param rows: the run list.
    :return: generation, id and status.
    """
    work, _, generation = marker.rpartition(".")
    best: tuple[tuple[int, int], str, str] | None = None
    for row in rows:
        before, mark, after = str(row.get("description") or "").rpartition(f"{work}.")
        if not mark or not after.isdigit() or int(after) < int(generation) or before.endswith(work):
            continue
        status = str(row.get("status") or "")
        rank = (int(after), 0 if status == CREATED else 1)
        if best is None or rank > best[0]:
            best = (rank, str(row["id"]), status)
    return (best[0][0], best[1], best[2]) if best else None


def _create_run(hook: LeanIXHook, submission: Submission, ldif: Ldif) -> str:
    marked = ldif.with_description(append_marker(ldif.header.get("description"), submission.marker))
    try:
        return hook.create_run(marked)
    except AmbiguousWriteError as error:
        found = select_marked_run(hook.list_runs(), submission.marker)
        if found:
            hook.log.info("The answer to the create was lost, but the run is there: %s", found[1])
            return found[1]
        # At worst a run that nobody starts is left behind.
        hook.log.warning("%s. No run with the marker is there, so it is created anew", error)
        return hook.create_run(marked)


def _stop_superseded_runs(hook: LeanIXHook, submission: Submission, is_retry: bool) -> None:
    """Stop what an earlier try has started with another input, before the new run begins."""
    earlier: list[str] = []
    if submission.earlier_id and _status_or_none(hook, submission.earlier_id) in LIVE:
        earlier.append(submission.earlier_id)
    if is_retry and not submission.remembers:
        earlier += live_run_ids(hook.list_runs(), submission.task_marker)
    for run_id in earlier:
        hook.log.warning("The input has changed: stopping run %s of an earlier try", run_id)
        hook.stop_run(run_id)


def live_run_ids(rows: Iterable[Mapping[str, Any]], mark: str) -> list[str]:
    """Give the ids of the runs in a list that are live and carry a mark."""
    return [
        str(row["id"])
        for row in rows
        if row.get("status") in LIVE and mark in str(row.get("description") or "")
    ]


def _status_or_none(hook: LeanIXHook, run_id: str) -> str | None:
    """Give a run's status; None when the run list does not know it either: a 404 may be a gateway's."""
    try:
        return hook.get_run_status(run_id)
    except NotFoundError:
        found = (str(row.get("status")) for row in hook.list_runs() if row.get("id") == run_id)
        return next(found, None)


def append_marker(text: object, marker: str) -> str:
    """Put the marker behind the user's text, within the length that the service allows."""
    room = MAX_TEXT_LENGTH - len(marker) - 1
    shown = str(text or "").strip()
    if len(shown) > room:
        shown = shown[: room - 1] + "…"
    return f"{shown} {marker}".strip()
