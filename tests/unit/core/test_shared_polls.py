from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core import shared_polls
from airflow_provider.core.shared_polls import shared_result
from tests.support.loop_turns import LoopTurns, counted_turns


def test_a_thousand_equal_calls_share_one_request() -> None:
    asked = []

    async def fetch() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        return "answer"

    async def call_all() -> list[str]:
        first = await asyncio.gather(*(shared_result(("list", "w"), 60, fetch) for _ in range(1000)))
        return [*first, await shared_result(("list", "w"), 60, fetch)]

    assert set(asyncio.run(call_all())) == {"answer"}
    assert len(asked) == 1


@pytest.mark.parametrize("failure", [None, errors.TransportError("no")])
async def test_callers_continue_in_groups_and_not_all_in_one_turn_of_the_loop(
    failure: Exception | None,
) -> None:
    async def fetch() -> str:
        await asyncio.sleep(0)
        if failure:
            raise failure
        return "answer"

    async def call(turns: LoopTurns) -> str:
        try:
            return await shared_result("k", 60, fetch)
        finally:
            turns.record()

    async with counted_turns() as turns:
        found = await asyncio.gather(*(call(turns) for _ in range(1000)), return_exceptions=True)
    assert set(found) == {failure or "answer"}
    assert turns.most <= shared_polls.WOKEN_AT_ONCE


async def test_groups_are_full_and_callers_that_have_ended_are_left_out() -> None:
    loop = asyncio.get_running_loop()
    waiting = [loop.create_future() for _ in range(3 * shared_polls.WOKEN_AT_ONCE)]
    waiting[7].cancel()
    continued: list[int] = []

    def complete(future: asyncio.Future[int]) -> None:
        continued.append(turns.number)
        future.set_result(1)

    async with counted_turns() as turns:
        await shared_polls.wake(waiting, complete)
    first, second, third = (continued.count(number) for number in sorted(set(continued)))
    assert (first, second, third) == (49, 50, 50)


async def test_an_ended_request_ends_those_who_wait_for_it() -> None:
    async def fetch() -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await shared_result("k", 60, fetch)


def test_an_error_reaches_all_waiting_callers_and_the_next_call_sends_a_request() -> None:
    answers: list[Any] = [errors.TransportError("no"), "yes"]

    async def fetch() -> Any:
        await asyncio.sleep(0)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def call_all() -> None:
        both = await asyncio.gather(
            shared_result("k", 60, fetch), shared_result("k", 60, fetch), return_exceptions=True
        )
        assert [type(result) for result in both] == [errors.TransportError] * 2
        assert await shared_result("k", 60, fetch) == "yes"

    asyncio.run(call_all())


def test_a_cancelled_caller_does_not_cancel_the_request_of_the_others() -> None:
    async def call_all() -> None:
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

    asyncio.run(call_all())


def test_an_unused_result_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch() -> str:
        return "a long list"

    async def months() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now)
        for number in range(1000):
            now += 60
            assert await shared_result(("list", number), 5, fetch) == "a long list"
            await shared_result("used often", 5, fetch)
            await shared_result("used seldom", 3600, fetch) if number % 50 == 0 else None
        cache = shared_polls._caches[loop]
        assert len(cache) <= 15
        assert {"used often", "used seldom"} <= set(cache._entries)

    asyncio.run(months())


def test_a_result_may_have_its_age_and_no_more_and_must_be_asked_for_late_enough() -> None:
    asked: list[int] = []

    async def fetch() -> int:
        asked.append(1)
        return len(asked)

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        now = 1000.0
        loop.time = lambda: now  # type: ignore[method-assign]
        found = [await shared_result("k", 5, fetch)]
        now += 5
        found.append(await shared_result("k", 5, fetch))
        found.append(await shared_result("k", 5, fetch, asked_since=1000.0))
        found.append(await shared_result("k", 5, fetch, asked_since=1000.1))
        now += 5.1
        found.append(await shared_result("k", 5, fetch))
        found.append(await shared_result("other", 5, fetch))
        return found

    assert asyncio.run(run()) == [1, 1, 1, 2, 3, 4]


