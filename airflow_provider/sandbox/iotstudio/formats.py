"""Formats of the service: ids (ULID), and times in their four forms."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from airflow_provider.sandbox.iotstudio.responses import ApiError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, in which ULIDs are written."""


def ulid(milliseconds: int, seed: str) -> str:
    """Return a 26-character id, the same for the same time and seed.

    :param milliseconds: time since the epoch; later ids sort after earlier ids.
    """
    number = (milliseconds << 80) | int.from_bytes(hashlib.sha256(seed.encode()).digest()[:10], "big")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def rfc3339(nanoseconds: int) -> str:
    """Return a time in the format of Things' descriptions, with nanoseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_calendar(seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def short_time(milliseconds: int) -> str:
    """Return a time in the format of the history: with milliseconds unless they are zero."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_calendar(seconds):%Y-%m-%dT%H:%M:%S}{f'.{rest:03d}' if rest else ''}Z"


def blank_time(seconds: float) -> str:
    """Return a time in the format of actions and events: with a blank, and an offset without a colon."""
    return f"{_calendar(int(seconds)):%Y-%m-%d %H:%M:%S}+0000"


def _calendar(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def parse_time(text: str) -> int:
    """Parse a time or its short forms (``2022``, ``2022-12``, ``2023-05-15``); return milliseconds."""
    padded = {4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text)
    try:
        moment = datetime.fromisoformat(padded)
    except ValueError as error:
        raise ApiError(400, f"invalid date {text!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
