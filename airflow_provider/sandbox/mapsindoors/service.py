"""The service: who may do what, at which rate, on which solution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.mapsindoors import catalogue, geodata, seed
from airflow_provider.sandbox.mapsindoors.answers import RefusedError, answer, refusal
from airflow_provider.sandbox.mapsindoors.auth import TokenService
from airflow_provider.sandbox.mapsindoors.limits import RateLimit
from airflow_provider.sandbox.mapsindoors.solution import Solution
from airflow_provider.sandbox.mapsindoors.switches import Switches
from airflow_provider.sandbox.service import Service

Handler = Callable[["MapsIndoorsService", Solution, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class MapsIndoorsService(Service, Switches):
    """The emulated Integration API below ``/mapsindoors``, its token service below ``/mapsindoors/auth``.

    The switches are attributes, see :class:`Switches`. ``campus`` is the solution that the connection
    writes to, ``demo`` the read-only one; ``solutions`` finds both by id or API key.
    """

    name: ClassVar[str] = "mapsindoors"

    def reset(self) -> None:
        """Put the seeded world, the accounts and the default switches back."""
        Switches.__init__(self)
        self.campus, self.demo, self.other = seed.campus(), seed.demo(), seed.other()
        self.solutions: dict[str, Solution] = {one.id: one for one in (self.campus, self.demo, self.other)}
        self.solutions[seed.API_KEY] = self.campus
        self.auth = TokenService(self, *seed.accounts())
        self.limit = RateLimit()

    def connection(self) -> Mapping[str, Any]:
        """Give the connection of the user who writes to the campus."""
        return self._connection(seed.USER, seed.PASSWORD, "password")

    def client_connection(self) -> Mapping[str, Any]:
        """Give the same with the client-credentials grant."""
        return self._connection(seed.CLIENT, seed.SECRET, "client_credentials")

    def _connection(self, login: str, password: str, grant: str) -> dict[str, Any]:
        extra = {"api_key": seed.API_KEY, "grant_type": grant, "auth_url": f"{self.base_url}/auth"}
        return {
            "conn_type": self.name,
            "host": self.base_url,
            "login": login,
            "password": password,
            "extra": extra,
        }

    def routes(self) -> Sequence[BaseRoute]:
        """Routes of the API and of the token service."""
        types, categories = catalogue.DISPLAY_TYPES, catalogue.CATEGORIES
        table: list[tuple[str, str, Handler]] = [
            ("GET", "dataset", catalogue.dataset),
            ("GET", "geodata", geodata.read),
            ("POST", "geodata", geodata.create),
            ("PUT", "geodata", geodata.update),
            ("DELETE", "geodata", geodata.delete),
            ("GET", "geocode", geodata.geocode),
            ("GET", "displaytypes", types.read),
            ("POST", "displaytypes", types.create),
            ("PUT", "displaytypes", types.update),
            ("DELETE", "displaytypes", types.delete),
            ("GET", "categories", categories.read),
            ("POST", "categories", categories.create),
            ("PUT", "categories", categories.update),
            ("DELETE", "categories", categories.delete),
            ("GET", "appUserRoles", catalogue.roles),
            ("GET", "routing/routeelements", catalogue.read_routes),
            ("PUT", "routing/routeelements", catalogue.update_routes),
        ]
        below = [
            Route(f"/{{api_key}}/api/{path}", self._in_solution(handler, method), methods=[method])
            for method, path, handler in table
        ]
        token = Route("/auth/connect/token", self._guarded(self.auth_token), methods=["GET", "POST"])
        secrets = Route(
            "/auth/api/clientcredentials",
            self._guarded(self.auth_secrets),
            methods=["GET", "POST", "DELETE"],
        )
        root = Route("/", self._guarded(self.hello), methods=["GET"])
        datasets = Route("/api/dataset", self._guarded(self.datasets), methods=["GET"])
        return [token, secrets, root, datasets, *below]

    async def hello(self, _: Request) -> Response:
        """Answer that the service is there."""
        return Response(status_code=200)

    async def auth_token(self, request: Request) -> Response:
        """Give a token out."""
        return await self.auth.token(request)

    async def auth_secrets(self, request: Request) -> Response:
        """Make, list or delete secrets."""
        return await self.auth.secrets(request)

    async def datasets(self, request: Request) -> Response:
        """Answer the solutions that a login can see."""
        account = self.auth.bearer(request)
        seen = [one for key, one in self.solutions.items() if key == one.id]
        return answer([catalogue.described(one) for one in seen if one.customer == account.customer])

    def _in_solution(self, handler: Handler, method: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            solution = self.solutions.get(request.path_params["api_key"])
            if solution is None:
                raise RefusedError(404, "There is no such solution.")
            early = self.limit.take(solution.id, self.around.clock.now(), self.rate_limit)
            if early:
                wait = {"Retry-After": str(ceil(early))} if self.retry_after else {}
                raise RefusedError(429, f"More than {self.rate_limit:g} requests a second.", headers=wait)
            if method != "GET" or self.require_token:
                self._allow(request, solution, method)
            return await handler(self, solution, request)

        return self._guarded(endpoint)

    def _allow(self, request: Request, solution: Solution, method: str) -> None:
        account = self.auth.bearer(request)
        if account.customer != solution.customer and not (solution.read_only and method == "GET"):
            raise RefusedError(403, "The login has no access to this solution.")
        if method == "GET":
            return
        if solution.read_only:
            raise RefusedError(403, "The solution is read-only.")
        locations_only = account.role == "editor" and "/geodata" in request.url.path
        if account.role != "administrator" and not locations_only:
            raise RefusedError(403, f"The role {account.role} may not write this.")

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RefusedError as refused:
                return refusal(refused, self)

        return guarded

    async def array(self, request: Request) -> list[Any]:
        """Read a body that is a JSON array, within the limits of items and bytes."""
        body = await request.body()
        if len(body) > self.max_bytes:
            raise RefusedError(413, f"The body has more than {self.max_bytes} bytes.")
        try:
            items = msgspec.json.decode(body)
        except ValueError:
            raise RefusedError(400, errors={"$": ["The body is not JSON."]}) from None
        if not isinstance(items, list):
            raise RefusedError(400, errors={"$": ["The body must be an array."]})
        if self.max_items is not None and len(items) > self.max_items:
            raise RefusedError(400, errors={"$": [f"More than {self.max_items} objects."]})
        return items

    def served(self, rows: int) -> None:
        """Count objects of an answer."""
        with self.around.counters.lock:
            self.around.counters.rows_served[self.name] += rows

    def timestamp(self) -> str:
        """Give the sandbox's time as the service writes it."""
        return datetime.fromtimestamp(self.around.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
