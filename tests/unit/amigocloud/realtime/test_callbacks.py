"""Callbacks, used as the vendor's client documents them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.realtime import socket
from airflow_provider.core.http import async_transport
from airflow_provider.errors import (
    InputError,
    PermissionDeniedError,
    RequestRejectedError,
    TransportError,
)
from airflow_provider.sandbox.amigocloud import seed


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr(socket, "backoff_delays", lambda *_: iter(lambda: 0.02, None))
    monkeypatch.setattr(socket, "PING_LIMITS", {3: (0.0, 30.0), 4: (0.0, 30.0)})


class StopError(Exception):
    """Error with which a test's callback ends the listening."""


def when(condition, act):
    """Act in another thread once a condition is true."""

    def run():
        ends = time.monotonic() + 5
        while not condition():
            if time.monotonic() > ends:
                return
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_callback_gets_the_payload_of_a_user_event(sandbox):
    hook, seen = AmigoCloudHook(), []

    def project_created(data):
        assert threading.current_thread() is threading.main_thread()
        seen.append("User id={user_id} created project id={project_id}".format_map(data))
        raise StopError

    hook.listen_user_events()
    hook.add_callback("project:creation_succeeded", project_created)
    made = AmigoCloudHook()
    helper = when(sandbox.amigocloud.sockets.listeners, lambda: made.post("/me/projects", {"name": "New"}))
    with pytest.raises(StopError):
        hook.start_listening(10)
    helper.join()
    assert seen == [f"User id={seed.USER} created project id={max(sandbox.amigocloud.projects)}"]


def test_no_connection_is_left_open_after_the_listening(sandbox, monkeypatch):
    clients, new = [], async_transport._new_client

    def noted(*args, **options):
        clients.append(new(*args, **options))
        return clients[-1]

    monkeypatch.setattr(async_transport, "_new_client", noted)
    hook = AmigoCloudHook()
    hook.listen_user_events()
    hook.start_listening(0.2)
    assert [client.is_closed for client in clients] == [True]


def test_a_callback_gets_the_objects_of_a_realtime_event(sandbox):
    hook, seen = AmigoCloudHook(), []
    service = sandbox.amigocloud

    def realtime_event(data):
        seen.extend(one["object_id"] for one in data["data"])
        raise StopError

    hook.listen_dataset_events(seed.USER, seed.PROJECT, seed.ZONES)
    hook.add_callback("realtime", realtime_event)
    helper = when(
        lambda: service.sockets.listeners(seed.ZONES),
        lambda: service.store.write("UPDATE dataset_2002 SET name = 'x' WHERE name = 'Zone 07'"),
    )
    with pytest.raises(StopError):
        hook.start_listening()
    helper.join()
    assert len(seen) == 1
    paths = [name for name in sandbox.counters.requests if "start_websocket_session" in name]
    assert paths == [
        "amigocloud GET /api/v1/users/{owner}/projects/{project}/datasets/{dataset}/start_websocket_session"
    ]


def test_listening_ends_after_its_seconds_and_counts(sandbox):
    hook, service = AmigoCloudHook(), sandbox.amigocloud
    hook.listen_user_events()
    hook.add_callback("a", lambda _: None)
    helper = when(service.sockets.listeners, lambda: [service.sockets.emit(name, {}) for name in "aab"])
    began = time.monotonic()
    assert hook.start_listening(0.8) == 2
    assert time.monotonic() - began >= 0.8
    helper.join()
    assert "amigocloud-events" not in {thread.name for thread in threading.enumerate()}


def test_a_broken_connection_is_restored(sandbox):
    hook, sockets = AmigoCloudHook(), sandbox.amigocloud.sockets
    hook.listen_user_events()

    def stop(_):
        raise StopError

    hook.add_callback("after", stop)
    cut = when(sockets.listeners, sockets.disconnect)
    tell = when(lambda: sockets.opened > 1 and sockets.listeners(), lambda: sockets.emit("after", {}))
    with pytest.raises(StopError):
        hook.start_listening(10)
    for helper in (cut, tell):
        helper.join()


def test_a_server_that_was_upgraded_is_spoken_to_in_its_own_protocol(sandbox):
    hook, sockets = AmigoCloudHook(), sandbox.amigocloud.sockets
    sockets.protocol, sockets.old_clients = 4, False
    hook.listen_user_events()

    def stop(_):
        raise StopError

    hook.add_callback("now", stop)
    helper = when(sockets.listeners, lambda: sockets.emit("now", {}))
    with pytest.raises(StopError):
        hook.start_listening(10)
    helper.join()


def test_what_the_service_refuses_for_good_comes_out(sandbox):
    hook = AmigoCloudHook()
    sandbox.amigocloud.sockets.refusal = "maintenance"
    hook.listen_user_events()
    with pytest.raises(RequestRejectedError, match="maintenance"):
        hook.start_listening(10)


def test_a_slow_callback_does_not_break_the_connection(sandbox):
    hook, sockets = AmigoCloudHook(), sandbox.amigocloud.sockets
    sockets.ping_interval = 200  # half a second of silence, and a connection counts as dead
    hook.listen_user_events()
    hook.add_callback("a", lambda _: time.sleep(0.6))
    helper = when(sockets.listeners, lambda: [sockets.emit("a", {}) for _ in range(2)])
    assert hook.start_listening(1.3) == 2
    helper.join()
    assert sockets.opened == 1


def test_what_cannot_work_says_so_at_once(sandbox, connect):
    with pytest.raises(InputError, match="listen_user_events"):
        AmigoCloudHook().start_listening(1)
    refused = AmigoCloudHook(connect(password=seed.READ_PROJECT_TOKEN))
    refused.listen_user_events()
    with pytest.raises(PermissionDeniedError):
        refused.start_listening(5)
    unreachable = AmigoCloudHook(connect(extra={"websocket_url": "http://127.0.0.1:9/"}))
    unreachable.listen_user_events()
    with pytest.raises(TransportError, match="cannot be reached"):
        unreachable.start_listening(5)


async def test_events_are_received_in_an_event_loop_too(sandbox):
    hook, seen = AmigoCloudHook(), []
    with pytest.raises(InputError, match="nothing to listen to"):
        await hook.astart_listening(1)

    def project_created(data):
        assert asyncio.current_task() is own
        seen.append(data["project_id"])
        raise StopError

    own = asyncio.current_task()
    hook.listen_user_events()
    hook.add_callback("project:creation_succeeded", project_created)
    made = AmigoCloudHook()
    helper = when(sandbox.amigocloud.sockets.listeners, lambda: made.post("/me/projects", {"name": "New"}))
    with pytest.raises(StopError):
        await hook.astart_listening(10)
    helper.join()
    assert seen == [max(sandbox.amigocloud.projects)]
    assert await hook.astart_listening(0.01) == 0
    async with asyncio.timeout(30):  # A request that was under way has a moment to end.
        while [task for task in asyncio.all_tasks() if task is not own]:
            await asyncio.sleep(0.01)
    await hook.aclose()
