"""The asynchronous transport alone: cancellation and time limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from anyio._backends._asyncio import CancelScope

from airflow_provider.core.http.call import Call

READ = Call[Any]("GET", "open/thing")


async def test_a_cancellation_while_a_connection_opens_is_raised(
    echo: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = asyncio.create_task(connect().asend(READ))
    cancel_scope, moments = CancelScope.cancel, list[CancelScope]()

    def cancel_task_too(scope: CancelScope, *args: Any, **options: Any) -> None:
        cancel_scope(
            scope, *args, **options
        )  # the connection is open; the other attempts to open it are cancelled
        if not moments:
            sending.cancel()
        moments.append(scope)

    monkeypatch.setattr(CancelScope, "cancel", cancel_task_too)
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert moments


async def test_a_time_limit_around_a_call_is_still_a_time_limit(echo: Any, connect: Any) -> None:
    echo.faults.add("delay", path="open/thing", seconds=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connect().asend(READ)
    assert await connect().asend(READ)
