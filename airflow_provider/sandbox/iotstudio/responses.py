"""Responses: status and body of a reply, and errors in the service's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Reply = tuple[int, Any]
"""Status and JSON body; None stands for an empty body."""


class ApiError(Exception):
    """An error response of the resource API: status, message and details by name."""

    def __init__(self, status: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"status": status, "message": message}}
        if details:
            self.body["error"]["details"] = dict(details)


class OAuthError(Exception):
    """An error response of the OAuth2 endpoints, where ``error`` is a text, not an object."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def not_found(status: int = 404) -> ApiError:
    """Return the response for an item that does not exist."""
    return ApiError(status, "Item not found")
