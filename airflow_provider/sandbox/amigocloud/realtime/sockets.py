"""Sockets that send events: Engine.IO 3 (or 4) with Socket.IO on a WebSocket.

A client may begin by polling, see :mod:`~airflow_provider.sandbox.amigocloud.realtime.polling`, and upgrade
to a WebSocket here.

Frames are those that the vendor's Java and Python clients were seen to exchange. The service's reply to a bad
session is not known. Here it is the hardest case for a client: no reply at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.switches import Switches

SOCKET_PATH = "/v2_socket.io"
"""Path of the socket; the real server, too, matches its beginning only."""
MOVED_PATH = "/v3_socket.io"
"""Path of the socket where it was moved; it is made up."""
NAMESPACE = "/amigosocket"
TICK = 0.02
"""Seconds between two checks for jobs that are due."""
CLOSE = "close"
"""Marks the end of the connection in a client's queue."""


@dataclass(eq=False)
class Connection:
    """One connected client.

    :param protocol: 3, where clients ping, or 4, where the server does.
    :param polls: whether the client fetches its packets, because it is not on a WebSocket (yet).
    :param joined: whether the client has joined the namespace.
    :param is_user: whether the client receives the user's events.
    :param datasets: ids of the datasets whose broadcasts the client receives.
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
        """Queue a frame, from any thread; without effect once the server has stopped."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.queue.put_nowait, frame)


