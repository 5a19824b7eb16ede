"""A sandbox that keeps every reply it gives to one service's clients."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.routing import Route

from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import Service
from tests.contract.specs import Reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RecordingSandbox(Sandbox):
    """Serves one service and keeps its replies.

    :param kind: the service.
    :param root: where its API is below the service's prefix; other replies are kept with their whole path.
    """

    def __init__(self, kind: type[Service], root: str = "") -> None:
        super().__init__(kinds=[kind])
        self.name, self.root = kind.name, root
        self._replies: list[Reply] = []

    def replies(self) -> list[Reply]:
        """Give all replies, once the last request is done: a client may know of an empty reply before us."""
        while self.counters.in_flight:
            time.sleep(0.001)
        return list(self._replies)

    def unused(self) -> list[str]:
        """Name the service's routes that nobody got anything good from: ``GET /things/{thing}``."""
        good = {(one.method, one.path) for one in self.replies() if one.status < 300}
        (service,) = self.services.values()
        return [
            f"{method} {route.path}"
            for route in service.routes()
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
            if not any(verb == method and self._fits(route, path) for verb, path in good)
        ]

    def _fits(self, route: Route, path: str) -> bool:
        whole = path if path.startswith(f"/{self.name}/") else self.root + path
        return route.path_regex.fullmatch(unquote(whole.removeprefix(f"/{self.name}"))) is not None

    def _serve(self, app: ASGIApp) -> None:
        async def recording(scope: Scope, receive: Receive, send: Send) -> None:
            status, body = 0, bytearray()
            path = scope["raw_path"].decode().partition("?")[0].removeprefix(f"/{self.name}{self.root}")

            async def keep(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                body.extend(message.get("body", b""))
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self._replies.append(Reply(scope["method"], path, status, bytes(body)))
                await send(message)

            await app(scope, receive, keep)

        super()._serve(recording)
