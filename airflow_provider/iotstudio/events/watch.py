"""Watching of events: which are new, and what is stored so that each fires once."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import InputError
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import RETAINED_EVENTS, Event

if TYPE_CHECKING:
    from airflow_provider.core.state.firing import Decision

MARGIN = timedelta(minutes=15)
"""How late an event may show: Things are read one after the other, and clocks differ."""

CLOCK_LEEWAY = timedelta(hours=2)
"""How far the service's clock may be behind when a watcher starts."""

MARK_BYTES = 6
"""Length of the mark of an event that has fired."""

MAX_STATE = 48_000
"""Maximum characters of the marks in an asset's state, which may hold 64 KiB."""

MAX_UNREAD = 200
"""Maximum Things that the state names as unread."""

_PER_MARK, _PER_SECOND = 8, 24
"""Characters of a mark, and those that each second with events takes beside its marks."""


@dataclass
class Place:
    """Progress of a watcher: the time before which events are over, and the marks of later ones.

    :param after: events from before this time never fire.
    :param seen: marks of the events that have fired, by their second since the epoch.
    :param unread: Things that could not be read when the watcher began.
    :param began: when it began; older events of the unread Things never fire.
    """

    after: datetime
    seen: dict[int, set[bytes]]
    unread: frozenset[str] = frozenset()
    began: datetime | None = None

    @classmethod
    def read(cls, stored: Any, started: datetime) -> Place:
        """Read the stored place; without one a watcher begins somewhat before it started.

        :param stored: what :meth:`to_json` returned; None when nothing is stored.
        :param started: when the watcher started.
        :raises InputError: for a damaged one.
        """
        if not isinstance(stored, Mapping):
            return cls(started - CLOCK_LEEWAY, {})
        try:
            return cls(
                datetime.fromisoformat(stored["after"]).astimezone(UTC),
                {int(second): _split(marks) for second, marks in stored["seen"].items()},
                frozenset(map(str, stored.get("unread", ()))),
                datetime.fromisoformat(stored["began"]).astimezone(UTC) if "began" in stored else None,
            )
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"the stored state of the watcher cannot be read ({type(error).__name__}); delete it from the"
                " state of the asset, and the watcher starts over"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Return the place as JSON."""
        seen = {
            str(second): base64.b64encode(b"".join(sorted(marks))).decode()
            for second, marks in sorted(self.seen.items())
        }
        stored: dict[str, Any] = {"after": self.after.isoformat(), "seen": seen}
        if self.unread and self.began and self.after < self.began:
            stored |= {"unread": sorted(self.unread)[:MAX_UNREAD], "began": self.began.isoformat()}
        return stored

    def is_new(self, event: Event) -> bool:
        """Return whether an event has not fired yet."""
        if self.began and event.thing_id in self.unread and event.at < self.began:
            return False
        return event.at >= self.after and _mark(event) not in self.seen.get(_second(event.at), ())

    def advance(self, events: list[Event], polled: datetime, *, stays: bool = False) -> Place:
        """Return the place after events have fired.

        :param events: the events.
        :param polled: when their poll began.
        :param stays: whether its time stays, because a Thing was not read and may have older events.
        """
        seen = {second: set(marks) for second, marks in self.seen.items()}
        for event in events:
            seen.setdefault(_second(event.at), set()).add(_mark(event))
        newest = max([self.after, *(event.at for event in events)])
        after = self.after if stays else max(self.after, min(newest, polled) - MARGIN)
        seen = {second: marks for second, marks in seen.items() if second >= _second(after)}
        place = Place(after, seen, self.unread, self.began)
        place._shorten()
        return place

    def _shorten(self) -> None:
        """Forget the oldest marks when there are too many to be stored."""
        size = sum(_size(marks) for marks in self.seen.values())
        for second in sorted(self.seen):
            if size <= MAX_STATE:
                return
            size -= _size(self.seen.pop(second))
            self.after = datetime.fromtimestamp(second + 1, UTC)


def decide(found: Found, polled: datetime, started: datetime, stored: Any) -> Decision:
    """Return the payloads of new events, oldest first, and the place that follows; None when it stays.

    At the first poll of a watcher, events from before its start are old.

    :param found: the events of a poll.
    :param polled: when the poll began.
    :param started: when the watcher started.
    :param stored: the stored place.
    """
    place = Place.read(stored, started)
    unseen = sorted((event for event in found.events if place.is_new(event)), key=lambda event: event[:4])
    if not unseen and stored is not None:
        return (), None
    begin = started.replace(microsecond=0)
    new = unseen if stored is not None else [event for event in unseen if event.at >= begin]
    if stored is None:
        place.unread, place.began = frozenset(found.failed), begin
    following = place.advance(unseen, polled, stays=bool(found.failed))
    return [event.payload() for event in new], following.to_json()


def since(stored: Any, started: datetime) -> datetime:
    """Return from which time on events may be new.

    :param stored: the stored place.
    :param started: when the watcher started.
    """
    return Place.read(stored, started).after


def overrun(found: Found, started: datetime, stored: Any) -> int:
    """Return the number of Things of which events may be gone: the service's list is full of new ones.

    :param found: the events of a poll.
    :param started: when the watcher started.
    :param stored: the stored place; without one no event is missed.
    """
    if stored is None:
        return 0
    place = Place.read(stored, started)
    counts = Counter(event.thing_id for event in found.events if place.is_new(event))
    return sum(count >= RETAINED_EVENTS for count in counts.values())


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _mark(event: Event) -> bytes:
    text = f"{event.thing_id}\0{event.name}\0{event.event_id}"
    return hashlib.blake2b(text.encode(), digest_size=MARK_BYTES).digest()


def _split(text: str) -> set[bytes]:
    joined = base64.b64decode(text)
    return {joined[at : at + MARK_BYTES] for at in range(0, len(joined), MARK_BYTES)}


def _size(marks: set[bytes]) -> int:
    return len(marks) * _PER_MARK + _PER_SECOND
