"""Watchers with a real broker: pushed values fire at once, and the poll finds what was not pushed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider.core.push import broker as broker_module
from airflow_provider.core.push import inbox as inbox_module
from airflow_provider.core.push import listener as listener_module
from airflow_provider.errors import InputError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.push import watch
from airflow_provider.sandbox.server import Sandbox
from tests.support.canary_secrets import search
from tests.support.state_store import FakeStateStore
from tests.unit.iotstudio.test_hooks_tls import self_signed

from .conftest import (
    BLIND,
    LIST,
    READER,
    THING,
    Broker,
    Device,
    connected,
    listening,
    make_broker,
    noted,
    quiet,
    running,
    until,
    watcher,
)

pytestmark = pytest.mark.slow

HOT, COLD = {"temperature": 60}, {"temperature": 20}
FIRED = {"matches": 1, "new": 1, "thing_ids": [THING]}


def write(values: dict[str, Any]) -> None:
    with IoTStudioHook() as hook:
        hook.set_properties(THING, values)


async def told(sandbox: Sandbox, device: Device, values: dict[str, Any]) -> None:
    """Publish values, and wait until the watcher has compared them and the service has stored them."""
    before, link = listening(), sandbox.iotstudio.link
    assert before
    messages, stored = before.messages, link.stored if link else 0
    await asyncio.to_thread(device.say, values)
    await until(lambda: before.messages > messages and (link is None or link.stored > stored))
    await quiet(sandbox)


async def test_a_value_that_a_device_publishes_fires_once_until_it_stops_to_match(
    sandbox: Sandbox, device: Device
) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        for value in (60, 61, 60, 75):
            await told(sandbox, device, {"temperature": value})
        await until(lambda: fired)
        before = sandbox.counters.requests[LIST]
        await told(sandbox, device, COLD)
        await until(lambda: sandbox.counters.requests[LIST] > before)
        await told(sandbox, device, HOT)
        await until(lambda: len(fired) == 2)
    assert fired == [FIRED, FIRED]


async def test_values_that_change_no_match_cost_no_request(sandbox: Sandbox, device: Device) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        before = sandbox.counters.requests[LIST]
        for value in range(30):
            device.publish({"temperature": value, "humidity": value}, qos=1)
        device.publish({"humidity": 70})
        await told(sandbox, device, COLD)
        assert sandbox.counters.requests[LIST] == before
        sandbox.iotstudio.space.things[THING].status.update(HOT)  # A service that is slower is asked again.
        await told(sandbox, device, HOT)
        await until(lambda: fired)
        assert sandbox.counters.requests[LIST] == before + 1


async def test_the_service_decides_on_conditions_that_are_no_numbers(
    sandbox: Sandbox, device: Device
) -> None:
    both = {"temperature": "gt:50", "mode": "contains:eco"}
    async with running(watcher(filters=both)) as fired:
        await connected(sandbox)
        await told(sandbox, device, HOT)
        await told(sandbox, device, {"mode": "off"})
        await told(sandbox, device, {"mode": "eco"})
        await until(lambda: fired)
    assert fired == [FIRED]


async def test_a_retained_message_of_the_past_fires_nothing(sandbox: Sandbox, device: Device) -> None:
    topic = "properties/temperature"  # the service does not read this one
    await asyncio.to_thread(device.say, HOT, topic=topic, retain=True)
    try:
        async with running(watcher()) as fired:
            await until(lambda: (found := listening()) and found.messages)
            await connected(sandbox)
            assert fired == []
    finally:
        await asyncio.to_thread(device.say, b"", topic=topic, retain=True)


async def test_a_service_that_is_slower_than_its_broker_is_asked_some_more(
    sandbox: Sandbox, device: Device
) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        before = sandbox.counters.requests[LIST]
        await asyncio.to_thread(device.say, HOT, topic="properties/temperature")
        await until(lambda: sandbox.counters.requests[LIST] > before)
        assert fired == []
        sandbox.iotstudio.space.things[THING].status.update(HOT)
        await until(lambda: fired)
    assert fired == [FIRED]


async def test_a_service_that_is_slower_than_its_broker_is_asked_again_about_what_it_alone_decides(
    sandbox: Sandbox, device: Device
) -> None:
    async with running(watcher(filters={"mode": "contains:boost"})) as fired:
        await connected(sandbox)
        before = sandbox.counters.requests[LIST]
        await asyncio.to_thread(device.say, {"mode": "boost"}, topic="properties/mode")
        await until(lambda: sandbox.counters.requests[LIST] > before)
        assert fired == []
        sandbox.iotstudio.space.things[THING].status["mode"] = "boost"
        await until(lambda: fired)
    assert fired == [FIRED]


async def test_a_change_while_the_triggerer_is_down_fires_once(sandbox: Sandbox, device: Device) -> None:
    state = FakeStateStore()
    async with running(watcher(state)) as fired:
        await connected(sandbox)
        await until(lambda: state)
    await asyncio.to_thread(write, HOT)
    async with running(watcher(state)) as fired:
        await until(lambda: fired)
        await connected(sandbox)
    async with running(watcher(state)) as later:
        await connected(sandbox)
        await told(sandbox, device, {"temperature": 66})
    assert (fired, later) == ([FIRED], [])


async def test_two_triggerers_with_the_same_watcher_fire_each_change_once(sandbox: Sandbox) -> None:
    state = FakeStateStore()
    both = [watcher(state), watcher(state)]
    for number, trigger in enumerate(both):
        trigger.trigger_id = number + 1
    async with running(*both) as fired:
        await connected(sandbox)
        for count in (1, 2):
            await asyncio.to_thread(write, HOT)
            await until(lambda count=count: len(fired) == count)  # type: ignore[misc]
            await asyncio.to_thread(write, COLD)
            await until(lambda: [] in state.values())
            await quiet(sandbox)
    assert fired == [FIRED, FIRED]


async def test_push_and_poll_share_their_state(sandbox: Sandbox) -> None:
    state = FakeStateStore()
    await asyncio.to_thread(write, HOT)
    async with running(watcher(state, mqtt=False)) as fired:
        await until(lambda: fired and state)
    async with running(watcher(state)) as fired:
        await connected(sandbox)
    assert fired == []


async def test_the_watchers_of_a_connection_share_one_connection_to_the_broker(
    sandbox: Sandbox, broker: Broker
) -> None:
    before = broker.connections_of(READER)
    many = [watcher(filters={"temperature": f"gt:{50 - number}"}) for number in range(20)]
    async with running(*many) as fired:
        await until(lambda: (found := listening()) and len(found._subscriptions) == 20)
        await connected(sandbox)
        await asyncio.to_thread(write, HOT)
        await until(lambda: len(fired) == 20)
    assert broker.connections_of(READER) == before + 1
    assert listening() is None


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 80])
async def test_a_watcher_that_is_cancelled_at_any_moment_ends(sandbox: Sandbox, turns: int) -> None:
    async with asyncio.timeout(60):
        async with running(watcher()):
            for _ in range(turns):
                await asyncio.sleep(0.001)
    assert listening() is None


# -- a broker that is down, refuses, or floods ---------------------------------------------------------


@pytest.fixture
def fragile(tmp_path: Path, sandbox: Sandbox, connect: Callable[..., None]) -> Iterator[Broker]:
    """Return a broker of the test's own, which it may kill; the service does not know it."""
    made = make_broker(tmp_path)
    connect(**made.extra())
    yield made
    made.stop()


