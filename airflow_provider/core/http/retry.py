"""Retry policy: classify each attempt's outcome, choose the backoff, and decide when to stop.

Both transports share it, so that the rules for retries exist once. Nothing here sends a request.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import NoResponse, Reply, page_title, read_nothing
from airflow_provider.core.redaction import without_query
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
    cut,
    without_stop,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger
    from tenacity import RetryCallState

    from airflow_provider.core.http.rate_limit import Budget


ReadError = Callable[[Reply], tuple[str, str]]

_MAX_RETRY_AFTER = 30 * 86400.0
"""Maximum seconds of a ``Retry-After``. Longer delays count as this one; some would overflow a date."""

_BRIEF_SECONDS = 2.0
"""Maximum ``Retry-After`` of a limit per second: the refusal says nothing about the service's health."""

_BRIEF_COST = 0.1
"""Part of an attempt that a refusal by a limit per second costs."""

_MAX_DOUBLINGS = 60
"""Maximum doublings of a backoff; many more would overflow a float."""

_READER_ERRORS = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
    msgspec.MsgspecError,
)
"""Exceptions that readers raise for replies of an unexpected form."""


class OutcomeKind(Enum):
    """Classes of outcomes; each has one reaction."""

    DONE = auto()
    PERMANENT = auto()
    TRANSIENT = auto()
    RATE_LIMITED = auto()
    TOKEN_EXPIRED = auto()
    AMBIGUOUS = auto()


class Outcome(msgspec.Struct, frozen=True):
    """The classified outcome of one attempt.

    :param kind: its class.
    :param value: the result of a successful attempt.
    :param error: the exception to raise when no further attempt follows.
    :param retry_after: seconds of delay that the service asked for.
    """

    kind: OutcomeKind
    value: Any = None
    error: ProviderError | None = None
    retry_after: float | None = None


