from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import NoResponse, Reply, read_error
from airflow_provider.core.http.retry import (
    Outcome,
    OutcomeKind,
    RetryLimits,
    backoff_seconds,
    classify,
    retry_after,
    should_stop,
)

READ = Call[Any]("GET", "x")
WRITE = Call[Any]("POST", "x", repeatable=False)


def kind_of(call: Call[Any], status: int, body: bytes = b"{}", **headers: str) -> OutcomeKind:
    return classify(call, Reply(status, headers, body), read_error, "GET x").kind


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
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "²"}, None),
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
