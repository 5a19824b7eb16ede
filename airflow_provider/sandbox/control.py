"""The sandbox's own routes below ``/_sandbox``: faults, counters and the clock for other processes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.server import Sandbox

    Handler = Callable[[Request], Awaitable[Response]]


def control_routes(sandbox: Sandbox) -> Sequence[BaseRoute]:
    """Routes to look at the sandbox and to steer it.

    ``GET /counters``; ``GET``, ``POST`` and ``DELETE /faults`` (the POST takes what
    :meth:`~airflow_provider.sandbox.faults.Faults.add` takes, as a JSON object); ``POST /reset``;
    ``POST /clock`` with ``{"advance": seconds}``; ``GET /connections``.
    """
    control = _Control(sandbox)
    handlers = [
        ("GET", "/counters", control.counters),
        ("GET", "/faults", control.list_faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.clear_faults),
        ("POST", "/reset", control.reset),
        ("POST", "/clock", control.clock),
        ("GET", "/connections", control.connections),
    ]
    return [Route(path, _guarded(handle), methods=[method]) for method, path, handle in handlers]


def _guarded(handle: Handler) -> Handler:
    """Listen to programs on this machine, and to no web page that a browser on it shows."""

    async def answer(request: Request) -> Response:
        if "origin" in request.headers or request.url.hostname not in {"127.0.0.1", "localhost"}:
            return JSONResponse({"detail": "This is for programs on this machine, not for web pages."}, 403)
        try:
            return await handle(request)
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            return JSONResponse({"detail": f"not understood: {type(error).__name__} {error}"}, 400)

    return answer


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def counters(self, _: Request) -> Response:
        now = self._sandbox.counters
        shown = ("connections", "in_flight", "peak_in_flight")
        counts = {name: getattr(now, name) for name in shown}
        for name in ("requests", "tokens_issued", "rows_served"):
            counts[name] = dict(getattr(now, name))
        return JSONResponse(counts)

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in self._sandbox.faults.active()])

    async def add_fault(self, request: Request) -> Response:
        wanted = await request.json()
        fault = self._sandbox.faults.add(wanted.pop("kind"), **wanted)
        return JSONResponse(asdict(fault), 201)

    async def clear_faults(self, _: Request) -> Response:
        self._sandbox.faults.clear()
        return Response(status_code=204)

    async def reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return Response(status_code=204)

    async def clock(self, request: Request) -> Response:
        self._sandbox.clock.advance(float((await request.json())["advance"]))
        return JSONResponse({"now": self._sandbox.clock.now()})

    async def connections(self, _: Request) -> Response:
        return JSONResponse(self._sandbox.connections)
