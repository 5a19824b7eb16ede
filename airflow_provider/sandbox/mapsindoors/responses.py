"""Responses: JSON, and errors in the styles of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from airflow_provider.sandbox.mapsindoors.switches import Switches

TITLES = {
    400: "One or more validation errors occurred.",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
}


class RequestError(Exception):
    """Error of a request, which becomes an error response.

    :param status: HTTP status.
    :param detail: message about the whole request.
    :param errors: messages by field path, ``{"[3].geometry": ["..."]}``.
    :param headers: headers of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors or {}, headers or {}


def json_response(content: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def error_response(error: RequestError, switches: Switches) -> Response:
    """Return the response of an error; a 401 has no body, as in ASP.NET."""
    if error.status == 401:
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    if switches.error_style == "vague":
        return Response("The request is not valid.", error.status, dict(error.headers), "text/plain")
    if switches.error_style == "text":
        lines = [f"{path}: {' '.join(messages)}" for path, messages in error.errors.items()]
        text = "\n".join([error.detail, *lines] if error.detail else lines)
        return Response(text, error.status, dict(error.headers), "text/plain")
    problem: dict[str, Any] = {
        "type": f"https://tools.ietf.org/html/rfc9110#status-{error.status}",
        "title": TITLES.get(error.status, "Error"),
        "status": error.status,
        "traceId": "00-5f1c0e6f0d8f4a6f9f0c4d5b3a291807-17c2a4be0d5f6e38-00",
    }
    if error.detail:
        problem["detail"] = error.detail
    if error.errors:
        problem["errors"] = dict(error.errors)
    return Response(
        msgspec.json.encode(problem), error.status, dict(error.headers), "application/problem+json"
    )
