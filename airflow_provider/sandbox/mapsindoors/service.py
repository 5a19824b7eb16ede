"""Service: routes, permissions and rate limit of the emulated API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.mapsindoors.auth import TokenService
from airflow_provider.sandbox.mapsindoors.catalogue import ROUTES as CATALOGUE_ROUTES
from airflow_provider.sandbox.mapsindoors.catalogue import to_dataset
from airflow_provider.sandbox.mapsindoors.context import Handler, ServiceContext
from airflow_provider.sandbox.mapsindoors.description import description_routes
from airflow_provider.sandbox.mapsindoors.geodata import ROUTES as GEODATA_ROUTES
from airflow_provider.sandbox.mapsindoors.loads import RoomsLoad
from airflow_provider.sandbox.mapsindoors.responses import RequestError, error_response, json_response
from airflow_provider.sandbox.mapsindoors.seed import (
    API_KEY,
    CLIENT,
    PASSWORD,
    SECRET,
    USER,
    accounts,
    campus,
    demo,
    other,
)
from airflow_provider.sandbox.mapsindoors.solution import Solution
from airflow_provider.sandbox.mapsindoors.switches import Switches
from airflow_provider.sandbox.rate_limit import retry_after
from airflow_provider.sandbox.service import Service
from airflow_provider.sandbox.tokens import RefusedTokenError

Endpoint = Callable[[Request], Awaitable[Response]]


class MapsIndoorsService(Service, ServiceContext):
    """The emulated Integration API below ``/mapsindoors``, and its token service below ``/mapsindoors/auth``.

    The switches are attributes, see :class:`Switches`. ``campus`` is the solution that the connection writes
    to, ``demo`` is the read-only solution; ``solutions`` has all solutions by id and API key.
    """

    name: ClassVar[str] = "mapsindoors"
    loads = (RoomsLoad,)

    def reset(self) -> None:
        """Reset solutions, accounts and switches to the seed."""
        Switches.__init__(self)
        self.campus, self.demo, self.other = campus(), demo(), other()
        self.solutions: dict[str, Solution] = {
            solution.id: solution for solution in (self.campus, self.demo, self.other)
        }
        self.solutions[API_KEY] = self.campus
        self.auth = TokenService(self, *accounts())
        self.limit = self.around.rate_limit(self.name)

    def connection(self) -> Mapping[str, Any]:
        """Return the connection of a user who may write to the campus."""
        return self._connection(USER, PASSWORD, "password")

    def client_connection(self) -> Mapping[str, Any]:
        """Return the connection with the client-credentials grant."""
        return self._connection(CLIENT, SECRET, "client_credentials")

    def _connection(self, login: str, password: str, grant: str) -> dict[str, Any]:
        extra = {"api_key": API_KEY, "grant_type": grant, "auth_url": f"{self.base_url}/auth"}
        return {
            "conn_type": self.name,
            "host": self.base_url,
            "login": login,
            "password": password,
            "extra": extra,
        }

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the API and of the token service."""
        in_solution = [
            Route(f"/{{api_key}}/api/{path}", self._in_solution(handler, method), methods=[method])
            for method, path, handler in (*CATALOGUE_ROUTES, *GEODATA_ROUTES)
        ]
        token = Route("/auth/connect/token", self._guarded(self.auth_token), methods=["GET", "POST"])
        secrets = Route(
            "/auth/api/clientcredentials",
            self._guarded(self.auth_secrets),
            methods=["GET", "POST", "DELETE"],
        )
        root = Route("/", self._guarded(self.health), methods=["GET"])
        datasets = Route("/api/dataset", self._guarded(self.datasets), methods=["GET"])
        return [token, secrets, root, datasets, *description_routes(self), *in_solution]

    async def health(self, _: Request) -> Response:
        """Return an empty response: the service is available."""
        return Response(status_code=200)

    async def auth_token(self, request: Request) -> Response:
        """Issue a token."""
        return await self.auth.token(request)

    async def auth_secrets(self, request: Request) -> Response:
        """Create, list or delete secrets."""
        return await self.auth.secrets(request)

    async def datasets(self, request: Request) -> Response:
        """Return the solutions that an account has access to."""
        account = self.auth.bearer(request)
        solutions = [solution for key, solution in self.solutions.items() if key == solution.id]
        return json_response(
            [to_dataset(solution) for solution in solutions if solution.customer == account.customer]
        )

    def _in_solution(self, handler: Handler, method: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            solution = self.solutions.get(request.path_params["api_key"])
            if solution is None:
                raise RequestError(self.unknown_solution_status, "There is no such solution.")
            rate = self.requests_per_second
            seconds_early = self.limit.take(solution.id, self.around.clock.now(), rate)
            if seconds_early:
                wait = retry_after(seconds_early) if self.retry_after else {}
                raise RequestError(429, f"More than {rate:g} requests a second.", headers=wait)
            if method != "GET" or self.require_token:
                self._allow(request, solution, method)
            try:
                return await handler(self, solution, request)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                if self.checks("types"):
                    raise
                # Without the check of types a handler may get a value that it cannot use.
                raise RequestError(400, "The body could not be read.") from None

        return self._guarded(endpoint)

    def _allow(self, request: Request, solution: Solution, method: str) -> None:
        account = self.auth.bearer(request)
        if account.customer != solution.customer and not (solution.read_only and method == "GET"):
            raise RequestError(403, "The login has no access to this solution.")
        if method == "GET":
            return
        if solution.read_only:
            raise RequestError(403, "The solution is read-only.")
        locations_only = account.role == "editor" and "/geodata" in request.url.path
        if account.role != "administrator" and not locations_only:
            raise RequestError(403, f"The role {account.role} may not write this.")

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RequestError as error:
                return error_response(error, self)
            except RefusedTokenError as refused:
                headers = retry_after(refused.seconds) if self.retry_after else {}
                return error_response(RequestError(refused.status, refused.detail, headers=headers), self)

        return guarded
