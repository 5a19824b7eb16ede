"""Control routes below ``/_sandbox``: faults, counters, switches and the clock, for other processes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.loads import describe_loads, read_load
from airflow_provider.sandbox.switches import SwitchError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from airflow_provider.sandbox.counters import Counters
    from airflow_provider.sandbox.faults import Faults
    from airflow_provider.sandbox.service import Clock, Service
    from airflow_provider.sandbox.switches import Switches

    Handler = Callable[[Request], Awaitable[Response]]


class ControlledSandbox(Protocol):
    """The part of a sandbox that the control routes use."""

    @property
    def faults(self) -> Faults:
        """The faults in force."""

    @property
    def counters(self) -> Counters:
        """Counts of requests, connections, tokens and rows."""

    @property
    def switches(self) -> Switches:
        """The settings of the services."""

    @property
    def clock(self) -> Clock:
        """The services' time."""

    @property
    def services(self) -> Mapping[str, Service]:
        """The services by name."""

    @property
    def connections(self) -> Mapping[str, str]:
        """Airflow's connections to the services, as JSON by connection id."""

    def reset(self) -> None:
        """Restore state, switches, faults, counters and the clock."""

    def restart(self, seconds: float, scope: Scope | None = None) -> None:
        """Be away for some seconds; the connection of a request with this scope stays."""


def control_routes(sandbox: ControlledSandbox) -> Sequence[BaseRoute]:
    """Return the routes that show and change the state of a sandbox.

    ``GET`` and ``DELETE /counters``; ``GET`` and ``PATCH /switches`` (the PATCH takes values by
    ``<service>.<name>``); ``GET``, ``POST`` and ``DELETE /faults`` (the POST takes the arguments of
    :meth:`~airflow_provider.sandbox.faults.Faults.add` as a JSON object); ``POST /reset``; ``GET`` and
    ``POST /clock``, with ``{"advance": seconds}`` or ``{"rate": 12}``; ``POST /restart`` with
    ``{"seconds": 5}``; ``GET /connections``; ``GET /loads``, and ``POST /<service>/<kind>`` with the
    arguments of a load.
    """
    control = _Control(sandbox)
    handlers = [
        ("GET", "/counters", control.counters),
        ("GET", "/counters/dump", control.dump_counters),
        ("DELETE", "/counters", control.clear_counters),
        ("GET", "/switches", control.list_switches),
        ("PATCH", "/switches", control.set_switches),
        ("PUT", "/switches", control.set_switches),
        ("GET", "/faults", control.list_faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.clear_faults),
        ("POST", "/reset", control.reset),
        ("GET", "/clock", control.read_clock),
        ("POST", "/clock", control.set_clock),
        ("POST", "/restart", control.restart),
        ("GET", "/connections", control.connections),
        ("GET", "/loads", control.list_loads),
        ("POST", "/{service}/{kind}", control.load),
    ]
    return [Route(path, guarded(handle), methods=[method]) for method, path, handle in handlers]


def guarded(handle: Handler) -> Handler:
    """Reject requests of web pages that a browser on this machine shows, and turn errors into 400."""

    async def answer(request: Request) -> Response:
        if "origin" in request.headers or request.url.hostname not in {"127.0.0.1", "localhost"}:
            return JSONResponse(
                {"detail": "Control routes are for programs on this machine, not for web pages."}, 403
            )
        try:
            return await handle(request)
        except SwitchError as error:
            return JSONResponse({"detail": str(error), "problems": error.problems}, 400)
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            return JSONResponse({"detail": f"not understood: {type(error).__name__} {error}"}, 400)

    return answer


async def _object(request: Request) -> dict[str, Any]:
    """Return a body that is a JSON object.

    :raises ValueError: when it is none.
    """
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


class _Control:
    def __init__(self, sandbox: ControlledSandbox) -> None:
        self._sandbox = sandbox

    async def counters(self, _: Request) -> Response:
        return JSONResponse(self._sandbox.counters.report())

    async def dump_counters(self, _: Request) -> Response:
        return JSONResponse(self._sandbox.counters.dump())

    async def clear_counters(self, _: Request) -> Response:
        self._sandbox.counters.clear()
        return Response(status_code=204)

    async def list_switches(self, _: Request) -> Response:
        return JSONResponse(self._sandbox.switches.describe())

    async def set_switches(self, request: Request) -> Response:
        switches = self._sandbox.switches
        switches.set(switches.check(await _object(request)))
        return JSONResponse(switches.describe())

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in self._sandbox.faults.active()])

    async def add_fault(self, request: Request) -> Response:
        arguments = await request.json()
        fault = self._sandbox.faults.add(arguments.pop("kind"), **arguments)
        return JSONResponse(asdict(fault), 201)

    async def clear_faults(self, _: Request) -> Response:
        self._sandbox.faults.clear()
        return Response(status_code=204)

    async def reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return Response(status_code=204)

    async def read_clock(self, _: Request) -> Response:
        clock = self._sandbox.clock
        return JSONResponse({"now": clock.now(), "rate": clock.rate})

    async def set_clock(self, request: Request) -> Response:
        """Advance the clock, change its rate, or both."""
        given = {name: float(value) for name, value in (await _object(request)).items()}
        if not given or set(given) - {"advance", "rate"}:
            raise ValueError("the body must have 'advance' or 'rate', and nothing else")
        if "rate" in given:
            self._sandbox.clock.run_at(given["rate"])
        self._sandbox.clock.advance(given.get("advance", 0.0))
        return await self.read_clock(request)

    async def restart(self, request: Request) -> Response:
        """Be away for some seconds; only this request is still answered."""
        self._sandbox.restart(float((await _object(request))["seconds"]), request.scope)
        return Response(status_code=204, headers={"Connection": "close"})

    async def connections(self, _: Request) -> Response:
        return JSONResponse(self._sandbox.connections)

    async def list_loads(self, _: Request) -> Response:
        return JSONResponse(describe_loads(self._sandbox.services))

    async def load(self, request: Request) -> Response:
        """Add generated data; requests that come meanwhile are answered afterwards."""
        name = f"{request.path_params['service']}.{request.path_params['kind']}"
        found = read_load(self._sandbox.services, name, await _object(request))
        return JSONResponse(found.run(), 201)
