from __future__ import annotations

import logging
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, cast

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.rate_limit import Budget
from airflow_provider.core.http.reply import NoResponse, Reply, read_error, read_nothing
from airflow_provider.core.http.retry import (
    Outcome,
    OutcomeKind,
    RetryLimits,
    RetryNeeded,
    backoff_seconds,
    classify,
    is_brief,
    result_or_raise,
    retry_after,
    should_stop,
    tenacity_options,
)
from tests.support.fake_clock import set_in_module

READ = Call[Any]("GET", "x")
WRITE = Call[Any]("POST", "x", repeatable=False)


def kind_of(call: Call[Any], status: int, body: bytes = b"{}", **headers: str) -> OutcomeKind:
    return classify(call, Reply(status, headers, body), read_error, "GET x").kind


PAGE = {"content-type": "text/html"}


@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status, {}, b'{"detail": "no"}') for status in (400, 401, 403, 404, 408, 409, 429, 500, 503)),
        *(Reply(status, PAGE, b"<html>") for status in (200, 302, 404, 502)),
        Reply(200, {}, b"no JSON"),
        Reply(302, {"location": "/y"}, b""),
        NoResponse(sent=True, reason="reset"),
        NoResponse(sent=False, reason="refused"),
        NoResponse(sent=False, reason="TLS", permanent=True),
    ],
    ids=str,
)
def test_each_error_names_its_request(call: Call[Any], reply: Any) -> None:
    error = classify(call, reply, read_error, "GET https://host/x").error
    assert error
    assert "GET https://host/x" in str(error)


@pytest.mark.parametrize("status", [500, 502, 504, 520, 408])
def test_a_failing_server_causes_a_retry_of_reads_but_not_of_writes(status: int) -> None:
    assert kind_of(READ, status) is OutcomeKind.TRANSIENT
    assert kind_of(WRITE, status) is OutcomeKind.AMBIGUOUS


@pytest.mark.parametrize(
    ("status", "expected"), [(503, OutcomeKind.TRANSIENT), (429, OutcomeKind.RATE_LIMITED)]
)
def test_a_refusal_before_acting_causes_a_retry_even_of_writes(status: int, expected: OutcomeKind) -> None:
    assert kind_of(READ, status) is expected
    assert kind_of(WRITE, status) is expected


def test_a_request_that_was_not_sent_is_retried_even_for_writes() -> None:
    assert classify(WRITE, NoResponse(sent=False, reason=""), read_error, "x").kind is OutcomeKind.TRANSIENT
    assert classify(WRITE, NoResponse(sent=True, reason=""), read_error, "x").kind is OutcomeKind.AMBIGUOUS
    assert classify(READ, NoResponse(sent=True, reason=""), read_error, "x").kind is OutcomeKind.TRANSIENT


def test_a_certificate_that_does_not_verify_ends_at_once() -> None:
    assert (
        classify(READ, NoResponse(False, "TLS", permanent=True), read_error, "x").kind
        is OutcomeKind.PERMANENT
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.RequestRejectedError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (410, errors.NotFoundError),
        (409, errors.RequestRejectedError),
        (302, errors.RequestRejectedError),
        (401, errors.AuthenticationError),
    ],
)
def test_a_refusal_is_permanent_and_has_its_own_type(status: int, kind: type[errors.ApiError]) -> None:
    open_call = Call[Any]("GET", "x", authenticated=False)
    outcome = classify(open_call, Reply(status, {}, b'{"detail": "no"}'), read_error, "GET x")
    assert outcome.kind is OutcomeKind.PERMANENT
    assert type(outcome.error) is kind
    assert outcome.error.status == status


def test_a_401_asks_for_a_new_token() -> None:
    assert kind_of(READ, 401) is OutcomeKind.TOKEN_EXPIRED