class RetryLimits(msgspec.Struct, frozen=True):
    """Limits of retries and backoff.

    :param attempts: maximum number of attempts.
    :param base: seconds of the first backoff; each further backoff doubles.
    :param cap: maximum seconds of one backoff.
    :param total: seconds after which no further attempt starts.
    :param least: minimum seconds of one backoff.
    :param longest_delay: maximum seconds of a delay that the service asks for; None for ``cap``. After a
        longer one the error is raised with that delay, so that no worker slot sleeps through it.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 60.0
    total: float = 180.0
    least: float = 0.0
    longest_delay: float | None = None

    def adjusted(self, attempts: int | None, patience: float | None) -> RetryLimits:
        """Return the limits with a connection's extras; None keeps a limit.

        ``patience`` alone allows as many attempts as it has time for.

        :param attempts: maximum number of attempts.
        :param patience: seconds after which no further attempt starts.
        """
        if patience is None:
            return msgspec.structs.replace(self, attempts=attempts or self.attempts)
        doublings = math.ceil(math.log2(max(1.0, self.cap / max(self.base, 0.001))))
        shortest = max(self.least, self.cap / 2)
        attempts = attempts or self.attempts + doublings + int(patience / shortest)
        return msgspec.structs.replace(self, attempts=attempts, total=patience)


class RetryNeeded(Exception):  # noqa: N818 - a signal, never seen outside of a transport
    """Signal for the retry loop: the outcome calls for a further attempt."""

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
    """Classify the outcome of one attempt.

    :param call: the request.
    :param reply: the reply, or the cause of its absence.
    :param read_error: function that reads code and message of an error reply, without secrets.
    :param request: the request in one line, for the error.
    :param redact: function that removes secrets from the message of a reader's exception.
    """
    if isinstance(reply, NoResponse):
        return _classify_no_response(call, reply, request)
    if reply.status in call.success_statuses:
        return _classify_success(call, reply, read_error, request, redact)
    return _classify_error(call, reply, read_error, request)


def result_or_raise(outcome: Outcome) -> Any:
    """Return the value of an outcome, raise its error, or raise :class:`RetryNeeded`."""
    if outcome.kind is OutcomeKind.DONE:
        return outcome.value
    if outcome.kind in (OutcomeKind.TRANSIENT, OutcomeKind.RATE_LIMITED):
        raise RetryNeeded(outcome)
    if outcome.error is None:
        raise AssertionError(f"{outcome.kind} without an error")
    raise outcome.error


def is_brief(outcome: Outcome, limit_per_second: bool) -> bool:
    """Return whether a limit per second refused the request, which costs a part of an attempt only.

    :param limit_per_second: whether the service is known to have such a limit; else it shows by a
        ``Retry-After`` of two seconds at most.
    """
    if outcome.kind is not OutcomeKind.RATE_LIMITED:
        return False
    return limit_per_second if outcome.retry_after is None else outcome.retry_after <= _BRIEF_SECONDS


def backoff_seconds(attempt: int, outcome: Outcome, limits: RetryLimits) -> float:
    """Return the seconds to wait after an attempt.

    A ``Retry-After`` is the minimum, and jitter is added to it. Otherwise the backoff doubles with each
    attempt, with jitter downwards, so that many tasks do not retry at the same moment.

    :param attempt: the number of attempts so far, from 1.
    :param outcome: the outcome of the last attempt.
    :param limits: base, least and cap of the backoff.
    """
    if outcome.retry_after is not None:
        delay = max(limits.least, outcome.retry_after)
        return delay + random.uniform(0, min(1.0, 0.1 + delay / 10))  # noqa: S311
    base = limits.base * (2 if outcome.kind is OutcomeKind.RATE_LIMITED else 1)
    longest = max(limits.least, min(limits.cap, base * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS)))
    return random.uniform(max(limits.least, longest / 2), longest)  # noqa: S311


def should_stop(
    attempt: float, elapsed: float, upcoming: float, outcome: Outcome, limits: RetryLimits
) -> bool:
    """Return whether to raise the error instead of waiting ``upcoming`` seconds for a further attempt.

    :param attempt: the number of attempts so far; refusals by a limit per second count a tenth.
    :param elapsed: seconds since the first attempt started.
    :param upcoming: seconds of the next backoff.
    """
    longest = limits.cap if limits.longest_delay is None else limits.longest_delay
    too_long = (outcome.retry_after or 0.0) > longest
    return too_long or attempt >= limits.attempts or elapsed + upcoming > limits.total


def retry_after(reply: Reply) -> float | None:
    """Read ``Retry-After`` in seconds, from both of its forms; None when it is absent or invalid.

    A date is compared with the reply's own ``Date``, so that a wrong local clock does no harm.
    """
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _MAX_RETRY_AFTER)
    try:
        until = _aware(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None
    try:
        now = _aware(parsedate_to_datetime(reply.headers.get("date", "")))
    except (ValueError, OverflowError):
        now = datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), _MAX_RETRY_AFTER)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _classify_no_response(call: Call[Any], response: NoResponse, request: str) -> Outcome:
    details = {"cause": response.cause, "reason": response.reason, "request": request}
    error = TransportError(f"{request} got no response: {response.reason}", **details)
    if response.sent and not call.repeatable:
        return Outcome(OutcomeKind.AMBIGUOUS, error=_ambiguous(request, response.reason))
    if response.permanent:
        return Outcome(OutcomeKind.PERMANENT, error=error)
    return Outcome(OutcomeKind.TRANSIENT, error=error)


def _classify_success(
    call: Call[Any], reply: Reply, read_error: ReadError, request: str, redact: Callable[[str], str]
) -> Outcome:
    if call.read is read_nothing and reply.is_page:
        return _classify_page(call, reply, request, redact)
    try:
        return Outcome(OutcomeKind.DONE, value=call.read(reply))
    except ProviderError as error:
        if isinstance(error, ServerError) and reply.is_page:
            return _classify_page(call, reply, request, redact)
        full = _with_service_message(error, reply, read_error, request)
        kind = OutcomeKind.TRANSIENT if isinstance(full, ServerError) else OutcomeKind.PERMANENT
        return Outcome(kind, error=full)
    except _READER_ERRORS as error:
        if reply.is_page:
            return _classify_page(call, reply, request, redact)
        reason = f"the reply cannot be read: {type(error).__name__}: {redact(str(error))[:200]}"
    if not call.repeatable:
        return Outcome(OutcomeKind.AMBIGUOUS, error=_ambiguous(request, reason))
    return Outcome(OutcomeKind.TRANSIENT, error=ServerError(reply.status, "", reason, request=request))


def _classify_page(call: Call[Any], reply: Reply, request: str, redact: Callable[[str], str]) -> Outcome:
    """Classify a web page in place of the API's reply: from a wrong host or a proxy, a retry gets it, too."""
    title = redact(page_title(reply.text))
    if not call.authenticated and set(title) & {'"', "{"}:
        title = ""  # What looks like JSON may be a part of the reply to a token request, with the token.
    reason = f"a web page{f' ({title!r})' if title else ''} instead of the API's reply"
    if not call.repeatable:
        return Outcome(OutcomeKind.AMBIGUOUS, error=_ambiguous(request, reason))
    error = ServerError(reply.status, "", reason, request=request, is_page=True)
    error.advice = "check the host of the connection, and the proxy"
    return Outcome(OutcomeKind.PERMANENT, error=error)


