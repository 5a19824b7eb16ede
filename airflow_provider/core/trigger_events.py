"""Trigger events: carry errors from the triggerer to the task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_provider import errors
from airflow_provider.core.redaction import redact
from airflow_provider.errors import (
    ApiError,
    InputError,
    PartialWriteError,
    ProviderError,
    VerificationError,
    cut,
)

_MAX_BYTES = 3000
"""Maximum bytes of an error's arguments: the triggerer logs the whole event in one line, below 4 KB."""


def error_event(error: Exception) -> dict[str, Any]:
    """Return the event that carries an error to the task: its type, message and details, as small JSON.

    Long texts are cut, and of a long list the first items are carried, with the number of all.
    """
    if not isinstance(error, ProviderError):
        text = redact(f"{type(error).__name__}: {error}")
        return {"status": "error", "type": "ProviderError", "args": _small([text])}
    event: dict[str, Any] = {"status": "error", "type": type(error).__name__, "args": _small(error.args)}
    if isinstance(error, (InputError, PartialWriteError, VerificationError)):
        event["total"] = error.total
    if isinstance(error, ApiError):
        event |= {"request": cut(error.request), "retry_after": error.retry_after}
    return event


def _small(args: Sequence[Any]) -> list[Any]:
    """Return an error's arguments, cut where they are long: the small ones are kept whole."""
    small, room = list(args), _MAX_BYTES
    for index in sorted(range(len(small)), key=lambda index: _size(small[index])):
        value = small[index]
        small[index] = _fitting(value, room) if isinstance(value, (str, list)) else value
        room = max(0, room - _size(small[index]))
    return small


def _fitting(value: str | list[Any], room: int) -> str | list[Any]:
    if isinstance(value, str):
        return _fitting_text(value, room)
    items: list[Any] = []
    for item in value:
        items.append(cut(item) if isinstance(item, str) else item)
        if _size(items) > room:
            return items[:-1]
    return items


def _fitting_text(value: str, room: int) -> str:
    """Return a text as it is, cut, or empty: as JSON it takes no more than some bytes, two at least."""
    while value and _size(value) > room:
        longest = max(1, len(value) * room // _size(value) - 2)
        value = cut(value, longest) if len(value) > 1 and room >= _size("…") else ""
    return value


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def raise_for(event: dict[str, Any]) -> None:
    """Raise the error that an event carries, with the type that it had in the triggerer.

    :param event: the payload of a trigger's event; other events than errors raise nothing.
    """
    if event.get("status") != "error":
        return
    kind = getattr(errors, str(event.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, ProviderError)):
        kind = ProviderError
    try:
        error = kind(*event.get("args", ()))
    except (TypeError, ValueError):  # The event is of another version.
        error = ProviderError("the trigger failed with an error that this version cannot read")
    if isinstance(error, ApiError):
        error.request = str(event.get("request", ""))
        error.retry_after = event.get("retry_after")
    if isinstance(error, (InputError, PartialWriteError, VerificationError)):
        total = event.get("total")
        error.total = max(error.total, total if isinstance(total, int) else 0)
    raise error
