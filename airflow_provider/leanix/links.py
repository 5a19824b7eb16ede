"""Links from a task in Airflow's UI to LeanIX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class LeanIXSyncLogLink(BaseOperatorLink):
    """Link to the workspace's list of synchronizations.

    The API does not tell which row belongs to a run.
    """

    @property
    def name(self) -> str:
        """The label of the button."""
        return "LeanIX sync log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL that the task has stored; empty when the task has not stored it yet."""
        return getattr(operator, "sync_log_url", "")