def _with_service_message(
    error: ProviderError, reply: Reply, read_error: ReadError, request: str
) -> ProviderError:
    """Return a reader's error, with the service's code and message when the reader set none."""
    if not isinstance(error, ApiError) or error.code or error.message:
        return error
    code, message = read_error(reply)
    return type(error)(reply.status, code, message, request=request, body=message)


def _classify_error(call: Call[Any], reply: Reply, read_error: ReadError, request: str) -> Outcome:
    status = reply.status
    code, message = read_error(reply)
    details: dict[str, Any] = {"request": request, "body": message, "is_page": reply.is_page}
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
        location = details["location"] = cut(without_query(reply.headers.get("location", "")))
        message = (
            "a redirect, which is not followed: credentials go to the connection's own host only"
            f" (it leads to {location or 'no address'})"
        )
    return Outcome(OutcomeKind.PERMANENT, error=_error_type(status)(status, code, message, **details))


def _error_type(status: int) -> type[ApiError]:
    known: dict[int, type[ApiError]] = {
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        410: NotFoundError,
    }
    return known.get(status, RequestRejectedError)


def _ambiguous(request: str, reason: str) -> AmbiguousWriteError:
    return AmbiguousWriteError(
        f"{request} was sent, but got no response ({without_stop(reason)}); it is not retried, as a retry"
        " could act twice."
        " Check the state on the service before you repeat it",
        reason,
    )


def tenacity_options(
    limits: RetryLimits,
    budget: Budget | None,
    log: Logger,
    seconds_left: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Return the options for tenacity's ``Retrying`` or ``AsyncRetrying``: the retry loop of a transport.

    :param limits: attempts, backoff and total time allowed.
    :param budget: the request budget of the call.
    :param log: receives a warning for each failed attempt that is retried.
    :param seconds_left: function that returns the seconds until the deadline; no attempt starts after it.
    """
    from tenacity import retry_if_exception_type

    count = _AttemptCount(budget is not None and budget.per_second is not None)

    def stop(state: RetryCallState) -> bool:
        used = count.used(state) if limits.attempts > 1 else 1
        elapsed = state.seconds_since_start or 0.0
        if should_stop(used, elapsed, state.upcoming_sleep, _outcome(state), limits):
            return True
        return seconds_left is not None and state.upcoming_sleep > seconds_left()

    return {
        "retry": retry_if_exception_type(RetryNeeded),
        "wait": lambda state: backoff_seconds(math.ceil(count.used(state)), _outcome(state), limits),
        "stop": stop,
        "before_sleep": lambda state: _log_retry(state, count, limits, log),
        "retry_error_callback": _raise_last_error,
    }


class _AttemptCount:
    """Counts the attempts of one call; a refusal by a limit per second counts a tenth.

    :param limit_per_second: whether the service is known to have such a limit.
    """

    def __init__(self, limit_per_second: bool) -> None:
        self._limit_per_second = limit_per_second
        self._last = 0
        self.refusals = 0
        self.is_brief = False

    def used(self, state: RetryCallState) -> float:
        """Return the attempts that are used up, the last one included."""
        if state.attempt_number != self._last:
            self._last = state.attempt_number
            self.is_brief = is_brief(_outcome(state), self._limit_per_second)
            self.refusals += self.is_brief
        return state.attempt_number - self.refusals * (1 - _BRIEF_COST)


def _outcome(state: RetryCallState) -> Outcome:
    assert state.outcome is not None  # noqa: S101 - there was an attempt
    error = state.outcome.exception()
    assert isinstance(error, RetryNeeded)  # noqa: S101 - the only error that is retried
    return error.outcome


def _log_retry(state: RetryCallState, count: _AttemptCount, limits: RetryLimits, log: Logger) -> None:
    log.warning(
        "%s (attempt %d of %d%s; next attempt in %.1f s)",
        without_stop(cut(str(_outcome(state).error), 1000)),
        math.ceil(count.used(state)),
        limits.attempts,
        f", {count.refusals} refused by a limit per second" if count.is_brief else "",
        state.upcoming_sleep,
    )


def _raise_last_error(state: RetryCallState) -> Any:
    error = _outcome(state).error
    assert error is not None  # noqa: S101 - there is a result otherwise
    if state.attempt_number > 1:
        error.add_note(
            f"failed in {state.attempt_number} attempts, in {state.seconds_since_start or 0:.0f} s"
        )
    raise error
