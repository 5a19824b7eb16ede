"""Descriptions that need no login: the API's OpenAPI document, and the token service's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.mapsindoors.context import ServiceContext


def description_routes(context: ServiceContext) -> Sequence[BaseRoute]:
    """Return the routes of both documents."""

    async def document(_: Request) -> Response:
        return JSONResponse(describe_api(context))

    async def metadata(_: Request) -> Response:
        return JSONResponse(describe_token_service(context))

    return [
        Route("/swagger/v1/swagger.json", document, methods=["GET"]),
        Route("/auth/.well-known/openid-configuration", metadata, methods=["GET"]),
    ]


def describe_api(context: ServiceContext) -> dict[str, Any]:
    """Return the part of the OpenAPI document about geodata, as the switches have it."""
    explode = context.array_style == "repeated"
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "array"}, "style": "form", "explode": explode}
        for name in ("rootElements", "baseTypes")
    ]
    success = {"get": 200, "post": context.post_status, "put": 204, "delete": context.delete_status}
    operations: dict[str, Any] = {
        method: {
            "responses": {str(status): {"description": "Success"}, "400": {"description": "Bad Request"}}
        }
        for method, status in success.items()
    }
    operations["get"]["parameters"] = parameters
    return {
        "openapi": "3.0.1",
        "info": {"title": "Integration API", "version": "v1"},
        "paths": {"/{apiKey}/api/geodata": operations},
    }


def describe_token_service(context: ServiceContext) -> dict[str, Any]:
    """Return the OpenID Connect metadata of the token service."""
    issuer = f"{context.around.origin}/mapsindoors/auth"
    grants = ["client_credentials", *(["password"] if context.password_grant else [])]
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/connect/token",
        "grant_types_supported": grants,
        "scopes_supported": ["integration"],
    }
