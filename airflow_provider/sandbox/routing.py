"""Routing: find the route of a request among all services, count the request, and apply faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Mount

from airflow_provider.sandbox.faults import Connections, FaultMiddleware, Faults
from airflow_provider.sandbox.service import Service, Surroundings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STORAGE = "storage"
CONTROL = "_sandbox"
UNKNOWN = "(no such route)"
"""Template of requests without a route, in the counters."""

FAILED: Message = {"type": "http.response.start", "status": 500}
"""Count of the reply that the server sends when a handler has raised an error; it is not sent itself."""


@dataclass(frozen=True)
class MountedRoute:
    """A route with its service and the prefix at which it is mounted."""

    service: str
    prefix: str
    route: BaseRoute

    @property
    def template(self) -> str:
        """The route's path below the prefix of its service, parameters in braces."""
        inner = self.prefix.removeprefix(f"/{self.service}")
        return inner + str(getattr(self.route, "path", ""))


@dataclass(frozen=True)
class MatchedRoute:
    """The route of a request, with the scope for its handler."""

    mounted: MountedRoute
    scope: Scope


class RouteTable:
    """The routes of an origin, so that few of its hundreds are compared with the path of a request.

    :param routes: the routes; an earlier one goes before a later one.
    """

    def __init__(self, routes: Iterable[MountedRoute]) -> None:
        self.services: set[str] = set()
        self._exact: dict[tuple[str, int], dict[int, MountedRoute]] = {}
        self._greedy: list[MountedRoute] = []
        for number, mounted in enumerate(routes):
            self.services.add(mounted.service)
            if ":path}" in mounted.template:
                self._greedy.append(mounted)
            else:  # A parameter does not reach over a slash.
                slashes = mounted.prefix.count("/") + str(getattr(mounted.route, "path", "")).count("/")
                self._exact.setdefault((mounted.prefix, slashes), {})[number] = mounted
        self._prefixes = {prefix for prefix, _ in self._exact}

    def exact(self, path: str) -> list[MountedRoute]:
        """Return the routes that may have a path, but for those with a parameter of any path."""
        found: dict[int, MountedRoute] = {}
        for prefix in self._prefixes:
            if path.startswith(prefix + "/"):
                found |= self._exact.get((prefix, path.count("/")), {})
        return [found[number] for number in sorted(found)]

    def greedy(self, path: str) -> list[MountedRoute]:
        """Return the routes with a parameter of any path that may have a path."""
        return [mounted for mounted in self._greedy if path.startswith(mounted.prefix + "/")]


def mounted_routes(service: str, prefix: str, routes: Iterable[BaseRoute]) -> Iterator[MountedRoute]:
    """Yield the routes of a service, with nested mounts flattened."""
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            yield from mounted_routes(service, prefix + route.path, route.routes)
        else:
            yield MountedRoute(service, prefix, route)


def api_routes(services: Iterable[Service], control: Sequence[BaseRoute]) -> RouteTable:
    """Return the routes of the API origin: of each service below its prefix, and at the root."""
    out = list(mounted_routes(CONTROL, f"/{CONTROL}", control))
    for service in services:
        out += mounted_routes(service.name, f"/{service.name}", service.routes())
        out += mounted_routes(service.name, "", service.root_routes())
    return RouteTable(out)


def storage_routes(services: Iterable[Service]) -> RouteTable:
    """Return the routes of the storage origin."""
    return RouteTable(
        mounted for service in services for mounted in mounted_routes(STORAGE, "", service.storage_routes())
    )


def match_route(routes: RouteTable, scope: Scope) -> MatchedRoute | None:
    """Return the route of a request, whose path may lack or have a trailing slash; None without a route.

    The path is matched as it was sent, so that a percent-encoded slash stays inside its segment. Routes of
    any path (``{rest:path}``) come last. A route with another method is returned when no route has both.
    """
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    other = raw[:-1] if raw.endswith("/") else raw + "/"
    partial: MatchedRoute | None = None
    for path, candidates in ((raw, routes.exact), (other, routes.exact), (raw, routes.greedy)):
        for mounted in candidates(path):
            match, child = mounted.route.matches({**scope, "path": path, "root_path": mounted.prefix})
            if match is Match.NONE:
                continue
            params = child.get("path_params", {})
            child["path_params"] = {
                name: unquote(value) if isinstance(value, str) else value for name, value in params.items()
            }
            matched = MatchedRoute(mounted, {"root_path": mounted.prefix, **child})
            if match is Match.FULL:
                return matched
            partial = partial or matched
    return partial


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """Call the handler of a request's route, or answer 404."""
    matched: MatchedRoute | None = scope["matched"]
    if matched is not None:
        scope.update(matched.scope)
        await matched.mounted.route.handle(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
    else:
        await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)


class Gateway:
    """The sandbox as one ASGI app: match the route, count the request, apply faults, call the handler.

    :param origins: routes by port; the last port is that of the storage.
    :param around: the clock, for the replies' date, and the counters of requests.
    :param faults: the injected faults.
    :param connections: the open connections.
    """

    def __init__(
        self,
        origins: dict[int, RouteTable],
        around: Surroundings,
        faults: Faults,
        connections: Connections,
    ) -> None:
        self.origins = origins
        self.clock = around.clock
        self.counters = around.counters
        self._app: ASGIApp = ExceptionMiddleware(dispatch)
        self._faulty_app: ASGIApp = FaultMiddleware(self._app, faults, connections)
        self.storage_port = list(origins)[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; each reply has the sandbox's date."""
        send = self._with_date(send)
        port = scope["server"][1]
        matched = match_route(self.origins[port], scope)
        scope["matched"] = matched
        scope["service"] = matched.mounted.service if matched else self._guess_service(scope["path"], port)
        if scope["service"] == CONTROL:
            await self._app(scope, receive, send)
            return
        resets = self.counters.resets
        send = self._counted(scope, matched, send)
        try:
            await self._faulty_app(scope, receive, send)
        except ClientDisconnect:
            pass  # the client has closed the connection
        except Exception:
            await send(FAILED)
            raise
        finally:
            self.counters.end(resets)

    def _with_date(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = [name.lower() for name, _ in message["headers"]]
                if b"date" not in known:
                    date = formatdate(self.clock.now(), usegmt=True).encode()
                    message = {**message, "headers": [(b"date", date), *message["headers"]]}
            await send(message)

        return dated

    def _guess_service(self, path: str, port: int) -> str:
        if port == self.storage_port:
            return STORAGE
        first = path.split("/")[1]
        return first if first in self.origins[port].services else "-"

    def _counted(self, scope: Scope, matched: MatchedRoute | None, send: Send) -> Send:
        """Count a request; return the function that sends its reply and counts the status."""
        template = matched.mounted.template if matched else UNKNOWN
        key = f"{scope['service']} {scope.get('method', 'WEBSOCKET')} {template}"
        clears = self.counters.begin(key)
        replied = False

        async def counted(message: Message) -> None:
            nonlocal replied
            status = _status_of(message)
            if status and not replied:
                replied = True
                self.counters.reply(key, status, clears)
            if message is not FAILED:
                await send(message)

        return counted


def _status_of(message: Message) -> int:
    """Return the HTTP status that a message begins a reply with; 0 for other messages."""
    if message["type"] == "websocket.accept":
        return 101
    if message["type"] == "websocket.close":
        return 403
    return int(message["status"]) if message["type"] == "http.response.start" else 0
