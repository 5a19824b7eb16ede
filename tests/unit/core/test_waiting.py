from __future__ import annotations

import asyncio
import threading
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider import errors
from airflow_provider.core import waiting
from airflow_provider.core.waiting import PollTrigger, error_event, intervals, raise_for, share, wait_for

REAL_SLEEP = asyncio.sleep


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            self.sleep(seconds)
        else:  # a sandbox of another test
            await REAL_SLEEP(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "clock", clock)
    monkeypatch.setattr(waiting.asyncio, "sleep", clock.asleep)
    return clock


class Countdown(PollTrigger):
    """Done after some polls; each item of ``script`` is None, a payload, or an error to raise."""

    def __init__(self, script: list[Any], deadline: float = 2000.0, poll_interval: float = 5.0) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.script = script

    def arguments(self) -> dict[str, Any]:
        return {"deadline": self.deadline, "poll_interval": self.poll_interval}

    async def poll(self) -> dict[str, Any] | None:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step


def fire(trigger: PollTrigger) -> dict[str, Any]:
    async def first() -> Any:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    return asyncio.run(first())


@given(longest=st.floats(1, 300))
def test_intervals_begin_at_a_second_grow_and_stay_near_the_longest(longest: float) -> None:
    pauses = list(islice(intervals(longest), 40))
    assert 0.9 <= pauses[0] <= 1.1
    assert max(pauses) <= longest * 1.1
    assert pauses[-1] >= longest * 0.9


def test_a_trigger_fires_once_with_what_it_waited_for(clock: Clock) -> None:
    assert fire(Countdown([None, None, {"run_id": "r"}])) == {"status": "done", "run_id": "r"}


def test_a_trigger_ends_at_its_deadline(clock: Clock) -> None:
    assert fire(Countdown([None], deadline=1030.0)) == {"status": "timeout"}
    assert clock.now == pytest.approx(1030, abs=0.1)


def test_a_trigger_tolerates_some_failures_in_a_row(clock: Clock) -> None:
    bad = errors.TransportError("no")
    assert fire(Countdown([bad] * 5 + [None] + [bad] * 5 + [{}]))["status"] == "done"
    assert fire(Countdown([bad]))["type"] == "TransportError"


def test_a_permanent_error_ends_a_trigger_at_once(clock: Clock) -> None:
    event = fire(Countdown([errors.PermissionDeniedError(403, "", "no")]))
    assert clock.slept == []
    with pytest.raises(errors.PermissionDeniedError, match="no"):
        raise_for(event)


def test_a_bug_in_a_poll_fails_the_task_with_its_words(clock: Clock) -> None:
    with pytest.raises(errors.ProviderError, match="KeyError: 'x'"):
        raise_for(fire(Countdown([KeyError("x")])))


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundError(404, "c", "m", request="GET https://x/y"),
        errors.RateLimitedError(429, "c", "m"),
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


def test_a_worker_waits_like_a_trigger(clock: Clock) -> None:
    script = [None, None, 7]
    assert wait_for(lambda: script.pop(0), deadline=2000, poll_interval=5, sleep=clock.sleep) == 7
    with pytest.raises(TimeoutError):
        wait_for(lambda: None, deadline=clock.now + 20, poll_interval=5, sleep=clock.sleep)


def test_a_worker_tolerates_some_failures_in_a_row(clock: Clock) -> None:
    def fail() -> None:
        raise errors.ServerError(503)

    with pytest.raises(errors.ServerError):
        wait_for(fail, deadline=9e9, poll_interval=5, sleep=clock.sleep)
    assert len(clock.slept) == 5


def test_a_thousand_waiters_of_one_thing_share_one_request() -> None:
    asked = []

    async def fetch() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        return "answer"

    async def everybody() -> list[str]:
        first = await asyncio.gather(*(share(("list", "w"), 60, fetch) for _ in range(1000)))
        return [*first, await share(("list", "w"), 60, fetch)]

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
        both = await asyncio.gather(share("k", 60, fetch), share("k", 60, fetch), return_exceptions=True)
        assert [type(one) for one in both] == [errors.TransportError] * 2
        assert await share("k", 60, fetch) == "yes"

    asyncio.run(everybody())


def test_a_cancelled_waiter_does_not_take_the_answer_from_the_others() -> None:
    async def everybody() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def fetch() -> str:
            begun.set()
            await go.wait()
            return "answer"

        first = asyncio.ensure_future(share("k", 60, fetch))
        await begun.wait()
        second = asyncio.ensure_future(share("k", 60, fetch))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        assert await second == "answer"

    asyncio.run(everybody())
