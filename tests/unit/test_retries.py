from __future__ import annotations

import time
from datetime import timedelta

import pytest

from airflow_provider import errors

sdk = pytest.importorskip("airflow.sdk")
if not hasattr(sdk, "RetryPolicy"):
    pytest.skip("retry policies came with Airflow 3.3", allow_module_level=True)

from airflow_provider.core.http.rate_limit import Budget  # noqa: E402
from airflow_provider.retries import ServiceRetryPolicy  # noqa: E402


def decide(error: Exception) -> sdk.RetryDecision:
    policy = ServiceRetryPolicy.deserialize(ServiceRetryPolicy().serialize())
    return policy.evaluate(error, 1, 3)


def test_the_services_delay_becomes_the_tasks_next_retry() -> None:
    for error in (errors.RateLimitedError(429, retry_after=900), errors.ServerError(503, retry_after=900)):
        assert decide(error).action is sdk.RetryAction.RETRY
        assert decide(error).retry_delay == timedelta(seconds=900)


@pytest.mark.parametrize(
    "error", [errors.InputError("x"), errors.PlanRejectedError("x"), errors.PermissionDeniedError(403)]
)
def test_a_permanent_error_fails_at_once(error: Exception) -> None:
    assert decide(error).action is sdk.RetryAction.FAIL


@pytest.mark.parametrize(
    "error",
    [errors.TransportError("x"), errors.ServerError(500), errors.AuthenticationError(401), KeyError()],
)
def test_all_other_errors_follow_the_task(error: Exception) -> None:
    assert decide(error).action is sdk.RetryAction.DEFAULT


def test_a_budget_that_is_used_up_for_long_is_the_tasks_next_retry() -> None:
    budget = Budget(10)
    budget.pause(100)
    with pytest.raises(errors.RateLimitedError) as caught:
        budget.acquire(time.sleep, lambda: 60, lambda: "GET x")
    decision = decide(caught.value)
    assert decision.retry_delay is not None
    assert timedelta(seconds=99) < decision.retry_delay <= timedelta(seconds=100)
    assert decision.reason == "the request budget is used up for 100 s"
