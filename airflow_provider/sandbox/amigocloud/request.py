"""Requests: query, body and token as the route handlers need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from airflow_provider.sandbox.amigocloud.auth import Token
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass
class ApiRequest:
    """An authenticated request with its query and body.

    :param http: the request as Starlette received it.
    :param pairs: the query's names and values, in the order sent.
    :param body: the JSON or form body, empty when there is none.
    """

    http: Request
    token: Token
    pairs: list[tuple[str, str]]
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """The query; of a name given twice the last value counts."""
        return dict(self.pairs)

    @property
    def path(self) -> Mapping[str, str]:
        """Parameters of the path."""
        return self.http.path_params

    def require_level(self, level: str) -> None:
        """Raise ``ApiError`` (403) when the token lacks a permission level."""
        if not self.token.may(level):
            raise ApiError(403, "permission_denied", "You do not have permission to perform this action.")

    def number(self, name: str, default: int) -> int:
        """Return a whole number from the query, else from the body; negative numbers become 0."""
        text = self.params.get(name, self.body.get(name))
        if text is None or text == "":
            return default
        try:
            return max(0, int(text))
        except (TypeError, ValueError):
            raise bad_request(f"{name} is not a number: {text}") from None

    def url_with(self, origin: str | None, **changed: object) -> str:
        """Return the request's own URL with other parameters; the token stays in it unmasked."""
        unchanged = [(key, value) for key, value in self.pairs if key not in changed]
        pairs = sorted(unchanged + [(key, str(value)) for key, value in changed.items()])
        own_origin = origin or f"http://{self.http.headers['host']}"
        return f"{own_origin}{self.http.scope['path']}?{urlencode(pairs)}"


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """Parse a query string as the service does: percent and plus decoded, every parameter included."""
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True)


async def read_body(request: Request) -> dict[str, Any]:
    """Read a form or a JSON object; other bodies count as empty."""
    if request.method in {"GET", "DELETE", "HEAD"}:
        return {}
    kind = request.headers.get("content-type", "")
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        return dict(await request.form())
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        decoded = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"JSON parse error - {error}", "parse_error") from None
    return decoded if isinstance(decoded, dict) else {}