def test_a_request_that_runs_already_but_was_sent_too_early_is_followed_by_another() -> None:
    async def run() -> list[str]:
        answers, go = ["old", "new"], asyncio.Event()

        async def fetch() -> str:
            answer = answers.pop(0)
            if answer == "old":
                await go.wait()
            return answer

        first = asyncio.ensure_future(shared_result("k", 60, fetch))
        await asyncio.sleep(0.01)
        later = asyncio.get_running_loop().time()
        second = asyncio.ensure_future(shared_result("k", 60, fetch, asked_since=later))
        await asyncio.sleep(0.01)
        go.set()
        return [await first, await second]

    assert asyncio.run(run()) == ["old", "new"]


def test_a_result_is_dropped_ten_minutes_after_its_last_use_or_when_it_is_too_old() -> None:
    cache = shared_polls._Cache()
    short = cache.entry("short", 1.0, 100.0)
    long = cache.entry("long", 900.0, 100.0)
    assert cache.entry("short", 1.0, 699.0) is short
    assert cache.entry("long", 900.0, 999.0) is long
    cache.entry("other", 1.0, 1299.0)
    assert set(cache._entries) == {"long", "other"}
    assert cache.entry("long", 900.0, 1899.0) is not long


def test_unused_results_are_looked_for_once_a_minute() -> None:
    cache = shared_polls._Cache()
    cache.entry("old", 1.0, 100.0)
    cache.entry("new", 1.0, 690.0)
    cache.entry("new", 1.0, 750.0)
    assert set(cache._entries) == {"old", "new"}
    cache.entry("new", 1.0, 750.1)
    assert set(cache._entries) == {"new"}


async def test_a_request_that_runs_is_kept_however_old_it_is() -> None:
    cache = shared_polls._Cache()
    running = cache.entry("slow", 1.0, 100.0)
    running.request = asyncio.create_task(asyncio.sleep(0))
    cache.entry("other", 1.0, 9000.0)
    assert cache.entry("slow", 1.0, 9000.0) is running
    await running.request


async def test_a_request_of_the_same_moment_is_shared_with_its_error() -> None:
    loop, asked = asyncio.get_running_loop(), list[int]()

    async def fetch() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        raise errors.TransportError("no")

    now = loop.time()
    loop.time = lambda: now  # type: ignore[method-assign]
    both = (shared_result("k", 60, fetch, asked_since=since) for since in (-1.0, now))
    found = await asyncio.gather(*both, return_exceptions=True)
    assert [type(one) for one in found] == [errors.TransportError] * 2
    assert asked == [1]


async def test_a_request_that_is_ended_has_ended() -> None:
    begun = asyncio.Event()

    async def fetch() -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(shared_result("k", 60, fetch))
    await begun.wait()
    entry = shared_polls._caches[asyncio.get_running_loop()].entry("k", 60, 0.0)
    request = entry.request
    assert request
    request.cancel()
    await asyncio.wait([request, waiting], timeout=30)
    assert (request.cancelled(), waiting.cancelled(), entry.request) == (True, True, None)


async def test_modules_are_imported_once_and_aside_of_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("imported_aside_a", "imported_aside_b")
    for name in names:
        (tmp_path / f"{name}.py").write_text("import threading\nTHREAD = threading.current_thread()\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        await shared_polls.import_aside(*names)
        assert {sys.modules[name].THREAD is threading.main_thread() for name in names} == {False}
    finally:
        for name in names:
            sys.modules.pop(name, None)

    async def refused(*of: Any, **more: Any) -> None:
        raise AssertionError(of)

    monkeypatch.setattr(shared_polls, "shared_result", refused)
    await shared_polls.import_aside(*names)
    await shared_polls.import_aside(names[1])
    with pytest.raises(AssertionError):
        await shared_polls.import_aside(*names, "imported_aside_c")
