"""What sensors wait for: a question to the service, and what its answer means. The same in both worlds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider.amigocloud import api
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import truncate
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import InputError, RunFailedError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.pagination import Page


GOING = frozenset({"PENDING", "RECEIVED", "STARTED", "RETRY"})
"""States of a job that will change. The vendor's clients take every other state for final."""


SUCCESS = "SUCCESS"


class Question(Protocol):
    """Something that will be so one day."""

    def call(self, *, in_project: bool) -> Call[Any]:
        """Give the request that asks."""

    def answer(self, value: Any) -> dict[str, Any] | None:
        """Give what to return when it is so, None when it is not yet; raise when it never will be."""


@dataclass(frozen=True)
class JobIsDone:
    """A job has ended well.

    :param job_id: the job.
    """

    job_id: str

    def call(self, *, in_project: bool) -> Call[Any]:
        """Ask for the job."""
        return api.job(self.job_id)

    def answer(self, value: Any) -> dict[str, Any] | None:
        """Give the job's id, status and what it made.

        :raises RunFailedError: when the job has ended in any other way, with the reason.
        """
        status, extra = str(value.get("status")), value.get("extra") or {}
        if status in GOING:
            return None
        if status != SUCCESS:
            raise RunFailedError(self.job_id, status, reason_of(extra))
        made = extra.get("dataset_ids") if isinstance(extra, Mapping) else None
        return {"job": self.job_id, "job_status": status, "dataset_ids": list(made or [])}


def reason_of(extra: Any) -> str:
    """Say why a job failed, as far as it tells; where it tells is not documented."""
    if isinstance(extra, Mapping):
        for key in ("error", "detail", "message", "reason", "exception"):
            if extra.get(key):
                return truncate(str(extra[key]))
    return truncate(json.dumps(extra, ensure_ascii=False)) if extra else "no reason given"


@dataclass(frozen=True)
class DatasetHasChanged:
    """A dataset's latest state is another one than before.

    :param dataset: its id.
    :param since: the state that was seen before; None when none was, which counts as a change.
    """

    dataset: int | str
    since: str | None = None

    def call(self, *, in_project: bool) -> Call[Any]:
        """Ask for the latest state: a tiny request."""
        return api.master(api.dataset_path(self.dataset, in_project=in_project))

    def answer(self, value: Any) -> dict[str, Any] | None:
        """Give the dataset and its new state."""
        return None if value == self.since else {"dataset": str(self.dataset), "master": value}


@dataclass(frozen=True)
class QueryIsTrue:
    """The first value of a query's first row is neither null, false, zero nor empty.

    :param sql: the query.
    """

    sql: str

    def call(self, *, in_project: bool) -> Call[Any]:
        """Ask for the first row.

        :raises InputError: when the connection names no project.
        """
        if not in_project:
            raise InputError(api.NO_PROJECT, "connection")
        return api.sql(self.sql, limit=1)

    def answer(self, value: Page) -> dict[str, Any] | None:
        """Give the value."""
        row = value.decoded()[0] if value.rows else {}
        found = next(iter(row.values()), None)
        return {"value": found} if found not in (None, False, 0, "", "0") else None


QUESTIONS: dict[str, type[Question]] = {
    kind.__name__: kind for kind in (JobIsDone, DatasetHasChanged, QueryIsTrue)
}


def look(hook: AmigoCloudHook, question: Question) -> dict[str, Any] | None:
    """Ask once, on a worker."""
    return question.answer(hook.send(question.call(in_project=hook.has_project)))


async def alook(hook: AmigoCloudHook, question: Question, max_age: float) -> dict[str, Any] | None:
    """Ask once, in the triggerer; all who ask the same of the same service share the answer.

    :param max_age: seconds that a shared answer may be old.
    """
    settings = await hook.aload()
    call = question.call(in_project=hook.has_project)
    key = (hook.conn_id, settings.host, call.base, call.path, str(call.params), str(call.json))
    return question.answer(await shared_result(key, max_age, lambda: hook.asend(call)))
