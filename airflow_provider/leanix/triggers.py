"""Triggers of LeanIX: wait for a run, and watch for runs that end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from airflow_provider.core import polling
from airflow_provider.core.input.conditions import raise_problems, text_condition
from airflow_provider.core.input.values import shown
from airflow_provider.core.polling import TRANSIENT_ERRORS
from airflow_provider.core.redaction import redact
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger, is_still_deferred, read_interval
from airflow_provider.errors import ApiError
from airflow_provider.leanix.api import ENDED, FINISHED, EndedRun, list_ended_runs
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs.shared_poll import RunWaiter, poll_run_status, results_are_ready
from airflow_provider.leanix.runs.wait import warn_of_unknown_status

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

__all__ = ["LeanIXRunEndedTrigger", "LeanIXRunTrigger"]


class LeanIXRunTrigger(PollTrigger):
    """Fires when a run has ended, with ``run_id`` and ``run_status``, or at the deadline.

    :param leanix_conn_id: id of the connection; no other part of the connection is stored.
    :param run_id: id of the run.
    :param deadline: seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    :param results_seconds: maximum seconds to wait for the results of a FINISHED run; 0 does not wait.
    """

    def __init__(
        self,
        *,
        leanix_conn_id: str,
        run_id: str,
        deadline: float,
        poll_interval: float = 5.0,
        results_seconds: float = 0.0,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.leanix_conn_id = leanix_conn_id
        self.run_id = run_id
        self.results_seconds = results_seconds
        self._results_deadline = 0.0
        self._waiter = RunWaiter(run_id, poll_interval)
        self._logged_statuses: set[str] = set()

    def arguments(self) -> dict[str, Any]:
        """Return connection id, run id, deadline, interval and the seconds for results."""
        return {
            "leanix_conn_id": self.leanix_conn_id,
            "run_id": self.run_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "results_seconds": self.results_seconds,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Poll the run; return the event's payload when it has ended and its results are there, else None."""
        if self._results_deadline:
            return {"run_status": FINISHED} if await self._is_complete() else None
        status = await poll_run_status(self.leanix_conn_id, self._waiter)
        warn_of_unknown_status(status, self._logged_statuses, self.log.warning, self.run_id)
        if status == FINISHED and self.results_seconds:
            self._results_deadline = polling.clock() + self.results_seconds
            return {"run_status": status} if await self._is_complete() else None
        return {"run_status": status} if status in ENDED else None

    async def _is_complete(self) -> bool:
        """Return whether the run's results are there, or have not come in time."""
        # Before the request: the machine may stand still during it.
        is_late = polling.clock() >= self._results_deadline
        try:
            ready = await results_are_ready(self.leanix_conn_id, self.run_id)
        except TRANSIENT_ERRORS as error:
            self.log.warning("The results of run %s cannot be polled: %s", self.run_id, error)
            ready = False
        except ApiError:
            ready = True  # the task's own request for the results reports the error
        return ready or is_late

    async def _outcome(self) -> dict[str, Any]:
        return {"run_id": self.run_id, **await super()._outcome()}

    async def on_kill(self) -> None:
        """Stop the run, because a user has killed the task.

        Airflow calls this, too, when a triggerer that was silent for a while continues and has lost the task
        to another one. The task is still deferred then.
        """
        if await is_still_deferred(self):
            self.log.info("Run %s is not stopped: another triggerer waits for it", self.run_id)
            return
        stopped = await LeanIXHook(self.leanix_conn_id).astop_run(self.run_id)
        self.log.info("Run %s %s", self.run_id, "was asked to stop" if stopped else "was no longer running")


class LeanIXRunEndedTrigger(NewItemsTrigger):
    """Fires for an ``AssetWatcher`` once per ended run, including runs started outside of Airflow.

    An event has ``run_id``, ``run_status`` and ``description``. The service's list of runs contains neither
    connector nor direction (vendor's OpenAPI file), so runs are selected by the description that their
    creator has set. Runs that have ended before the first poll do not fire; before Airflow 3.3 this applies
    after each restart of the triggerer.

    All watchers of a connection share one list request per interval.

    :param leanix_conn_id: id of the connection; no other part of the connection is stored.
    :param description: pattern of the description, with ``*`` for any text: ``cmdb nightly*``.
    :param statuses: statuses that fire: ``FINISHED``, ``FAILED``, ``STOPPED``.
    :param poll_interval: seconds between polls.
    """

    first_poll_fires = False

    _warned = False

    def __init__(
        self,
        *,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        description: str = "*",
        statuses: Sequence[str] = ("FINISHED",),
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.leanix_conn_id = leanix_conn_id
        self.description = description
        self.statuses = statuses
        self.poll_interval = poll_interval

    def arguments(self) -> dict[str, Any]:
        """Return connection id, description, statuses and interval."""
        return {
            "leanix_conn_id": self.leanix_conn_id,
            "description": self.description,
            "statuses": list(self.statuses),
            "poll_interval": self.poll_interval,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what recreates this trigger; Airflow calls this when it parses the DAG.

        :raises InputError: for conditions that no run can meet, so that the DAG is not imported.
        """
        raise_problems(self._problems(), "LeanIXRunEndedTrigger")
        return super().serialize()

    def _problems(self) -> list[str]:
        """Return why no run can ever fire this trigger."""
        description: object = self.description
        statuses: Sequence[object] | None = self.statuses
        problems = ["description is missing"] if description is None else []
        problems += [*text_condition(description, "description"), *read_interval(self)]
        known = ", ".join(sorted(ENDED))
        if isinstance(statuses, str) or not statuses:
            return [*problems, f"statuses must be a list of {known}"]
        return problems + [
            f"statuses has {shown(status)}, but a run ends as one of {known}"
            for status in statuses
            if not isinstance(status, str) or status.upper() not in ENDED
        ]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for runs that end; a watcher that can never fire logs one error and sends nothing."""
        if problems := self._problems():
            self.log.error("This watcher can never fire: %s", "; ".join(problems)[:2000])
            # Airflow would start a watcher that ends again, without end.
            await asyncio.Event().wait()
        async for event in super().run():
            yield event

    async def list_items(self) -> Mapping[str, EndedRun]:
        """Return the ended runs that match description and statuses, by id."""
        hook = LeanIXHook(self.leanix_conn_id)
        key = ("leanix run list", self.leanix_conn_id)
        runs = await self.shared(key, lambda: hook.asend(list_ended_runs()))
        # In a thread, because the list contains every run ever made.
        return await asyncio.to_thread(self._matching, runs)

    def _matching(self, runs: Sequence[EndedRun]) -> Mapping[str, EndedRun]:
        statuses = {status.upper() for status in self.statuses}
        matches = re.compile(translate(self.description)).match
        if runs and not self._warned and not matches("") and not any(run.description for run in runs):
            self._warned = True
            self.log.warning(
                "None of the %d ended runs in the service's list has a description, so none matches %r;"
                " description='*' fires for runs without one, too",
                len(runs),
                self.description[:100],
            )
        return {run.id: run for run in runs if run.status in statuses and matches(run.description or "")}

    def events(self, new: Sequence[str], now: Mapping[str, EndedRun]) -> list[dict[str, Any]]:
        """Return one event per run."""
        return [
            {
                "run_id": run_id,
                "run_status": now[run_id].status,
                "description": redact(now[run_id].description or "")[:500],
            }
            for run_id in new
        ]
