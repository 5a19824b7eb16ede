"""Topics that a watcher, an access list or a person makes impossible, and what happens to the other ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.core.push.topics import TopicPattern
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.push import watch
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger
from airflow_provider.sandbox.server import Sandbox
from dev.mosquitto_server import User

from .conftest import (
    BLIND,
    DEVICE,
    LIST,
    READER,
    THING,
    Broker,
    Device,
    connected,
    listening,
    make_broker,
    quiet,
    running,
    until,
    watcher,
)

HOT = {"temperature": 60}
FIRED = {"matches": 1, "new": 1, "thing_ids": [THING]}
THINGS = "spaces/{space}/things/{thing_id}/properties"
OF_CATEGORY = "spaces/{space}/things/{thing_id}/{category}"


def write() -> None:
    with IoTStudioHook() as hook:
        hook.set_properties(THING, HOT)


@pytest.mark.slow
@pytest.mark.parametrize("category", ["C#", "Floor+1", "A/B"])
async def test_a_category_that_is_no_level_is_an_error_of_its_watcher_alone(
    sandbox: Sandbox,
    broker: Broker,
    device: Device,
    connect: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    category: str,
) -> None:
    connect(**broker.extra(mqtt_topics=f"{THINGS} {OF_CATEGORY}"))
    async with running(watcher(), watcher(category=category)) as fired:
        await until(lambda: (found := listening()) and len(found._subscriptions) == 2 and found.connects)
        await asyncio.to_thread(device.say, HOT)
        await until(lambda: fired)
        pushed = [one.inbox.connected for one in listening()._subscriptions]  # type: ignore[union-attr]
        assert listening().connects < 3  # type: ignore[union-attr]
    assert fired == [FIRED]
    assert sorted(pushed) == [False, True]
    out = capsys.readouterr().out
    assert out.count(f"the category '{category}' cannot be a level of the topic '{OF_CATEGORY}'") == 1


@pytest.mark.slow
async def test_a_corrected_connection_is_read_while_topics_are_refused(
    sandbox: Sandbox, broker: Broker, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(**broker.extra(DEVICE))
    async with running(watcher()) as fired:
        await until(lambda: (found := listening()) and found._refused)
        connect(**broker.extra())
        await connected(sandbox)
        assert all(one.inbox.connected for one in listening()._subscriptions)  # type: ignore[union-attr]
        await asyncio.to_thread(write)
        await until(lambda: fired)
    assert fired == [FIRED]
    assert capsys.readouterr().out.count("refuses subscriptions") == 1


@pytest.mark.slow
async def test_topics_that_are_refused_in_part_are_polled_for_as_without_a_broker(
    sandbox: Sandbox, broker: Broker, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.05)
    connect(**broker.extra(BLIND))
    async with running(watcher()) as fired:
        await until(lambda: (found := listening()) and found._refused)
        before = sandbox.counters.requests[LIST]
        await until(lambda: sandbox.counters.requests[LIST] > before + 2)
        sandbox.iotstudio.space.things[THING].status.update(HOT)  # nothing is published
        await until(lambda: fired)


@pytest.mark.slow
async def test_a_connection_that_breaks_again_and_again_is_logged_once(
    sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
    connect: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = make_broker(tmp_path_factory.mktemp("flapping"))
    connect(**made.extra())
    try:
        async with running(watcher()):
            for connects in (1, 2, 3):
                await until(lambda count=connects: (found := listening()) and found.connects >= count)  # type: ignore[misc]
                made.kill()
                made.start()
    finally:
        made.stop()
    out = capsys.readouterr().out
    assert out.count("has broken") == 1
    assert out.count("values are pushed by the broker") == 1


@pytest.mark.parametrize(
    ("user", "topics", "ok", "sentence"),
    [
        (READER, THINGS, True, "accepts the credentials."),
        (BLIND, "", True, "but refuses the topics spaces/my-iot-project/things/+/properties."),
        (DEVICE, "", False, "refuses to subscribe to all topics"),
        (READER, f"{THINGS} spaces/{{space}}/of/{{category}}/{{thing_id}}", True, "accepts the credentials."),
    ],
)
async def test_the_test_of_the_connection_subscribes_also_in_a_running_loop(
    sandbox: Sandbox,
    broker: Broker,
    connect: Callable[..., None],
    user: User,
    topics: str,
    ok: bool,
    sentence: str,
) -> None:
    connect(**broker.extra(user, **({"mqtt_topics": topics} if topics else {})))
    for found, text in (IoTStudioHook().test_connection(), await IoTStudioHook().atest_connection()):
        assert found == ok, text
        assert sentence in text


@pytest.mark.slow
@pytest.mark.parametrize("thing", ["", "x" * 5000])
async def test_what_is_no_id_of_a_thing_is_ignored(sandbox: Sandbox, device: Device, thing: str) -> None:
    async with running(watcher()):
        await connected(sandbox)
        before = sandbox.counters.requests[LIST]
        await asyncio.to_thread(device.say, HOT, thing=thing)
        await until(lambda: listening().messages)  # type: ignore[union-attr]
        await quiet(sandbox)
        assert sandbox.counters.requests[LIST] == before


@pytest.mark.parametrize("category", ["", "a/b", "a+", "#", "\0"])
def test_a_name_that_is_no_level_makes_only_the_topics_with_it_impossible(category: str) -> None:
    names = {"space": "s", "category": category}
    assert "category" in TopicPattern(OF_CATEGORY, names).problem
    assert TopicPattern(THINGS, names).problem == ""
    assert TopicPattern("{category=C}/{thing_id}", names).problem == ""
    assert TopicPattern(OF_CATEGORY, {**names, "category": "Räume 1"}).problem == ""


async def test_a_watcher_asks_about_many_things_in_blocks_with_its_own_space_and_category(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []
    asked: list[Any] = []

    async def amatching(hook: IoTStudioHook, most: int, **of: Any) -> list[str]:
        asked.append((hook.conn_id, hook._space, most, of))
        return list(of["params"]["thingID[]"][:1])

    monkeypatch.setattr(watch, "watch", lambda *of: given.extend(of))
    monkeypatch.setattr(IoTStudioHook, "amatching", amatching)
    trigger = IoTStudioThingTrigger(filters={"temperature": "gt:50"}, space="s", category="c", mqtt=True)
    await trigger._watch_pushed_values()
    conn_id, _, names, filters, ask, payloads, log = given
    assert (conn_id, names, filters) == (
        *("iotstudio_default", {"space": "s", "category": "c"}, {"temperature": "gt:50"}),
    )
    assert (payloads, log) == (trigger.events, trigger.log)
    things = [f"t{number}" for number in range(301)]
    assert await ask(things) == ["t0", "t150", "t300"]
    blocks = [things[:150], things[150:300], things[300:]]
    params = api.filters({"temperature": "gt:50"})
    assert asked == [
        (
            *("iotstudio_default", "s", sys.maxsize),
            {"category": "c", "params": {**params, "thingID[]": block}},
        )
        for block in blocks
    ]


def test_a_watcher_without_a_broker_polls_at_its_interval_after_a_failure() -> None:
    assert IoTStudioThingTrigger(filters={"temperature": "gt:50"}).pause_after_failure(7.0) == 7.0
