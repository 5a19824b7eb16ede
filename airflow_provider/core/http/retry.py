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
from airflow_provider.core.http.reply import Lost, Reply
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


Explain = Callable[[Reply], tuple[str, str]]

_LONGEST_WAIT = 30 * 86400.0
"""More than this is nonsense, and more than a date can hold at worst."""


_UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
    msgspec.MsgspecError,
)
"""What readers raise at replies that are not what they expect."""


class Verdict(Enum):
    """What to do about an outcome."""

    DONE = auto()
    PERMANENT = auto()
    TRANSIENT = auto()
    RATE_LIMITED = auto()
    TOKEN_EXPIRED = auto()
    AMBIGUOUS = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with what belongs to it.

    :param value: the result, when done.
    :param error: what to raise when there is no other try.
    :param retry_after: seconds that the service asked to wait.
    """

    verdict: Verdict
    value: Any = None
    error: ProviderError | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Patience:
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


class Again(Exception):  # noqa: N818 - a signal, never seen outside of a transport
    """The request should be sent again."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement)
        self.judgement = judgement


def judge(
    call: Call[Any],
    outcome: Reply | Lost,
    explain: Explain,
    request: str,
    clean: Callable[[str], str] = str,
) -> Judgement:
    """Say what an outcome of a call means.

    :param call: what was sent.
    :param outcome: the reply, or why there is none.
    :param explain: reads code and message of an error reply; must give text without secrets.
    :param request: the request in one line, for the error.
    :param clean: takes secrets out of what a reader says.
    """
    if isinstance(outcome, Lost):
        return _judge_lost(call, outcome, request)
    if outcome.status in call.good:
        return _judge_good(call, outcome, explain, request, clean)
    return _judge_refusal(call, outcome, explain, request)


def settle(judgement: Judgement) -> Any:
    """Give the value of a judgement, raise its error, or raise :class:`Again`."""
    if judgement.verdict is Verdict.DONE:
        return judgement.value
    if judgement.verdict in (Verdict.TRANSIENT, Verdict.RATE_LIMITED):
        raise Again(judgement)
    if judgement.error is None:
        raise AssertionError(f"{judgement.verdict} without an error")
    raise judgement.error


def wait_before(attempt: int, judgement: Judgement, patience: Patience) -> float:
    """Give the seconds to wait after an attempt.

    What the service asked for is the floor and jitter comes on top of it; otherwise the wait doubles from
    try to try, jittered downwards, so that many tasks do not come back together.

    :param attempt: how often the request was sent so far, from 1.
    """
    if judgement.retry_after is not None:
        return judgement.retry_after + random.uniform(0, min(1.0, 0.1 + judgement.retry_after / 10))  # noqa: S311
    base = patience.base * (2 if judgement.verdict is Verdict.RATE_LIMITED else 1)
    longest = min(patience.cap, base * 2.0 ** (attempt - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311


def is_over(attempt: int, elapsed: float, upcoming: float, judgement: Judgement, patience: Patience) -> bool:
    """Tell whether to stop trying instead of waiting ``upcoming`` seconds more."""
    too_long = (judgement.retry_after or 0.0) > patience.cap
    return too_long or attempt >= patience.attempts or elapsed + upcoming > patience.total


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


def _judge_lost(call: Call[Any], lost: Lost, request: str) -> Judgement:
    error: ProviderError = TransportError(f"{request} got no answer: {lost.why}")
    if lost.sent and not call.repeatable:
        return Judgement(Verdict.AMBIGUOUS, error=_ambiguous(request, lost.why))
    if lost.hopeless:
        return Judgement(Verdict.PERMANENT, error=error)
    return Judgement(Verdict.TRANSIENT, error=error)


def _judge_good(
    call: Call[Any], reply: Reply, explain: Explain, request: str, clean: Callable[[str], str]
) -> Judgement:
    try:
        return Judgement(Verdict.DONE, value=call.read(reply))
    except ProviderError as error:
        said = _said(error, reply, explain, request)
        verdict = Verdict.TRANSIENT if isinstance(said, ServerError) else Verdict.PERMANENT
        return Judgement(verdict, error=said)
    except _UNREADABLE as error:
        why = f"the reply cannot be read: {type(error).__name__}: {clean(str(error))[:200]}"
    if not call.repeatable:
        return Judgement(Verdict.AMBIGUOUS, error=_ambiguous(request, why))
    return Judgement(Verdict.TRANSIENT, error=ServerError(reply.status, "", why, request=request))


def _said(error: ProviderError, reply: Reply, explain: Explain, request: str) -> ProviderError:
    """Give a reader's error, with the service's words when the reader left them to us."""
    if not isinstance(error, ApiError) or error.code or error.message:
        return error
    code, message = explain(reply)
    return type(error)(reply.status, code, message, request=request, body=message)


def _judge_refusal(call: Call[Any], reply: Reply, explain: Explain, request: str) -> Judgement:
    status = reply.status
    code, message = explain(reply)
    details: dict[str, Any] = {"request": request, "body": message}
    wait = retry_after(reply)
    if status == 429:
        return Judgement(
            Verdict.RATE_LIMITED,
            error=RateLimitedError(status, code, message, retry_after=wait, **details),
            retry_after=wait,
        )
    if status >= 500 or status == 408:
        error = ServerError(status, code, message, retry_after=wait, **details)
        # 503 comes from a gateway or a limiter before the service acts; other failures may come after.
        if not call.repeatable and status != 503:
            return Judgement(Verdict.AMBIGUOUS, error=_ambiguous(request, f"HTTP {status} {message}".strip()))
        return Judgement(Verdict.TRANSIENT, error=error, retry_after=wait)
    if status == 401 and call.authenticated:
        return Judgement(Verdict.TOKEN_EXPIRED, error=AuthenticationError(status, code, message, **details))
    if 300 <= status < 400:
        message = "a redirect, which is not followed: credentials go to the connection's own host only"
    return Judgement(Verdict.PERMANENT, error=_refusal(status)(status, code, message, **details))


def _refusal(status: int) -> type[ApiError]:
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
