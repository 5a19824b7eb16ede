from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core import shared_polls
from airflow_provider.core.shared_polls import shared_result


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
