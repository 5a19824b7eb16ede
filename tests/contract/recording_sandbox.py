"""Recording sandbox: serve one service, and record its replies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.routing import Route

from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import Service
from tests.contract.api_specs import Reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RecordingSandbox(Sandbox):
    """Sandbox of one service that records all replies.

    :param kind: the service.
    :param root: path of its API below the service's prefix; replies outside of it keep their whole path.
    """

    def __init__(self, kind: type[Service], root: str = "") -> None:
        super().__init__(kinds=[kind])
        self.name, self.root = kind.name, root
        self._replies: list[Reply] = []

    def replies(self) -> list[Reply]:
        """Return all replies after the last request has ended, which a client may see earlier."""
        while self.counters.in_flight:
            time.sleep(0.001)
        return list(self._replies)

    def unused_routes(self) -> list[str]:
        """Return the routes without a successful request, as ``GET /things/{thing}``."""
        good = {(reply.method, reply.path) for reply in self.replies() if reply.status < 300}
        (service,) = self.services.values()
        return [
            f"{method} {route.path}"
            for route in service.routes()
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
            if not any(used == method and self._matches(route, path) for used, path in good)
        ]

    def _matches(self, route: Route, path: str) -> bool:
        whole = path if path.startswith(f"/{self.name}/") else self.root + path
        return route.path_regex.fullmatch(unquote(whole.removeprefix(f"/{self.name}"))) is not None

    def _serve(self, app: ASGIApp) -> None:
        async def recording(scope: Scope, receive: Receive, send: Send) -> None:
            status, body = 0, bytearray()
            path = scope["raw_path"].decode().partition("?")[0].removeprefix(f"/{self.name}{self.root}")

            async def record(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                body.extend(message.get("body", b""))
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self._replies.append(Reply(scope["method"], path, status, bytes(body)))
                await send(message)

            await app(scope, receive, record)

        super()._serve(recording)
