"""What goes wrong on purpose: on which route, in which way, how often."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "status": {"status": 500, "headers": {}, "body": "", "content_type": None},
    "html": {"status": 502},
    "reset_before": {},
    "reset_after": {},
    "truncate": {},
    "slow": {"seconds": 1.0, "pieces": 10},
    "delay": {"seconds": 1.0},
    "redirect": {"location": "/", "status": 302},
    "content_type": {"content_type": "text/html"},
}
"""The kinds of faults, with the options of each and their defaults."""

FOR_SOCKETS = {"reset_before", "delay", "redirect"}
"""The kinds that make sense for a request to open a WebSocket."""


@dataclass
class Fault:
    """One thing that goes wrong, and how often it did.

    :param kind: a key of :data:`OPTIONS`.
    :param service: only requests to this service (``leanix``); ``storage`` is the second origin.
    :param method: only this HTTP method.
    :param path: a regular expression searched in the path, the service's prefix included.
    :param times: how often it strikes; None is for ever.
    :param after: how many matching requests pass unharmed first.
    :param hits: how often it has struck.
    """

    kind: str
    service: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    after: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    passed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in OPTIONS:
            raise ValueError(f"no fault of kind {self.kind!r}; there are: {', '.join(OPTIONS)}")
        if unknown := set(self.options) - set(OPTIONS[self.kind]):
            raise ValueError(f"fault {self.kind!r} has no option {', '.join(sorted(unknown))}")
        self.options = {**OPTIONS[self.kind], **self.options}
        re.compile(self.path or "")

    def matches(self, service: str, method: str, path: str) -> bool:
        """Tell whether the fault is meant for such a request."""
        return (
            self.service in {None, service}
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or re.search(self.path, path) is not None)
            and (method != "WEBSOCKET" or self.kind in FOR_SOCKETS)
        )


class Faults:
    """The faults in force; safe to use from any thread."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        kind: str,
        *,
        service: str | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
        **options: Any,
    ) -> Fault:
        """Make something go wrong; see :class:`Fault` and, for the options of a kind, :data:`OPTIONS`.

        Of several faults that match a request, the one added first strikes.
        """
        fault = Fault(kind, service, method, path, times, after, options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """End one fault."""
        with self._lock:
            self._faults = [one for one in self._faults if one is not fault]

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._faults = []

    def active(self) -> list[Fault]:
        """List the faults that were added, exhausted ones included."""
        with self._lock:
            return list(self._faults)

    def take(self, service: str, method: str, path: str) -> Fault | None:
        """Find the fault that strikes this request, and count the hit."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(service, method, path):
                    continue
                if fault.passed < fault.after:
                    fault.passed += 1
                    continue
                if fault.times is None or fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None


class Connections:
    """The open TCP connections, so that a fault can cut the one that a request came on."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple[Any, Any], asyncio.Transport] = WeakValueDictionary()

    def add(self, transport: asyncio.Transport) -> None:
        """Remember a connection while it lives."""
        key = (transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2])
        self._open[key] = transport

    def of(self, scope: Scope) -> asyncio.Transport:
        """Find the connection that a request came on."""
        return self._open[(tuple(scope["server"]), tuple(scope["client"]))]

    def reset_all(self) -> None:
        """Cut every connection; to be called on the event loop."""
        for transport in list(self._open.values()):
            reset(transport)


def reset(transport: asyncio.Transport) -> None:
    """Cut a TCP connection hard: the other side sees a reset, whatever was still to be sent is lost."""
    if not transport.is_closing():
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


