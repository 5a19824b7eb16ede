"""Property sensor and its triggers, over TCP."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest
from airflow.sdk import DAG
from airflow.triggers.base import TriggerEvent

from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import InputError, NotFoundError, ServerError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.sensors import IoTStudioPropertySensor
from airflow_provider.iotstudio.triggers import (
    IoTStudioActionTrigger,
    IoTStudioPropertyTrigger,
    IoTStudioThingTrigger,
)
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.airflow_names import AirflowSensorTimeout, TaskDeferred
from tests.support.state_store import FakeStateStore

from .conftest import LIST, THING

T = TypeVar("T")


def sensor(**arguments: Any) -> IoTStudioPropertySensor:
    wanted = {"filters": {"temperature": "gt:50"}, "deferrable": False, "poke_interval": 0.1, "timeout": 5}
    return IoTStudioPropertySensor(task_id="sense", **{**wanted, **arguments})


def warm_up(service: IoTStudioService, *uids: str, to: float = 60.0) -> None:
    for uid in uids:
        service.space.things[uid].status["temperature"] = to


def poke(**arguments: Any) -> Any:
    return sensor(**arguments).poke({})


@pytest.mark.parametrize("where", [{}, {"category": "Sensors"}, {"thing_id": THING}])
def test_a_single_404_does_not_end_a_wait(
    service: IoTStudioService, sandbox: Sandbox, where: dict[str, Any]
) -> None:
    sandbox.faults.add("stray_404", service="iotstudio", path="/things$", method="GET")
    warm_up(service, THING)
    assert poke(**where).xcom_value == {"matches": 1, "thing_ids": [THING]}

    async def triggered() -> TriggerEvent:
        sandbox.faults.add("stray_404", service="iotstudio", path="/things$", method="GET")
        async for event in sensor(**where).build_trigger({}).run():
            return event
        raise AssertionError

    assert asyncio.run(triggered()).payload["thing_ids"] == [THING]
    sandbox.faults.add("stray_404", service="iotstudio", path="/things$", method="GET", times=2)
    with pytest.raises(NotFoundError):
        poke(**where)


def test_one_request_covers_the_whole_space(service: IoTStudioService, sandbox: Sandbox) -> None:
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
        ({"filters": None}, "'filters' must have a condition"),
        ({"filters": {"mode": None}}, "'mode' is empty"),
        ({"filters": {"mode": float("nan")}}, "'mode' is empty"),
        ({"filters": {"temperature": ">20"}}, "'gt:20'"),
        ({"filters": {"temperature": "ge:20"}}, "did you mean 'gte'"),
        ({"filters": {"temperature": "GT:20"}}, "'gt:20'"),
        ({"filters": {"temperature": {"gt": 20}}}, "'gt:20'"),
        ({"filters": {"temperature": ["gt:30", "lt:20"]}}, "can never hold"),
        ({"filters": "{'temperature': 'gt:20'}"}, "render_template_as_native_obj"),
        ({"category": ""}, "'category' is empty"),
        ({"thing_id": " "}, "'thing_id' is empty"),
        ({"space": ""}, "'space' is empty"),
        ({"min_matches": "some"}, "'min_matches' must be a whole number"),
        ({"min_matches": 0}, "'min_matches' must be a whole number of at least 1"),
        ({"thing_id": THING, "min_matches": 2}, "can never be met"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_bad_arguments_are_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, arguments: dict[str, Any], said: str, deferrable: bool
) -> None:
    with pytest.raises(InputError, match=said):
        sensor(deferrable=deferrable, **arguments).execute({})
    assert sandbox.counters.total("iotstudio") == 0


def test_a_rendered_number_of_matches_is_read(service: IoTStudioService) -> None:
    warm_up(service, *list(service.space.things)[:3])
    assert sensor(min_matches="2").execute({})["matches"] == 2


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_property_that_no_thing_has_is_a_warning_at_once(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    waiting = sensor(filters={"temprature": "gt:20"}, deferrable=deferrable, timeout=0.1, poke_interval=0.01)
    with pytest.raises((AirflowSensorTimeout, TaskDeferred)):
        waiting.execute({})
    said = "no Thing of 264 has the property 'temprature'; did you mean 'temperature'?"
    assert capsys.readouterr().out.count(said) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_property_that_the_thing_lacks_is_a_warning_at_once(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    waiting = sensor(filters={"power": "gt:20"}, thing_id=THING, deferrable=deferrable, timeout=0.1)
    with pytest.raises((AirflowSensorTimeout, TaskDeferred)):
        waiting.execute({})
    assert "has the property 'power'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"temperature": "gt:warm"}, "the property 'temperature' is a number, so 'gt:warm' never holds"),
        ({"window/open": "ja"}, "the property 'window/open' is a boolean, so 'ja' never holds"),
        ({"temperature": "gt:1", "power": "gt:1"}, "has all of the properties 'temperature' and 'power'"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_condition_that_no_thing_can_meet_is_a_warning_at_once(
    service: IoTStudioService,
    capsys: pytest.CaptureFixture[str],
    filters: dict[str, Any],
    said: str,
    deferrable: bool,
) -> None:
    waiting = sensor(filters=filters, deferrable=deferrable, timeout=0.1, poke_interval=0.01)
    with pytest.raises((AirflowSensorTimeout, TaskDeferred)):
        waiting.execute({})
    assert capsys.readouterr().out.count(said) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_thing_that_does_not_exist_is_not_waited_for(service: IoTStudioService, deferrable: bool) -> None:
    with pytest.raises(NotFoundError):
        sensor(thing_id="01GQ2E9M2Y45BX9EW0F2BM0XXX", deferrable=deferrable).execute({})


def test_a_known_property_is_no_warning(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=0.1, poke_interval=0.02).execute({})
    assert "filters:" not in capsys.readouterr().out


async def test_a_stored_trigger_with_an_empty_condition_fails_its_task(service: IoTStudioService) -> None:
    trigger = deferred()
    trigger.filters = {"mode": None}
    event = await payload(trigger)
    with pytest.raises(InputError, match="'mode' is empty"):
        sensor().execute_complete({}, event)


def test_a_condition_that_is_already_met_is_not_deferred(service: IoTStudioService) -> None:
    warm_up(service, THING)
    assert sensor(deferrable=True).execute({}) == {"matches": 1, "thing_ids": [THING]}


def deferred(**arguments: Any) -> IoTStudioPropertyTrigger:
    with pytest.raises(TaskDeferred) as caught:
        sensor(deferrable=True, **arguments).execute({})
    path, kwargs = caught.value.trigger.serialize()
    assert path == "airflow_provider.iotstudio.triggers.IoTStudioPropertyTrigger"
    return IoTStudioPropertyTrigger(**json.loads(json.dumps(kwargs)))


async def within(seconds: float, work: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await work


async def payload(trigger: IoTStudioPropertyTrigger) -> dict[str, Any]:
    return [event.payload async for event in trigger.run()][0]  # noqa: RUF015


async def test_the_trigger_fires_once_enough_things_match(service: IoTStudioService) -> None:
    waiting = asyncio.create_task(payload(deferred()))
    await asyncio.sleep(0.05)
    warm_up(service, THING)
    event = await within(5, waiting)
    assert event == {"status": "done", "matches": 1, "thing_ids": [THING]}
    assert sensor().execute_complete({}, event) == {"matches": 1, "thing_ids": [THING]}


async def test_triggers_that_ask_the_same_share_their_polls(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    made = [deferred(poke_interval=0.3) for _ in range(20)]
    waiting = asyncio.gather(*(payload(trigger) for trigger in made))
    while sandbox.counters.requests[LIST] <= 40:
        await asyncio.sleep(0.01)
    before = sandbox.counters.requests[LIST]
    # One poll of each worker, one check that the property exists, one poll of all triggers together.
    assert before == 40 + 1
    warm_up(service, THING)
    assert {event["matches"] for event in await within(5, waiting)} == {1}
    assert sandbox.counters.requests[LIST] <= before + 6


async def test_sensors_for_single_things_share_one_request(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    uids = list(service.space.things)[:30]
    made = [deferred(thing_id=uid, poke_interval=0.3) for uid in uids]
    before = sandbox.counters.requests[LIST]
    waiting = [asyncio.create_task(payload(trigger)) for trigger in made]
    await asyncio.sleep(0.25)
    assert sandbox.counters.requests[LIST] - before <= 2
    warm_up(service, uids[7])
    assert (await within(5, waiting[7]))["thing_ids"] == [uids[7]]
    assert sum(task.done() for task in waiting) == 1
    warm_up(service, *uids)
    events = await within(5, asyncio.gather(*waiting))
    assert [event["thing_ids"] for event in events] == [[uid] for uid in uids]
    assert sandbox.counters.requests[LIST] - before <= 12


async def test_a_bad_id_among_single_things_fails_alone(service: IoTStudioService, sandbox: Sandbox) -> None:
    made = [deferred(thing_id=uid, poke_interval=0.3) for uid in list(service.space.things)[:5]]
    warm_up(service, *list(service.space.things)[:5])
    refused = sandbox.faults.add("status", path="/things$", status=400, times=1)
    events = await within(5, asyncio.gather(*map(payload, made)))
    assert {event["status"] for event in events} == {"done"}
    assert refused.hits == 1


async def test_sensors_that_need_different_numbers_share_a_request(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    made = [deferred(min_matches=number, poke_interval=0.3) for number in (1, 2, 3)]
    before = sandbox.counters.requests[LIST]
    warm_up(service, *list(service.space.things)[:3])
    events = await within(5, asyncio.gather(*map(payload, made)))
    assert [event["matches"] for event in events] == [1, 2, 3]
    assert sandbox.counters.requests[LIST] == before + 1


async def test_sensors_with_other_filters_or_spaces_do_not_share(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    made = [deferred(), deferred(category="Sensors"), deferred(filters={"temperature": "gt:59"})]
    warm_up(service, THING)
    before = sandbox.counters.total("/things")
    await within(5, asyncio.gather(*map(payload, made)))
    assert sandbox.counters.total("/things") == before + 3


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


async def test_a_few_failed_polls_are_tolerated(service: IoTStudioService, sandbox: Sandbox) -> None:
    trigger = deferred()
    warm_up(service, THING)
    sandbox.faults.add("html", path="/things", status=503, times=8)
    start = time.monotonic()
    assert (await within(10, payload(trigger)))["matches"] == 1
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("failures", [5, 6])
def test_a_worker_tolerates_five_failed_polls_in_a_row(
    service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(IoTStudioHook, "retry_limits", RetryLimits(attempts=1))
    warm_up(service, THING)
    sandbox.faults.add("status", status=503, path="/things$", times=failures)
    waiting = sensor(poke_interval=0.01)
    if failures == 5:
        assert waiting.execute({}) == {"matches": 1, "thing_ids": [THING]}
    else:
        with pytest.raises(ServerError):
            waiting.execute({})


def test_a_failed_first_poll_is_left_to_the_trigger(
    service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IoTStudioHook, "retry_limits", RetryLimits(attempts=1))
    sandbox.faults.add("status", status=503, path="/things$")
    with pytest.raises(TaskDeferred):
        sensor(deferrable=True).execute({})


# -- the trigger for asset watchers -------------------------------------------------------------------


def watcher(state: FakeStateStore | None = None, **arguments: Any) -> IoTStudioThingTrigger:
    made = IoTStudioThingTrigger(filters={"temperature": "gt:50"}, poll_interval=0.05, **arguments)
    path, kwargs = made.serialize()
    assert path == "airflow_provider.iotstudio.triggers.IoTStudioThingTrigger"
    again = IoTStudioThingTrigger(**json.loads(json.dumps(kwargs)))
    again.asset_state_store = state  # type: ignore[assignment]
    return again


async def next_event(events: AsyncIterator[TriggerEvent]) -> Any:
    async with asyncio.timeout(5):
        return (await anext(events)).payload


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def polled_again(sandbox: Sandbox) -> None:
    """Wait for three more list requests: the last but one shows the current state, and was read."""
    before = sandbox.counters.requests[LIST]
    await until(lambda: sandbox.counters.requests[LIST] >= before + 3)


async def test_a_watcher_fires_for_each_thing_that_starts_to_match(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    first, second = sorted(list(service.space.things)[:2])
    warm_up(service, first)
    events = watcher().run()
    assert await next_event(events) == {"matches": 1, "new": 1, "thing_ids": [first]}
    warm_up(service, second)
    assert await next_event(events) == {"matches": 2, "new": 1, "thing_ids": [second]}
    pending = asyncio.create_task(next_event(events))
    warm_up(service, first, to=20)
    await polled_again(sandbox)
    assert not pending.done()
    warm_up(service, first)
    assert (await pending)["thing_ids"] == [first]


async def test_a_restarted_watcher_repeats_nothing_with_a_state_store(
    service: IoTStudioService,
) -> None:
    first, second = list(service.space.things)[:2]
    warm_up(service, first)
    state = FakeStateStore()
    before = watcher(state).run()
    await next_event(before)
    pending = asyncio.create_task(next_event(before))
    await until(lambda: state)
    pending.cancel()
    warm_up(service, second)
    assert (await next_event(watcher(state).run()))["thing_ids"] == [second]


async def test_a_watcher_survives_failures(service: IoTStudioService, sandbox: Sandbox) -> None:
    warm_up(service, THING)
    failing = sandbox.faults.add("status", path="/things", status=403, times=2)
    assert (await next_event(watcher(category="Sensors").run()))["thing_ids"] == [THING]
    assert failing.hits == 2


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


# -- conditions of watchers ---------------------------------------------------------------------------

NEVER: list[dict[str, Any]] = [
    {"filters": {}},
    {"filters": None},
    {"filters": {"mode": None}},
    {"filters": {"temperature": ">20"}},
    {"filters": {"temperature": "ge:20"}},
    {"filters": {"temperature": {"gt": 20}}},
    {"filters": {"temperature": "gt:50"}, "category": ""},
    {"filters": {"temperature": "gt:50"}, "space": " "},
    {"filters": {"temperature": "gt:50"}, "mqtt": "yes"},
]


@pytest.mark.parametrize("arguments", NEVER, ids=repr)
def test_a_watcher_that_can_never_fire_fails_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    trigger = IoTStudioThingTrigger(**arguments)
    with pytest.raises(InputError, match=[*arguments][-1]):
        trigger.serialize()


@pytest.mark.parametrize("arguments", NEVER, ids=repr)
async def test_a_stored_watcher_that_can_never_fire_logs_one_error(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]
) -> None:
    trigger = IoTStudioThingTrigger(poll_interval=0.01, **arguments)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(trigger.run())
    assert capsys.readouterr().out.count("can never fire") == 1
    assert sandbox.counters.total("iotstudio") == 0


def test_an_event_names_a_hundred_things_and_counts_all() -> None:
    trigger, things = IoTStudioThingTrigger(filters={"mode": "x"}), [f"t{number}" for number in range(150)]
    for new in (things[:100], things[:101]):
        (event,) = trigger.events(new, dict.fromkeys(things))
        assert event == {"matches": 150, "new": len(new), "thing_ids": things[:100]}


async def test_a_watcher_of_a_property_that_no_thing_has_logs_one_error(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = IoTStudioThingTrigger(filters={"temprature": "gt:50"}, poll_interval=0.01)
    pending = asyncio.create_task(next_event(trigger.run()))
    await polled_again(sandbox)
    await polled_again(sandbox)
    pending.cancel()
    assert capsys.readouterr().out.count("did you mean 'temperature'?") == 1


async def test_each_trigger_asks_in_its_own_space(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def amatching(hook: IoTStudioHook, most: int, **more: Any) -> list[str]:
        asked.append((hook.conn_id, hook._space, most, more))
        return [THING]

    async def aget_action(hook: IoTStudioHook, *_: str) -> dict[str, Any]:
        asked.append((hook.conn_id, hook._space))
        return {"status": "done"}

    monkeypatch.setattr(IoTStudioHook, "amatching", amatching)
    monkeypatch.setattr(IoTStudioHook, "aget_action", aget_action)
    here: dict[str, Any] = {"iotstudio_conn_id": "other", "space": "s"}
    waits: dict[str, Any] = {**here, "deadline": 0.0, "poll_interval": 1.0}
    filters = {"temperature": "gt:50"}
    where = {"category": "c", "params": api.filters(filters)}
    watcher = IoTStudioThingTrigger(**here, filters=filters, category="c")
    assert await watcher.list_items() == {THING: None}
    assert asked == [("other", "s", sys.maxsize, where)]
    enough = IoTStudioPropertyTrigger(**waits, filters=filters, category="c", thing_id=None, min_matches=1)
    assert await enough.poll() == {"matches": 1, "thing_ids": [THING]}
    assert asked[1][:2] == ("other", "s")
    action = IoTStudioActionTrigger(
        **waits,
        thing_id=THING,
        action="a",
        action_id="1",
        success_statuses=["done"],
        failure_statuses=[],
    )
    assert await action.poll() == {"action_status": "done"}
    assert asked[2:] == [("other", "s")]
    hooks = [enough._hook, action._hook]
    await enough.poll()
    await action.poll()
    assert [enough._hook, action._hook] == hooks
