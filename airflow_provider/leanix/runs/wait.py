"""Waiting for a run on a worker, up to a deadline at which the run is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider.core.polling import TRANSIENT_ERRORS, clock, wait_for
from airflow_provider.errors import ProviderError, RunFailedError
from airflow_provider.leanix.api import ENDED, KNOWN_STATUSES, STOPPED

if TYPE_CHECKING:
    from airflow_provider.leanix.hooks import LeanIXHook

_STOP_SECONDS = 3.0
"""Maximum seconds for each of the two requests that follow a deadline."""


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
        warn("Run %s has the unknown status %s; it is polled further", run_id, status)


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
            status = "UNKNOWN"
        if status in ENDED:
            return status
    with hook.until(deadline_after(_STOP_SECONDS)):
        try:
            stopped = hook.stop_run(run_id)
            if not stopped and (now := hook.get_run_status(run_id)) in ENDED:
                return now  # the run ended between the two requests
            result = "it was stopped" if stopped else "it could not be stopped"
        except ProviderError as error:
            stopped, result = False, f"it could not be stopped: {error}"
    reason = f"it was {status} at the deadline; {result}"
    raise RunFailedError(run_id, STOPPED if stopped else status, reason)


def deadline_after(seconds: float) -> float:
    """Return the time a number of seconds from now, in seconds since the epoch."""
    return clock() + seconds
