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

    async def counters(_: Request) -> Response:
        now = sandbox.counters
        shown = ("connections", "in_flight", "peak_in_flight")
        counts = {name: getattr(now, name) for name in shown}
        for name in ("requests", "tokens_issued", "rows_served"):
            counts[name] = dict(getattr(now, name))
        return JSONResponse(counts)

    async def list_faults(_: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in sandbox.faults.active()])

    async def add_fault(request: Request) -> Response:
        wanted = await request.json()
        try:
            fault = sandbox.faults.add(wanted.pop("kind"), **wanted)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"detail": f"not a fault: {error}"}, 400)
        return JSONResponse(asdict(fault), 201)

    async def clear_faults(_: Request) -> Response:
        sandbox.faults.clear()
        return Response(status_code=204)

    async def reset(_: Request) -> Response:
        sandbox.reset()
        return Response(status_code=204)

    async def clock(request: Request) -> Response:
        sandbox.clock.advance(float((await request.json())["advance"]))
        return JSONResponse({"now": sandbox.clock.now()})

    async def connections(_: Request) -> Response:
        return JSONResponse(sandbox.connections)

    return [
        Route("/counters", counters),
        Route("/faults", list_faults),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/reset", reset, methods=["POST"]),
        Route("/clock", clock, methods=["POST"]),
        Route("/connections", connections),
    ]
