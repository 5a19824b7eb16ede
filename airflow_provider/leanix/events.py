"""Starts DAGs when runs end that were started elsewhere: a trigger for ``AssetWatcher``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider.core.masking import hidden
from airflow_provider.core.waiting import share
from airflow_provider.core.watchers import NewcomerTrigger
from airflow_provider.leanix.api import OVER
from airflow_provider.leanix.hooks import LeanIXHook


class LeanIXRunEndedTrigger(NewcomerTrigger):
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

    first_look_fires = False

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

    async def look(self) -> Mapping[str, Any]:
        """Give the runs that have ended as wanted, by id."""
        hook = LeanIXHook(self.leanix_conn_id)
        rows = await share(
            ("leanix run list", self.leanix_conn_id), self.poll_interval * 0.8, hook.alist_runs
        )
        wanted = OVER & {status.upper() for status in self.statuses}
        return {
            str(row["id"]): row
            for row in rows
            if row.get("status") in wanted
            and fnmatchcase(str(row.get("description") or ""), self.description)
        }

    def events(self, new: Sequence[str], now: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Tell each run in an event of its own."""
        return [
            {
                "run_id": run_id,
                "run_status": now[run_id]["status"],
                "description": hidden(str(now[run_id].get("description") or ""))[:500],
            }
            for run_id in new
        ]
