"""What only the event loop's transport has to get right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from anyio._backends._asyncio import CancelScope

from airflow_provider.core.http.call import Call

READ = Call[Any]("GET", "open/thing")


async def test_a_cancellation_that_comes_just_as_a_connection_opens_is_not_lost(
    echo: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = asyncio.create_task(connect().asend(READ))
    cancel_scope, moments = CancelScope.cancel, list[CancelScope]()

    def and_the_task(scope: CancelScope, *args: Any, **options: Any) -> None:
        cancel_scope(scope, *args, **options)  # opening has worked, other ways to open are called off
        if not moments:
            sending.cancel()
        moments.append(scope)

    monkeypatch.setattr(CancelScope, "cancel", and_the_task)
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert moments


async def test_a_time_limit_around_a_call_is_still_a_time_limit(echo: Any, connect: Any) -> None:
    echo.faults.add("delay", path="open/thing", seconds=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connect().asend(READ)
    assert await connect().asend(READ)
