"""Tolerated failures and deferral, for all sensors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider.core import sensor as sensor_module
from airflow_provider.core.compat import sensor_timeout
from airflow_provider.core.sensor import PollSensor
from airflow_provider.core.trigger_events import error_event
from airflow_provider.errors import NotFoundError, ServerError, TransportError
from tests.support.airflow_names import AirflowSkipException, AirflowTaskTimeout, TaskDeferred
from tests.support.state_store import FakeStateStore


class Scripted(PollSensor):
    """Polls a script: None, a result, or an error to raise."""

    def __init__(self, *, script: list[Any], **kwargs: Any) -> None:
        super().__init__(task_id="sense", poke_interval=0.001, timeout=60, **kwargs)
        self.script = script

    def poll(self, context: Any) -> Any:
        result = self.script.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def build_trigger(self, context: Any) -> Any:
        return "trigger"

    def unmet_condition(self) -> str:
        return "it is not found"


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


def test_a_permanent_failure_fails_the_task_at_once() -> None:
    script: list[Any] = [NotFoundError(404), {"found": 1}]
    with pytest.raises(NotFoundError):
        Scripted(script=script).execute({})
    assert script == [{"found": 1}]


def test_failures_of_rescheduled_polls_are_counted_across_processes() -> None:
    store = FakeStateStore()

    def process(seen: Any) -> Any:
        """Poll as Airflow does in mode reschedule: each time with a new sensor."""
        return Scripted(script=[seen], mode="reschedule").poke({"task_state_store": store})  # type: ignore[typeddict-item]

    for _ in range(2):
        for _ in range(5):
            assert not process(ServerError(503))
        assert not process(None)
    for _ in range(2):  # a retry of the task starts with a count of 0
        for _ in range(5):
            assert not process(ServerError(503))
        with pytest.raises(ServerError):
            process(ServerError(503))
    assert process({"found": 1}).xcom_value == {"found": 1}


def test_rescheduled_polls_without_a_state_store_tolerate_nothing() -> None:
    with pytest.raises(ServerError):
        Scripted(script=[ServerError(503)], mode="reschedule").poke({})


@pytest.mark.parametrize("polls_first", [True, False])
def test_a_deferrable_sensor_defers_to_its_trigger(polls_first: bool) -> None:
    sensor = Scripted(script=[None])
    sensor.deferrable, sensor.polls_before_deferring = True, polls_first
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({})
    assert (caught.value.trigger, caught.value.method_name) == ("trigger", "execute_complete")
    assert sensor.script == ([] if polls_first else [None])


def test_a_result_of_the_first_poll_spares_the_deferral() -> None:
    sensor = Scripted(script=[{"found": 1}])
    sensor.deferrable = sensor.polls_before_deferring = True
    assert sensor.execute({}) == {"found": 1}


def test_the_event_of_a_trigger_becomes_the_result_or_the_error() -> None:
    sensor = Scripted(script=[])
    assert sensor.execute_complete({}, {"status": "done", "found": 1}) == {"found": 1}
    with pytest.raises(NotFoundError):
        sensor.execute_complete({}, error_event(NotFoundError(404)))
    with pytest.raises(type(sensor_timeout("")), match="it is not found after 60 s"):
        sensor.execute_complete({}, {"status": "timeout"})


BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def sense(sensor: Scripted, deferrable: bool) -> Any:
    """Run a sensor as Airflow does, which resumes it after a deferral; return its result."""
    sensor.deferrable = deferrable
    try:
        return sensor.execute({})
    except TaskDeferred as deferral:
        try:
            event = {"status": "done", **(sensor.poll({}) or {})}
        except Exception as error:
            event = error_event(error)
        return sensor.resume_execution(deferral.method_name, {"event": event}, {})  # type: ignore[arg-type]


@BOTH
@pytest.mark.parametrize("polls_first", [True, False])
def test_an_error_of_a_sensor_that_never_fails_skips_the_task(deferrable: bool, polls_first: bool) -> None:
    sensor = Scripted(script=[NotFoundError(404)], never_fail=True)
    sensor.polls_before_deferring = polls_first
    with pytest.raises(AirflowSkipException):
        sense(sensor, deferrable)


@BOTH
def test_a_sensor_that_fails_softly_fails_for_an_error(deferrable: bool) -> None:
    with pytest.raises(NotFoundError):
        sense(Scripted(script=[NotFoundError(404)], soft_fail=True), deferrable)


@BOTH
def test_a_sensor_that_fails_silently_goes_on_after_an_error(deferrable: bool) -> None:
    assert sense(Scripted(script=[NotFoundError(404), {"found": 1}], silent_fail=True), deferrable) == {
        "found": 1
    }


def test_a_sensor_that_fails_softly_is_skipped_at_its_timeout() -> None:
    sensor = Scripted(script=[], soft_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("execute_complete", {"event": {"status": "timeout"}}, {})  # type: ignore[arg-type]


def test_the_shorter_of_both_timeouts_ends_a_deferred_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor_module, "clock", lambda: 1000.0)
    for limit, end in ((None, 1060), (timedelta(seconds=90), 1060), (timedelta(seconds=30), 1030)):
        sensor = Scripted(script=[], execution_timeout=limit)
        sensor.deferrable = True
        with pytest.raises(TaskDeferred):
            sensor.execute({})
        assert sensor.end == end
    with pytest.raises(AirflowTaskTimeout, match=r"after 30 s \('execution_timeout'\)"):
        sensor.execute_complete({}, {"status": "timeout"})
    assert sensor.poll_end() == 1030
    sensor._end = 1001
    assert sensor.poll_end() == 1010  # A poll may have to wait for its turn.
