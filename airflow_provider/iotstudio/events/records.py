"""Events as records: id, time and data of what a Thing reported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.redaction import redact
from airflow_provider.errors import ServerError
from airflow_provider.iotstudio import api

RETAINED_EVENTS = 100
"""Number of events that the service retains per Thing and event name."""

MAX_TEXT = 200
"""Maximum characters of a text in the payload of a watcher's event."""

MAX_MEMBERS = 20
"""Maximum members of an object in the payload of a watcher's event."""

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_TIME = 10
"""Number of characters of a ULID that are its time, in milliseconds."""


class Event(NamedTuple):
    """One event of a Thing.

    :param at: when it was reported; the service tells it in whole seconds.
    :param event_id: the id that the service gave it.
    :param thing_id: the Thing's id.
    :param name: the event's name.
    :param data: any JSON value; None without.
    """

    at: datetime
    event_id: str
    thing_id: str
    name: str
    data: Any

    def row(self) -> dict[str, Any]:
        """Return the event as a row of an export."""
        at = self.at.isoformat().replace("+00:00", "Z")
        return {
            "thing_id": self.thing_id,
            "at": at,
            "event": self.name,
            "event_id": self.event_id,
            "data": self.data,
        }

    def payload(self) -> dict[str, Any]:
        """Return the event as the small payload of a watcher's event."""
        return {
            "event": self.name,
            "thing_id": self.thing_id,
            "event_id": self.event_id,
            "timestamp": self.at.isoformat().replace("+00:00", "Z"),
            "data": _small(self.data),
        }


def read_events(thing_id: str, items: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Return a list of the service as records.

    :param thing_id: the Thing's id.
    :param items: the items, ``{name: {"data", "timestamp", "href"}}``.
    :raises ServerError: for an item that is no event, or has no time.
    """
    return [_read_event(thing_id, item) for item in items]


def _read_event(thing_id: str, item: Mapping[str, Any]) -> Event:
    try:
        (name,) = item
        entry = api.unwrap_entry(item, name)
        at = _time_of(entry)
    except (ValueError, TypeError, KeyError, AttributeError):
        shown = truncate(json.dumps(item, default=str), 200)
        raise ServerError(
            200, "", f"an item in the events of Thing {thing_id} is no event: {shown}"
        ) from None
    return Event(at, entry["id"], thing_id, name, entry.get("data"))


def _time_of(entry: Mapping[str, Any]) -> datetime:
    """Return when an event was reported; without a time, when its id was made."""
    if entry.get("timestamp"):
        return api.parse_time(str(entry["timestamp"])).astimezone(UTC)
    milliseconds = 0
    for character in entry["id"][:_ULID_TIME]:
        milliseconds = milliseconds * 32 + _BASE32.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _small(data: Any) -> Any:
    """Return data in short: texts are cut and redacted, a list is its length, objects have scalars only."""
    if isinstance(data, str):
        # What fires is stored and logged in full.
        return redact(data[: 5 * MAX_TEXT])[:MAX_TEXT]
    if isinstance(data, list):
        return len(data)
    if isinstance(data, dict):
        members = list(data.items())[:MAX_MEMBERS]
        return {
            redact(name)[:MAX_TEXT]: _small(value) for name, value in members if not isinstance(value, dict)
        }
    return data