class Sockets:
    """The connected clients, the events sent to them, and the switches for faults.

    - ``protocol``: 3, or 4 for a server that was upgraded; ``old_clients``: a server of protocol 4 accepts
      clients of protocol 3, too.
    - ``upgrades``: transports that a polling client may upgrade to; empty where a proxy blocks WebSockets.
    - ``ping_interval`` and ``ping_timeout`` in milliseconds, as the handshake announces them.
    - ``single_use``: a session is valid for one ``authenticate``.
    - ``lose``: number of next events that are dropped; ``lose_pongs``: number of next pings without reply.
    - ``heartbeats``: number of pings and pongs received so far.
    - ``silent``: connections stay open, but nothing is answered or sent any more.
    - ``refusal``: the error for clients that join the namespace; empty when they may.
    - ``opened``: number of connections so far.

    :param sessions: user and dataset of each websocket session.
    :param run_due_jobs: finishes the jobs that are due; called while clients are connected.
    :param switches: the account's switches, those of the socket's versions among them.
    """

    def __init__(
        self,
        sessions: Mapping[str, tuple[int, int | None]],
        run_due_jobs: Callable[[], None],
        switches: Switches,
    ) -> None:
        self.sessions = sessions
        self.run_due_jobs = run_due_jobs
        self.switches = switches
        self.connections: set[Connection] = set()
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

    # -- called by tests

    def listeners(self, dataset: int | None = None) -> int:
        """Count the clients authenticated for the user's events, or for those of a dataset."""
        return sum(_listens(connection, dataset) for connection in list(self.connections))

    def disconnect(self) -> None:
        """Close every connection."""
        for connection in list(self.connections):
            connection.put(CLOSE)

    def emit(self, name: str, payload: Mapping[str, Any], dataset: int | None = None) -> None:
        """Send an event to the user, or to the clients of a dataset; from any thread."""
        receivers = [
            connection
            for connection in list(self.connections)
            if connection.joined and _listens(connection, dataset)
        ]
        if self.silent or not receivers:
            return
        if self.lose > 0:
            self.lose -= 1
            return
        frame = f"42{NAMESPACE}," + json.dumps([name, payload], separators=(",", ":"), ensure_ascii=False)
        for connection in receivers:
            connection.put(frame)

    # -- the connection

    def open_connection(self, protocol: int) -> Connection:
        """Register a new client."""
        self.opened += 1
        connection = Connection(f"line-{self.opened}", protocol, asyncio.get_running_loop())
        self.connections.add(connection)
        return connection

    def speaks(self, version: int) -> bool:
        """Return whether the server takes clients of a version of Engine.IO."""
        is_new = self.protocol == 4 or self.switches.new_sockets
        if version == 4:
            return is_new
        return self.switches.old_sockets and (self.protocol == 3 or self.old_clients)

    def find_connection(self, sid: str) -> Connection | None:
        """Return the polling client of a session id."""
        return next((found for found in self.connections if found.sid == sid and found.polls), None)

    def handshake(self, connection: Connection) -> str:
        """Return the first packet of a connection."""
        content = {
            "sid": connection.sid,
            "upgrades": self.upgrades if connection.polls else [],
            "pingInterval": self.ping_interval,
            "pingTimeout": self.ping_timeout,
        }
        return "0" + json.dumps(content)

    async def serve(self, socket: WebSocket) -> None:
        """Exchange packets with a client until either side closes the connection."""
        wanted = 4 if socket.query_params.get("EIO") == "4" else 3
        if wanted == 3 and not self.speaks(3):
            body = {"code": 5, "message": "Unsupported protocol version"}
            await socket.send_denial_response(JSONResponse(body, 400))
            return
        polling = self.find_connection(socket.query_params.get("sid", ""))
        await socket.accept()
        if polling is None:
            new = self.open_connection(wanted if self.speaks(4) else 3)
            await self._exchange(socket, new, [self.handshake(new), *(["40"] if new.protocol == 3 else [])])
        elif await _upgrade(socket, polling):
            await self._exchange(socket, polling, [])

    async def _exchange(self, socket: WebSocket, connection: Connection, first: list[str]) -> None:
        works = (self._send(socket, connection), self._run_jobs())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            for packet in first:
                await socket.send_text(packet)
            async for text in _texts(socket):
                self.receive(connection, text)
        finally:
            self.connections.discard(connection)
            for task in tasks:
                task.cancel()

    async def _send(self, socket: WebSocket, connection: Connection) -> None:
        """Send queued frames, and the pings of protocol 4."""
        every = self.ping_interval / 1000 if connection.protocol == 4 else None
        while True:
            frame = "2"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    frame = await connection.queue.get()
            if frame == CLOSE:
                await socket.close(1001)
                return
            if not self.silent:
                await socket.send_text(frame)

    async def _run_jobs(self) -> None:
        """Finish due jobs while a client listens, not only when a request arrives."""
        while True:
            self.run_due_jobs()
            await asyncio.sleep(TICK)

    def receive(self, connection: Connection, text: str) -> None:
        """Handle a packet from a client."""
        if text.startswith(("2", "3")):
            self._heartbeat(connection, text)
        elif text.startswith(f"40{NAMESPACE}"):
            connection.joined = not self.refusal
            if self.refusal:
                connection.put(f"44{NAMESPACE},{json.dumps(self.refusal)}")
            else:
                connection.put(f"40{NAMESPACE}" + ("" if connection.protocol == 3 else ',{"sid":"one"}'))
        elif text.startswith(f"42{NAMESPACE},") and connection.joined:
            name, *arguments = json.loads(text.partition(",")[2])
            if name == "authenticate" and arguments:
                self._authenticate(connection, arguments[0])
        elif text.startswith((f"41{NAMESPACE}", "1")):
            connection.put(CLOSE)
            self.connections.discard(connection)

    def _heartbeat(self, connection: Connection, text: str) -> None:
        self.heartbeats += 1
        if text.startswith("2"):
            if self.lose_pongs > 0:
                self.lose_pongs -= 1
            else:
                connection.put("3" + text[1:])

    def _authenticate(self, connection: Connection, argument: Mapping[str, Any]) -> None:
        session = str(argument.get("websocket_session"))
        known = self.sessions.get(session)
        if known != (argument.get("userid"), argument.get("datasetid")) or session in self.used:
            return
        if self.single_use:
            self.used.add(session)
        dataset = known[1]
        if dataset is None:
            connection.is_user = True
        else:
            connection.datasets.add(dataset)


def _listens(connection: Connection, dataset: int | None) -> bool:
    return connection.is_user if dataset is None else dataset in connection.datasets


async def _upgrade(socket: WebSocket, connection: Connection) -> bool:
    """Answer a polling client's probe of a WebSocket; return whether the client has upgraded to it."""
    async for text in _texts(socket):
        if text == "2probe":
            await socket.send_text("3probe")
        elif text == "5":
            connection.polls = False
            return True
    return False


async def _texts(socket: WebSocket) -> AsyncIterator[str]:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            yield await socket.receive_text()
