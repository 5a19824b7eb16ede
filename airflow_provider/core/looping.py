"""The one retry loop, for both transports: tenacity turns, ``policy`` decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider.core.policy import Again, Judgement, Patience, Verdict, is_over, wait_before

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from tenacity import RetryCallState

    from airflow_provider.core.endpoint import Endpoint


def loop_options(
    endpoint: Endpoint, log: Logger, seconds_left: Callable[[], float] | None = None
) -> dict[str, Any]:
    """Give the options for tenacity's ``Retrying`` or ``AsyncRetrying``.

    :param endpoint: whose patience and budget apply.
    :param log: gets a warning for each try that is repeated.
    :param seconds_left: how long there is still time; no try is begun later.
    """
    from tenacity import retry_if_exception_type

    patience = endpoint.patience
    return {
        "retry": retry_if_exception_type(Again),
        "wait": lambda state: wait_before(state.attempt_number, _judgement(state), patience),
        "stop": lambda state: (
            _stop(state, patience) or (seconds_left is not None and state.upcoming_sleep > seconds_left())
        ),
        "before_sleep": _announce(endpoint, log),
        "retry_error_callback": _give_up,
    }


def _judgement(state: RetryCallState) -> Judgement:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, Again):
        raise TypeError("the loop turned without a reason")
    return error.judgement


def _stop(state: RetryCallState, patience: Patience) -> bool:
    elapsed = state.seconds_since_start or 0.0
    return is_over(state.attempt_number, elapsed, state.upcoming_sleep, _judgement(state), patience)


def _announce(endpoint: Endpoint, log: Logger) -> Callable[[RetryCallState], None]:
    def announce(state: RetryCallState) -> None:
        judgement = _judgement(state)
        if endpoint.budget and judgement.verdict is Verdict.RATE_LIMITED:
            # Everybody who shares the budget waits, not only the one who was told.
            endpoint.budget.pause(state.upcoming_sleep)
        log.warning(
            "%s (try %d of %d; the next one in %.1f s)",
            judgement.error,
            state.attempt_number,
            endpoint.patience.attempts,
            state.upcoming_sleep,
        )

    return announce


def _give_up(state: RetryCallState) -> Any:
    error = _judgement(state).error
    if error is None:
        raise TypeError("a failure without an error")
    if state.attempt_number > 1:
        error.add_note(f"tried {state.attempt_number} times in {state.seconds_since_start or 0:.0f} s")
    raise error
