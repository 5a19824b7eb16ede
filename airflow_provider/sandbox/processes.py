"""Several processes that serve one sandbox, for large loads of reading requests.

The parent accepts the connections and passes them to its children in turn. Each child has its own copy of the
services, made by a fork, so that what one of them writes the others do not see. Tokens and limits are shared;
a control request is repeated in each child, and the counters are added up.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import http.client
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.control import control_routes, guarded
from airflow_provider.sandbox.counters import report
from airflow_provider.sandbox.routing import CONTROL, Gateway, RouteTable, mounted_routes
from airflow_provider.sandbox.server import (
    LOAD_SECONDS,
    LOOPBACK,
    STOP_SECONDS,
    ReadyServer,
    Sandbox,
    listener,
)
from airflow_provider.sandbox.shared import SharedState

if TYPE_CHECKING:
    import threading

    import uvicorn
    from starlette.requests import Request
    from starlette.types import Scope

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
READY = b"r"
CONNECTION = b"c"


@dataclass
class Member:
    """A process of the group.

    :param number: its number, from 0.
    :param port: its own port for control requests.
    :param parent_end: the parent's end of a pair of sockets that passes connections; when it is closed, the
        process ends.
    :param child_end: the other end.
    :param control: the socket that listens on the port.
    :param pid: the process's id; 0 before it was forked.
    """

    number: int
    port: int
    parent_end: socket.socket
    child_end: socket.socket
    control: socket.socket
    pid: int = 0


class MemberSandbox(Sandbox):
    """A sandbox that is served by several processes."""

    member: Member
    ports: Sequence[int] = ()

    @property
    def listeners(self) -> list[socket.socket]:
        """The sockets of both origins."""
        return self._sockets

    def serve_as(self, member: Member, ports: Sequence[int]) -> None:
        """Serve connections that the parent passes, until the parent ends.

        :param ports: the control ports of all processes.
        """
        self.member, self.ports = member, ports
        self.around.member = member.number
        for service in self.services.values():
            service.after_fork(member.number)
        self._uncounted_ports = {member.port}
        gateway = self._gateway([Route("/{rest:path}", guarded(self._to_all), methods=_METHODS)])
        for opened in self._sockets:
            opened.close()
        self._sockets = [member.control]
        self._serve(gateway)
        member.child_end.send(READY)
        self.join()

    def _gateway(self, control: Sequence[BaseRoute]) -> Gateway:
        gateway = super()._gateway(control)
        own = RouteTable(mounted_routes(CONTROL, f"/{CONTROL}", control_routes(self)))
        gateway.origins = {self.member.port: own, **gateway.origins}
        return gateway

    def _new_server(self, config: uvicorn.Config, ready: threading.Event) -> ReadyServer:
        return _MemberServer(config, ready, self)

    def restart(self, seconds: float, scope: Scope | None = None) -> None:
        """Refuse: the parent accepts the connections.

        :raises ValueError: always.
        """
        raise ValueError("a restart is for one process, without --processes")

    def parent_has_ended(self) -> None:
        """Stop the server; called on the event loop."""
        self._connections.reset_all()
        self._server.should_exit = True

    async def _to_all(self, request: Request) -> Response:
        """Send a control request to all processes.

        Return their counters or the hits of faults together, else the first error or the first reply.
        """
        path = request.url.path
        counting = (request.method, path) == ("GET", f"/{CONTROL}/counters")
        sent = (request.method, f"{path}/dump" if counting else path, await request.body())
        replies = await asyncio.gather(*(asyncio.to_thread(_send, port, *sent) for port in self.ports))
        if counting:
            return JSONResponse(report(json.loads(body) for _, body in replies))
        if (request.method, path) == ("GET", f"/{CONTROL}/faults"):
            return JSONResponse(_added_faults([json.loads(body) for _, body in replies]))
        status, body = next((reply for reply in replies if reply[0] >= 400), replies[0])
        return Response(body, status, media_type="application/json" if body else None)


class _MemberServer(ReadyServer):
    """A server of connections that were accepted by another process."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event, sandbox: MemberSandbox) -> None:
        super().__init__(config, ready)
        self.sandbox = sandbox
        self._accepting: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        channel = self.sandbox.member.child_end
        asyncio.get_running_loop().add_reader(channel, self._receive, channel)
        await super().startup(sockets)

    def _receive(self, channel: socket.socket) -> None:
        content, passed, _, _ = socket.recv_fds(channel, 1, 1)
        if not content:
            asyncio.get_running_loop().remove_reader(channel)
            self.sandbox.parent_has_ended()
            return
        for number in passed:
            connection = socket.socket(fileno=number)
            connection.setblocking(False)
            task = asyncio.ensure_future(self._accept(connection))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _accept(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(self.new_protocol, connection)


def _added_faults(found: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the faults of all processes, which are the same, with their hits together."""
    return [
        {**same[0], **{name: sum(fault[name] for fault in same) for name in ("hits", "passed")}}
        for same in zip(*found, strict=False)
    ]


def _send(port: int, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=LOAD_SECONDS)
    try:
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


class ProcessGroup:
    """The parent of several processes that serve one sandbox.

    :param sandbox: the sandbox, which was not started.
    :param count: number of processes.
    """

    def __init__(self, sandbox: MemberSandbox, count: int) -> None:
        self.sandbox = sandbox
        self.count = count
        self.members: list[Member] = []

    def start(self) -> None:
        """Start the processes; return when all of them accept requests.

        :raises OSError: when a port is taken.
        :raises RuntimeError: when a process does not start.
        """
        self.sandbox.around.shared = SharedState()
        self.sandbox.create_services()
        self.sandbox.listen()
        self.members = [self._new_member(number) for number in range(self.count)]
        for service in self.sandbox.services.values():
            service.before_fork()
        # Data of the parent is shared with the children as long as neither changes it.
        gc.freeze()
        for member in self.members:
            self._fork(member)
        for member in self.members:
            member.child_end.close()
            member.control.close()
        for member in self.members:
            if member.parent_end.recv(1) != READY:
                self.stop()
                raise RuntimeError(f"process {member.number + 1} of {self.count} did not start")

    def run(self, stopped: int) -> int:
        """Pass connections to the processes until a byte can be read, or a process ends; return the status.

        :param stopped: file descriptor to read from.
        """
        turn = cycle(self.members)
        with selectors.DefaultSelector() as selector:
            selector.register(stopped, selectors.EVENT_READ)
            for member in self.members:
                selector.register(member.parent_end, selectors.EVENT_READ, member)
            for opened in self.sandbox.listeners:
                opened.setblocking(False)
                selector.register(opened, selectors.EVENT_READ, opened)
            while True:
                for key, _ in selector.select():
                    if isinstance(key.data, socket.socket):
                        _pass_on(key.data, turn)
                    elif key.data is None:
                        return 0
                    else:
                        return self._report_end(key.data)

    def stop(self) -> None:
        """End the processes, and wait for their end."""
        for member in self.members:
            member.parent_end.close()
        for opened in self.sandbox.listeners:
            opened.close()
        deadline = time.monotonic() + STOP_SECONDS
        for member in self.members:
            while member.pid and not _has_ended(member):
                if time.monotonic() > deadline:
                    os.kill(member.pid, signal.SIGKILL)
                time.sleep(0.02)
        self.sandbox.close_services()

    def _new_member(self, number: int) -> Member:
        control = listener(0)
        parent_end, child_end = socket.socketpair()
        return Member(number, control.getsockname()[1], parent_end, child_end, control)

    def _fork(self, member: Member) -> None:
        sys.stdout.flush()
        member.pid = os.fork()
        if member.pid:
            return
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent ends its processes.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for other in self.members:
                other.parent_end.close()
                if other is not member:
                    other.child_end.close()
                    other.control.close()
            self.sandbox.serve_as(member, [other.port for other in self.members])
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _report_end(self, member: Member) -> int:
        print(
            f"Process {member.number + 1} of {self.count} (pid {member.pid}) has ended; the sandbox stops.",
            file=sys.stderr,
        )
        return 1


def _pass_on(opened: socket.socket, turn: cycle[Member]) -> None:
    try:
        connection, _ = opened.accept()
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.ECONNABORTED}:
            return
        raise
    # A broken pipe is that of a process that has ended, which is reported next.
    with connection, suppress(BrokenPipeError):
        socket.send_fds(next(turn).parent_end, [CONNECTION], [connection.fileno()])


def _has_ended(member: Member) -> bool:
    try:
        pid, _ = os.waitpid(member.pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return pid == member.pid
