"""Requests: space, category, query and body as the route handlers need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.formats import rfc3339
from airflow_provider.sandbox.iotstudio.records import Category, Space, Thing
from airflow_provider.sandbox.iotstudio.responses import ApiError, not_found
from airflow_provider.sandbox.iotstudio.state import IoTStudioState


@dataclass
class ApiRequest:
    """An authorized request for a resource of a space.

    :param category: the category of a category-scoped route; None on other routes.
    :param args: the names and ids in the path, unquoted.
    :param query: the query's names and values, in the order sent.
    :param preview: the version of the API that the ``Prefer`` header selects; empty without one.
    """

    service: IoTStudioState
    space: Space
    category: Category | None
    args: Mapping[str, str]
    query: list[tuple[str, str]]
    body: bytes
    preview: str

    @property
    def prefix(self) -> str:
        """URL of the space, or of the category on a category-scoped route."""
        return f"{self.service.base_url}{self.scope}"

    @property
    def scope(self) -> str:
        """Path of the space, or of the category on a category-scoped route."""
        category = f"/categories/{self.category.name}" if self.category else ""
        return f"/spaces/{self.space.name}{category}"

    @property
    def now(self) -> str:
        """The sandbox's time in the format of descriptions."""
        return rfc3339(int(self.service.around.clock.now() * 1e9))

    def param(self, key: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return next((value for name, value in reversed(self.query) if name == key), default)

    def params(self, key: str) -> list[str]:
        """Return every value of a repeated query parameter."""
        return [value for name, value in self.query if name == key]

    def flag(self, key: str) -> bool | None:
        """Return a boolean of the query; None when it is absent."""
        text = self.param(key).lower()
        if text not in {"", "true", "false"}:
            raise ApiError(400, f"invalid {key}")
        return None if not text else text == "true"

    def json(self) -> Any:
        """Decode the body; raise ``ApiError`` (400) when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise ApiError(400, "malformed body") from error

    def json_object(self) -> dict[str, Any]:
        """Decode the body; raise ``ApiError`` (400) when it is not a JSON object."""
        body = self.json()
        if not isinstance(body, dict):
            raise ApiError(400, "malformed body")
        return body

    def find_thing(self) -> Thing:
        """Return the Thing of the path; raise ``ApiError`` (404) when it is not in the path's category."""
        thing = self.space.things.get(self.args["thing"])
        if thing is None or (self.category is not None and self.category.name not in thing.categories):
            raise not_found(self.service.unknown_thing_status)
        return thing
