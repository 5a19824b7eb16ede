"""The socket that tells what happens: Engine.IO 3 (or 4) with Socket.IO on a WebSocket.

A client may begin by polling, see :mod:`~airflow_provider.sandbox.amigocloud.realtime.polling`, and move
here.

Frames are those that the vendor's Java and Python clients were seen to exchange. What the service does with a
bad session is not known; here it is the hardest case for a client: nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService

PATH = "/v2_socket.io/{rest:path}"
"""The real server finds its clients by the beginning of the path, too."""
NAMESPACE = "/amigosocket"
TICK = 0.02
CLOSE = "close"
"""Stands in a client's queue for the end of the connection."""


@dataclass(eq=False)
class Line:
    """One connected client.

    :param protocol: 3, where clients ping, or 4, where the server does.
    :param polls: whether it fetches its packets, because it is not on a WebSocket (yet).
    :param datasets: ids of the datasets whose broadcasts it gets.
    :param is_user: whether it gets the user's events.
    """

    sid: str
    protocol: int
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    polls: bool = False
    joined: bool = False
    is_user: bool = False
    datasets: set[int] = field(default_factory=set)

    def put(self, frame: str) -> None:
        """Send a frame, from any thread; nothing happens once the server is gone."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.queue.put_nowait, frame)


class Sockets:
    """The connected clients, what they are told, and the switches for what goes wrong.

    - ``protocol``: 3, or 4 for a server that was upgraded; ``old_clients``: a server of protocol 4 takes
      clients of protocol 3, too.
    - ``upgrades``: what a client that polls may move to; empty where a proxy lets no WebSocket through.
    - ``ping_interval`` and ``ping_timeout`` in milliseconds, as the handshake says them.
    - ``single_use``: a session is good for one ``authenticate``.
    - ``lose``: how many coming events are lost on their way; ``lose_pongs``: how many answers to pings.
    - ``heartbeats``: how often clients have shown that they live, so far.
    - ``silent``: connections stay open, but nothing is answered or sent any more.
    - ``refusal``: why nobody may join the namespace; empty when all may.
    - ``opened``: connections so far.
    """

    def __init__(self, service: AmigoCloudService) -> None:
        self.service = service
        self.lines: set[Line] = set()
        self.used: set[str] = set()
        self.opened = 0
        self.protocol = 3
        self.old_clients = True
        self.upgrades = ["websocket"]
        self.ping_interval = 25_000
        self.ping_timeout = 60_000
        self.single_use = True
        self.lose = 0
        self.lose_pongs = 0
        self.heartbeats = 0
        self.silent = False
        self.refusal = ""

    # -- what tests do and see

    def listeners(self, dataset: int | None = None) -> int:
        """Count who has authenticated for the user's events, or for those of a dataset."""
        lines = list(self.lines)
        return sum(line.is_user if dataset is None else dataset in line.datasets for line in lines)

    def disconnect(self) -> None:
        """Close every connection."""
        for line in list(self.lines):
            line.put(CLOSE)

    def emit(self, name: str, payload: Mapping[str, Any], dataset: int | None = None) -> None:
        """Tell an event to the user, or to those who listen to a dataset; from any thread."""
        receivers = [
            line
            for line in list(self.lines)
            if line.joined and (line.is_user if dataset is None else dataset in line.datasets)
        ]
        if self.silent or not receivers:
            return
        if self.lose > 0:
            self.lose -= 1
            return
        frame = f"42{NAMESPACE}," + json.dumps([name, payload], separators=(",", ":"), ensure_ascii=False)
        for line in receivers:
            line.put(frame)

    # -- the connection

    def open_line(self, protocol: int) -> Line:
        """Take a new client."""
        self.opened += 1
        line = Line(f"line-{self.opened}", protocol, asyncio.get_running_loop())
        self.lines.add(line)
        return line

    def line_of(self, sid: str) -> Line | None:
        """Find a client that polls by its session id."""
        return next((line for line in self.lines if line.sid == sid and line.polls), None)

    def hello(self, line: Line) -> str:
        """Spell the first packet of a connection."""
        said = {
            "sid": line.sid,
            "upgrades": self.upgrades if line.polls else [],
            "pingInterval": self.ping_interval,
            "pingTimeout": self.ping_timeout,
        }
        return "0" + json.dumps(said)

    async def serve(self, socket: WebSocket) -> None:
        """Talk to one client until it leaves, or is cut off."""
        wanted = 4 if socket.query_params.get("EIO") == "4" else 3
        if self.protocol == 4 and wanted == 3 and not self.old_clients:
            body = {"code": 5, "message": "Unsupported protocol version"}
            await socket.send_denial_response(JSONResponse(body, 400))
            return
        polling = self.line_of(socket.query_params.get("sid", ""))
        await socket.accept()
        if polling is None:
            line = self.open_line(min(wanted, self.protocol))
            await self._talk(socket, line, [self.hello(line), *(["40"] if line.protocol == 3 else [])])
        elif await _moves(socket, polling):
            await self._talk(socket, polling, [])

    async def _talk(self, socket: WebSocket, line: Line, first: list[str]) -> None:
        tasks = [asyncio.ensure_future(work) for work in (self._send(socket, line), self._settle())]
        try:
            for packet in first:
                await socket.send_text(packet)
            async for text in _texts(socket):
                self.take(line, text)
        finally:
            self.lines.discard(line)
            for task in tasks:
                task.cancel()

    async def _send(self, socket: WebSocket, line: Line) -> None:
        """Send what is queued, and the pings of protocol 4."""
        every = self.ping_interval / 1000 if line.protocol == 4 else None
        while True:
            frame = "2"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    frame = await line.queue.get()
            if frame == CLOSE:
                await socket.close(1001)
                return
            if not self.silent:
                await socket.send_text(frame)

    async def _settle(self) -> None:
        """Let jobs end while somebody listens, not only when somebody asks."""
        while True:
            self.service.jobs.settle()
            await asyncio.sleep(TICK)

    def take(self, line: Line, text: str) -> None:
        """Act on a packet that a client has sent."""
        if text.startswith(("2", "3")):
            self._heartbeat(line, text)
        elif text.startswith(f"40{NAMESPACE}"):
            line.joined = not self.refusal
            if self.refusal:
                line.put(f"44{NAMESPACE},{json.dumps(self.refusal)}")
            else:
                line.put(f"40{NAMESPACE}" + ("" if line.protocol == 3 else ',{"sid":"one"}'))
        elif text.startswith(f"42{NAMESPACE},") and line.joined:
            name, *arguments = json.loads(text.partition(",")[2])
            if name == "authenticate" and arguments:
                self._authenticate(line, arguments[0])
        elif text.startswith((f"41{NAMESPACE}", "1")):
            line.put(CLOSE)
            self.lines.discard(line)

    def _heartbeat(self, line: Line, text: str) -> None:
        self.heartbeats += 1
        if text.startswith("2"):
            if self.lose_pongs > 0:
                self.lose_pongs -= 1
            else:
                line.put("3" + text[1:])

    def _authenticate(self, line: Line, said: Mapping[str, Any]) -> None:
        session = str(said.get("websocket_session"))
        known = self.service.websocket_sessions.get(session)
        if known != (said.get("userid"), said.get("datasetid")) or session in self.used:
            return
        if self.single_use:
            self.used.add(session)
        dataset = known[1]
        if dataset is None:
            line.is_user = True
        else:
            line.datasets.add(dataset)


async def _moves(socket: WebSocket, line: Line) -> bool:
    """Let a client that polls try a WebSocket; tells whether it has moved there."""
    async for text in _texts(socket):
        if text == "2probe":
            await socket.send_text("3probe")
        elif text == "5":
            line.polls = False
            return True
    return False


async def _texts(socket: WebSocket) -> AsyncIterator[str]:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            yield await socket.receive_text()


def announce_states(service: AmigoCloudService, numbers: Iterable[int]) -> None:
    """Broadcast the objects of each dataset that has a new state, as ``realtime``."""
    for number in numbers:
        if service.sockets.listeners(number):
            payload = {"dataset_id": number, "data": service.store.latest_objects(number)}
            service.sockets.emit("realtime", payload, number)
