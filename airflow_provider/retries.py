"""When a task is tried again: at once, after what the service asked for, or not at all (Airflow 3.3).

Give it to a DAG or a task::

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

_POINTLESS = (InputError, PlanRejectedError, PermissionDeniedError)


class ServiceRetryPolicy(RetryPolicy):
    """Lets the service say when the next try makes sense, and spares tries that cannot help.

    A rate limit or a failure that came with ``Retry-After`` delays the next try by just that, so that no
    worker slot sleeps through it. Bad input, a refused plan and a missing permission fail the task at once.
    Everything else is left to the task's ``retries`` and ``retry_delay``.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide about one failure of a task."""
        if isinstance(exception, _POINTLESS):
            return RetryDecision.fail(f"another try cannot help: {type(exception).__name__}")
        if isinstance(exception, (RateLimitedError, ServerError)) and exception.retry_after is not None:
            delay = timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(delay, f"the service asked for {exception.retry_after:.0f} s")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Give what Airflow stores of the policy: it has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ServiceRetryPolicy:
        """Make the policy again."""
        return cls()
