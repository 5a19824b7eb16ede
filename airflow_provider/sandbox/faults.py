"""Fault injection: failures of chosen requests, by kind, route and number."""

from __future__ import annotations

import asyncio
import json
import math
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
    "stray_404": {},
}
"""Kinds of faults, with the options of each kind and their defaults."""

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "WEBSOCKET")


def _is_number(value: Any, least: float, most: float = math.inf, *, whole: bool = True) -> bool:
    kinds = (int,) if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError):
        return False
    return True


_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "method": (lambda value: value is None or str(value).upper() in METHODS, f"one of {', '.join(METHODS)}"),
    "path": (lambda value: value is None or _is_pattern(value), "a regular expression"),
    "times": (lambda value: value is None or _is_number(value, 1), "a whole number of at least 1, or null"),
    "after": (lambda value: _is_number(value, 0), "a whole number of at least 0"),
    "status": (lambda value: _is_number(value, 200, 599), "a whole number from 200 to 599"),
    "headers": (lambda value: isinstance(value, Mapping), "an object"),
    "seconds": (lambda value: _is_number(value, 0, whole=False), "a number of at least 0"),
    "pieces": (lambda value: _is_number(value, 1), "a whole number of at least 1"),
    "location": (lambda value: isinstance(value, str), "a text"),
    "content_type": (lambda value: value is None or isinstance(value, str), "a text"),
}
"""What the values of a fault must be, with the words for it."""

NOT_FOUND: Mapping[str, Any] = {
    "mapsindoors": {"title": "Not Found", "status": 404},
    "amigocloud": {"detail": "Not found."},
    "iotstudio": {"error": {"status": 404, "message": "Item not found"}},
    "leanix": {"errors": ["Not found"]},
}
"""Body of each service's 404, for the fault ``stray_404``: the reply to a request for an item that exists."""

WITHOUT_BODY = {204, 304}
"""Status of replies that have no body: ``truncate`` cuts their head."""

FOR_SOCKETS = {"reset_before", "delay", "redirect"}
"""Kinds that apply to a request to open a WebSocket."""


@dataclass
class Fault:
    """An injected failure, and the number of its hits.

    :param kind: a key of :data:`OPTIONS`.
    :param service: only requests to this service (``leanix``); ``storage`` is the second origin.
    :param method: only requests with this HTTP method.
    :param path: only requests whose path, with the service's prefix, matches this regular expression
        (:func:`re.search`).
    :param times: maximum number of hits; None is unlimited.
    :param after: number of matching requests that pass first.
    :param options: options of the kind; see :data:`OPTIONS`.
    :param hits: number of requests that were hit.
    :param passed: number of matching requests that have passed.
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
            raise ValueError(f"no fault of kind {self.kind!r}; the kinds are: {', '.join(OPTIONS)}")
        if unknown := set(self.options) - set(OPTIONS[self.kind]):
            raise ValueError(f"fault {self.kind!r} has no option {', '.join(sorted(unknown))}")
        self.options = {**OPTIONS[self.kind], **self.options}
        values = {"method": self.method, "path": self.path, "times": self.times, "after": self.after}
        for name, value in {**values, **self.options}.items():
            if name in _VALUES and not _VALUES[name][0](value):
                raise ValueError(f"{name} must be {_VALUES[name][1]}, not {value!r:.100}")

    def matches(self, service: str, method: str, path: str) -> bool:
        """Return whether the fault applies to a request."""
        return (
            self.service in {None, service}
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or re.search(self.path, path) is not None)
            and (method != "WEBSOCKET" or self.kind in FOR_SOCKETS)
        )


class Faults:
    """The injected faults; safe to use from any thread.

    :ivar services: names of the services of the sandbox; empty before its start.
    """

    def __init__(self) -> None:
        self.services: frozenset[str] = frozenset()
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
        """Inject a fault; see :class:`Fault` and, for the options of a kind, :data:`OPTIONS`.

        When several faults match a request, the fault added first hits it.

        :raises ValueError: for a fault that no request could hit, or that could not be made.
        """
        fault = Fault(kind, service, method, path, times, after, options)
        if service is not None and self.services and service not in self.services:
            raise ValueError(f"service must be one of {', '.join(sorted(self.services))}, not {service!r}")
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Remove a fault."""
        with self._lock:
            self._faults = [other for other in self._faults if other is not fault]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults = []

    def active(self) -> list[Fault]:
        """Return the faults that were added, including those that have reached their maximum of hits."""
        with self._lock:
            return list(self._faults)

    def take(self, service: str, method: str, path: str) -> Fault | None:
        """Return the fault that hits a request, and count the hit; None when no fault does."""
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
    """Open TCP connections, so that a fault can reset the connection of a request."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple[Any, Any], asyncio.Transport] = WeakValueDictionary()

    def add(self, transport: asyncio.Transport) -> None:
        """Register a connection while it is open."""
        key = (transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2])
        self._open[key] = transport

    def of(self, scope: Scope) -> asyncio.Transport:
        """Return the connection of a request."""
        return self._open[(tuple(scope["server"]), tuple(scope["client"]))]

    def reset_all(self, but: asyncio.Transport | None = None) -> None:
        """Reset every connection; must be called on the event loop.

        :param but: a connection that stays.
        """
        for transport in list(self._open.values()):
            if transport is not but:
                reset(transport)


def reset(transport: asyncio.Transport) -> None:
    """Reset a TCP connection: the peer gets an RST, and unsent data is discarded."""
    if not transport.is_closing():
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


@dataclass
class Exchange:
    """A request that a fault has hit, with the means to forward it or to fail it."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    transport: asyncio.Transport

    async def pass_on(self, send: Send | None = None) -> None:
        """Forward the request to the service."""
        await self.app(self.scope, self.receive, send or self.send)

    async def act(self) -> tuple[Message, bytes]:
        """Forward the request; return the reply's start message and body instead of sending them."""
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.pass_on(collect)
        return start, bytes(body)

    async def answer(self, response: Response) -> None:
        """Send a response instead of the service; the request's body is read first, as by a real server."""
        while (await self.receive()).get("more_body"):
            pass
        await response(self.scope, self.receive, self.send)

    async def hung_up(self) -> None:
        """Wait until the connection is closed."""
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


