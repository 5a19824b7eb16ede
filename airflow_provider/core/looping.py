"""The one retry loop, for both transports: tenacity turns, ``policy`` decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider.core.policy import Again, Judgement, Patience, Verdict, is_over, wait_before

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from tenacity import RetryCallState

    from airflow_provider.core.limits import Budget


def loop_options(
    patience: Patience,
    budget: Budget | None,
    log: Logger,
    seconds_left: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Give the options for tenacity's ``Retrying`` or ``AsyncRetrying``.

    :param patience: attempts, waits and total time allowed.
    :param budget: the request budget, which a 429 pauses for every user of it.
    :param log: gets a warning for each try that is repeated.
    :param seconds_left: how long there is still time; no try is begun later.
    """
    from tenacity import retry_if_exception_type

    return {
        "retry": retry_if_exception_type(Again),
        "wait": lambda state: wait_before(state.attempt_number, _judgement(state), patience),
        "stop": lambda state: (
            _stop(state, patience) or (seconds_left is not None and state.upcoming_sleep > seconds_left())
        ),
        "before_sleep": _announce(patience, budget, log),
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


def _announce(patience: Patience, budget: Budget | None, log: Logger) -> Callable[[RetryCallState], None]:
    def announce(state: RetryCallState) -> None:
        judgement = _judgement(state)
        if budget and judgement.verdict is Verdict.RATE_LIMITED:
            # Everybody who shares the budget waits, not only the one who was told.
            budget.pause(state.upcoming_sleep)
        log.warning(
            "%s (try %d of %d; the next one in %.1f s)",
            judgement.error,
            state.attempt_number,
            patience.attempts,
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