def test_an_unreadable_reply_causes_a_retry_of_reads_but_not_of_writes() -> None:
    assert kind_of(READ, 200, b'{"cut') is OutcomeKind.TRANSIENT
    assert kind_of(WRITE, 200, b'{"cut') is OutcomeKind.AMBIGUOUS


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, RecursionError, UnicodeDecodeError])
def test_any_exception_of_a_reader_means_an_unreadable_reply(error: type[Exception]) -> None:
    def read(_: Reply) -> None:
        raise error(*(("utf-8", b"", 0, 1, "") if error is UnicodeDecodeError else ()))

    assert kind_of(READ.with_reader(read), 200) is OutcomeKind.TRANSIENT
    assert kind_of(WRITE.with_reader(read), 200) is OutcomeKind.AMBIGUOUS


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": formatdate(1000, usegmt=True), "date": formatdate(970, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(900, usegmt=True), "date": formatdate(970, usegmt=True)}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:40 -0000", "date": formatdate(970, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(1000, usegmt=True), "date": "Thu, 01 Jan 1970 00:16:10 -0000"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 02:16:40 +0200", "date": formatdate(970, usegmt=True)}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 500}, 30 * 86400.0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 99999999999999999999 Jan 2030 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2030 00:00:00 +99999999999999"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2300"}, 30 * 86400.0),
        (
            {"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT", "date": f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT"},
            0.0,
        ),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms_whatever_the_clock(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after(Reply(429, headers, b"")) == expected


@given(asked=st.floats(0, 1000), attempt=st.integers(1, 20))
def test_retry_after_is_the_minimum_of_the_backoff(asked: float, attempt: int) -> None:
    waited = backoff_seconds(attempt, Outcome(OutcomeKind.RATE_LIMITED, retry_after=asked), RetryLimits())
    assert asked <= waited <= asked + 1


@given(attempt=st.integers(1, 60), rate_limited=st.booleans())
def test_the_backoff_has_a_cap(attempt: int, rate_limited: bool) -> None:
    kind = OutcomeKind.RATE_LIMITED if rate_limited else OutcomeKind.TRANSIENT
    assert 0 < backoff_seconds(attempt, Outcome(kind), RetryLimits(cap=9)) <= 9


def test_a_delay_beyond_the_cap_is_not_slept_on_a_worker() -> None:
    assert should_stop(1, 0.0, 61.0, Outcome(OutcomeKind.RATE_LIMITED, retry_after=61), RetryLimits(cap=60))
    assert not should_stop(
        1, 0.0, 59.0, Outcome(OutcomeKind.RATE_LIMITED, retry_after=59), RetryLimits(cap=60)
    )


@given(attempt=st.integers(1, 2000), rate_limited=st.booleans())
def test_the_backoff_has_a_minimum(attempt: int, rate_limited: bool) -> None:
    kind = OutcomeKind.RATE_LIMITED if rate_limited else OutcomeKind.TRANSIENT
    assert 2 <= backoff_seconds(attempt, Outcome(kind), RetryLimits(base=0.1, least=2, cap=30)) <= 30
    hasty = Outcome(kind, retry_after=0.0)
    assert backoff_seconds(attempt, hasty, RetryLimits(least=2)) >= 2


def test_a_delay_that_the_service_asks_for_may_be_longer_than_a_backoff() -> None:
    limits = RetryLimits(cap=30, longest_delay=60)
    asked = [Outcome(OutcomeKind.RATE_LIMITED, retry_after=seconds) for seconds in (59, 61)]
    assert [should_stop(1, 0.0, one.retry_after or 0, one, limits) for one in asked] == [False, True]


def test_a_connection_adjusts_attempts_and_patience() -> None:
    limits = RetryLimits(attempts=6, cap=60, total=180)
    assert limits.adjusted(None, None) == limits
    assert limits.adjusted(2, None) == RetryLimits(attempts=2, cap=60, total=180)
    assert limits.adjusted(2, 900) == RetryLimits(attempts=2, cap=60, total=900)


@given(patience=st.floats(1, 5000), base=st.floats(0.01, 10), cap=st.floats(1, 100))
def test_patience_alone_allows_as_many_attempts_as_it_has_time_for(
    patience: float, base: float, cap: float
) -> None:
    limits = RetryLimits(base=base, cap=cap, least=min(2, cap)).adjusted(None, patience)
    waited, attempts = 0.0, 1
    while waited + (pause := backoff_seconds(attempts, Outcome(OutcomeKind.TRANSIENT), limits)) <= patience:
        waited, attempts = waited + pause, attempts + 1
        assert attempts <= limits.attempts


def test_attempts_and_time_are_limited() -> None:
    transient = Outcome(OutcomeKind.TRANSIENT)
    assert should_stop(6, 1.0, 1.0, transient, RetryLimits(attempts=6))
    assert should_stop(2, 170.0, 11.0, transient, RetryLimits(total=180))


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60),
    repeatable=st.booleans(),
    authenticated=st.booleans(),
)
def test_every_outcome_is_classified(status: int, body: bytes, repeatable: bool, authenticated: bool) -> None:
    call = Call[Any]("POST", "x", repeatable=repeatable, authenticated=authenticated)
    outcome = classify(call, Reply(status, {}, body), read_error, "POST x")
    assert (outcome.kind is OutcomeKind.DONE) == (outcome.error is None)
    if not repeatable and outcome.kind is OutcomeKind.TRANSIENT:
        assert status == 503


def test_limits_are_met_exactly_before_the_loop_stops() -> None:
    transient = Outcome(OutcomeKind.TRANSIENT)
    limits = RetryLimits(attempts=3, total=10, cap=5)
    assert not should_stop(2.9, 4, 6, transient, limits)
    assert should_stop(3, 4, 6, transient, limits)
    assert should_stop(2, 4, 6.1, transient, limits)
    asked = [Outcome(OutcomeKind.RATE_LIMITED, retry_after=seconds) for seconds in (5.0, 5.1)]
    assert [should_stop(1, 0, 1, outcome, limits) for outcome in asked] == [False, True]
    exact = RetryLimits(attempts=3, longest_delay=0.0)
    assert not should_stop(1, 0, 0, Outcome(OutcomeKind.RATE_LIMITED, retry_after=0.0), exact)


@pytest.mark.parametrize(
    ("kind", "attempt", "limits", "between"),
    [
        (OutcomeKind.TRANSIENT, 1, RetryLimits(base=4, cap=100), (2, 4)),
        (OutcomeKind.TRANSIENT, 3, RetryLimits(base=4, cap=100), (8, 16)),
        (OutcomeKind.RATE_LIMITED, 1, RetryLimits(base=4, cap=100), (4, 8)),
        (OutcomeKind.TRANSIENT, 9, RetryLimits(base=4, cap=100), (50, 100)),
        (OutcomeKind.TRANSIENT, 1, RetryLimits(base=4, cap=100, least=3), (3, 4)),
        (OutcomeKind.TRANSIENT, 1, RetryLimits(base=4, cap=100, least=7), (7, 7)),
        (OutcomeKind.TRANSIENT, 5000, RetryLimits(base=1e-19, cap=100), (0.05, 0.12)),
    ],
)
def test_the_backoff_doubles_with_jitter_downwards(
    kind: OutcomeKind, attempt: int, limits: RetryLimits, between: tuple[float, float]
) -> None:
    found = [backoff_seconds(attempt, Outcome(kind), limits) for _ in range(300)]
    low, high = between
    assert low <= min(found) <= max(found) <= high
    assert max(found) - min(found) >= 0.7 * (high - low)


@pytest.mark.parametrize(("asked", "jitter"), [(0.0, 0.1), (2.0, 0.3), (9.0, 1.0), (50.0, 1.0)])
def test_jitter_is_added_to_the_delay_that_the_service_asks_for(asked: float, jitter: float) -> None:
    outcome = Outcome(OutcomeKind.RATE_LIMITED, retry_after=asked)
    found = [backoff_seconds(1, outcome, RetryLimits()) - asked for _ in range(300)]
    assert 0 <= min(found) <= 0.3 * jitter
    assert 0.7 * jitter <= max(found) <= jitter + 1e-9
    assert backoff_seconds(1, outcome, RetryLimits(least=60)) >= 60


@pytest.mark.parametrize(
    ("patience", "limits", "attempts"),
    [
        (60, RetryLimits(base=1, cap=64), 6 + 6 + 1),
        (63, RetryLimits(base=1, cap=64), 6 + 6 + 1),
        (64, RetryLimits(base=1, cap=64), 6 + 6 + 2),
        (64, RetryLimits(base=0, cap=1), 6 + 10 + 128),
        (64, RetryLimits(base=100, cap=64), 6 + 0 + 2),
        (64, RetryLimits(base=1, cap=64, least=64), 6 + 6 + 1),
    ],
)
def test_patience_is_turned_into_attempts(patience: float, limits: RetryLimits, attempts: int) -> None:
    found = limits.adjusted(None, patience)
    assert (found.attempts, found.total, found.cap) == (attempts, patience, limits.cap)


@pytest.mark.parametrize(
    ("kind", "retry_after", "known", "brief"),
    [
        (OutcomeKind.RATE_LIMITED, None, True, True),
        (OutcomeKind.RATE_LIMITED, None, False, False),
        (OutcomeKind.RATE_LIMITED, 2.0, False, True),
        (OutcomeKind.RATE_LIMITED, 2.1, True, False),
        (OutcomeKind.TRANSIENT, 1.0, True, False),
    ],
)
def test_a_refusal_by_a_limit_per_second_is_known(
    kind: OutcomeKind, retry_after: float | None, known: bool, brief: bool
) -> None:
    assert is_brief(Outcome(kind, retry_after=retry_after), known) is brief


def outcome_of(call: Call[Any], status: int, body: bytes = b"{}", **headers: str) -> Outcome:
    return classify(call, Reply(status, headers, body), read_error, "GET x", lambda text: text.upper())


def test_an_error_has_the_services_words_and_the_delay_it_asks_for() -> None:
    body = b'{"error_code": "slow", "detail": "wait"}'
    for status, kind in ((429, errors.RateLimitedError), (503, errors.ServerError)):
        outcome = outcome_of(READ, status, body, **{"retry-after": "7"})
        assert type(outcome.error) is kind
        assert (outcome.retry_after, outcome.error.retry_after) == (7.0, 7.0)
        assert (outcome.error.code, outcome.error.message, outcome.error.request) == ("slow", "wait", "GET x")
    assert (
        outcome_of(WRITE, 500, body)
        .error.args[0]
        .startswith("GET x was sent, but got no response (HTTP 500 wait); it is not retried")
    )
    assert "(HTTP 500)" in str(outcome_of(WRITE, 500).error)


@pytest.mark.parametrize(
    ("status", "location", "to"),
    [(301, "https://other/x?secret=1", "https://other/x"), (399, "", "no address")],
)
def test_a_redirect_is_refused_with_where_it_leads_to(status: int, location: str, to: str) -> None:
    outcome = outcome_of(READ, status, location=location)
    assert outcome.kind is OutcomeKind.PERMANENT
    words = "a redirect, which is not followed: credentials go to the connection's own host only"
    assert f"{words} (it leads to {to})" in str(outcome.error)
    assert "redirect" not in str(outcome_of(READ, 400).error)


def test_a_401_of_a_call_without_credential_asks_for_no_token() -> None:
    call = Call[Any]("GET", "x", authenticated=False)
    assert outcome_of(call, 401).kind is OutcomeKind.PERMANENT
    assert isinstance(outcome_of(READ, 401).error, errors.AuthenticationError)


PAGE = b"<html><title>Sign in</title></html>"


def test_a_web_page_in_place_of_a_reply_is_permanent_or_ambiguous() -> None:
    for call in (READ, READ.with_reader(read_nothing)):
        outcome = outcome_of(call, 200, PAGE)
        assert outcome.kind is OutcomeKind.PERMANENT
        assert isinstance(outcome.error, errors.ServerError)
        assert outcome.error.message == "a web page ('SIGN IN') instead of the API's reply"
        assert outcome.error.advice == "check the host of the connection, and the proxy"
    outcome = outcome_of(WRITE.with_reader(read_nothing), 200, b"<html>")
    assert outcome.kind is OutcomeKind.AMBIGUOUS
    assert "(a web page instead of the API's reply)" in str(outcome.error)
    assert outcome_of(WRITE.with_reader(read_nothing), 200, b"{}").kind is OutcomeKind.DONE


@pytest.mark.parametrize("title", ['oken": "abc', "{abc"])
def test_what_looks_like_json_is_not_quoted_as_the_title_of_a_page_in_place_of_a_token(title: str) -> None:
    page = f"<html><title>{title}</title></html>".encode()
    assert "abc" in str(outcome_of(READ, 200, page).error).lower()
    outcome = outcome_of(Call[Any]("POST", "token", authenticated=False, repeatable=True), 200, page)
    assert "a web page instead of the API's reply" in str(outcome.error)


def test_a_reader_s_own_error_has_the_service_s_message_unless_it_has_one() -> None:
    def refuse(error: Exception) -> Any:
        def read(_: Reply) -> None:
            raise error

        return READ.with_reader(read)

    body = b'{"error_code": "c", "detail": "because"}'
    bare = outcome_of(refuse(errors.RequestRejectedError(200)), 200, body)
    assert (bare.kind, bare.error.code, bare.error.message) == (OutcomeKind.PERMANENT, "c", "because")
    own = errors.RequestRejectedError(200, "own", "words")
    assert outcome_of(refuse(own), 200, body).error is own
    assert outcome_of(refuse(errors.ServerError(200)), 200, body).kind is OutcomeKind.TRANSIENT
    assert outcome_of(refuse(errors.ServerError(200)), 200, PAGE).kind is OutcomeKind.PERMANENT
    assert outcome_of(refuse(errors.InputError("x")), 200, PAGE).error.problems == ["x"]
    message = outcome_of(refuse(ValueError("y" * 300)), 200, body).error.message
    assert message == f"the reply cannot be read: ValueError: {'Y' * 200}"


def test_an_outcome_is_a_value_an_error_or_a_signal_to_retry() -> None:
    error = errors.RequestRejectedError(400)
    assert result_or_raise(Outcome(OutcomeKind.DONE, value=7)) == 7
    for kind in (OutcomeKind.TRANSIENT, OutcomeKind.RATE_LIMITED):
        with pytest.raises(RetryNeeded) as caught:
            result_or_raise(Outcome(kind, error=error))
        assert caught.value.outcome.error is error
    with pytest.raises(errors.RequestRejectedError):
        result_or_raise(Outcome(OutcomeKind.PERMANENT, error=error))
    with pytest.raises(AssertionError, match="without an error"):
        result_or_raise(Outcome(OutcomeKind.PERMANENT))


class Slept:
    """Tenacity's loop without waiting, over outcomes in their order.

    :param outcomes: of the attempts.
    """

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.pauses: list[float] = []

    def run(self, limits: RetryLimits, **options: Any) -> Any:
        def attempt() -> Any:
            return result_or_raise(self.outcomes.pop(0))

        options = tenacity_options(limits, options.pop("budget", None), logging.getLogger("retry"), **options)
        return tenacity.Retrying(sleep=self.pauses.append, **options)(attempt)


def failing(retry_after: float | None = None, kind: OutcomeKind = OutcomeKind.TRANSIENT) -> Outcome:
    return Outcome(kind, error=errors.ServerError(500, "", "down"), retry_after=retry_after)


def test_the_loop_ends_with_a_result_or_the_last_error_and_its_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = Outcome(OutcomeKind.DONE, value="fine")
    loop = Slept(failing(), failing(), done)
    assert loop.run(RetryLimits(attempts=3)) == "fine"
    assert len(loop.pauses) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "(attempt 1 of 3; next attempt in" in caplog.text
    assert "(attempt 2 of 3; next attempt in" in caplog.text
    loop = Slept(failing(), failing(), failing())
    with pytest.raises(errors.ServerError) as caught:
        loop.run(RetryLimits(attempts=3))
    assert caught.value.__notes__ == ["failed in 3 attempts, in 0 s"]
    with pytest.raises(errors.ServerError) as caught:
        Slept(failing()).run(RetryLimits(attempts=1))
    assert not hasattr(caught.value, "__notes__")


def test_refusals_by_a_limit_per_second_cost_a_tenth_of_an_attempt(caplog: pytest.LogCaptureFixture) -> None:
    refusals = [failing(0.5, OutcomeKind.RATE_LIMITED)] * 19
    loop = Slept(*refusals, Outcome(OutcomeKind.DONE, value="fine"))
    assert loop.run(RetryLimits(attempts=2)) == "fine"
    assert "(attempt 2 of 2, 19 refused by a limit per second; next attempt in" in caplog.text
    loop = Slept(*refusals, *refusals)
    with pytest.raises(errors.ServerError) as caught:
        loop.run(RetryLimits(attempts=2))
    assert len(loop.pauses) == 19
    assert caught.value.__notes__ == ["failed in 20 attempts, in 0 s"]
    loop = Slept(*refusals)
    with pytest.raises(errors.ServerError):
        loop.run(RetryLimits(attempts=1))
    assert loop.pauses == []


def test_no_attempt_starts_after_the_deadline() -> None:
    for left, attempts in ((3.5, 3), (2.9, 1)):
        loop = Slept(*[failing(3.0)] * 3)
        limits = RetryLimits(attempts=3)
        with pytest.raises(errors.ServerError):
            loop.run(limits, seconds_left=lambda left=left: left)
        assert len(loop.outcomes) == 3 - attempts


def test_the_largest_jitter_is_a_tenth_of_the_delay_and_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_in_module(monkeypatch, "airflow_provider.core.http.retry", "random", uniform=lambda _, most: most)

    def longest(asked: float) -> float:
        return backoff_seconds(1, Outcome(OutcomeKind.RATE_LIMITED, retry_after=asked), RetryLimits())

    assert [longest(asked) for asked in (0, 5, 9, 100)] == pytest.approx([0.1, 5.6, 10.0, 101.0])
    transient = Outcome(OutcomeKind.TRANSIENT)
    found = [backoff_seconds(attempt, transient, RetryLimits(base=1, cap=8)) for attempt in range(1, 6)]
    assert found == [1, 2, 4, 8, 8]


def test_the_error_of_a_missing_response_has_its_parts() -> None:
    lost = NoResponse(sent=True, reason="reset", cause="tls")
    error = cast("errors.TransportError", classify(READ, lost, read_error, "GET x").error)
    assert str(error) == "GET x got no response: reset"
    assert (error.cause, error.reason, error.request) == ("tls", "reset", "GET x")
    doubtful = cast("errors.AmbiguousWriteError", classify(WRITE, lost, read_error, "POST x").error)
    assert doubtful.reason == "reset"


@pytest.mark.parametrize("status", [300, 400, 401, 429, 500, 503])
def test_an_error_of_the_service_has_its_parts(status: int) -> None:
    page = b"<html><title>Down</title></html>"
    for body, is_page, message in ((b'{"detail": "no"}', False, "no"), (page, True, "an HTML page: Down")):
        error = outcome_of(READ, status, body, location="/y?z").error
        assert isinstance(error, errors.ApiError)
        assert (error.status, error.code, error.request) == (status, "", "GET x")
        assert (error.body, error.is_page) == (message, is_page)
        assert error.location == ("/y" if status == 300 else "")
        assert ("a redirect" in error.message) == (status == 300)


def test_the_error_of_an_unreadable_reply_has_its_parts() -> None:
    broken = outcome_of(READ, 200, b"{").error
    page = outcome_of(READ, 200, PAGE).error
    for error, is_page in ((broken, False), (page, True)):
        assert isinstance(error, errors.ServerError)
        assert (error.status, error.code, error.request, error.is_page) == (200, "", "GET x", is_page)
    assert "the reply cannot be read: ValueError: NOT JSON: " in broken.message
    doubtful = outcome_of(WRITE, 200, b"{").error
    assert doubtful.reason.startswith("the reply cannot be read: ValueError: NOT JSON: ")


@pytest.mark.parametrize(("code", "message"), [("own", ""), ("", "words")])
def test_a_reader_s_own_error_keeps_the_half_that_it_has(code: str, message: str) -> None:
    own = errors.RequestRejectedError(200, code, message)

    def read(_: Reply) -> None:
        raise own

    assert outcome_of(READ.with_reader(read), 200, b'{"detail": "because"}').error is own


def test_a_reader_s_bare_error_gets_request_and_body() -> None:
    def read(_: Reply) -> None:
        raise errors.RequestRejectedError(200)

    error = outcome_of(READ.with_reader(read), 201, b'{"detail": "because"}').error
    assert (error.status, error.request, error.body) == (201, "GET x", "because")


def test_a_refusal_without_delay_is_brief_where_a_limit_per_second_is_known() -> None:
    for budget, pauses in ((None, 1), (Budget(None), 1), (Budget(10), 19)):
        loop = Slept(*[failing(None, OutcomeKind.RATE_LIMITED)] * 30)
        with pytest.raises(errors.ServerError):
            loop.run(RetryLimits(attempts=2, total=1e9), budget=budget)
        assert len(loop.pauses) == pauses


def ended(seconds: float | None, attempts: int, error: Exception | None = None) -> Any:
    """Return the state of tenacity's loop after some attempts."""
    outcome = failing() if error is None else Outcome(OutcomeKind.TRANSIENT, error=cast("Any", error))
    return SimpleNamespace(
        attempt_number=attempts,
        seconds_since_start=seconds,
        upcoming_sleep=4.0,
        outcome=SimpleNamespace(exception=lambda: RetryNeeded(outcome)),
    )


def test_the_loop_ends_with_the_seconds_since_its_start() -> None:
    options = tenacity_options(RetryLimits(attempts=9, total=10), None, logging.getLogger("retry"))
    stops = [options["stop"](ended(seconds, 2)) for seconds in (None, 0.0, 6.0, 6.1)]
    assert stops == [False, False, False, True]
    short = tenacity_options(RetryLimits(total=4), None, logging.getLogger("retry"))
    assert not short["stop"](ended(None, 1))
    for seconds, note in ((None, "in 0 s"), (7.4, "in 7 s")):
        with pytest.raises(errors.ServerError) as caught:
            options["retry_error_callback"](ended(seconds, 2))
        assert caught.value.__notes__ == [f"failed in 2 attempts, {note}"]


def test_a_pause_may_last_until_the_deadline_exactly() -> None:
    for left, stops in ((4.0, False), (3.9, True)):
        options = tenacity_options(RetryLimits(), None, logging.getLogger("retry"), lambda left=left: left)
        assert options["stop"](ended(1.0, 1)) is stops


def test_the_words_of_an_error_are_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    options = tenacity_options(RetryLimits(), None, logging.getLogger("retry"))
    for length, shown in ((1000, "x" * 1000), (1001, "x" * 999 + "…")):
        caplog.clear()
        options["before_sleep"](ended(1.0, 1, ValueError("x" * length)))
        assert caplog.messages == [f"{shown} (attempt 1 of 6; next attempt in 4.0 s)"]


def test_a_plain_title_of_a_page_in_place_of_a_token_is_quoted() -> None:
    outcome = outcome_of(Call[Any]("POST", "token", authenticated=False), 200, PAGE)
    assert outcome.error.message == "a web page ('SIGN IN') instead of the API's reply"


def test_a_redirect_without_a_location_leads_to_no_address() -> None:
    error = outcome_of(READ, 302).error
    assert isinstance(error, errors.RequestRejectedError)
    assert error.location == ""
    assert error.message.endswith("(it leads to no address)")
