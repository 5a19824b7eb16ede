"""Fixtures: a broker, the sandbox that exchanges values with it, a device, and watchers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from airflow_provider.core.http import auth
from airflow_provider.core.push import listener
from airflow_provider.iotstudio.push import watch
from airflow_provider.iotstudio.triggers import IoTStudioThingTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from dev.mosquitto_server import MosquittoServer, User
from tests.support.state_store import FakeStateStore

SPACE = "my-iot-project"
THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
LIST = "iotstudio GET /spaces/{space}/things"
READER = User(f"reader@{SPACE}", "pu5h/room+7=warm&dry%21#ok?", ["none"], [f"spaces/{SPACE}/things/#"])
BLIND = User(f"blind@{SPACE}", "blind-password", ["none"], [f"spaces/{SPACE}/things/+/properties/+"])
DEVICE = User(f"device@{SPACE}", "device-password", [f"spaces/{SPACE}/#"], [])
SERVICE = User("service", "serv1ce/pass+word", ["spaces/#"], ["spaces/#"])


class Broker(MosquittoServer):
    """A broker with the users of a space."""

    @property
    def of_the_service(self) -> str:
        """Its address with the service's user."""
        return f"mqtt://{quote(SERVICE.name)}:{quote(SERVICE.password, safe='')}@127.0.0.1:{self.port}"

    def extra(self, user: User = READER, **more: Any) -> dict[str, Any]:
        """Return the extras of a connection for a user."""
        return {"mqtt_url": self.url, "mqtt_username": user.name, "mqtt_password": user.password, **more}

    def connections_of(self, user: User) -> int:
        """Return how often a user has connected."""
        return self.log.read_text().count(f"u'{user.name}'")


class Device:
    """A device that publishes values of its properties."""

    def __init__(self, broker: Broker) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(DEVICE.name, DEVICE.password)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def publish(self, values: Any, *, thing: str = THING, topic: str = "properties", **options: Any) -> Any:
        """Publish values, or the bytes of a payload, and return the message."""
        payload = values if isinstance(values, bytes) else json.dumps(values)
        return self._client.publish(f"spaces/{SPACE}/things/{thing}/{topic}", payload, **options)

    def say(self, values: Any, **options: Any) -> None:
        """Publish values, and wait until they have been sent."""
        self.publish(values, **options).wait_for_publish(10)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def make_broker(folder: Any, **options: Any) -> Broker:
    """Return a broker that runs."""
    broker = Broker(folder, [READER, BLIND, DEVICE, SERVICE], **options)
    broker.start()
    return broker


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(watch, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "FLOOD_SECONDS", 0.05)
    monkeypatch.setattr(listener, "backoff_delays", lambda *_: iter(lambda: 0.02, None))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Serve a broker; without its package the tests fail."""
    running = make_broker(tmp_path_factory.mktemp("mosquitto"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def linked(broker: Broker) -> Iterator[Sandbox]:
    """Serve the API of a service that exchanges values with the broker."""
    with Sandbox(kinds=[IoTStudioService], iot_mqtt=broker.of_the_service) as sandbox:
        yield sandbox


@pytest.fixture
def device(broker: Broker) -> Iterator[Device]:
    """Return a device that is connected."""
    made = Device(broker)
    yield made
    made.close()


@pytest.fixture
def connect(linked: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the connection, with other extras."""

    def set_connection(**extra: Any) -> None:
        base = linked.iotstudio.connection()
        own = {name: value for name, value in base["extra"].items() if not name.startswith("mqtt_")}
        text = json.dumps({**base, "extra": {**own, **extra}})
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", text)

    return set_connection


@pytest.fixture
def sandbox(linked: Sandbox, broker: Broker, connect: Callable[..., None]) -> Sandbox:  # type: ignore[override]
    """Return the sandbox, reset, with a connection that may subscribe."""
    linked.reset()
    connect(**broker.extra())
    return linked


def watcher(state: FakeStateStore | None = None, **arguments: Any) -> IoTStudioThingTrigger:
    """Return a watcher as a triggerer makes it; its own poll is an hour away."""
    chosen = {"filters": {"temperature": "gt:50"}, "poll_interval": 3600.0, "mqtt": True, **arguments}
    _, kwargs = IoTStudioThingTrigger(**chosen).serialize()
    made = IoTStudioThingTrigger(**json.loads(json.dumps(kwargs)))
    made.asset_state_store = state  # type: ignore[assignment]
    return made


@asynccontextmanager
async def running(*triggers: IoTStudioThingTrigger) -> AsyncIterator[list[Any]]:
    """Run watchers as a triggerer does; yields the list of the payloads that they fire."""
    fired: list[Any] = []

    async def run(trigger: IoTStudioThingTrigger) -> None:
        async for event in trigger.run():
            getattr(event, "task_instance_state", None)  # a triggerer reads it when it hands the event over
            fired.extend([event.payload])

    tasks = [asyncio.create_task(run(trigger)) for trigger in triggers]
    try:
        yield fired
        assert not [task.exception() for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def listening() -> listener.Listener | None:
    """Return the only listener of the running loop."""
    listeners = listener._listeners.get(asyncio.get_running_loop(), {})
    return next(iter(listeners.values()), None)


def noted() -> list[str]:
    """Return what the watchers of the running loop have noted in their logs."""
    found = listening()
    return [str(one) for watcher in found._subscriptions for one in watcher.repeats._logged] if found else []


async def connected(sandbox: Sandbox, connects: int = 1) -> None:
    """Wait until values are pushed, and the poll after the connect is over."""
    await until(lambda: (found := listening()) and found.connects >= connects)
    await quiet(sandbox)


async def quiet(sandbox: Sandbox) -> None:
    """Wait until all watchers wait for the next value."""

    def waits() -> bool:
        found = listening()
        inboxes = [one.inbox for one in found._subscriptions] if found else []
        return bool(inboxes) and all(
            inbox._changed._waiters and not inbox.poll_due and not len(inbox) for inbox in inboxes
        )

    await until(waits)