async def _stray_404(exchange: Exchange, _: Mapping[str, Any]) -> None:
    body = NOT_FOUND.get(exchange.scope["service"], "Not Found")
    await _status(exchange, {**OPTIONS["status"], "status": 404, "body": body})


async def _redirect(exchange: Exchange, options: Mapping[str, Any]) -> None:
    await exchange.answer(Response("", options["status"], {"location": options["location"]}))


async def _reset_before(exchange: Exchange, _: Mapping[str, Any]) -> None:
    await exchange.cut()


async def _reset_after(exchange: Exchange, _: Mapping[str, Any]) -> None:
    await exchange.act()
    await exchange.cut()


def _with_length(start: Message, length: int) -> Message:
    dropped = {b"content-length", b"transfer-encoding"}
    headers = [(name, value) for name, value in start["headers"] if name.lower() not in dropped]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _truncate(exchange: Exchange, _: Mapping[str, Any]) -> None:
    start, body = await exchange.act()
    if start["status"] in WITHOUT_BODY:
        exchange.transport.write(b"HTTP/1")
    else:
        await exchange.send(_with_length(start, max(len(body), 1)))
        await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()  # written data is sent, then the connection is closed too early
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
            others = [pair for pair in message["headers"] if pair[0].lower() != b"content-type"]
            message = {**message, "headers": [*others, (b"content-type", options["content_type"].encode())]}
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
    "stray_404": _stray_404,
}
"""The implementation of each kind of fault."""


class FaultMiddleware:
    """ASGI middleware that forwards requests to an app unless a fault hits them.

    :param app: the app; the scope's ``service`` is the service of a request.
    :param faults: the injected faults.
    :param connections: the open connections, for faults that reset them.
    """

    def __init__(self, app: ASGIApp, faults: Faults, connections: Connections) -> None:
        self.app = app
        self.faults = faults
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward or fail a request."""
        method = scope.get("method", "WEBSOCKET")
        fault = self.faults.take(scope["service"], method, scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
            return
        exchange = Exchange(self.app, scope, receive, send, self.connections.of(scope))
        await STRIKES[fault.kind](exchange, fault.options)
