"""Sensors of events and of silence: met, unmet, deferred, and refused before any request."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseSensorOperator

from airflow_provider.errors import InputError, NotFoundError
from airflow_provider.iotstudio.sensors import IoTStudioEventSensor, IoTStudioSilenceSensor
from airflow_provider.iotstudio.triggers import IoTStudioEventPollTrigger, IoTStudioSilenceTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.task_runner import rebuild_trigger

from .conftest import EVENT, EVENTS, Report

UNKNOWN = "01GQ2E9M2Y45BX9EW0F2BM0XXX"
HISTORY = "iotstudio GET /spaces/{space}/things/{thing}/properties-history"
WAITS: dict[str, Any] = {"task_id": "x", "poke_interval": 0.02, "timeout": 5.0}


def event_sensor(**arguments: Any) -> IoTStudioEventSensor:
    return IoTStudioEventSensor(**{"event": EVENT, **WAITS, **arguments})


def silence_sensor(**arguments: Any) -> IoTStudioSilenceSensor:
    return IoTStudioSilenceSensor(**{"silent_for": timedelta(hours=1), **WAITS, **arguments})


def polled(sensor: Any, context: dict[str, Any] | None = None) -> Any:
    sensor.check_arguments()
    return sensor.poll(context or {})


async def outcome(sensor: Any, context: dict[str, Any] | None = None) -> Any:
    """Return the payload of the event of a sensor's trigger, created again from its serialised form."""
    sensor.check_arguments()
    async for event in rebuild_trigger(sensor.build_trigger(context or {})).run():
        return event.payload
    return None


async def test_a_thing_that_is_not_there_ends_the_wait_of_a_trigger(sensors: list[str]) -> None:
    event = await outcome(event_sensor(thing_ids=[sensors[0], UNKNOWN]))
    assert (event["status"], event["type"]) == ("error", "NotFoundError")
    assert f"Thing {UNKNOWN} is not there, or does not declare the event" in str(event["args"])


def test_the_sensor_waits_for_events_since_a_time(sensors: list[str], report: Report) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    report(sensors[0], 1, now - timedelta(hours=2))
    sensor = event_sensor(since=now - timedelta(hours=1))
    assert polled(sensor) is None
    made = report(sensors[1], 2, now)
    assert polled(sensor) == {
        "events": 1,
        "thing_ids": [sensors[1]],
        "latest": {
            "event": EVENT,
            "thing_id": sensors[1],
            "event_id": made,
            "timestamp": now.isoformat().replace("+00:00", "Z"),
        },
    }


def test_without_a_time_events_count_since_the_dag_run_began(sensors: list[str], report: Report) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    context = {"dag_run": SimpleNamespace(start_date=began)}
    report(sensors[0], 1, began - timedelta(seconds=5))
    assert polled(event_sensor(), context) is None
    report(sensors[0], 1, began)
    assert polled(event_sensor(), context)["events"] == 1
    assert polled(event_sensor()) is None


def test_several_events_may_be_needed(sensors: list[str], report: Report) -> None:
    sensor = event_sensor(min_events="2", since="2026-01-01")
    report(sensors[0])
    assert polled(sensor) is None
    report(sensors[0])
    assert polled(sensor)["events"] == 2


@pytest.mark.parametrize("arguments", [{"category": "Sensors"}, {"filters": {"mode": "eco"}}, {}])
def test_only_the_things_that_are_asked_for_count(
    service: IoTStudioService, sensors: list[str], report: Report, arguments: dict[str, Any]
) -> None:
    for number, uid in enumerate(sensors):
        service.space.things[uid].status["mode"] = "auto" if number else "eco"
    report(sensors[0])
    assert polled(event_sensor(since=0, **arguments))["thing_ids"] == [sensors[0]]
    assert polled(event_sensor(since=0, thing_id=sensors[1])) is None
    assert polled(event_sensor(since=0, thing_ids=sensors[:2]))["events"] == 1


def test_a_thing_that_does_not_exist_fails_the_task(sensors: list[str]) -> None:
    with pytest.raises(NotFoundError, match="is not there, or does not declare the event"):
        polled(event_sensor(thing_id=UNKNOWN))
    with pytest.raises(NotFoundError):
        polled(silence_sensor(thing_id=UNKNOWN))


