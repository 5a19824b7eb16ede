from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Lost, Reply, explain
from airflow_provider.core.http.retry import (
    Judgement,
    Patience,
    Verdict,
    is_over,
    judge,
    retry_after,
    wait_before,
)

READ = Call[Any]("GET", "x")
WRITE = Call[Any]("POST", "x", repeatable=False)


def verdict(call: Call[Any], status: int, body: bytes = b"{}", **headers: str) -> Verdict:
    return judge(call, Reply(status, headers, body), explain, "GET x").verdict


@pytest.mark.parametrize("status", [500, 502, 504, 520, 408])
def test_a_failing_server_is_tried_again_for_reads_but_not_for_writes(status: int) -> None:
    assert verdict(READ, status) is Verdict.TRANSIENT
    assert verdict(WRITE, status) is Verdict.AMBIGUOUS


@pytest.mark.parametrize(("status", "expected"), [(503, Verdict.TRANSIENT), (429, Verdict.RATE_LIMITED)])
def test_a_refusal_before_acting_is_waited_out_even_for_writes(status: int, expected: Verdict) -> None:
    assert verdict(READ, status) is expected
    assert verdict(WRITE, status) is expected


def test_a_request_that_never_left_is_sent_again_even_for_writes() -> None:
    assert judge(WRITE, Lost(sent=False, why=""), explain, "x").verdict is Verdict.TRANSIENT
    assert judge(WRITE, Lost(sent=True, why=""), explain, "x").verdict is Verdict.AMBIGUOUS
    assert judge(READ, Lost(sent=True, why=""), explain, "x").verdict is Verdict.TRANSIENT


def test_a_certificate_that_does_not_verify_ends_at_once() -> None:
    assert judge(READ, Lost(False, "TLS", hopeless=True), explain, "x").verdict is Verdict.PERMANENT


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
    judgement = judge(open_call, Reply(status, {}, b'{"detail": "no"}'), explain, "GET x")
    assert judgement.verdict is Verdict.PERMANENT
    assert type(judgement.error) is kind
    assert judgement.error.status == status


def test_a_401_asks_for_a_new_token() -> None:
    assert verdict(READ, 401) is Verdict.TOKEN_EXPIRED


def test_a_good_reply_that_cannot_be_read_is_asked_for_again_but_never_written_again() -> None:
    assert verdict(READ, 200, b'{"cut') is Verdict.TRANSIENT
    assert verdict(WRITE, 200, b'{"cut') is Verdict.AMBIGUOUS


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, RecursionError, UnicodeDecodeError])
def test_whatever_a_reader_stumbles_over_is_a_bad_reply(error: type[Exception]) -> None:
    def read(_: Reply) -> None:
        raise error(*(("utf-8", b"", 0, 1, "") if error is UnicodeDecodeError else ()))

    assert verdict(READ.reading(read), 200) is Verdict.TRANSIENT
    assert verdict(WRITE.reading(read), 200) is Verdict.AMBIGUOUS


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
def test_what_the_service_asks_for_is_a_floor(asked: float, attempt: int) -> None:
    waited = wait_before(attempt, Judgement(Verdict.RATE_LIMITED, retry_after=asked), Patience())
    assert asked <= waited <= asked + 1


@given(attempt=st.integers(1, 60), rate_limited=st.booleans())
def test_waits_have_a_cap(attempt: int, rate_limited: bool) -> None:
    kind = Verdict.RATE_LIMITED if rate_limited else Verdict.TRANSIENT
    assert 0 < wait_before(attempt, Judgement(kind), Patience(cap=9)) <= 9


def test_a_wait_beyond_the_cap_is_not_slept_on_a_worker() -> None:
    assert is_over(1, 0.0, 61.0, Judgement(Verdict.RATE_LIMITED, retry_after=61), Patience(cap=60))
    assert not is_over(1, 0.0, 59.0, Judgement(Verdict.RATE_LIMITED, retry_after=59), Patience(cap=60))


def test_the_budget_of_tries_and_of_time_ends() -> None:
    transient = Judgement(Verdict.TRANSIENT)
    assert is_over(6, 1.0, 1.0, transient, Patience(attempts=6))
    assert is_over(2, 170.0, 11.0, transient, Patience(total=180))


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60),
    repeatable=st.booleans(),
    authenticated=st.booleans(),
)
def test_no_outcome_is_left_without_a_verdict(
    status: int, body: bytes, repeatable: bool, authenticated: bool
) -> None:
    call = Call[Any]("POST", "x", repeatable=repeatable, authenticated=authenticated)
    judgement = judge(call, Reply(status, {}, body), explain, "POST x")
    assert (judgement.verdict is Verdict.DONE) == (judgement.error is None)
    if not repeatable and judgement.verdict is Verdict.TRANSIENT:
        assert status == 503
