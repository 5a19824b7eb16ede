"""What every sensor tolerates on a worker, whatever it looks at."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import NotFoundError, ServerError, TransportError
from tests.support.state_store import FakeStateStore


class Scripted(PollSensor):
    """Sees what it is told."""

    def __init__(self, *, script: list[Any], **kwargs: Any) -> None:
        super().__init__(task_id="sense", poke_interval=0.001, timeout=60, **kwargs)
        self.script = script

    def look(self, context: Any) -> Any:
        seen = self.script.pop(0)
        if isinstance(seen, Exception):
            raise seen
        return seen


def test_five_failures_in_a_row_are_tolerated_and_logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    script = [*[ServerError(503)] * 5, None, *[TransportError("gone")] * 5, {"found": 1}]
    assert Scripted(script=script).execute({}) == {"found": 1}
    said = caplog.text + capsys.readouterr().out  # where a task's log goes differs between Airflow versions
    assert said.count("5 tolerated): HTTP 503") == said.count("5 tolerated): gone") == 5
    assert "poll failed (5 of 5 tolerated): gone" in said


def test_the_sixth_failure_in_a_row_fails_the_task() -> None:
    script: list[Any] = [*[ServerError(503)] * 6, {"found": 1}]
    with pytest.raises(ServerError):
        Scripted(script=script).execute({})
    assert script == [{"found": 1}]


def test_a_failure_that_cannot_pass_fails_the_task_at_once() -> None:
    script: list[Any] = [NotFoundError(404), {"found": 1}]
    with pytest.raises(NotFoundError):
        Scripted(script=script).execute({})
    assert script == [{"found": 1}]


def test_rescheduled_looks_are_counted_over_their_processes() -> None:
    store = FakeStateStore()

    def process(seen: Any) -> Any:
        """Look as Airflow does in mode reschedule: each time with a sensor made anew."""
        return Scripted(script=[seen], mode="reschedule").poke({"task_state_store": store})  # type: ignore[typeddict-item]

    for _ in range(2):
        for _ in range(5):
            assert not process(ServerError(503))
        assert not process(None)
    for _ in range(2):  # the next try of the task counts anew
        for _ in range(5):
            assert not process(ServerError(503))
        with pytest.raises(ServerError):
            process(ServerError(503))
    assert process({"found": 1}).xcom_value == {"found": 1}


def test_rescheduled_looks_that_nobody_counts_tolerate_nothing() -> None:
    with pytest.raises(ServerError):
        Scripted(script=[ServerError(503)], mode="reschedule").poke({})