@dataclass
class Exchange:
    """One request under a fault, with what is needed to let it pass or to break it."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    transport: asyncio.Transport

    async def pass_on(self, send: Send | None = None) -> None:
        """Let the service act."""
        await self.app(self.scope, self.receive, send or self.send)

    async def act(self) -> tuple[Message, bytes]:
        """Let the service act, and keep its answer back: the start message and the whole body."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.pass_on(keep)
        return start, bytes(body)

    async def answer(self, response: Response) -> None:
        """Answer in the service's place; the request's body is read first, as a real server would."""
        while (await self.receive()).get("more_body"):
            pass
        await response(self.scope, self.receive, self.send)

    async def hung_up(self) -> None:
        """Wait until the connection is gone."""
        while (await self.receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
            pass

    async def cut(self) -> None:
        """Reset the connection."""
        reset(self.transport)
        if self.scope["type"] == "http":
            await self.hung_up()


async def _status(exchange: Exchange, options: Mapping[str, Any]) -> None:
    body, kind = options["body"], options["content_type"]
    if not isinstance(body, (str, bytes)):
        body, kind = json.dumps(body), kind or "application/json"
    headers = {name: str(value) for name, value in options["headers"].items()}
    await exchange.answer(Response(body, options["status"], headers, kind))


async def _html(exchange: Exchange, options: Mapping[str, Any]) -> None:
    title = f"{options['status']} {_phrase(options['status'])}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    await exchange.answer(Response(page, options["status"], media_type="text/html"))


def _phrase(status: int) -> str:
    from http import HTTPStatus

    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


async def _redirect(exchange: Exchange, options: Mapping[str, Any]) -> None:
    await exchange.answer(Response("", options["status"], {"location": options["location"]}))


async def _reset_before(exchange: Exchange, _: Mapping[str, Any]) -> None:
    await exchange.cut()


async def _reset_after(exchange: Exchange, _: Mapping[str, Any]) -> None:
    await exchange.act()
    await exchange.cut()


def _with_length(start: Message, length: int) -> Message:
    kept = [(k, v) for k, v in start["headers"] if k.lower() not in {b"content-length", b"transfer-encoding"}]
    return {**start, "headers": [*kept, (b"content-length", str(length).encode())]}


async def _truncate(exchange: Exchange, _: Mapping[str, Any]) -> None:
    start, body = await exchange.act()
    await exchange.send(_with_length(start, max(len(body), 1)))
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()  # what was written is sent, then the connection ends too early
    await exchange.hung_up()


async def _slow(exchange: Exchange, options: Mapping[str, Any]) -> None:
    start, body = await exchange.act()
    await exchange.send(_with_length(start, len(body)))
    size = max(1, -(-len(body) // options["pieces"]))
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    for piece in pieces:
        await asyncio.sleep(options["seconds"] / len(pieces))
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})


async def _delay(exchange: Exchange, options: Mapping[str, Any]) -> None:
    await asyncio.sleep(options["seconds"])
    await exchange.pass_on()


async def _content_type(exchange: Exchange, options: Mapping[str, Any]) -> None:
    async def relabel(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(k, v) for k, v in message["headers"] if k.lower() != b"content-type"]
            message = {**message, "headers": [*kept, (b"content-type", options["content_type"].encode())]}
        await exchange.send(message)

    await exchange.pass_on(relabel)


STRIKES: Mapping[str, Callable[[Exchange, Mapping[str, Any]], Awaitable[None]]] = {
    "status": _status,
    "html": _html,
    "reset_before": _reset_before,
    "reset_after": _reset_after,
    "truncate": _truncate,
    "slow": _slow,
    "delay": _delay,
    "redirect": _redirect,
    "content_type": _content_type,
}


class FaultMiddleware:
    """Lets requests through to an ASGI app, except where a fault strikes.

    :param app: what answers when nothing goes wrong; the scope's ``service`` says whose the request is.
    :param faults: what goes wrong.
    :param connections: the open connections, for faults that cut one.
    """

    def __init__(self, app: ASGIApp, faults: Faults, connections: Connections) -> None:
        self.app = app
        self.faults = faults
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = scope.get("method", "WEBSOCKET")
        fault = self.faults.take(scope["service"], method, scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
            return
        exchange = Exchange(self.app, scope, receive, send, self.connections.of(scope))
        await STRIKES[fault.kind](exchange, fault.options)
