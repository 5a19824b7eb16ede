"""Error responses in the service's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An error response: status, ``error_code`` and ``detail``."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.body: dict[str, Any] = {"error_code": code, "detail": detail}
        self.headers = dict(headers or {})


def not_found(detail: str = "Not found.") -> ApiError:
    """Return the response for an object that does not exist."""
    return ApiError(404, "not_found", detail)


def bad_request(detail: str, code: str = "invalid") -> ApiError:
    """Return the response for a request that is not valid."""
    return ApiError(400, code, detail)
