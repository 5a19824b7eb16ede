from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core import polling, triggers
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.core.triggers import PollTrigger
from tests.support.fake_clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(polling, "clock", clock)
    monkeypatch.setattr(triggers.asyncio, "sleep", clock.asleep)
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


def test_a_trigger_fires_once_with_its_result(clock: FakeClock) -> None:
    assert fire(Countdown([None, None, {"run_id": "r"}])) == {"status": "done", "run_id": "r"}


def test_a_trigger_ends_at_its_deadline(clock: FakeClock) -> None:
    assert fire(Countdown([None], deadline=1030.0)) == {"status": "timeout"}
    assert clock.now == pytest.approx(1030, abs=0.1)


def test_a_trigger_tolerates_some_failures_in_a_row(clock: FakeClock) -> None:
    bad = errors.TransportError("no")
    assert fire(Countdown([bad] * 5 + [None] + [bad] * 5 + [{}]))["status"] == "done"
    assert fire(Countdown([bad]))["type"] == "TransportError"


def test_a_permanent_error_ends_a_trigger_at_once(clock: FakeClock) -> None:
    event = fire(Countdown([errors.PermissionDeniedError(403, "", "no")]))
    assert clock.slept == []
    with pytest.raises(errors.PermissionDeniedError, match="no"):
        raise_for(event)


def test_an_unexpected_error_in_a_poll_fails_the_task_with_its_message(clock: FakeClock) -> None:
    with pytest.raises(errors.ProviderError, match="KeyError: 'x'"):
        raise_for(fire(Countdown([KeyError("x")])))
