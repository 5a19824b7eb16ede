from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core import polling, shared_polls
from airflow_provider.core.polling import intervals, wait_for
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.trigger_events import error_event, raise_for
from tests.support.fake_clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(polling, "clock", clock)
    return clock


@pytest.mark.parametrize(
    "name", ["Iterable", "Mapping", "annotations", "__builtins__", "os.system", "", None]
)
def test_an_event_makes_errors_of_ours_and_nothing_else(name: str | None) -> None:
    with pytest.raises(errors.ProviderError, match="^said$") as caught:
        raise_for({"status": "error", "type": name, "args": ["said"]})
    assert type(caught.value) is errors.ProviderError


@given(longest=st.floats(1, 300))
def test_intervals_begin_at_a_second_grow_and_stay_near_the_longest(longest: float) -> None:
    pauses = list(islice(intervals(longest), 40))
    assert 0.9 <= pauses[0] <= 1.1
    assert max(pauses) <= longest * 1.1
    assert pauses[-1] >= longest * 0.9


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundError(404, "c", "m", request="GET https://x/y"),
        errors.RateLimitedError(429, "c", "m", retry_after=900.0),
        errors.ServerError(503, "c", "m", retry_after=900.0, request="GET https://x/y"),
        errors.RunFailedError("r", "FAILED", "why"),
        errors.InputError(["a", "b"], "what"),
        errors.VerificationError(["a"]),
        errors.TransportError("t"),
    ],
)
def test_an_error_crosses_from_the_triggerer_to_the_task_as_it_was(error: errors.ProviderError) -> None:
    import msgspec

    event = msgspec.json.decode(msgspec.json.encode(error_event(error)))
    with pytest.raises(type(error)) as caught:
        raise_for(event)
    assert str(caught.value) == str(error)
    assert getattr(caught.value, "retry_after", None) == getattr(error, "retry_after", None)


LOG: Any = logging.getLogger("tests.waiting")


def test_a_worker_waits_like_a_trigger(clock: FakeClock) -> None:
    script = [None, None, 7]
    assert wait_for(lambda: script.pop(0), deadline=2000, poll_interval=5, log=LOG, sleep=clock.sleep) == 7
    with pytest.raises(TimeoutError):
        wait_for(lambda: None, deadline=clock.now + 20, poll_interval=5, log=LOG, sleep=clock.sleep)


def test_a_worker_tolerates_some_failures_in_a_row_and_says_so(
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


def test_a_failure_that_cannot_pass_ends_the_wait_at_once(clock: FakeClock) -> None:
    def fail() -> None:
        raise errors.NotFoundError(404)

    with pytest.raises(errors.NotFoundError):
        wait_for(fail, deadline=9e9, poll_interval=5, log=LOG, sleep=clock.sleep)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0.2 s"), (1.0, "1 s"), (9.96, "10 s"), (59.6, "60 s"), (3600.0, "3600 s")]
)
def test_an_error_says_how_long_the_service_asks_to_wait(seconds: float, said: str) -> None:
    assert f"asks to wait {said}" in str(errors.RateLimitedError(429, retry_after=seconds))


def test_a_thousand_waiters_of_one_thing_share_one_request() -> None:
    asked = []

    async def fetch() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        return "answer"

    async def everybody() -> list[str]:
        first = await asyncio.gather(*(shared_result(("list", "w"), 60, fetch) for _ in range(1000)))
        return [*first, await shared_result(("list", "w"), 60, fetch)]

    assert set(asyncio.run(everybody())) == {"answer"}
    assert len(asked) == 1


def test_an_error_reaches_all_who_waited_and_the_next_asks_again() -> None:
    answers: list[Any] = [errors.TransportError("no"), "yes"]

    async def fetch() -> Any:
        await asyncio.sleep(0)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def everybody() -> None:
        both = await asyncio.gather(
            shared_result("k", 60, fetch), shared_result("k", 60, fetch), return_exceptions=True
        )
        assert [type(one) for one in both] == [errors.TransportError] * 2
        assert await shared_result("k", 60, fetch) == "yes"

    asyncio.run(everybody())


def test_a_cancelled_waiter_does_not_take_the_answer_from_the_others() -> None:
    async def everybody() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def fetch() -> str:
            begun.set()
            await go.wait()
            return "answer"

        first = asyncio.ensure_future(shared_result("k", 60, fetch))
        await begun.wait()
        second = asyncio.ensure_future(shared_result("k", 60, fetch))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        assert await second == "answer"

    asyncio.run(everybody())


def test_a_result_that_nobody_asks_for_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch() -> str:
        return "a long list"

    async def months() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now)
        for number in range(1000):
            now += 60
            assert await shared_result(("list", number), 5, fetch) == "a long list"
            await shared_result("asked all the time", 5, fetch)
            await shared_result("asked seldom", 3600, fetch) if number % 50 == 0 else None
        held = shared_polls._shelves[loop]
        assert len(held) <= 15
        assert {"asked all the time", "asked seldom"} <= set(held._entries)

    asyncio.run(months())
