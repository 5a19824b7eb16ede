"""Additional details: validate addresses, phone numbers and opening hours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

KINDS = ("email", "url", "phone", "openinghours")
URL = re.compile(r"^(https?://)?[^\s{}/]+\.[^\s{}]+$")
PHONE = re.compile(r"^\+?[A-Za-z0-9 ().-]+$")
TIME = re.compile(r"^\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?$")


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
