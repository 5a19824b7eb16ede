"""The sandbox's own routes below ``/_sandbox``: faults, counters and the clock for other processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.server import Sandbox


def control_routes(sandbox: Sandbox) -> Sequence[BaseRoute]:
    """Routes to look at the sandbox and to steer it.

    ``GET /counters``; ``GET``, ``POST`` and ``DELETE /faults`` (the POST takes what
    :meth:`~airflow_provider.sandbox.faults.Faults.add` takes, as a JSON object); ``POST /reset``;
    ``POST /clock`` with ``{"advance": seconds}``; ``GET /connections``.
    """
    control = _Control(sandbox)
    return [
        Route("/counters", control.counters),
        Route("/faults", control.list_faults),
        Route("/faults", control.add_fault, methods=["POST"]),
        Route("/faults", control.clear_faults, methods=["DELETE"]),
        Route("/reset", control.reset, methods=["POST"]),
        Route("/clock", control.clock, methods=["POST"]),
        Route("/connections", control.connections),
    ]


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
        try:
            fault = self._sandbox.faults.add(wanted.pop("kind"), **wanted)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"detail": f"not a fault: {error}"}, 400)
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
