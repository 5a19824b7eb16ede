"""What an outcome means: done, try again, wait, refresh the token, give up, or nobody knows.

Pure functions; both transports ask here, so that retry rules exist once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import NoResponse, Reply
from airflow_provider.errors import (
    AmbiguousWriteError,
    ApiError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from tenacity import RetryCallState

    from airflow_provider.core.http.rate_limit import Budget


ReadError = Callable[[Reply], tuple[str, str]]

_LONGEST_WAIT = 30 * 86400.0
"""More than this is nonsense, and more than a date can hold at worst."""


_UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
    msgspec.MsgspecError,
)
"""What readers raise at replies that are not what they expect."""


class OutcomeKind(Enum):
    """What to do about an outcome."""

    DONE = auto()
    PERMANENT = auto()
    TRANSIENT = auto()
    RATE_LIMITED = auto()
    TOKEN_EXPIRED = auto()
    AMBIGUOUS = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome kind, with what belongs to it.

    :param value: the result, when done.
    :param error: what to raise when there is no other try.
    :param retry_after: seconds that the service asked to wait.
    """

    kind: OutcomeKind
    value: Any = None
    error: ProviderError | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long to go on trying.

    :param attempts: how often a request is sent at the most.
    :param base: seconds of the first wait; it doubles with every further one.
    :param cap: the longest single wait in seconds. When the service asks for more, the error is raised
        with that delay instead, so that no worker slot sleeps through it.
    :param total: seconds after which no further try is begun.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 60.0
    total: float = 180.0


