"""Waits for LeanIX runs in the triggerer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

from airflow_provider.core.redaction import redact
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.triggers import NewItemsTrigger, PollTrigger
from airflow_provider.leanix.api import OVER, EndedRun, list_ended
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs.shared_poll import Waiter, watch
from airflow_provider.leanix.runs.wait import note_unknown

__all__ = ["LeanIXRunEndedTrigger", "LeanIXRunTrigger"]


class LeanIXRunTrigger(PollTrigger):
    """Fires when a run is over, with its id and ``run_status``, or at the deadline.

    :param leanix_conn_id: the connection; nothing else of it is kept.
    :param run_id: the run.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
    """

    def __init__(
        self, *, leanix_conn_id: str, run_id: str, deadline: float, poll_interval: float = 5.0
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.leanix_conn_id = leanix_conn_id
        self.run_id = run_id
        self._waiter = Waiter(run_id, poll_interval)
        self._odd: set[str] = set()

    def arguments(self) -> dict[str, Any]:
        """Give connection id, run id, deadline and interval."""
        return {
            "leanix_conn_id": self.leanix_conn_id,
            "run_id": self.run_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Wait until there is something to tell of the run, or look once."""
        status = await watch(self.leanix_conn_id, self._waiter)
        note_unknown(status, self._odd, self.log.warning, self.run_id)
        return {"run_status": status} if status in OVER else None

    async def _outcome(self) -> dict[str, Any]:
        return {"run_id": self.run_id, **await super()._outcome()}

    async def on_kill(self) -> None:
        """Stop the run: a user has killed the task."""
        stopped = await LeanIXHook(self.leanix_conn_id).astop_run(self.run_id)
        self.log.info("Run %s %s", self.run_id, "was stopped" if stopped else "was not running any more")


class LeanIXRunEndedTrigger(NewItemsTrigger):
    """Fires for an ``AssetWatcher`` once for each run that has ended, whoever started it.

    An event has ``run_id``, ``run_status`` and ``description``. The service's list of runs names neither
    connector nor direction (vendor's OpenAPI file): the description, which the maker of a run gives it, tells
    them apart. Runs that are over when the watcher first looks do not fire; on Airflow before 3.3 that holds
    after each restart of the triggerer.

    All watchers of a connection share one list request for each interval.

    :param leanix_conn_id: the connection; nothing else of it is kept.
    :param description: what the description must look like, with ``*`` for any text: ``cmdb nightly*``.
    :param statuses: the statuses that count: ``FINISHED``, ``FAILED``, ``STOPPED``.
    :param poll_interval: seconds between looks.
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
        """Give connection id, description, statuses and interval."""
        return {
            "leanix_conn_id": self.leanix_conn_id,
            "description": self.description,
            "statuses": list(self.statuses),
            "poll_interval": self.poll_interval,
        }

    async def list_items(self) -> Mapping[str, EndedRun]:
        """Give the runs that have ended as wanted, by id."""
        hook = LeanIXHook(self.leanix_conn_id)
        runs = await shared_result(
            ("leanix run list", self.leanix_conn_id),
            self.poll_interval * 0.8,
            lambda: hook.asend(list_ended()),
        )
        # In a thread: the list holds every run that ever was.
        return await asyncio.to_thread(self._wanted, runs)

    def _wanted(self, runs: Sequence[EndedRun]) -> Mapping[str, EndedRun]:
        statuses = {status.upper() for status in self.statuses}
        matches = re.compile(translate(self.description)).match
        return {run.id: run for run in runs if run.status in statuses and matches(run.description or "")}

    def events(self, new: Sequence[str], now: Mapping[str, EndedRun]) -> list[dict[str, Any]]:
        """Tell each run in an event of its own."""
        return [
            {
                "run_id": run_id,
                "run_status": now[run_id].status,
                "description": redact(now[run_id].description or "")[:500],
            }
            for run_id in new
        ]
