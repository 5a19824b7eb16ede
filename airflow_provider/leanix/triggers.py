"""Triggers of LeanIX: wait for a run, and watch for runs that end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

from airflow_provider.core.redaction import redact
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger
from airflow_provider.leanix.api import ENDED, EndedRun, list_ended_runs
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs.shared_poll import RunWaiter, poll_run_status
from airflow_provider.leanix.runs.wait import warn_of_unknown_status

__all__ = ["LeanIXRunEndedTrigger", "LeanIXRunTrigger"]


class LeanIXRunTrigger(PollTrigger):
    """Fires when a run has ended, with ``run_id`` and ``run_status``, or at the deadline.

    :param leanix_conn_id: id of the connection; no other part of the connection is stored.
    :param run_id: id of the run.
    :param deadline: seconds since the epoch.
    :param poll_interval: maximum seconds between polls.
    """

    def __init__(
        self, *, leanix_conn_id: str, run_id: str, deadline: float, poll_interval: float = 5.0
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.leanix_conn_id = leanix_conn_id
        self.run_id = run_id
        self._waiter = RunWaiter(run_id, poll_interval)
        self._logged_statuses: set[str] = set()

    def arguments(self) -> dict[str, Any]:
        """Return connection id, run id, deadline and interval."""
        return {
            "leanix_conn_id": self.leanix_conn_id,
            "run_id": self.run_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Poll the run; return the event's payload when it has ended, else None."""
        status = await poll_run_status(self.leanix_conn_id, self._waiter)
        warn_of_unknown_status(status, self._logged_statuses, self.log.warning, self.run_id)
        return {"run_status": status} if status in ENDED else None

    async def _outcome(self) -> dict[str, Any]:
        return {"run_id": self.run_id, **await super()._outcome()}

    async def on_kill(self) -> None:
        """Stop the run, because a user has killed the task."""
        stopped = await LeanIXHook(self.leanix_conn_id).astop_run(self.run_id)
        self.log.info("Run %s %s", self.run_id, "was stopped" if stopped else "was no longer running")


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

    async def list_items(self) -> Mapping[str, EndedRun]:
        """Return the ended runs that match description and statuses, by id."""
        hook = LeanIXHook(self.leanix_conn_id)
        runs = await shared_result(
            ("leanix run list", self.leanix_conn_id),
            self.poll_interval * 0.8,
            lambda: hook.asend(list_ended_runs()),
        )
        # In a thread, because the list contains every run ever made.
        return await asyncio.to_thread(self._matching, runs)

    def _matching(self, runs: Sequence[EndedRun]) -> Mapping[str, EndedRun]:
        statuses = {status.upper() for status in self.statuses}
        matches = re.compile(translate(self.description)).match
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
