"""A broker, or any device that publishes to it, that sends what it likes: one packet costs little memory."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from airflow_provider import errors
from airflow_provider.core.push import broker as broker_module
from airflow_provider.core.push.broker import Broker, BrokerConnection
from airflow_provider.core.push.listener import MAX_PAYLOAD_BYTES

SIZE = 100_000_000
PACKETS = {
    "a publication of nothing": b"\x30\x00",
    "a topic without its end": b"\x30\x04\xff\xffab",
    "a publication without its number": b"\x32\x03\x00\x01a",
    "a subscription of nothing": b"\x90\x00",
    "an unknown answer to a subscription": b"\x90\x03\x00\x01\x77",
    "an acceptance of one byte": b"\x20\x01\x00",
    "a packet of no kind": b"\x00\x00",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\xff",
}

Serve = Callable[..., Broker]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a broker, which accepts one client and sends the same blocks to it."""
    listeners: list[socket.socket] = []

    def start(*blocks: bytes) -> Broker:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_serve, args=(listener, blocks), daemon=True).start()
        port = listener.getsockname()[1]
        return Broker(f"mqtt://127.0.0.1:{port}", "127.0.0.1", port, tls=False)

    yield start
    for listener in listeners:
        listener.close()


def _serve(listener: socket.socket, blocks: tuple[bytes, ...]) -> None:
    with suppress(OSError):
        client, _ = listener.accept()
        with client:
            client.settimeout(30)
            client.recv(1000)
            client.sendall(b"\x20\x02\x00\x00")
            for block in blocks:
                client.sendall(block)
            while client.recv(1000):
                pass


def published(payload: int) -> bytes:
    """Return the beginning of a publication on the topic ``a``, without its payload."""
    length, out = payload + 3, b""
    while True:
        length, seven = divmod(length, 128)
        out += bytes([seven | (128 if length else 0)])
        if not length:
            return b"\x30" + out + b"\x00\x01a"


@asynccontextmanager
async def received(broker: Broker) -> AsyncIterator[tuple[BrokerConnection, asyncio.Queue[bytes]]]:
    """Yield a connection, and what it receives."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def receive(_: str, payload: bytes) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, payload)

    async with BrokerConnection(broker, receive) as connection:
        yield connection, queue


async def test_a_message_of_any_length_takes_little_memory(serve: Serve) -> None:
    broker = serve(
        published(SIZE), *[bytes(1 << 20)] * (SIZE >> 20), bytes(SIZE % (1 << 20)), published(2), b"{}"
    )
    before = psutil.Process().memory_info().rss
    async with received(broker) as (_, queue), asyncio.timeout(60):
        first, second = await queue.get(), await queue.get()
    assert psutil.Process().memory_info().rss - before < 20_000_000
    assert MAX_PAYLOAD_BYTES < len(first) < 2 * broker_module.MAX_KEPT_BYTES, "it is known to be too large"
    assert second == b"{}"


@pytest.mark.parametrize("packet", PACKETS)
async def test_what_is_no_packet_breaks_the_connection(packet: str, serve: Serve) -> None:
    """So it is opened again; a thread that ends by itself would leave a watcher that hears nothing."""
    async with received(serve(PACKETS[packet])) as (connection, _), asyncio.timeout(20):
        with pytest.raises(errors.TransportError, match="has broken"):
            await connection.broken


async def test_a_topic_that_the_answer_leaves_out_is_not_subscribed_to(serve: Serve) -> None:
    async with received(serve(b"\x90\x03\x00\x01\x00")) as (connection, _), asyncio.timeout(20):
        assert await connection.subscribe(["a", "b"]) == {"b"}
