"""Engine.IO 3 by HTTP polling, as the vendor's Python client begins every connection.

It asks for a session, posts its packets and fetches those of the server, until it moves to a WebSocket if it
is offered one. Packets come in the binary framing, the only one that this client reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from airflow_provider.sandbox.amigocloud.realtime.sockets import CLOSE, TICK

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.amigocloud.realtime.sockets import Line, Sockets

ENDED, NOTHING = "1", "6"


async def answer(sockets: Sockets, request: Request) -> Response:
    """Answer one request of a client that polls."""
    given = request.query_params
    if given.get("transport") != "polling":
        return _refused(0, "Transport unknown")
    if given.get("EIO") != "3" or (sockets.protocol == 4 and not sockets.old_clients):
        return _refused(5, "Unsupported protocol version")
    if "sid" not in given:
        line = sockets.open_line(3)
        line.polls = True
        return _framed([sockets.hello(line), "40"])
    found = sockets.line_of(given["sid"])
    if found is None:
        return _refused(1, "Session ID unknown")
    if request.method == "GET":
        return _framed(await _waiting(sockets, found, request))
    for packet in _unframed(await request.body()):
        sockets.take(found, packet)
    return Response("ok", media_type="text/html")


async def _waiting(sockets: Sockets, line: Line, request: Request) -> list[str]:
    """Give what a client has to be told, as soon as there is something."""
    now = asyncio.get_running_loop().time
    end = now() + (sockets.ping_interval + sockets.ping_timeout) / 1000
    while not (packets := _taken(sockets, line)):
        if not line.polls:
            return [NOTHING]
        if now() > end or await request.is_disconnected():
            packets = [CLOSE]
            break
        sockets.service.jobs.settle()
        await asyncio.sleep(TICK)
    if CLOSE in packets:
        sockets.lines.discard(line)
        return [ENDED]
    return packets


def _taken(sockets: Sockets, line: Line) -> list[str]:
    packets = []
    while line.polls and not line.queue.empty():
        packets.append(line.queue.get_nowait())
    return [packet for packet in packets if packet == CLOSE or not sockets.silent]


def _refused(code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, 400)


def _framed(packets: Iterable[str]) -> Response:
    """Put before each packet a zero, its length's digits as bytes, and 255."""
    body = bytearray()
    for packet in packets:
        raw = packet.encode()
        body += bytes([0, *map(int, str(len(raw))), 255]) + raw
    return Response(bytes(body), media_type="application/octet-stream")


def _unframed(body: bytes) -> Iterator[str]:
    at = 0
    while at < len(body):
        start = body.index(255, at) + 1
        at = start + int("".join(map(str, body[at + 1 : start - 1])))
        yield body[start:at].decode()