class RetryNeeded(Exception):  # noqa: N818 - a signal, never seen outside of a transport
    """The request should be sent again."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def classify(
    call: Call[Any],
    reply: Reply | NoResponse,
    read_error: ReadError,
    request: str,
    redact: Callable[[str], str] = str,
) -> Outcome:
    """Say what an outcome of a call means.

    :param call: what was sent.
    :param reply: the reply, or why there is none.
    :param read_error: reads code and message of an error reply; must give text without secrets.
    :param request: the request in one line, for the error.
    :param redact: takes secrets out of what a reader says.
    """
    if isinstance(reply, NoResponse):
        return _classify_no_response(call, reply, request)
    if reply.status in call.good:
        return _classify_success(call, reply, read_error, request, redact)
    return _classify_error(call, reply, read_error, request)


def result_or_raise(outcome: Outcome) -> Any:
    """Give the value of a outcome, raise its error, or raise :class:`RetryNeeded`."""
    if outcome.kind is OutcomeKind.DONE:
        return outcome.value
    if outcome.kind in (OutcomeKind.TRANSIENT, OutcomeKind.RATE_LIMITED):
        raise RetryNeeded(outcome)
    if outcome.error is None:
        raise AssertionError(f"{outcome.kind} without an error")
    raise outcome.error


def backoff_seconds(attempt: int, outcome: Outcome, limits: RetryLimits) -> float:
    """Give the seconds to wait after an attempt.

    What the service asked for is the floor and jitter comes on top of it; otherwise the wait doubles from
    try to try, jittered downwards, so that many tasks do not come back together.

    :param attempt: how often the request was sent so far, from 1.
    """
    if outcome.retry_after is not None:
        return outcome.retry_after + random.uniform(0, min(1.0, 0.1 + outcome.retry_after / 10))  # noqa: S311
    base = limits.base * (2 if outcome.kind is OutcomeKind.RATE_LIMITED else 1)
    longest = min(limits.cap, base * 2.0 ** (attempt - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311


def should_stop(attempt: int, elapsed: float, upcoming: float, outcome: Outcome, limits: RetryLimits) -> bool:
    """Tell whether to stop trying instead of waiting ``upcoming`` seconds more."""
    too_long = (outcome.retry_after or 0.0) > limits.cap
    return too_long or attempt >= limits.attempts or elapsed + upcoming > limits.total


def retry_after(reply: Reply) -> float | None:
    """Read ``Retry-After`` in seconds, from both of its forms; None when there is none to read.

    A date is compared with the reply's own ``Date``, so that a clock that is off does no harm.
    """
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _LONGEST_WAIT)
    try:
        until = _aware(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None
    try:
        now = _aware(parsedate_to_datetime(reply.headers.get("date", "")))
    except (ValueError, OverflowError):
        now = datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), _LONGEST_WAIT)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _classify_no_response(call: Call[Any], lost: NoResponse, request: str) -> Outcome:
    error: ProviderError = TransportError(f"{request} got no answer: {lost.why}")
    if lost.sent and not call.repeatable:
        return Outcome(OutcomeKind.AMBIGUOUS, error=_ambiguous(request, lost.why))
    if lost.hopeless:
        return Outcome(OutcomeKind.PERMANENT, error=error)
    return Outcome(OutcomeKind.TRANSIENT, error=error)


def _classify_success(
    call: Call[Any], reply: Reply, read_error: ReadError, request: str, redact: Callable[[str], str]
) -> Outcome:
    try:
        return Outcome(OutcomeKind.DONE, value=call.read(reply))
    except ProviderError as error:
        said = _with_service_message(error, reply, read_error, request)
        kind = OutcomeKind.TRANSIENT if isinstance(said, ServerError) else OutcomeKind.PERMANENT
        return Outcome(kind, error=said)
    except _UNREADABLE as error:
        why = f"the reply cannot be read: {type(error).__name__}: {redact(str(error))[:200]}"
    if not call.repeatable:
        return Outcome(OutcomeKind.AMBIGUOUS, error=_ambiguous(request, why))
    return Outcome(OutcomeKind.TRANSIENT, error=ServerError(reply.status, "", why, request=request))


def _with_service_message(
    error: ProviderError, reply: Reply, read_error: ReadError, request: str
) -> ProviderError:
    """Give a reader's error, with the service's words when the reader left them to us."""
    if not isinstance(error, ApiError) or error.code or error.message:
        return error
    code, message = read_error(reply)
    return type(error)(reply.status, code, message, request=request, body=message)


def _classify_error(call: Call[Any], reply: Reply, read_error: ReadError, request: str) -> Outcome:
    status = reply.status
    code, message = read_error(reply)
    details: dict[str, Any] = {"request": request, "body": message}
    wait = retry_after(reply)
    if status == 429:
        return Outcome(
            OutcomeKind.RATE_LIMITED,
            error=RateLimitedError(status, code, message, retry_after=wait, **details),
            retry_after=wait,
        )
    if status >= 500 or status == 408:
        error = ServerError(status, code, message, retry_after=wait, **details)
        # 503 comes from a gateway or a limiter before the service acts; other failures may come after.
        if not call.repeatable and status != 503:
            return Outcome(
                OutcomeKind.AMBIGUOUS, error=_ambiguous(request, f"HTTP {status} {message}".strip())
            )
        return Outcome(OutcomeKind.TRANSIENT, error=error, retry_after=wait)
    if status == 401 and call.authenticated:
        return Outcome(OutcomeKind.TOKEN_EXPIRED, error=AuthenticationError(status, code, message, **details))
    if 300 <= status < 400:
        message = "a redirect, which is not followed: credentials go to the connection's own host only"
    return Outcome(OutcomeKind.PERMANENT, error=_error_type(status)(status, code, message, **details))


def _error_type(status: int) -> type[ApiError]:
    known: dict[int, type[ApiError]] = {
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        410: NotFoundError,
    }
    return known.get(status, RequestRejectedError)


def _ambiguous(request: str, why: str) -> AmbiguousWriteError:
    return AmbiguousWriteError(
        f"{request} was sent, but its answer was lost ({why});"
        " it is not sent again, because that could act twice",
        why,
    )


def tenacity_options(
    limits: RetryLimits,
    budget: Budget | None,
    log: Logger,
    seconds_left: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Give the options for tenacity's ``Retrying`` or ``AsyncRetrying``.

    :param limits: attempts, waits and total time allowed.
    :param budget: the request budget, which a 429 pauses for every user of it.
    :param log: gets a warning for each try that is repeated.
    :param seconds_left: how long there is still time; no try is begun later.
    """
    from tenacity import retry_if_exception_type

    return {
        "retry": retry_if_exception_type(RetryNeeded),
        "wait": lambda state: backoff_seconds(state.attempt_number, _outcome(state), limits),
        "stop": lambda state: (
            _stop(state, limits) or (seconds_left is not None and state.upcoming_sleep > seconds_left())
        ),
        "before_sleep": _log_retry(limits, budget, log),
        "retry_error_callback": _raise_last_error,
    }


def _outcome(state: RetryCallState) -> Outcome:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, RetryNeeded):
        raise TypeError("the loop turned without a reason")
    return error.outcome


def _stop(state: RetryCallState, limits: RetryLimits) -> bool:
    elapsed = state.seconds_since_start or 0.0
    return should_stop(state.attempt_number, elapsed, state.upcoming_sleep, _outcome(state), limits)


def _log_retry(limits: RetryLimits, budget: Budget | None, log: Logger) -> Callable[[RetryCallState], None]:
    def announce(state: RetryCallState) -> None:
        outcome = _outcome(state)
        if budget and outcome.kind is OutcomeKind.RATE_LIMITED:
            # Everybody who shares the budget waits, not only the one who was told.
            budget.pause(state.upcoming_sleep)
        log.warning(
            "%s (try %d of %d; the next one in %.1f s)",
            outcome.error,
            state.attempt_number,
            limits.attempts,
            state.upcoming_sleep,
        )

    return announce


def _raise_last_error(state: RetryCallState) -> Any:
    error = _outcome(state).error
    if error is None:
        raise TypeError("a failure without an error")
    if state.attempt_number > 1:
        error.add_note(f"tried {state.attempt_number} times in {state.seconds_since_start or 0:.0f} s")
    raise error
