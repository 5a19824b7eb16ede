"""From a task in Airflow's UI to what LeanIX shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class LeanIXSyncLogLink(BaseOperatorLink):
    """The workspace's list of synchronizations; the API does not say which row is a run's own."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "LeanIX sync log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Give the address that the task has noted; empty when it did not get that far."""
        return getattr(operator, "sync_log_url", "")
