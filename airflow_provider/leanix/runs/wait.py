"""Submits runs so that none starts twice, whatever breaks in between, and sees them through.

A run is made in two steps. One that was created but not started does nothing, so a lost answer to a create
costs nothing; starting one a second time is refused by the service, so a lost answer to a start costs
nothing either. What a task must not lose is which run is its own: that is what the marker in the run's
description and the task's memory are for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider.core.polling import TRANSIENT_ERRORS, clock, wait_for
from airflow_provider.errors import (
    ProviderError,
    RunFailedError,
)
from airflow_provider.leanix.api import ENDED, KNOWN_STATUSES, STOPPED

if TYPE_CHECKING:
    from airflow_provider.leanix.hooks import LeanIXHook


_STOP_SECONDS = 3.0


def wait_until_over(hook: LeanIXHook, run_id: str, *, deadline: float, poll_interval: float) -> str:
    """Wait on a worker until a run is over; gives its last status.

    :param deadline: seconds since the epoch.
    :raises TimeoutError: at the deadline.
    """
    odd: set[str] = set()

    def poll() -> str | None:
        status = hook.get_run_status(run_id)
        warn_of_unknown_status(status, odd, hook.log.warning, run_id)
        return status if status in ENDED else None

    with hook.until(deadline):
        return wait_for(poll, deadline=deadline, poll_interval=poll_interval, log=hook.log)


def warn_of_unknown_status(status: str, seen: set[str], say: Callable[..., object], run_id: str) -> None:
    """Say once of each status the vendor's documentation does not know that it is waited on."""
    if status not in KNOWN_STATUSES and status not in seen:
        seen.add(status)
        say("Run %s has the unknown status %s; waiting on", run_id, status)


def stop_at_deadline(hook: LeanIXHook, run_id: str) -> str:
    """Give the status of a run that is over after all; else stop it. Takes seconds, whatever happens.

    :raises RunFailedError: saying that it took too long.
    """
    with hook.until(deadline_after(_STOP_SECONDS)):
        try:
            status = hook.get_run_status(run_id)
        except TRANSIENT_ERRORS as error:
            hook.log.warning("Whether run %s is over cannot be asked: %s", run_id, error)
            status = "UNKNOWN"
        if status in ENDED:
            return status
    with hook.until(deadline_after(_STOP_SECONDS)):
        try:
            stopped = hook.stop_run(run_id)
            if not stopped and (now := hook.get_run_status(run_id)) in ENDED:
                return now  # it ended between the two requests
            how = "it was stopped" if stopped else "it could not be stopped"
        except ProviderError as error:
            stopped, how = False, f"it could not be stopped: {error}"
    reason = f"it was {status} at the deadline; {how}"
    raise RunFailedError(run_id, STOPPED if stopped else status, reason)


def deadline_after(seconds: float) -> float:
    """Give the moment so many seconds from now, in seconds since the epoch."""
    return clock() + seconds
