"""What IoTStudioPropertySensor promises, over TCP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred

from airflow_provider.errors import InputError, NotFoundError
from airflow_provider.iotstudio.sensors import IoTStudioPropertySensor
from airflow_provider.iotstudio.triggers import IoTStudioPropertyTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

from .conftest import LIST, THING


def sensor(**arguments: Any) -> IoTStudioPropertySensor:
    wanted = {"filters": {"temperature": "gt:50"}, "deferrable": False, "poke_interval": 0.1, "timeout": 5}
    return IoTStudioPropertySensor(task_id="sense", **{**wanted, **arguments})


def warm_up(service: IoTStudioService, *uids: str, to: float = 60.0) -> None:
    for uid in uids:
        service.space.things[uid].status["temperature"] = to


def poke(**arguments: Any) -> Any:
    return sensor(**arguments).poke({})


def test_one_request_looks_at_the_whole_space(service: IoTStudioService, sandbox: Sandbox) -> None:
    assert not poke()
    warm_up(service, THING)
    found = poke()
    assert found.is_done
    assert found.xcom_value == {"matches": 1, "thing_ids": [THING]}
    assert sandbox.counters.requests[LIST] == 2
    assert sandbox.counters.rows_served["iotstudio"] == 1


def test_category_thing_and_number_of_matches_count(service: IoTStudioService) -> None:
    first, second = list(service.space.things)[:2]
    warm_up(service, first)
    assert poke(category="Sensors")
    assert not poke(category="Meters")
    assert poke(thing_id=first)
    assert not poke(thing_id=second)
    assert not poke(min_matches=2)
    warm_up(service, second)
    assert poke(min_matches=2).xcom_value == {"matches": 2, "thing_ids": sorted([first, second])}


def test_all_conditions_must_hold_for_the_same_thing(service: IoTStudioService) -> None:
    first, second = list(service.space.things)[:2]
    warm_up(service, first)
    service.space.things[second].status["mode"] = "off"
    both = {"temperature": "gt:50", "mode": "off"}
    assert not poke(filters=both)
    service.space.things[first].status["mode"] = "off"
    assert poke(filters=both)


def test_many_matches_give_a_small_result(service: IoTStudioService) -> None:
    warm_up(service, *list(service.space.things)[:150])
    found = poke(min_matches=120).xcom_value
    assert (found["matches"], len(found["thing_ids"])) == (120, 100)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"filters": {}}, "'filters' must have a condition"),
        ({"filters": "temperature"}, "'filters' must have a condition"),
        ({"min_matches": 0}, "'min_matches' must be at least 1"),
        ({"thing_id": THING, "min_matches": 2}, "can never be met"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        sensor(**arguments).execute({})
    assert sandbox.counters.total("iotstudio") == 0


def test_what_is_true_already_is_not_deferred(service: IoTStudioService) -> None:
    warm_up(service, THING)
    assert sensor(deferrable=True).execute({}) == {"matches": 1, "thing_ids": [THING]}


def deferred(**arguments: Any) -> IoTStudioPropertyTrigger:
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, **arguments).execute({})
    path, kwargs = caught.value.trigger.serialize()
    assert path == "airflow_provider.iotstudio.triggers.IoTStudioPropertyTrigger"
    return IoTStudioPropertyTrigger(**json.loads(json.dumps(kwargs)))


async def payload(trigger: IoTStudioPropertyTrigger) -> dict[str, Any]:
    return [event.payload async for event in trigger.run()][0]  # noqa: RUF015


async def test_the_trigger_fires_once_enough_things_match(service: IoTStudioService) -> None:
    waiting = asyncio.create_task(payload(deferred()))
    await asyncio.sleep(0.05)
    warm_up(service, THING)
    event = await asyncio.wait_for(waiting, 5)
    assert event == {"status": "done", "matches": 1, "thing_ids": [THING]}
    assert sensor().execute_complete({}, event) == {"matches": 1, "thing_ids": [THING]}


async def test_triggers_that_ask_the_same_share_their_polls(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    made = [deferred(poke_interval=0.3) for _ in range(20)]
    waiting = asyncio.gather(*(payload(trigger) for trigger in made))
    await asyncio.sleep(0.1)
    before = sandbox.counters.requests[LIST]
    assert before == 20 + 1  # one look of each worker, one of all triggers together
    warm_up(service, THING)
    assert {event["matches"] for event in await asyncio.wait_for(waiting, 5)} == {1}
    assert sandbox.counters.requests[LIST] <= before + 6


async def test_the_deadline_is_a_sensor_timeout(service: IoTStudioService) -> None:
    event = await payload(deferred(timeout=0.2))
    with pytest.raises(AirflowSensorTimeout, match="fewer than 1 Things matched"):
        sensor().execute_complete({}, event)


async def test_a_wrong_category_ends_the_wait_with_its_error(service: IoTStudioService) -> None:
    trigger = deferred()
    trigger.category = "Nowhere"
    event = await payload(trigger)
    with pytest.raises(NotFoundError):
        sensor().execute_complete({}, event)


async def test_a_few_failed_polls_are_borne(service: IoTStudioService, sandbox: Sandbox) -> None:
    trigger = deferred()
    warm_up(service, THING)
    sandbox.faults.add("html", path="/things", status=503, times=8)
    start = time.monotonic()
    assert (await asyncio.wait_for(payload(trigger), 10))["matches"] == 1
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_sensor_runs_in_a_dag(
    service: IoTStudioService, run_dag: Callable[..., Any], deferrable: bool
) -> None:
    warm_up(service, THING)
    with DAG(f"iotstudio_sense_{deferrable}", schedule=None) as dag:
        IoTStudioPropertySensor(
            task_id="sense",
            filters={"temperature": "gt:{{ 50 }}"},
            thing_id=THING,
            deferrable=deferrable,
            poke_interval=0.2,
        )
    run = run_dag(dag)
    assert run.state == "success"
    result = run.get_task_instance("sense").xcom_pull(task_ids="sense")
    assert result == {"matches": 1, "thing_ids": [THING]}
