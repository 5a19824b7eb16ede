"""Additional details: validate addresses, phone numbers and opening hours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

KINDS = ("email", "url", "phone", "openinghours")
URL = re.compile(r"^(https?://)?[^\s{}/]+\.[^\s{}]+$")
PHONE = re.compile(r"^\+?[A-Za-z0-9 ().-]+$")
TIME = re.compile(r"^\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?$")

_PARTS = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?(?: ?([AaPp][Mm]))?$")


def problems(details: Any, languages: Set[str] | None = None) -> Iterator[str]:
    """Yield the problems of a list of additional details.

    :param languages: languages that displayed texts may have; None for any.
    """
    if not isinstance(details, list) or not all(isinstance(detail, dict) for detail in details):
        yield "Must be a list of objects."
        return
    keys = [detail.get("key") for detail in details]
    if None in keys or len(set(keys)) != len(keys):
        yield "Each needs a key of its own."
    for detail in details:
        wrong = sorted(set(detail.get("displayText") or {}) - (languages or set())) if languages else []
        yield from (f"displayText: {language} is no language of the solution." for language in wrong)
        kind = detail.get("detailType")
        if kind not in KINDS:
            yield f"detailType must be one of {', '.join(KINDS)}."
        elif kind == "openinghours":
            yield from _hour_problems(detail.get("openingHours") or {})
        elif not _is_valid(kind, str(detail.get("value", ""))):
            yield f"{detail.get('value')!r} is no valid {kind}."


def _is_valid(kind: str, value: str) -> bool:
    if kind == "email":
        return "@" in value[1:-1]
    if kind == "url":
        return bool(URL.match(value))
    return bool(PHONE.match(value)) and 1 <= sum(c.isalnum() for c in value) <= 15


def _hour_problems(hours: dict[str, Any]) -> Iterator[str]:
    for day, span in (hours.get("standardOpeningHours") or {}).items():
        if span.get("closedAllDay"):
            continue
        start, end = str(span.get("startTime", "")), str(span.get("endTime", ""))
        if not TIME.match(start) or not TIME.match(end):
            yield f"{day}: startTime and endTime are times of day."
        elif start == end:
            yield f"{day}: startTime and endTime must differ."


def merged_by_key(old: Any, new: list[Any]) -> list[Any]:
    """Return a list of details with another one merged into it by key."""
    found: dict[Any, Any] = {detail.get("key"): detail for detail in old or [] if isinstance(detail, dict)}
    for detail in new:
        if not isinstance(detail, dict):
            return new
        there: dict[str, Any] = found.get(detail.get("key"), {})
        found[detail.get("key")] = {**there, **detail}
    return list(found.values())


def stored_detail(detail: Any, to_24_hours: bool) -> Any:
    """Return a detail as it is stored: opening hours lose their seconds.

    :param to_24_hours: whether times of 12 hours become those of 24.
    """
    hours = (detail.get("openingHours") if isinstance(detail, dict) else None) or {}
    days = hours.get("standardOpeningHours") if isinstance(hours, dict) else None
    if not isinstance(days, dict):
        return detail
    short = {
        day: {
            key: _short_time(value, to_24_hours) if key in ("startTime", "endTime") else value
            for key, value in span.items()
        }
        for day, span in days.items()
    }
    return {**detail, "openingHours": {**hours, "standardOpeningHours": short}}


def _short_time(text: Any, to_24_hours: bool) -> Any:
    found = _PARTS.match(text) if isinstance(text, str) else None
    if not found:
        return text
    hour, minute, half = found.groups()
    if not to_24_hours or not half:
        return f"{hour}:{minute}{f' {half}' if half else ''}"
    return f"{int(hour) % 12 + 12 * (half.lower() == 'pm'):02d}:{minute}"
