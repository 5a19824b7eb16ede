"""Engine.IO 3 by HTTP polling, as the vendor's Python client begins every connection.

The client requests a session, posts its packets and fetches those of the server. When a WebSocket is offered,
the client upgrades to it. Packets come in the binary framing, the only framing that this client reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

from airflow_provider.sandbox.amigocloud.realtime.sockets import CLOSE, TICK

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.amigocloud.realtime.sockets import Connection, Sockets

CLOSE_PACKET, NOOP_PACKET = "1", "6"


async def answer(sockets: Sockets, request: Request) -> Response:
    """Answer a request of a polling client."""
    given = request.query_params
    if given.get("transport") != "polling":
        return _refuse(0, "Transport unknown")
    version = 4 if given.get("EIO") == "4" else 3
    if given.get("EIO") not in {"3", "4"} or not sockets.speaks(version):
        return _refuse(5, "Unsupported protocol version")
    if "sid" not in given:
        connection = sockets.open_connection(version)
        if version == 4:
            # Clients of this version continue on a WebSocket of its own.
            connection.polls = True
            return PlainTextResponse(sockets.handshake(connection))
        connection.polls = True
        return _encode([sockets.handshake(connection), "40"])
    found = sockets.find_connection(given["sid"])
    if found is None:
        return _refuse(1, "Session ID unknown")
    if request.method == "GET":
        return _encode(await _wait_for_packets(sockets, found, request))
    for packet in _decode(await request.body()):
        sockets.receive(found, packet)
    return Response("ok", media_type="text/html")


async def _wait_for_packets(sockets: Sockets, connection: Connection, request: Request) -> list[str]:
    """Return a client's packets as soon as there are any."""
    now = asyncio.get_running_loop().time
    end = now() + (sockets.ping_interval + sockets.ping_timeout) / 1000
    while not (packets := _take_packets(sockets, connection)):
        if not connection.polls:
            return [NOOP_PACKET]
        if now() > end or await request.is_disconnected():
            packets = [CLOSE]
            break
        sockets.run_due_jobs()
        await asyncio.sleep(TICK)
    if CLOSE in packets:
        sockets.connections.discard(connection)
        return [CLOSE_PACKET]
    return packets


def _take_packets(sockets: Sockets, connection: Connection) -> list[str]:
    packets = []
    while connection.polls and not connection.queue.empty():
        packets.append(connection.queue.get_nowait())
    return [packet for packet in packets if packet == CLOSE or not sockets.silent]


def _refuse(code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, 400)


def _encode(packets: Iterable[str]) -> Response:
    """Return packets in the binary framing: before each a zero, its length's digits as bytes, and 255."""
    body = bytearray()
    for packet in packets:
        raw = packet.encode()
        body += bytes([0, *map(int, str(len(raw))), 255]) + raw
    return Response(bytes(body), media_type="application/octet-stream")


def _decode(body: bytes) -> Iterator[str]:
    at = 0
    while at < len(body):
        start = body.index(255, at) + 1
        at = start + int("".join(map(str, body[at + 1 : start - 1])))
        yield body[start:at].decode()
