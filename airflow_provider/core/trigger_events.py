"""Waiting for something on a service: intervals, deadlines, tolerated failures, shared polls."""

from __future__ import annotations

from typing import Any

from airflow_provider import errors
from airflow_provider.core.redaction import redact
from airflow_provider.errors import (
    ApiError,
    ProviderError,
)


def error_event(error: Exception) -> dict[str, Any]:
    """Give an event that carries an error to the task; small, and without anything but its own words."""
    if not isinstance(error, ProviderError):
        return {
            "status": "error",
            "type": "ProviderError",
            "args": [redact(f"{type(error).__name__}: {error}")],
        }
    event: dict[str, Any] = {"status": "error", "type": type(error).__name__, "args": list(error.args)}
    if isinstance(error, ApiError):
        event |= {"request": error.request, "retry_after": error.retry_after}
    return event


def raise_for(event: dict[str, Any]) -> None:
    """Raise the error that an event carries, as the type it had in the triggerer."""
    if event.get("status") != "error":
        return
    kind = getattr(errors, str(event.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, ProviderError)):
        kind = ProviderError
    error = kind(*event.get("args", ()))
    if isinstance(error, ApiError):
        error.request = str(event.get("request", ""))
        error.retry_after = event.get("retry_after")
    raise error
