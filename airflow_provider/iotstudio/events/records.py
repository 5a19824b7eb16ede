"""Events as records: id, time and data of what a Thing reported."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.redaction import redact_beginning
from airflow_provider.errors import ServerError
from airflow_provider.iotstudio import api

RETAINED_EVENTS = 100
"""Number of events that the service retains per Thing and event name."""

MAX_TEXT = 200
"""Maximum characters of a text in the payload of a watcher's event."""

MAX_MEMBERS = 20
"""Maximum members of an object in the payload of a watcher's event."""

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(f"[{_BASE32}]{{26}}", re.IGNORECASE)
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


def read_events(thing_id: str, items: Iterable[Any]) -> list[Event]:
    """Return a list of the service as records.

    :param thing_id: the Thing's id.
    :param items: the items, ``{name: {"data", "timestamp", "href"}}``.
    :raises ServerError: for an item that is no event, or has no time.
    """
    return [_read_event(thing_id, item) for item in items]


def readable_events(thing_id: str, items: Iterable[Any]) -> tuple[list[Event], ServerError | None]:
    """Return the same without the items that cannot be read, and the error of the first of these.

    :param thing_id: the Thing's id.
    :param items: the items.
    """
    events: list[Event] = []
    first: ServerError | None = None
    for item in items:
        try:
            events.append(_read_event(thing_id, item))
        except ServerError as error:
            first = first or error
    return events, first


def _read_event(thing_id: str, item: Any) -> Event:
    try:
        (name,) = item
        entry = api.unwrap_entry(item, name)
        event_id = _id_of(entry)
        event = Event(_time_of(entry, event_id), event_id, thing_id, name, entry.get("data"))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        shown = truncate(json.dumps(item, default=str), 200)
        raise ServerError(
            200, "", f"an item in the events of Thing {thing_id} is no event: {shown}"
        ) from None
    return event if event_id else event._replace(event_id=_made_id(event))


def _id_of(entry: Mapping[str, Any]) -> str:
    """Return an event's id; empty when it has none.

    The last segment before a slash is that of the list, unless it has the form of an id.
    """
    event_id = "" if entry["id"] is None else str(entry["id"])
    is_segment = str(entry["href"]).endswith(f"{event_id}/")
    return "" if is_segment and not _ULID.fullmatch(event_id) else event_id


def _made_id(event: Event) -> str:
    """Return a name for an event without an id: the same for the same time and data."""
    text = json.dumps([event.at.isoformat(), event.data], sort_keys=True)
    return f"without-id-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _time_of(entry: Mapping[str, Any], event_id: str) -> datetime:
    """Return when an event was reported; without a time, when its id was made."""
    if entry.get("timestamp"):
        return api.parse_time(str(entry["timestamp"])).astimezone(UTC)
    if not event_id:
        raise ValueError
    milliseconds = 0
    for character in event_id[:_ULID_TIME]:
        milliseconds = milliseconds * 32 + _BASE32.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _small(data: Any) -> Any:
    """Return data in short: texts are cut and redacted, a list is its length, objects have scalars only."""
    if isinstance(data, str):
        # What fires is stored and logged in full.
        return redact_beginning(data, MAX_TEXT)
    if isinstance(data, list):
        return len(data)
    if isinstance(data, dict):
        members = list(data.items())[:MAX_MEMBERS]
        return {
            redact_beginning(name, MAX_TEXT): _small(value)
            for name, value in members
            if not isinstance(value, dict)
        }
    return data
