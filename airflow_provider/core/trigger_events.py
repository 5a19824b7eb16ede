"""Trigger events: carry errors from the triggerer to the task."""

from __future__ import annotations

from typing import Any

from airflow_provider import errors
from airflow_provider.core.redaction import redact
from airflow_provider.errors import ApiError, ProviderError


def error_event(error: Exception) -> dict[str, Any]:
    """Return the event that carries an error to the task: its type, message and details, as small JSON."""
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
    """Raise the error that an event carries, with the type that it had in the triggerer.

    :param event: the payload of a trigger's event; other events than errors raise nothing.
    """
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
