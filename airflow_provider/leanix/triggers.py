"""Waits for LeanIX runs in the triggerer."""

from __future__ import annotations

from typing import Any

from airflow_provider.core.triggers import PollTrigger
from airflow_provider.leanix.api import OVER
from airflow_provider.leanix.events import LeanIXRunEndedTrigger
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.runs import note_unknown
from airflow_provider.leanix.watching import Waiter, watch

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
