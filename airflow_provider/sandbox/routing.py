"""Finds the route of a request, whichever service it belongs to, and counts it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Mount

from airflow_provider.sandbox.faults import Connections, FaultMiddleware, Faults
from airflow_provider.sandbox.service import Counters, Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

STORAGE = "storage"
CONTROL = "_sandbox"
UNKNOWN = "(no such route)"


@dataclass(frozen=True)
class Place:
    """One route and where it is mounted."""

    service: str
    prefix: str
    route: BaseRoute

    @property
    def template(self) -> str:
        """The route's path below the prefix of its service, parameters in braces."""
        inner = self.prefix.removeprefix(f"/{self.service}")
        return inner + str(getattr(self.route, "path", ""))


@dataclass(frozen=True)
class Found:
    """The route of one request, and the scope it wants."""

    place: Place
    scope: Scope


def places(service: str, prefix: str, routes: Iterable[BaseRoute]) -> Iterator[Place]:
    """Flatten routes and nested mounts."""
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            yield from places(service, prefix + route.path, route.routes)
        else:
            yield Place(service, prefix, route)


def api_places(services: Iterable[Service], control: Sequence[BaseRoute]) -> list[Place]:
    """List what the first origin serves: each service below its prefix, and what they have at the root."""
    out = list(places(CONTROL, f"/{CONTROL}", control))
    for service in services:
        out += places(service.name, f"/{service.name}", service.routes())
        out += places(service.name, "", service.root_routes())
    return out


def storage_places(services: Iterable[Service]) -> list[Place]:
    """List what the second origin serves."""
    return [place for service in services for place in places(STORAGE, "", service.storage_routes())]


def find(among: Sequence[Place], scope: Scope) -> Found | None:
    """Find the route of a request, with or without a trailing slash.

    Matching is done on the path as it was sent, so that a quoted slash stays inside its segment. Routes
    that take any path (``{rest:path}``) come last; a route with another method is better than none.
    """
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    other = raw[:-1] if raw.endswith("/") else raw + "/"
    greedy = [place for place in among if ":path}" in place.template]
    exact = [place for place in among if ":path}" not in place.template]
    partial: Found | None = None
    for path, candidates in ((raw, exact), (other, exact), (raw, greedy)):
        for place in candidates:
            if not path.startswith(place.prefix + "/"):
                continue
            match, child = place.route.matches({**scope, "path": path, "root_path": place.prefix})
            if match is Match.NONE:
                continue
            params = child.get("path_params", {})
            child["path_params"] = {k: unquote(v) if isinstance(v, str) else v for k, v in params.items()}
            found = Found(place, {"root_path": place.prefix, **child})
            if match is Match.FULL:
                return found
            partial = partial or found
    return partial


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a request to the route that was found for it."""
    found: Found | None = scope["found"]
    if found is not None:
        scope.update(found.scope)
        await found.place.route.handle(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
    else:
        await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)


class Gateway:
    """The sandbox as one ASGI app: which origin, which route, count, faults, answer.

    :param origins: what is served on which port.
    :param counters: where requests are counted.
    :param faults: what goes wrong.
    :param connections: the open connections.
    """

    def __init__(
        self,
        origins: dict[int, list[Place]],
        counters: Counters,
        faults: Faults,
        connections: Connections,
    ) -> None:
        self.origins = origins
        self.counters = counters
        self.straight: ASGIApp = ExceptionMiddleware(dispatch)
        self.faulty: ASGIApp = FaultMiddleware(self.straight, faults, connections)
        self.storage_port = list(origins)[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        port = scope["server"][1]
        found = find(self.origins[port], scope)
        scope["found"] = found
        scope["service"] = found.place.service if found else self._guess(scope["path"], port)
        if scope["service"] == CONTROL:
            await self.straight(scope, receive, send)
            return
        self._begin(scope, found)
        try:
            await self.faulty(scope, receive, send)
        except ClientDisconnect:
            pass  # who left gets no answer
        finally:
            with self.counters.lock:
                self.counters.in_flight -= 1

    def _guess(self, path: str, port: int) -> str:
        if port == self.storage_port:
            return STORAGE
        first = path.split("/")[1]
        known = {place.service for place in self.origins[port]}
        return first if first in known else "-"

    def _begin(self, scope: Scope, found: Found | None) -> None:
        template = found.place.template if found else UNKNOWN
        method = scope.get("method", "WEBSOCKET")
        counters = self.counters
        with counters.lock:
            counters.requests[f"{scope['service']} {method} {template}"] += 1
            counters.in_flight += 1
            counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
