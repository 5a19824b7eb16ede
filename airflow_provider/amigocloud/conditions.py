"""Conditions that sensors and triggers wait for: a request, and the evaluation of its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.pagination import BOOLEAN_TYPES, NUMBER_TYPES
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import truncate
from airflow_provider.core.redaction import redact
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import InputError, RunFailedError, ServerError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.pagination import Page


RUNNING_STATES = frozenset({"PENDING", "RECEIVED", "STARTED", "RETRY"})
"""States of a job that is not final. The vendor's clients take every other state for final."""

_FALSE_TEXTS = frozenset({"", "f", "false"})

SUCCESS = "SUCCESS"
"""State of a job that has succeeded."""


class Condition(Protocol):
    """A condition that becomes true at some time."""

    def call(self, *, in_project: bool) -> Call[Any]:
        """Return the request that reads the value to evaluate.

        :param in_project: whether the connection names a project.
        """

    def evaluate(self, value: Any) -> dict[str, Any] | None:
        """Return the result if the condition is true, None if not yet; raise if it never becomes true.

        :param value: result of the request.
        """


@dataclass(frozen=True)
class JobIsDone:
    """True when a job has succeeded.

    :param job_id: id of the job.
    """

    job_id: str

    def call(self, *, in_project: bool) -> Call[Any]:
        """Return the request that reads the job."""
        return api.job(self.job_id)

    def evaluate(self, value: Any) -> dict[str, Any] | None:
        """Return the job's id, its status, and the ids of the datasets it made.

        :raises RunFailedError: when the job has ended with any other state; it holds the reason.
        :raises ServerError: when the datasets are no list.
        """
        status, extra = redact(str(value.get("status"))), value.get("extra") or {}
        if status in RUNNING_STATES:
            return None
        if status != SUCCESS:
            raise RunFailedError(self.job_id, status, failure_reason(extra))
        dataset_ids = (extra.get("dataset_ids") if isinstance(extra, Mapping) else None) or []
        if not isinstance(dataset_ids, list):
            raise ServerError(200, "", f"the datasets of job {self.job_id} are no list")
        return {"job": self.job_id, "job_status": status, "dataset_ids": dataset_ids}


def failure_reason(extra: Any) -> str:
    """Return the reason why a job failed; its field in ``extra`` is not documented.

    :param extra: the job's ``extra``.
    """
    if isinstance(extra, Mapping):
        for key in ("error", "detail", "message", "reason", "exception"):
            if extra.get(key):
                return truncate(redact(str(extra[key])))
    return truncate(redact(json.dumps(extra, ensure_ascii=False))) if extra else "no reason given"


@dataclass(frozen=True)
class DatasetHasChanged:
    """True when a dataset's latest state differs from an earlier one.

    :param dataset: id of the dataset.
    :param since: hash of the earlier state; None counts as a change.
    """

    dataset: int | str
    since: str | None = None

    def call(self, *, in_project: bool) -> Call[Any]:
        """Return the request that reads the hash of the latest state; its reply is tiny."""
        return api.master(api.dataset_path(self.dataset, in_project=in_project))

    def evaluate(self, value: Any) -> dict[str, Any] | None:
        """Return the dataset and the hash of its new state."""
        return None if value == self.since else {"dataset": str(self.dataset), "master": value}


@dataclass(frozen=True)
class QueryIsTrue:
    """True when the first value of a query's first row is neither null, false, zero nor empty.

    A number and a boolean that the service sends as a text are read as what they are.

    :param sql: the query.
    """

    sql: str

    def call(self, *, in_project: bool) -> Call[Any]:
        """Return the request that reads the first row.

        :raises InputError: when the SQL is no query, or the connection names no project.
        """
        if not in_project:
            raise InputError(api.NO_PROJECT, "connection")
        return api.sql(api.query_text(self.sql), limit=1)

    def evaluate(self, value: Page) -> dict[str, Any] | None:
        """Return the value."""
        row = value.decoded()[0] if value.rows else {}
        name, found = next(iter(row.items()), ("", None))
        kind = next((column.type for column in value.columns or () if column.name == name), "")
        return None if _is_false(found, kind) else {"value": found}


def _is_false(value: Any, kind: str) -> bool:
    """Return whether a value of a column of some type is null, false, zero or empty."""
    if isinstance(value, str) and kind in BOOLEAN_TYPES:
        return value.strip().lower() in _FALSE_TEXTS
    if isinstance(value, str) and kind in NUMBER_TYPES:
        try:
            return not Decimal(value.strip() or "0")
        except ArithmeticError:
            return False
    return value in (None, False, 0, "", "0")


@dataclass(frozen=True)
class SavedQueryIsTrue:
    """True when one of the project's saved queries is, see :class:`QueryIsTrue`.

    :param saved_query: id of the query, whose SQL is read at each poll.
    """

    saved_query: int | str

    def call(self, *, in_project: bool) -> Call[Any]:
        """Return the request that reads the SQL.

        :raises InputError: when the id is empty, or the connection names no project.
        """
        if not in_project:
            raise InputError(api.NO_PROJECT, "connection")
        return api.saved_query(self.saved_query)

    def evaluate(self, value: Any) -> dict[str, Any] | None:
        """Raise, because the SQL has to be run, see :func:`check`."""
        raise NotImplementedError

    def next_condition(self, value: str) -> QueryIsTrue:
        """Return the condition on the query's result.

        :param value: result of the request: the SQL.
        """
        return QueryIsTrue(value)


CONDITIONS: dict[str, type[Condition]] = {
    kind.__name__: kind for kind in (JobIsDone, DatasetHasChanged, QueryIsTrue, SavedQueryIsTrue)
}
"""The conditions by the names that serialised triggers hold."""


def check(hook: AmigoCloudHook, condition: Condition) -> dict[str, Any] | None:
    """Send the condition's request once, and return its evaluation; for workers."""
    value = hook.send(condition.call(in_project=hook.has_project))
    if isinstance(condition, SavedQueryIsTrue):
        return check(hook, condition.next_condition(value))
    return condition.evaluate(value)


async def acheck(hook: AmigoCloudHook, condition: Condition, max_age: float) -> dict[str, Any] | None:
    """Return the evaluation of the condition's request; equal requests share one reply in the triggerer.

    :param max_age: maximum age of a shared reply in seconds.
    """
    settings = await hook.aload()
    call = condition.call(in_project=hook.has_project)
    key = (hook.conn_id, settings.host, call.base, call.path, str(call.params), str(call.json))
    value = await shared_result(key, max_age, lambda: hook.asend(call))
    if isinstance(condition, SavedQueryIsTrue):
        return await acheck(hook, condition.next_condition(value), max_age)
    return condition.evaluate(value)
