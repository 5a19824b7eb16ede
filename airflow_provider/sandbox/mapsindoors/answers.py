"""Answers of the service: JSON, and errors in either style."""

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
    429: "Too Many Requests",
}


class RefusedError(Exception):
    """A request that the service does not serve.

    :param errors: messages by field path, ``{"[3].geometry": ["..."]}``.
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


def answer(content: Any, status: int = 200) -> Response:
    """Give a JSON answer."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def refusal(refused: RefusedError, switches: Switches) -> Response:
    """Give the answer for a refused request; a 401 has no body, as ASP.NET has it."""
    if refused.status == 401:
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    if switches.error_style == "vague":
        return Response("The request is not valid.", refused.status, dict(refused.headers), "text/plain")
    if switches.error_style == "text":
        lines = [f"{path}: {' '.join(said)}" for path, said in refused.errors.items()]
        text = "\n".join([refused.detail, *lines] if refused.detail else lines)
        return Response(text, refused.status, dict(refused.headers), "text/plain")
    problem: dict[str, Any] = {
        "type": f"https://tools.ietf.org/html/rfc9110#status-{refused.status}",
        "title": TITLES.get(refused.status, "Error"),
        "status": refused.status,
        "traceId": "00-5f1c0e6f0d8f4a6f9f0c4d5b3a291807-17c2a4be0d5f6e38-00",
    }
    if refused.detail:
        problem["detail"] = refused.detail
    if refused.errors:
        problem["errors"] = dict(refused.errors)
    return Response(
        msgspec.json.encode(problem), refused.status, dict(refused.headers), "application/problem+json"
    )
