"""Retry policy for tasks: retry after the delay that the service asks for, or not at all (Airflow 3.3).

Pass the policy to a DAG or a task::

    DAG(..., default_args={"retries": 5, "retry_policy": ServiceRetryPolicy()})
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider.errors import (
    InputError,
    PermissionDeniedError,
    PlanRejectedError,
    RateLimitedError,
    ServerError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

_PERMANENT = (InputError, PlanRejectedError, PermissionDeniedError)
"""Errors that a retry of the task would meet again."""


class ServiceRetryPolicy(RetryPolicy):
    """Delay a task's retry by the service's ``Retry-After``, and skip retries that cannot succeed.

    After a rate limit or a failure with ``Retry-After``, Airflow retries the task after exactly that delay,
    so that no worker slot sleeps through it. Invalid input, a rejected plan and a missing permission fail the
    task at once. All other failures follow the task's ``retries`` and ``retry_delay``.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return the decision for one failure of a task.

        :param exception: the error that the task raised.
        :param try_number: the failed attempt, from 1; not used.
        :param max_tries: the attempts that ``retries`` allows; not used.
        :param context: the task's context; not used.
        """
        if isinstance(exception, _PERMANENT):
            return RetryDecision.fail(f"a retry cannot succeed: {type(exception).__name__}")
        if isinstance(exception, (RateLimitedError, ServerError)) and exception.retry_after is not None:
            delay = timedelta(seconds=exception.retry_after)
            own = exception.code == RateLimitedError.OWN_BUDGET
            cause = "the request budget is used up for" if own else "the service asked for"
            return RetryDecision.retry(delay, f"{cause} {exception.retry_after:.0f} s")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return the policy's arguments for Airflow's metadata: there are none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ServiceRetryPolicy:
        """Create the policy from its stored arguments."""
        return cls()
