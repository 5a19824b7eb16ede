"""Waits for AmigoCloud in the triggerer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.amigocloud.events import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.watching import QUESTIONS, alook
from airflow_provider.core.triggers import PollTrigger

__all__ = ["AmigoCloudDatasetTrigger", "AmigoCloudEventTrigger", "AmigoCloudTrigger"]


class AmigoCloudTrigger(PollTrigger):
    """Fires when a job is done, a dataset has changed, or a query is true, or at the deadline.

    :param amigocloud_conn_id: the connection; nothing else of it is kept.
    :param question: name of the question (``JobIsDone``, ``DatasetHasChanged``, ``QueryIsTrue``).
    :param about: the question's arguments: ids, a query.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
    """

    def __init__(
        self,
        *,
        amigocloud_conn_id: str,
        question: str,
        about: Mapping[str, Any],
        deadline: float,
        poll_interval: float = 10.0,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.amigocloud_conn_id = amigocloud_conn_id
        self.question = question
        self.about = dict(about)
        self._hook: AmigoCloudHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Give the constructor's arguments; no credential is among them."""
        return {
            "amigocloud_conn_id": self.amigocloud_conn_id,
            "question": self.question,
            "about": self.about,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Look once."""
        self._hook = self._hook or AmigoCloudHook(self.amigocloud_conn_id)
        return await alook(self._hook, QUESTIONS[self.question](**self.about), self.poll_interval * 0.5)
