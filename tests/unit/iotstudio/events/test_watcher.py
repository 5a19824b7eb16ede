"""Watchers of events: each event fires once, and none is missed while no triggerer runs."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider.core.redaction import redact_token
from airflow_provider.core.state.watcher_state import WatcherState
from airflow_provider.errors import InputError, ServerError
from airflow_provider.iotstudio.events import watch
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import Event, read_events
from airflow_provider.iotstudio.triggers import IoTStudioEventTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.state_store import FakeStateStore

from .conftest import EVENT, EVENTS, Report

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def watcher(state: FakeStateStore | None = None, **arguments: Any) -> IoTStudioEventTrigger:
    made = IoTStudioEventTrigger(event=EVENT, poll_interval=0.03, **arguments)
    path, kwargs = made.serialize()
    assert path == "airflow_provider.iotstudio.triggers.IoTStudioEventTrigger"
    again = IoTStudioEventTrigger(**json.loads(json.dumps(kwargs)))
    again.asset_state_store = state  # type: ignore[assignment]
    return again


async def next_event(events: AsyncIterator[TriggerEvent]) -> Any:
    async with asyncio.timeout(10):
        return (await anext(events)).payload


async def fired(events: AsyncIterator[TriggerEvent], count: int) -> list[str]:
    return [(await next_event(events))["event_id"] for _ in range(count)]


async def polled(sandbox: Sandbox, polls: int = 2, things: int = 4) -> None:
    """Wait for whole polls that begin from now on."""
    wanted = sandbox.counters.requests[EVENTS] + (polls + 1) * things
    async with asyncio.timeout(10):
        while sandbox.counters.requests[EVENTS] < wanted:
            await asyncio.sleep(0.005)


async def stop(pending: asyncio.Task[Any]) -> None:
    pending.cancel()
    await asyncio.wait([pending])


async def test_a_watcher_fires_once_for_each_event_with_a_small_payload(
    service: IoTStudioService, sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    report(sensors[0], 1, datetime.now(UTC) - timedelta(minutes=5))
    events = watcher().run()
    pending = asyncio.create_task(next_event(events))
    await polled(sandbox)
    assert not pending.done()
    made = report(sensors[1], 61.5)
    payload = await pending
    assert payload["timestamp"].endswith("Z")
    del payload["timestamp"]
    assert payload == {"event": EVENT, "thing_id": sensors[1], "event_id": made, "data": 61.5}
    again = asyncio.create_task(next_event(events))
    await polled(sandbox)
    assert not again.done()
    await stop(again)


async def test_an_event_that_is_reported_before_the_first_poll_fires(
    sensors: list[str], report: Report
) -> None:
    events = watcher().run()
    pending = asyncio.create_task(next_event(events))
    await asyncio.sleep(0)
    made = report(sensors[0])
    assert (await pending)["event_id"] == made


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_events_reported_while_the_triggerer_is_down_fire_afterwards_each_once(
    service: IoTStudioService, sandbox: Sandbox, sensors: list[str], report: Report, order: str
) -> None:
    service.event_order = order  # type: ignore[assignment]
    state = FakeStateStore()
    events = watcher(state).run()
    first = asyncio.create_task(fired(events, 1))
    await polled(sandbox, 1)
    ids = [report(sensors[0])]
    assert await first == ids
    pending = asyncio.create_task(fired(events, 1))
    await polled(sandbox, 1)
    await stop(pending)
    missed = [report(uid, number) for number, uid in enumerate(sensors)]
    restarted = watcher(state).run()
    assert sorted(await fired(restarted, len(missed))) == sorted(missed)
    more = asyncio.create_task(fired(restarted, 1))
    await polled(sandbox, 1)
    assert not more.done()
    await stop(more)
    again = asyncio.create_task(fired(watcher(state).run(), 1))
    await polled(sandbox, 1)
    assert not again.done()
    await stop(again)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_service_with_another_clock_loses_no_event(
    sandbox: Sandbox, sensors: list[str], report: Report, hours: int
) -> None:
    sandbox.clock.advance(3600 * hours)
    events = watcher(FakeStateStore()).run()
    for _ in range(3):
        pending = asyncio.create_task(fired(events, 1))
        await polled(sandbox, 1)
        assert not pending.done()
        made = report(sensors[0])
        assert await pending == [made]
    sandbox.clock.reset()


async def test_a_thing_that_is_added_later_is_watched(
    service: IoTStudioService, sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    added = service.space.things.pop(sensors[0])
    pending = asyncio.create_task(fired(watcher(FakeStateStore()).run(), 1))
    await polled(sandbox, 1, 3)
    service.space.things[added.uid] = added
    made = report(added.uid)
    assert await pending == [made]


async def test_a_failed_poll_loses_nothing(sandbox: Sandbox, sensors: list[str], report: Report) -> None:
    pending = asyncio.create_task(fired(watcher(FakeStateStore()).run(), 1))
    await polled(sandbox, 1)
    failing = sandbox.faults.add("status", path="/events", status=403, times=5)
    made = report(sensors[3])
    assert await pending == [made]
    assert failing.hits == 5


async def test_a_watcher_of_one_thing_sends_one_request_a_poll(
    sandbox: Sandbox, sensors: list[str], report: Report
) -> None:
    pending = asyncio.create_task(fired(watcher(thing_id=sensors[2]).run(), 1))
    await polled(sandbox, 1, 1)
    report(sensors[1])
    made = report(sensors[2])
    assert await pending == [made]
    assert not sandbox.counters.requests["iotstudio GET /spaces/{space}/things"]


async def test_a_thing_that_is_gone_is_one_warning_and_blocks_no_other(
    sandbox: Sandbox, sensors: list[str], report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = "01GQ2E9M2Y45BX9EW0F2BM0XXX"
    pending = asyncio.create_task(fired(watcher(thing_ids=[gone, sensors[0]]).run(), 1))
    await polled(sandbox, 2, 3)
    made = report(sensors[0])
    assert await pending == [made]
    assert capsys.readouterr().out.count(f"not declare the event: {gone}") == 1


GONE = "01GQ2E9M2Y45BX9EW0F2BM0XXX"
ODD: list[Any] = [
    {EVENT: {"data": 1, "href": "/x/legacy-1"}},
    {EVENT: {"data": 1, "href": "/x/events/"}},
    {EVENT: {"data": 1, "timestamp": "yesterday", "href": "/e/1"}},
    {EVENT: {"data": 1, "timestamp": "0001-01-01 00:00:00+2300", "href": "/e/1"}},
    {EVENT: {"timestamp": "2026-01-01 00:00:00+0000"}},
    {},
]


def answer(sandbox: Sandbox, uid: str, items: list[Any], **more: Any) -> None:
    """Let the events of a Thing be these items."""
    body = json.dumps({"data": items, "paging": {"next_cursor": ""}})
    sandbox.faults.add(
        "status",
        path=f"{uid}/events",
        times=None,
        status=200,
        content_type="application/json",
        body=body,
        **more,
    )


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_a_thing_that_fails_for_good_stops_no_other_and_is_one_error(
    sandbox: Sandbox,
    sensors: list[str],
    report: Report,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    failing = sandbox.faults.add("status", path=f"{sensors[0]}/events", status=status, times=None)
    pending = asyncio.create_task(fired(watcher(FakeStateStore()).run(), 3))
    await polled(sandbox, 1)
    made = [report(uid, number) for number, uid in enumerate(sensors)]
    assert sorted(await pending) == sorted(made[1:])
    shown = capsys.readouterr().out
    assert shown.count("cannot be read in whole") == 1
    assert sensors[0] in shown
    assert failing.hits
    assert "attempt 3 of 6" not in shown  # the others wait for two retries at most


@pytest.mark.parametrize("items", [[item] for item in ODD], ids=repr)
async def test_an_item_that_is_no_event_stops_no_other_and_is_one_error(
    sandbox: Sandbox,
    sensors: list[str],
    report: Report,
    capsys: pytest.CaptureFixture[str],
    items: list[Any],
) -> None:
    good = {EVENT: {"data": 2, "timestamp": datetime.now(UTC).isoformat(), "href": "/e/good"}}
    answer(sandbox, sensors[1], [*items, good])
    pending = asyncio.create_task(fired(watcher(FakeStateStore()).run(), 2))
    await polled(sandbox, 1)
    made = report(sensors[0])
    assert sorted(await pending) == sorted([made, "good"])
    shown = capsys.readouterr().out
    assert shown.count("cannot be read in whole") == 1
    assert f"events of Thing {sensors[1]} is no event" in shown


async def test_a_given_thing_that_is_gone_with_another_status_stops_no_other(
    service: IoTStudioService,
    sandbox: Sandbox,
    sensors: list[str],
    report: Report,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service.unknown_thing_status = 403
    pending = asyncio.create_task(fired(watcher(thing_ids=[GONE, *sensors[:2]]).run(), 2))
    await polled(sandbox, 1, 3)
    made = [report(uid) for uid in sensors[:2]]
    assert sorted(await pending) == sorted(made)
    assert f"1 Things cannot be read in whole: {GONE}" in capsys.readouterr().out


async def test_a_poll_of_which_all_things_fail_is_a_failed_poll(
    sandbox: Sandbox, sensors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.faults.add("status", path="/events", status=403, times=None)
    pending = asyncio.create_task(fired(watcher(FakeStateStore()).run(), 1))
    await polled(sandbox, 1)
    await stop(pending)
    shown = capsys.readouterr().out
    assert "poll failed" in shown
    assert "cannot be read in whole" not in shown


def test_the_events_of_a_thing_that_was_not_read_for_hours_fire_afterwards() -> None:
    failed = {"b": ServerError(500)}
    _, state = watch.decide(Found([], [], {}, failed), NOW, NOW, None)
    old = event(0, NOW - timedelta(minutes=30), "b")
    shown = [event(number, NOW + timedelta(hours=number), "a") for number in range(1, 4)]
    for one in shown:
        _, following = watch.decide(Found(shown[: shown.index(one) + 1], [], {}, failed), one.at, NOW, state)
        state = json.loads(json.dumps(following))
    missed = event(9, NOW + timedelta(minutes=5), "b")
    payloads, following = watch.decide(Found([old, *shown, missed], []), shown[-1].at, NOW, state)
    assert [payload["event_id"] for payload in payloads] == ["9"]
    last = event(4, NOW + timedelta(hours=4), "a")
    _, following = watch.decide(Found([old, *shown, missed, last], []), last.at, NOW, following)
    assert following["after"] == (last.at - watch.MARGIN).isoformat()
    assert "unread" not in following


async def test_more_events_than_the_service_keeps_are_one_warning(
    sandbox: Sandbox, sensors: list[str], report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    events = watcher(FakeStateStore()).run()
    pending = asyncio.create_task(fired(events, 100))
    await polled(sandbox, 1)
    sandbox.faults.add("status", path="/events", status=403, times=None)
    for number in range(100):
        report(sensors[0], number)
    sandbox.faults.clear()
    assert len(await pending) == 100
    last = asyncio.create_task(fired(events, 1))
    await polled(sandbox, 1)
    await stop(last)
    assert capsys.readouterr().out.count("older ones are gone") == 1


NEVER: list[dict[str, Any]] = [
    {"event": ""},
    {"event": "e", "thing_id": ""},
    {"event": "e", "thing_ids": []},
    {"event": "e", "thing_ids": ["a"], "thing_id": "a"},
    {"event": "e", "thing_id": "a", "category": "Sensors"},
    {"event": "e", "category": ""},
    {"event": "e", "filters": {"mode": ">3"}},
    {"event": "e", "poll_interval": 0},
    {"event": "e", "space": " "},
]


@pytest.mark.parametrize("arguments", NEVER, ids=repr)
async def test_a_watcher_that_can_never_fire_is_refused_and_a_stored_one_logs_one_error(
    sandbox: Sandbox, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = IoTStudioEventTrigger(**arguments)
    with pytest.raises(InputError, match=[*arguments][-1]):
        trigger.serialize()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(trigger.run())
    assert capsys.readouterr().out.count("can never fire") == 1
    assert sandbox.counters.total("iotstudio") == 0


async def test_an_event_that_no_thing_declares_is_one_error(
    sandbox: Sandbox, sensors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = IoTStudioEventTrigger(event="highTemprature", poll_interval=0.01)
    pending = asyncio.create_task(next_event(trigger.run()))
    list_route = "iotstudio GET /spaces/{space}/things"
    async with asyncio.timeout(10):
        while sandbox.counters.requests[list_route] < 4:
            await asyncio.sleep(0.005)
    await stop(pending)
    assert capsys.readouterr().out.count("did you mean 'highTemperature'") == 1


# -- the place, without a service -------------------------------------------------------------------------


NOTHING = {"after": NOW.isoformat(), "seen": {}}


def event(number: int, at: datetime, thing: str = "t") -> Event:
    return Event(at, f"{number}", thing, EVENT, None)


def test_ten_thousand_events_in_one_second_fit_into_the_state_and_fire_once() -> None:
    burst = [event(number, NOW + timedelta(seconds=number // 10_000)) for number in range(12_000)]
    payloads, state = watch.decide(Found(burst, []), NOW, NOW - timedelta(hours=1), None)
    assert len(payloads) == 12_000
    assert WatcherState.fits(state)
    again, following = watch.decide(Found(burst, []), NOW, NOW, json.loads(json.dumps(state)))
    assert (list(again), following) == ([], None)


def test_new_events_come_in_the_order_of_time_id_thing_and_name_whatever_their_data() -> None:
    first = Event(NOW, "1", "a", "alarm", {"level": 1})
    ordered = [
        first,
        first._replace(data=5),
        first._replace(name="bell", data=None),
        first._replace(thing_id="b", data="x"),
        first._replace(event_id="2", data=[1]),
        first._replace(at=NOW + timedelta(seconds=1), event_id="0", data=True),
    ]
    payloads, _ = watch.decide(Found([*ordered[1::2], *ordered[::2]], []), NOW, NOW, {**NOTHING})
    assert [(one["timestamp"][17:19], *list(one.values())[1:3], one["event"]) for one in payloads] == [
        (f"{event.at:%S}", event.thing_id, event.event_id, event.name) for event in ordered
    ]


def test_events_that_show_late_and_in_any_order_fire_once_each() -> None:
    chance = random.Random(7)
    events = [event(number, NOW + timedelta(seconds=number * 3)) for number in range(400)]
    state, count, seen = None, 0, list[str]()
    shown: list[Event] = []
    for second in range(0, 1260, 30):
        now = NOW + timedelta(seconds=second)
        # Every event shows at most ten minutes late.
        shown += [
            one
            for one in events
            if one not in shown
            and (one.at <= now - timedelta(minutes=10) or (one.at <= now and chance.random() < 0.3))
        ]
        payloads, following = watch.decide(Found(list(shown), []), now, NOW, state)
        state = state if following is None else json.loads(json.dumps(following))
        seen += [payload["event_id"] for payload in payloads]
        count += bool(payloads)
    assert len(seen) == len(set(seen)) == len(shown)
    assert count > 10


def test_a_full_list_of_new_events_means_that_older_ones_may_be_gone() -> None:
    _, state = watch.decide(Found([], []), NOW, NOW, None)
    full = [event(number, NOW + timedelta(seconds=number)) for number in range(100)]
    assert watch.overrun(Found(full, []), NOW, state) == 1
    assert watch.overrun(Found(full[1:], []), NOW, state) == 0
    assert watch.overrun(Found(full, []), NOW, None) == 0
    _, state = watch.decide(Found(full[:1], []), NOW, NOW, state)
    assert watch.overrun(Found(full, []), NOW, state) == 0


@pytest.mark.parametrize(
    ("data", "small"),
    [
        (61.5, 61.5),
        (True, True),
        (None, None),
        ("x" * 300, 200),
        ([1, 2, 3], 3),
        ({"a": 1, "b": [1], "c": {"d": 1}}, {"a": 1, "b": 1}),
    ],
)
def test_a_payload_is_small(data: Any, small: Any) -> None:
    (read,) = read_events(
        "t", [{EVENT: {"data": data, "timestamp": "2026-03-01 12:00:00+0000", "href": "/e/1"}}]
    )
    found = read.payload()["data"]
    assert (len(found) <= small) if isinstance(data, str) else found == small


def test_a_payload_shows_no_part_of_a_credential() -> None:
    redact_token(secret := "s3cret-" + "q" * 40)
    for before in range(0, 60, 7):
        text = "x" * before + f" {secret}" * 100
        (read,) = read_events(
            "t",
            [{EVENT: {"data": {text: text}, "timestamp": "2026-03-01 12:00:00+0000", "href": "/e/1"}}],
        )
        shown = ("x" * before + " ***" * 100)[:200]
        assert read.payload()["data"] == {shown: shown}


def test_an_event_without_a_time_has_that_of_its_id() -> None:
    (read,) = read_events(
        "t", [{EVENT: {"data": 1, "href": "/spaces/s/things/t/events/e/01EDCEZDTJX50SQTCJST5EW5NX"}}]
    )
    assert read.at.year == 2020


def test_an_event_of_the_second_from_which_on_events_are_new_fires_once() -> None:
    place = watch.Place(NOW, {})
    event = Event(NOW, "e", "t", "alarm", None)
    assert place.is_new(event)
    assert not place.is_new(event._replace(at=NOW - timedelta(seconds=1)))
    place = place.advance([event], NOW, stays=True)
    assert not place.is_new(event)
    assert place.is_new(event._replace(event_id="f"))


@pytest.mark.parametrize("per_second", [1, 40])
def test_marks_of_any_number_of_seconds_fit_into_an_assets_state(per_second: int) -> None:
    events = [
        Event(NOW + timedelta(seconds=number // per_second), f"e{number}", "t", "alarm", None)
        for number in range(8000)
    ]
    place = watch.Place(NOW, {}).advance(events, NOW, stays=True)
    stored = json.dumps(place.to_json())
    assert 35_000 < len(stored) < 56_000
    assert not place.is_new(events[-1])
    assert not place.is_new(events[0])
    assert place.after > NOW
    again = watch.Place.read(json.loads(stored), NOW)
    assert (again.after, again.seen) == (place.after, place.seen)