async def test_a_change_while_the_broker_is_down_fires_once_after_the_connect(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 3600.0)
    async with running(watcher()) as fired:
        await connected(sandbox)
        fragile.kill()
        await until(lambda: not any(one.inbox.connected for one in listening()._subscriptions))  # type: ignore[union-attr]
        await asyncio.to_thread(write, HOT)
        await quiet(sandbox)
        assert fired == []
        fragile.start()
        await until(lambda: fired)
        await connected(sandbox, 2)
    assert fired == [FIRED]


async def test_without_a_broker_changes_are_polled_as_without_mqtt(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.05)
    fragile.kill()
    async with running(watcher()) as fired:
        await until(lambda: sandbox.counters.requests[LIST] > 3)
        await asyncio.to_thread(write, HOT)
        await until(lambda: fired)
    assert fired == [FIRED]
    assert capsys.readouterr().out.count("Connection refused") == 1


async def test_a_problem_of_the_broker_is_in_the_log_of_each_watcher_once(
    sandbox: Sandbox, fragile: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    fragile.kill()

    def told(watchers: int) -> bool:
        found = listening()
        logs = [one.repeats._logged for one in found._subscriptions] if found else []
        return len(logs) == watchers and all(logs)

    async with running(watcher()):
        await until(lambda: told(1))
        async with running(watcher(filters={"humidity": "gt:50"}), watcher(filters={"mode": "eco"})):
            await until(lambda: told(3))
            fragile.start()
            await connected(sandbox)
    out = capsys.readouterr().out
    assert out.count("Connection refused") == 3
    assert out.count("values are pushed by the broker") == 3


async def test_a_problem_that_lasts_is_logged_at_intervals(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listener_module, "REPEATED_SECONDS", 0.0)
    fragile.kill()
    logged = 0
    async with running(watcher()):
        while logged < 3:
            await asyncio.sleep(0.02)
            logged += capsys.readouterr().out.count("Connection refused")


async def test_a_broker_that_falls_silent_is_noticed(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 3600.0)
    async with running(watcher()) as fired:
        await connected(sandbox)
        assert fragile.started
        os.kill(fragile.started.pid, signal.SIGSTOP)
        try:
            await until(lambda: not any(one.inbox.connected for one in listening()._subscriptions))  # type: ignore[union-attr]
            await asyncio.to_thread(write, HOT)
        finally:
            os.kill(fragile.started.pid, signal.SIGCONT)
        await until(lambda: fired)
    assert fired == [FIRED]


async def test_a_wrong_password_is_one_error_and_a_new_one_is_read_from_the_connection(
    sandbox: Sandbox,
    broker: Broker,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.05)
    connect(**broker.extra(mqtt_password="wrong-password"))
    async with running(watcher()) as fired:
        await until(lambda: broker.log.read_text().count("not authorised") > 2)
        await asyncio.to_thread(write, HOT)
        await until(lambda: fired)
        connect(**broker.extra())
        await connected(sandbox)
    out = capsys.readouterr().out
    assert out.count("check the user name and the password") == 1
    assert out.count("values are pushed by the broker") == 1


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({}, "the extra 'mqtt_url' is missing"),
        ({"mqtt_password": "secret"}, "'mqtt_password' needs the extra 'mqtt_username'"),
        ({"mqtt_topics": "spaces/{space}/things/+/properties"}, "lacks {thing_id}"),
        ({"mqtt_topics": "spaces/{spaec}/things/{thing_id}"}, "unknown name '{spaec}'"),
        ({"mqtt_topics": "{thing_id}/a#b"}, "has the level 'a#b'"),
        ({"mqtt_topics": "a/{thing_id}/{thing_id}"}, "has {thing_id} twice"),
        ({"mqtt_topics": "$share/g/{thing_id}"}, "begins with $"),
    ],
)
async def test_what_is_wrong_with_the_extras_is_one_error_and_the_poll_continues(
    sandbox: Sandbox,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: dict[str, Any],
    problem: str,
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.05)
    connect(**extra)
    async with running(watcher()) as fired:
        await until(lambda: sandbox.counters.requests[LIST] > 4)
        await asyncio.to_thread(write, HOT)
        await until(lambda: fired)
    assert capsys.readouterr().out.count(problem) == 1