def test_an_event_that_no_thing_declares_is_one_warning(
    sensors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sensor = event_sensor(event="highTemprature")
    assert (polled(sensor), polled(sensor)) == (None, None)
    assert capsys.readouterr().out.count("did you mean 'highTemperature'") == 1


async def test_the_deferred_sensor_has_the_same_result(sensors: list[str], report: Report) -> None:
    report(sensors[0])
    found = await outcome(event_sensor(since=0))
    assert found == {"status": "done", **polled(event_sensor(since=0))}


async def test_deferred_sensors_for_the_same_events_share_their_requests(
    sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    report(sensors[0])
    sensor = event_sensor(since=0, poke_interval=60)
    await asyncio.gather(*(outcome(sensor) for _ in range(5)))
    assert sandbox.counters.requests[EVENTS] == len(sensors)


async def test_sensors_that_count_from_other_times_share_the_requests_and_get_their_own_events(
    sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for hours in range(6):
        report(sensors[0], hours, now - timedelta(hours=hours, minutes=1))
    waiting = [
        event_sensor(since=now - timedelta(hours=hours), poke_interval=60) for hours in (1, 5, 3, 2, 4)
    ]
    found = await asyncio.gather(*map(outcome, waiting))
    assert [one["events"] for one in found] == [1, 5, 3, 2, 4]
    assert sandbox.counters.requests[EVENTS] == len(sensors)
    assert (await outcome(waiting[1]))["events"] == 5
    assert sandbox.counters.requests[EVENTS] == len(sensors)


async def test_a_sensor_that_counts_from_an_earlier_time_than_the_shared_events_asks_again(
    sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    report(sensors[0], 1, now - timedelta(hours=3))
    report(sensors[0], 1, now)
    late, early = (event_sensor(since=now - timedelta(hours=n), poke_interval=60) for n in (1, 5))
    assert [(await outcome(sensor))["events"] for sensor in (late, early, late)] == [1, 2, 1]
    assert sandbox.counters.requests[EVENTS] == 2 * len(sensors)


def test_triggers_hold_ids_and_numbers_only(sensors: list[str]) -> None:
    for sensor in (event_sensor(thing_id="a"), silence_sensor(properties=["temperature"])):
        sensor.check_arguments()
        _, arguments = sensor.build_trigger({}).serialize()
        assert arguments["iotstudio_conn_id"] == "iotstudio_default"
    assert isinstance(event_sensor().build_trigger({}), IoTStudioEventPollTrigger)
    assert isinstance(silence_sensor(silent_for=5.0).build_trigger({}), IoTStudioSilenceTrigger)


@pytest.mark.parametrize(
    "make",
    [
        lambda: event_sensor(event=""),
        lambda: event_sensor(event=None),
        lambda: event_sensor(since=""),
        lambda: event_sensor(since="yesterday"),
        lambda: event_sensor(min_events=0),
        lambda: event_sensor(thing_ids=[]),
        lambda: event_sensor(thing_ids="a"),
        lambda: event_sensor(thing_id="a", thing_ids=["a"]),
        lambda: event_sensor(category=" "),
        lambda: event_sensor(filters={"mode": None}),
        lambda: silence_sensor(silent_for=0),
        lambda: silence_sensor(silent_for="None"),
        lambda: silence_sensor(silent_for="soon"),
        lambda: silence_sensor(properties=[]),
        lambda: silence_sensor(properties="temperature"),
        lambda: silence_sensor(min_matches="two"),
        lambda: silence_sensor(thing_id="a", min_matches=2),
        lambda: silence_sensor(thing_ids=["a", "b", "a"], min_matches="3"),
        lambda: event_sensor(thing_id="a", min_events=101),
        lambda: event_sensor(thing_ids=["a", "b"], min_events="201"),
    ],
)
def test_a_wrong_argument_is_refused_before_any_request(sandbox: Sandbox, make: Any) -> None:
    sensor: BaseSensorOperator = make()
    with pytest.raises(InputError):
        sensor.execute({})
    assert sandbox.counters.total("iotstudio") == 0


# -- silence ----------------------------------------------------------------------------------------------


@pytest.fixture
def heard(service: IoTStudioService, sensors: list[str]) -> Any:
    """Return a function that records a value of a Thing some seconds ago; all Things have just reported."""
    for thing in service.space.things.values():
        thing.history = {}

    def record(uid: str, seconds: float, name: str = "temperature") -> None:
        moment = int((time.time() - seconds) * 1000)
        service.space.things[uid].history[name] = [(moment, 20.0)]

    for uid in service.space.things:
        record(uid, 60)
    return record


def test_things_without_a_recent_value_are_silent(
    service: IoTStudioService, sensors: list[str], heard: Any
) -> None:
    sensor = silence_sensor()
    assert polled(sensor) is None
    heard(sensors[2], 3700)
    assert polled(silence_sensor()) == {"matches": 1, "thing_ids": [sensors[2]]}
    assert polled(silence_sensor(silent_for="2:00:00")) is None
    service.space.things[sensors[1]].history = {}
    assert polled(silence_sensor(min_matches=2))["thing_ids"] == sorted(sensors[1:3])


def test_only_values_of_the_given_properties_count(sensors: list[str], heard: Any) -> None:
    for uid in sensors:
        heard(uid, 60, "humidity")
        heard(uid, 60, "co2")
    heard(sensors[0], 7200, "humidity")
    assert polled(silence_sensor(category="Sensors")) is None
    assert polled(silence_sensor(properties=["humidity"]))["thing_ids"] == [sensors[0]]
    assert polled(silence_sensor(properties=["humidity", "co2"], category="Sensors")) is None


def test_things_without_properties_and_new_things_are_never_silent(
    service: IoTStudioService, sensors: list[str], heard: Any
) -> None:
    gateway, new = service.space.things[sensors[0]], service.space.things[sensors[1]]
    gateway.fields, gateway.status, gateway.history = {**gateway.fields, "properties": {}}, {}, {}
    new.history, new.created = {}, datetime.now(UTC).isoformat().replace("+00:00", "Z")
    assert polled(silence_sensor()) is None


def test_things_that_have_just_reported_are_not_asked_again(
    sandbox: Sandbox, sensors: list[str], heard: Any
) -> None:
    heard(sensors[0], 7200)
    sensor = silence_sensor(min_matches=2)
    assert polled(sensor) is None
    first = sandbox.counters.requests[HISTORY]
    assert polled(sensor) is None
    assert (first, sandbox.counters.requests[HISTORY]) == (6, 7)


async def test_deferred_sensors_for_the_same_silence_share_their_requests(
    sandbox: Sandbox, sensors: list[str], heard: Any
) -> None:
    heard(sensors[2], 7200)
    sensor = silence_sensor(poke_interval=60)
    found = await asyncio.gather(*(outcome(sensor) for _ in range(5)))
    assert found == [{"status": "done", "matches": 1, "thing_ids": [sensors[2]]}] * 5
    requests = sandbox.counters.total("iotstudio")
    await outcome(silence_sensor(poke_interval=60, silent_for=timedelta(hours=1, seconds=1)))
    assert sandbox.counters.total("iotstudio") == 2 * requests - 1  # the token is the same


async def test_the_deferred_sensor_of_silence_has_the_same_result(sensors: list[str], heard: Any) -> None:
    heard(sensors[3], 7200)
    expected = {"status": "done", "matches": 1, "thing_ids": [sensors[3]]}
    assert await outcome(silence_sensor()) == expected
    assert await outcome(silence_sensor(thing_ids=sensors)) == expected


async def test_unmet_sensors_time_out_with_what_was_not_so(sensors: list[str], heard: Any) -> None:
    assert await outcome(silence_sensor(timeout=0.05)) == {"status": "timeout"}
    assert "silent" in silence_sensor().unmet_condition()
    assert await outcome(event_sensor(timeout=0.05)) == {"status": "timeout"}
    assert EVENT in event_sensor().unmet_condition()


SILENT_NEVER: list[tuple[dict[str, Any], str]] = [
    ({"properties": ["temprature"]}, "did you mean 'temperature'"),
    ({"properties": ["temprature"], "category": "Sensors"}, "no Thing of 4 has the property 'temprature'"),
    ({"properties": ["temperature", "humidty"]}, "did you mean 'humidity'"),
    ({"filters": {"temprature": "gt:1"}}, "did you mean 'temperature'"),
    ({"filters": {"temperature": "gt:8000"}}, "no Thing is selected; nothing is silent until then"),
    (
        {"category": "Sensors", "min_matches": 5},
        "only 4 of 4 Things can fall silent, not 5; the wait does not end until then",
    ),
]


@pytest.mark.parametrize(("arguments", "warning"), SILENT_NEVER, ids=repr)
def test_a_silence_that_can_never_be_is_one_warning(
    sensors: list[str],
    heard: Any,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, Any],
    warning: str,
) -> None:
    sensor = silence_sensor(**arguments)
    assert (polled(sensor), polled(sensor)) == (None, None)
    shown = capsys.readouterr().out
    assert shown.count(warning) == 1


def test_a_given_thing_without_the_property_is_a_warning(
    sensors: list[str], heard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert polled(silence_sensor(thing_id=sensors[0], properties=["temprature"])) is None
    assert "did you mean 'temperature'" in capsys.readouterr().out


def test_a_silence_that_may_come_is_no_warning(
    sensors: list[str], heard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert polled(silence_sensor(properties=["temperature"], category="Sensors", min_matches=4)) is None
    assert "until then" not in capsys.readouterr().out
