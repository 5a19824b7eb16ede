"""Waiting for a run on a worker, up to a deadline at which the run is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider.core.polling import TRANSIENT_ERRORS, clock, intervals, wait_for
from airflow_provider.errors import ProviderError, RunFailedError, cut, one_line
from airflow_provider.leanix.api import ENDED, FINISHED, KNOWN_STATUSES, STOPPED

if TYPE_CHECKING:
    from airflow_provider.core.reports.report import Report
    from airflow_provider.leanix.hooks import LeanIXHook

_STOP_SECONDS = 3.0
"""Maximum seconds for reading the status at a deadline, and again for stopping the run."""

_STOP_INTERVAL = 0.5
"""Maximum seconds between polls of a run that is being stopped."""

_UNKNOWN = "UNKNOWN"
"""Status of a run that could not be read."""

RESULTS_SECONDS = 60.0
"""Maximum seconds between the end of a run and its results."""

_MIN_RESULTS_SECONDS = 5.0
"""Minimum seconds in which results are asked for, also when the deadline is nearer."""

_MAX_RESULTS_INTERVAL = 5.0
"""Maximum seconds between two requests for results."""

sleep = time.sleep


def wait_until_over(hook: LeanIXHook, run_id: str, *, deadline: float, poll_interval: float) -> str:
    """Poll a run until it has ended; return its last status.

    :param deadline: seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    :raises TimeoutError: at the deadline.
    """
    logged: set[str] = set()

    def poll() -> str | None:
        status = hook.get_run_status(run_id)
        warn_of_unknown_status(status, logged, hook.log.warning, run_id)
        return status if status in ENDED else None

    with hook.until(deadline):
        return wait_for(poll, deadline=deadline, poll_interval=poll_interval, log=hook.log)


def warn_of_unknown_status(status: str, logged: set[str], warn: Callable[..., object], run_id: str) -> None:
    """Log a status that the vendor's documentation does not list, once per status.

    :param logged: statuses logged so far; the new status is added.
    :param warn: the log method.
    """
    if status not in KNOWN_STATUSES and status not in logged:
        logged.add(status)
        warn("Run %s has the unknown status %s; it is polled further", run_id, cut(one_line(status)))


def stop_at_deadline(hook: LeanIXHook, run_id: str) -> str:
    """Return the status of a run that has ended by now; stop the run when it has not.

    Takes a few seconds at most, even when the service does not answer.

    :raises RunFailedError: when the run had not ended; the reason names the status at the deadline, and
        whether the run was stopped.
    """
    with hook.until(deadline_after(_STOP_SECONDS)):
        try:
            status = hook.get_run_status(run_id)
        except TRANSIENT_ERRORS as error:
            hook.log.warning("The status of run %s cannot be read at the deadline: %s", run_id, error)
            status = _UNKNOWN
        if status in ENDED:
            return status
    deadline = deadline_after(_STOP_SECONDS)
    with hook.until(deadline):
        try:
            accepted = hook.stop_run(run_id)
            now = status_after_stop(hook, run_id, deadline) if accepted else hook.get_run_status(run_id)
        except ProviderError as error:
            accepted, now, result = False, status, f"it could not be stopped: {error}"
        else:
            result = _stop_result(accepted, now)
    if now in ENDED - {STOPPED} or (now == STOPPED and not accepted):
        return now  # the run ended before it could be stopped
    reason = f"it was {status} at the deadline; {result}"
    raise RunFailedError(run_id, STOPPED if accepted and now == _UNKNOWN else now, reason)


def _stop_result(accepted: bool, status: str) -> str:
    if not accepted:
        return "it could not be stopped"
    if status == _UNKNOWN:
        return "it was stopped, but its status cannot be read"
    if status == STOPPED:
        return "it was stopped"
    return f"the stop was accepted, but {_STOP_SECONDS:g} s later it was {status}; a retry resumes it"


def status_after_stop(hook: LeanIXHook, run_id: str, deadline: float) -> str:
    """Return the last status of a run whose stop the service has accepted, and which may take effect later.

    :param deadline: seconds since the epoch, until which its end is awaited.
    :return: the status; ``UNKNOWN`` when it could not be read.
    """
    last = _UNKNOWN

    def poll() -> str | None:
        nonlocal last
        last = hook.get_run_status(run_id)
        return last if last in ENDED else None

    with suppress(TimeoutError, ProviderError):
        wait_for(poll, deadline=deadline, poll_interval=_STOP_INTERVAL, log=hook.log, sleep=sleep)
    return last


def download_results(
    hook: LeanIXHook,
    run_id: str,
    output_path: str,
    output_format: str | None,
    *,
    seconds: float,
    required: bool,
    ldif_path: str | None = None,
    report: Report | None = None,
) -> dict[str, Any] | None:
    """Download the results of a FINISHED run, which the service may provide with a delay.

    :param seconds: seconds for which the results are requested.
    :param required: whether a run without results counts as failed.
    :param ldif_path: where the LDIF is kept beside tables; None for nowhere.
    :param report: observes the items, and is written after the files; None for none.
    :return: the file's manifest; None when there are no results.
    :raises RunFailedError: when there are none although they are required.
    """
    deadline = clock() + seconds
    for pause in intervals(_MAX_RESULTS_INTERVAL):
        is_last = clock() >= deadline  # before the request: the machine may stand still during it
        manifest = hook.download_results(
            run_id, output_path, output_format=output_format, ldif_path=ldif_path, report=report
        )
        if manifest is not None:
            return manifest
        if is_last:
            break
        pause = max(0.0, min(pause, deadline - clock()))  # noqa: PLW2901
        hook.log.info("Run %s has no results yet; next request in %.1f s", run_id, pause)
        sleep(pause)
    if required:
        reason = f"it has no results after {seconds:.0f} s, and nothing was written to {output_path[:200]}"
        raise RunFailedError(run_id, FINISHED, f"{reason}; 'allow_no_results' accepts that")
    hook.log.warning("Run %s has no results; nothing was written to %s", run_id, output_path[:200])
    return None


def results_seconds(deadline: float) -> float:
    """Return the seconds for which results are asked for, when the task has a deadline.

    :param deadline: seconds since the epoch.
    """
    return min(RESULTS_SECONDS, max(_MIN_RESULTS_SECONDS, deadline - clock()))


def deadline_after(seconds: float) -> float:
    """Return the time a number of seconds from now, in seconds since the epoch."""
    return clock() + seconds