async def test_without_the_package_the_error_names_the_extra_to_install(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    await asyncio.to_thread(write, HOT)
    async with running(watcher()) as fired:
        await until(lambda: fired)
        await quiet(sandbox)
        await until(noted)
    assert capsys.readouterr().out.count("airflow-provider-digital-twin[mqtt]") == 1


async def test_topics_that_the_broker_refuses_are_one_error_and_the_others_are_read(
    sandbox: Sandbox, broker: Broker, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(**broker.extra(BLIND))
    async with running(watcher()) as fired:
        await connected(sandbox)
        await asyncio.to_thread(write, HOT)
        await until(lambda: fired)
    out = capsys.readouterr().out
    assert out.count("refuses subscriptions") == 1
    assert "things/+/properties\n" in out or "things/+/properties " in out


async def test_a_watcher_whose_topics_are_all_refused_polls_as_without_a_broker(
    sandbox: Sandbox, broker: Broker, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 0.05)
    connect(**broker.extra(mqtt_topics="elsewhere/{thing_id}"))
    async with running(watcher(), watcher(filters={"temperature": "gt:40"})) as fired:
        await until(lambda: (found := listening()) and len(found._subscriptions) == 2 and found._refused)
        await asyncio.to_thread(write, HOT)
        await until(lambda: len(fired) == 2)
        assert not any(one.inbox.connected for one in listening()._subscriptions)  # type: ignore[union-attr]


async def test_the_topics_of_the_connection_replace_the_documented_ones(
    sandbox: Sandbox, broker: Broker, device: Device, connect: Callable[..., None]
) -> None:
    connect(**broker.extra(mqtt_topics=f"spaces/{{space}}/things/{{thing_id={THING}}}/properties"))
    async with running(watcher()) as fired:
        await connected(sandbox)
        await asyncio.to_thread(device.say, HOT, thing="01GQ000000000000000000000A")
        await told(sandbox, device, HOT)
        await until(lambda: fired)
        assert listening().messages == 1  # type: ignore[union-attr]


GARBAGE = [
    b"",
    b"60",
    b"hot",
    b"[1]",
    b'{"temperature": 1e999}',
    b'{"temperature": {"x"',
    b"\xff\xfe",
    b"[" * 5000,
]


async def test_payloads_that_make_no_sense_are_one_warning_and_stop_nothing(
    sandbox: Sandbox, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        for payload in [*GARBAGE, b'{"temperature": "' + b"x" * 300_000 + b'"}']:
            device.publish(payload, qos=1)
        device.publish({"temperature": {"value": 60}}, qos=1)
        await told(sandbox, device, {"temperature": None})
        await told(sandbox, device, HOT)
        await until(lambda: fired)
    assert fired == [FIRED]
    assert capsys.readouterr().out.count("cannot be read and is ignored") == 1


@pytest.mark.nightly
async def test_a_flood_takes_little_memory_few_requests_and_no_time_of_the_loop(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, largest = set[str](), [0]
    put = inbox_module.Inbox.put

    def observed(inbox: Any, key: str, values: Any) -> None:
        put(inbox, key, values)
        threads.add(threading.current_thread().name)
        largest[0] = max(largest[0], len(inbox))

    monkeypatch.setattr(inbox_module, "MAX_KEYS", 300)
    monkeypatch.setattr(inbox_module.Inbox, "put", observed)
    things = [f"01GQ{number:022d}" for number in range(500)]
    async with running(watcher()) as fired:
        await connected(sandbox)
        before, beats = sandbox.counters.requests[LIST], 0
        flood = asyncio.create_task(asyncio.to_thread(_flood, fragile, things))
        while not flood.done() or listening().messages < 10_000:  # type: ignore[union-attr]
            await asyncio.sleep(0.005)
            beats += 1
        await asyncio.to_thread(write, HOT)
        device = await asyncio.to_thread(Device, fragile)
        await asyncio.to_thread(device.say, HOT)
        await until(lambda: fired)
        requests = sandbox.counters.requests[LIST] - before
        await asyncio.to_thread(device.close)
    assert largest[0] <= 300
    assert requests < 100
    assert beats > 10
    assert threading.main_thread().name not in threads


async def test_a_flood_of_large_payloads_takes_little_memory_and_loses_no_event(
    sandbox: Sandbox, fragile: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest, is_held, dropped = [0], True, set[str]()
    put, take = inbox_module.Inbox.put, inbox_module.Inbox.take

    def observed(inbox: Any, key: str, values: Any) -> None:
        put(inbox, key, values)
        largest[0] = max(largest[0], inbox._bytes)
        if key not in inbox._values:
            dropped.add(key)

    monkeypatch.setattr(inbox_module, "MAX_BYTES", 20_000)
    monkeypatch.setattr(inbox_module.Inbox, "put", observed)
    # Nothing is taken during the flood, so that the inbox is full on a machine of any speed.
    monkeypatch.setattr(inbox_module.Inbox, "take", lambda inbox: {} if is_held else take(inbox))
    monkeypatch.setattr(watch, "OFFLINE_SECONDS", 1.0)  # the longest pause after a flood
    hot = {**HOT, "mode": "eco"}
    async with running(watcher(filters={"temperature": "gt:50", "mode": "eq:eco"})) as fired:
        await connected(sandbox)
        device = await asyncio.to_thread(Device, fragile)
        before = psutil.Process().memory_info().rss
        for number in range(60):
            for size in (1 << 20, 200_000):  # The second one is read: its long value is kept as a hash.
                values = {"mode": "x" * size, "temperature": 10**4000 + number}
                await asyncio.to_thread(
                    lambda value, thing: device.publish(value, thing=thing, qos=1).wait_for_publish(30),
                    values,
                    f"01GQ{number:022d}",
                )
        assert fired == []
        await asyncio.to_thread(write, hot)
        # The service publishes to another broker. The value does not fit in: only a poll can fire.
        await asyncio.to_thread(device.say, {**hot, "temperature": 10**4000})
        await until(lambda: THING in dropped)
        await until(lambda: fired)
        is_held = False
        await asyncio.to_thread(device.say, hot)
        await until(lambda: listening().messages == 122)  # type: ignore[union-attr]
        await quiet(sandbox)
        grown = psutil.Process().memory_info().rss - before
        await asyncio.to_thread(device.close)
    assert fired == [FIRED]
    assert 10_000 < largest[0] <= 20_000
    assert grown < 60 << 20


def _flood(broker: Broker, things: list[str]) -> None:
    device = Device(broker)
    for number in range(10_000):
        last = device.publish({"temperature": number % 100}, thing=things[number % len(things)], qos=1)
    last.wait_for_publish(60)
    device.close()


async def test_failed_requests_lose_no_value(sandbox: Sandbox) -> None:
    async with running(watcher()) as fired:
        await connected(sandbox)
        failing = sandbox.faults.add("status", path="/things$", status=403, times=2)
        await asyncio.to_thread(write, HOT)
        await until(lambda: fired)
    assert failing.hits == 2
    assert fired == [FIRED]


# -- credentials and the connection --------------------------------------------------------------------


async def test_the_certificate_of_the_broker_is_verified(
    tmp_path: Path, sandbox: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pem, key = self_signed(tmp_path)
    secured = make_broker(tmp_path, tls={"certfile": str(pem), "keyfile": str(key)})
    try:
        connect(**secured.extra())
        async with running(watcher()):
            await until(lambda: any("cannot be reached" in one for one in noted()))
        connect(**secured.extra(verify=str(pem)))
        async with running(watcher()):
            await connected(sandbox)
    finally:
        secured.stop()
    assert "certificate" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("password", [READER.password, "wr0ng/room+7=warm&dry%21#ok?"])
async def test_no_credential_of_the_broker_is_stored_fired_or_logged(
    sandbox: Sandbox,
    broker: Broker,
    connect: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    password: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(**broker.extra(mqtt_password=password))
    state, trigger = FakeStateStore(), watcher()
    trigger.asset_state_store = state  # type: ignore[assignment]
    with IoTStudioHook() as hook:
        ok, sentence = await asyncio.to_thread(hook.test_connection)
    async with running(trigger) as fired:
        await until(lambda: noted())
        if ok:
            await connected(sandbox)
            await asyncio.to_thread(write, HOT)
            await until(lambda: fired)
    left = [json.dumps([trigger.serialize(), fired, state, sentence]), repr(vars(trigger)), caplog.text]
    left += [*capfd.readouterr()]
    assert ok == (password == READER.password)
    assert [*search([("", text) for text in left], [password])] == []


@pytest.mark.parametrize(
    ("extra", "ok", "sentence"),
    [
        ({}, True, "the MQTT broker accepts the credentials"),
        ({"mqtt_password": "wrong-password"}, False, "refuses the connection"),
        ({"mqtt_url": "mqtt://127.0.0.1:1"}, False, "cannot be reached: Connection refused"),
        ({"mqtt_topics": "a/b"}, False, "lacks {thing_id}"),
        ({"mqtt_url": None}, True, "can be read."),
    ],
)
def test_the_test_of_the_connection_asks_the_broker_too(
    sandbox: Sandbox,
    broker: Broker,
    connect: Callable[..., None],
    extra: dict[str, Any],
    ok: bool,
    sentence: str,
) -> None:
    connect(**broker.extra(**extra))
    found, text = IoTStudioHook().test_connection()
    assert found == ok
    assert sentence in text


@pytest.mark.parametrize(
    "url",
    [
        "http://broker",
        "mqtt://broker.example.com",
        "mqtts://user:password@broker",
        "mqtts://broker/path",
        "mqtts://broker?x=1",
        "broker:0",
        "broker:99999",
        "bro ker",
        ["mqtts://broker"],
        "mqtts://",
        "None",
        " null ",
    ],
)
def test_addresses_that_are_wrong_or_send_the_password_unencrypted_are_refused(
    sandbox: Sandbox, connect: Callable[..., None], url: Any
) -> None:
    connect(mqtt_url=url)
    with pytest.raises(InputError, match="mqtt_url") as caught:
        _ = IoTStudioHook().settings
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("broker.example.com", "mqtts://broker.example.com:8883"),
        ("MQTTS://Broker:1234/", "mqtts://broker:1234"),
        ("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883"),
        ("mqtt://[::1]:1884", "mqtt://[::1]:1884"),
    ],
)
def test_an_address_is_completed(
    sandbox: Sandbox, connect: Callable[..., None], url: str, found: str
) -> None:
    connect(mqtt_url=url)
    assert IoTStudioHook().settings.extras["mqtt_url"] == found


def test_a_plain_connection_elsewhere_must_be_allowed(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    connect(mqtt_url="mqtt://broker.example.com", allow_http=True)
    assert IoTStudioHook().settings.extras["mqtt_url"] == "mqtt://broker.example.com:1883"


@pytest.mark.parametrize("mqtt", ["true", "mqtt://broker", 1, None])
def test_an_argument_that_is_neither_true_nor_false_is_refused_when_the_dag_is_parsed(mqtt: Any) -> None:
    with pytest.raises(InputError, match="'mqtt' is"):
        watcher(mqtt=mqtt)
