from __future__ import annotations

import logging
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core import polling
from airflow_provider.core.polling import bounded, intervals, shown_bound, wait_for
from tests.support.fake_clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(polling, "clock", clock)
    return clock


@given(longest=st.floats(1, 300))
def test_intervals_begin_at_a_second_grow_and_stay_near_the_longest(longest: float) -> None:
    pauses = list(islice(intervals(longest), 40))
    assert 0.9 <= pauses[0] <= 1.1
    assert max(pauses) <= longest * 1.1
    assert pauses[-1] >= longest * 0.9


LOG: Any = logging.getLogger("tests.polling")


def test_a_worker_waits_like_a_trigger(clock: FakeClock) -> None:
    script = [None, None, 7]
    assert wait_for(lambda: script.pop(0), deadline=2000, poll_interval=5, log=LOG, sleep=clock.sleep) == 7
    with pytest.raises(TimeoutError):
        wait_for(lambda: None, deadline=clock.now + 20, poll_interval=5, log=LOG, sleep=clock.sleep)


def test_a_worker_that_stood_still_during_a_poll_polls_once_more(clock: FakeClock) -> None:
    polls = []

    def poll() -> int | None:
        polls.append(clock.now)
        clock.now += 3600
        return 7 if len(polls) == 2 else None

    assert wait_for(poll, deadline=clock.now + 20, poll_interval=5, log=LOG, sleep=clock.sleep) == 7
    assert polls == [1000.0, 4600.0]


def test_a_worker_tolerates_and_logs_some_failures_in_a_row(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise errors.ServerError(503)

    with pytest.raises(errors.ServerError):
        wait_for(fail, deadline=9e9, poll_interval=5, log=LOG, sleep=clock.sleep)
    assert len(clock.slept) == 5
    assert [record.getMessage() for record in caplog.records if record.name == LOG.name] == [
        f"poll failed ({number} of 5 tolerated): HTTP 503" for number in range(1, 6)
    ]


def test_only_failures_in_a_row_count(clock: FakeClock) -> None:
    script: list[Any] = [*[errors.TransportError("no")] * 5, None, *[errors.TransportError("no")] * 5, 7]

    def poll() -> Any:
        answer = script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert wait_for(poll, deadline=9e9, poll_interval=5, log=LOG, sleep=clock.sleep) == 7


def test_a_permanent_failure_ends_the_wait_at_once(clock: FakeClock) -> None:
    def fail() -> None:
        raise errors.NotFoundError(404)

    with pytest.raises(errors.NotFoundError):
        wait_for(fail, deadline=9e9, poll_interval=5, log=LOG, sleep=clock.sleep)
    assert clock.slept == []


def test_the_shorter_of_both_timeouts_bounds_a_wait() -> None:
    half_a_minute = timedelta(seconds=30)
    assert (bounded(100, None), shown_bound(100, None)) == (100, "100 s")
    assert (bounded(100, half_a_minute), shown_bound(100, half_a_minute)) == (
        30,
        "30 s ('execution_timeout')",
    )
    assert (bounded(10, half_a_minute), shown_bound(10, half_a_minute)) == (10, "10 s")
