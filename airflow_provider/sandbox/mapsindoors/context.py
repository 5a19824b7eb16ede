"""Context: the switches, clock and counters that the routes of the service share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.responses import RequestError
from airflow_provider.sandbox.mapsindoors.solution import Solution
from airflow_provider.sandbox.mapsindoors.strict.reader import parse, read_models
from airflow_provider.sandbox.mapsindoors.switches import Switches

if TYPE_CHECKING:
    from airflow_provider.sandbox.service import Surroundings


class ServiceContext(Switches):
    """Base of the service, without its routes: the part that routes depend on."""

    name: ClassVar[str] = "mapsindoors"
    around: Surroundings

    async def read_array(self, request: Request, kind: Any) -> list[Any]:
        """Read a body that is a JSON array, within the limits of items and bytes.

        :param kind: the type of its items.
        """
        body = await request.body()
        if len(body) > self.max_bytes:
            raise RequestError(413, f"The body has more than {self.max_bytes} bytes.")
        self._check_content_type(request)
        items = parse(body, unique_keys=self.strict and self.duplicate_keys == "refuse")
        if not isinstance(items, list):
            raise RequestError(400, errors={"$": ["The body must be an array."]})
        if self.max_items is not None and len(items) > self.max_items:
            raise RequestError(400, errors={"$": [f"More than {self.max_items} objects."]})
        return read_models(items, kind, self) if self.checks("types") else items

    def _check_content_type(self, request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_json = given in {"application/json", "text/json"} or given.endswith("+json")
        if self.checks("content_type") and not is_json:
            raise RequestError(415)

    def count_served(self, rows: int) -> None:
        """Add the objects of a response to the counters."""
        with self.around.counters.lock:
            self.around.counters.rows_served[self.name] += rows

    def timestamp(self) -> str:
        """Return the sandbox's time in the service's format."""
        return datetime.fromtimestamp(self.around.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Handler = Callable[[ServiceContext, Solution, Request], Awaitable[Response]]
"""Handler of a route below a solution."""
