"""The socket's client over real TCP: events arrive, and a dead connection is detected."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.realtime import socket
from airflow_provider.amigocloud.realtime.socket import EventSocket
from airflow_provider.errors import InputError, PermissionDeniedError, RequestRejectedError, TransportError
from airflow_provider.sandbox.amigocloud import seed

SOCKET = "amigocloud WEBSOCKET /v2_socket.io/{rest:path}"

PING_LIMITS = socket.PING_LIMITS


async def until(condition, seconds=30):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(sandbox, conn_id="amigocloud_default", protocol=3, dataset=None):
    async with EventSocket(AmigoCloudHook(conn_id), protocol) as line:
        await line.authenticate(seed.USER, dataset)
        await until(lambda: sandbox.amigocloud.sockets.listeners(dataset))
        yield line


@pytest.fixture(autouse=True)
def _quick_heartbeats(monkeypatch):
    monkeypatch.setattr(socket, "PING_LIMITS", {3: (0.0, 30.0), 4: (0.0, 30.0)})


async def heard(line):
    async with asyncio.timeout(5):
        return await line.receive()


@pytest.mark.parametrize(("server", "client"), [(3, 3), (4, 4), (4, 3)])
async def test_user_events_arrive_in_both_generations_of_the_protocol(sandbox, server, client):
    sandbox.amigocloud.sockets.protocol = server
    async with listening(sandbox, protocol=client) as line:
        created = await asyncio.to_thread(AmigoCloudHook().post, "/me/projects", {"name": "New"})
        event = await heard(line)
    assert event.name == "project:creation_succeeded"
    assert event.payload["project_id"] == created["id"]


async def test_the_socket_goes_through_no_proxy_to_this_machine(sandbox, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # no server listens there
    async with listening(sandbox):
        pass


async def test_a_change_of_a_dataset_reaches_its_subscribers(sandbox):
    async with listening(sandbox, dataset=seed.ASSETS) as line:
        sandbox.amigocloud.store.write("UPDATE dataset_1 SET value = 0")
        sandbox.amigocloud.store.write("UPDATE dataset_2001 SET floor = 9 WHERE number = 7")
        event = await heard(line)
    assert (event.name, event.payload["dataset_id"]) == ("realtime", seed.ASSETS)
    assert [set(one) for one in event.payload["data"]] == [{"object_id", "latitude", "longitude"}]


async def test_an_upload_sends_events_of_its_start_and_its_end(sandbox, tmp_path):
    path = tmp_path / "rooms.csv"
    path.write_text("name\nA\n")
    sandbox.amigocloud.job_latency = 0.05
    async with listening(sandbox) as line:
        job = await asyncio.to_thread(AmigoCloudHook().upload_file, str(path))
        events = [await heard(line) for _ in range(3)]
    assert [event.name for event in events] == [
        "project:process_file_started",
        "project:process_file_finished",
        "dataset:creation_succeeded",
    ]
    assert {(event.payload["job"], event.payload["filename"]) for event in events} == {(job, "rooms.csv")}


async def test_pings_keep_a_quiet_connection_alive(sandbox):
    sockets = sandbox.amigocloud.sockets
    sockets.ping_interval = 400  # After two of them without a frame, it counts as dead.
    for sockets.protocol in (3, 4):
        async with listening(sandbox, protocol=sockets.protocol) as line:
            waiting, pings = asyncio.create_task(line.receive()), sockets.heartbeats + 3
            await until(lambda pings=pings: sockets.heartbeats > pings)
            sockets.emit("later", {})
            assert (await waiting).name == "later"
    assert sockets.opened == 2


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_connection_that_is_silent_for_two_ping_intervals_counts_as_dead(sandbox, protocol):
    sockets = sandbox.amigocloud.sockets
    sockets.protocol, sockets.ping_interval = protocol, 100
    async with listening(sandbox, protocol=protocol) as line:
        sockets.silent = True
        with pytest.raises(TransportError, match="silent"):
            await heard(line)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_broken_connection_is_noticed(sandbox, how):
    async with listening(sandbox) as line:
        sandbox.amigocloud.sockets.disconnect() if how == "close" else sandbox.cut_connections()
        with pytest.raises(TransportError, match="broke|closed"):
            await heard(line)


async def test_a_session_is_good_for_one_connection(sandbox):
    async with listening(sandbox):
        pass
    async with listening(sandbox):
        assert len(sandbox.amigocloud.sockets.used) == 2


async def test_a_server_that_wants_protocol_4_says_so(sandbox):
    sockets = sandbox.amigocloud.sockets
    sockets.protocol, sockets.old_clients = 4, False
    with pytest.raises(RequestRejectedError, match="open the socket"):
        async with EventSocket(AmigoCloudHook()):
            raise AssertionError


async def test_a_refused_namespace_says_why(sandbox):
    sandbox.amigocloud.sockets.refusal = "maintenance"
    with pytest.raises(RequestRejectedError, match="maintenance"):
        async with EventSocket(AmigoCloudHook()):
            raise AssertionError


async def test_a_server_that_does_not_greet_is_given_up(sandbox, connect):
    sandbox.faults.add("delay", method="WEBSOCKET", seconds=5)
    with pytest.raises(TransportError, match="cannot be reached"):
        async with EventSocket(AmigoCloudHook(connect(extra={"connect_timeout": 0.2}))):
            raise AssertionError


async def test_a_project_token_may_not_listen(sandbox, connect):
    async with EventSocket(AmigoCloudHook(connect(password=seed.READ_PROJECT_TOKEN))) as line:
        with pytest.raises(PermissionDeniedError):
            await line.authenticate(seed.USER)


async def test_the_socket_may_be_elsewhere(sandbox, connect):
    url = sandbox.url.replace("http", "ws")
    conn_id = connect(extra={"websocket_url": f"{url}/v2_socket.io/other/"})
    assert AmigoCloudHook(conn_id).websocket_url == f"{url}/v2_socket.io/other/"
    async with listening(sandbox, conn_id):
        assert sandbox.counters.requests[SOCKET] == 1


def test_a_socket_in_clear_is_refused_but_on_this_machine(connect):
    with pytest.raises(InputError, match="websocket_url.*plain http"):
        _ = AmigoCloudHook(connect(extra={"websocket_url": "ws://example.com/v2_socket.io/"})).settings


def test_attempts_to_connect_wait_longer_each_time_up_to_a_limit():
    waits = [wait for wait, _ in zip(socket.backoff_delays(1.0, 8.0), range(50), strict=False)]
    assert all(0.5 * limit <= wait <= limit for wait, limit in zip(waits, [1, 2, 4, *[8] * 47], strict=True))


@pytest.mark.parametrize(("protocol", "said", "seconds"), [(3, 0.001, 1), (3, 9e9, 30), (4, 9e9, 300)])
def test_no_server_makes_us_ping_or_wait_for_ever(protocol, said, seconds, monkeypatch):
    monkeypatch.setattr(socket, "PING_LIMITS", PING_LIMITS)
    assert socket.limited_ping_interval(said, protocol) == seconds


async def test_a_connection_outlives_one_ping_without_answer_but_not_two(sandbox, monkeypatch):
    now, sent = [0.0], []

    async def send(self, text):
        sent.append(text)

    monkeypatch.setattr(EventSocket, "_now", staticmethod(lambda: now[0]))
    monkeypatch.setattr(EventSocket, "_send", send)
    line = EventSocket(AmigoCloudHook())
    line._url = "somewhere"
    for now[0] in (25.0, 50.0, 62.0):
        assert await line._keep_alive() > 0
    assert sent == ["2", "2"]
    now[0] = 63.0
    with pytest.raises(TransportError, match="silent for 63 s"):
        await line._keep_alive()


async def test_a_redirect_of_the_socket_is_not_followed(sandbox):
    place = f"{sandbox.url}/v2_socket.io/"
    fault = sandbox.faults.add("redirect", method="WEBSOCKET", location=place)
    with pytest.raises(RequestRejectedError, match="302"):
        async with EventSocket(AmigoCloudHook()):
            raise AssertionError
    assert (fault.hits, sandbox.amigocloud.sockets.opened) == (1, 0)


async def test_what_a_refusal_says_is_kept_short(sandbox):
    sandbox.amigocloud.sockets.refusal = "no " * 100_000
    with pytest.raises(RequestRejectedError) as caught:
        async with EventSocket(AmigoCloudHook()):
            raise AssertionError
    assert len(str(caught.value)) < 1000
