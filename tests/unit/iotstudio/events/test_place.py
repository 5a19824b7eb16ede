"""The place of a watcher of events: what is stored, how late an event may be, when marks are dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.iotstudio.events import watch
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import Event
from airflow_provider.iotstudio.events.watch import Place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STORED: dict[str, Any] = {
    "after": "2026-03-01T12:00:00+00:00",
    "seen": {"1772366400": "Bl5QKLx0OpnsZhLa"},
    "unread": ["b"],
    "began": "2026-03-01T13:00:00+00:00",
}
"""State of the first release after the events "1" and "2" of Thing "t"."""


def event(name: str, at: datetime = NOW, thing: str = "t") -> Event:
    return Event(at, name, thing, "alarm", None)


def test_a_stored_place_is_read_by_each_release() -> None:
    place = Place.read(STORED, NOW + 5 * SECOND)
    assert [place.is_new(event(name)) for name in ("1", "2", "3")] == [False, False, True]
    assert place.to_json() == STORED
    assert not place.is_new(event("3", NOW - SECOND))
    began = NOW + timedelta(hours=1)
    assert [place.is_new(event("3", at, "b")) for at in (began - SECOND, began)] == [False, True]
    assert watch.since(STORED, NOW + 5 * SECOND) == NOW


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"after": None}, "TypeError"),
        ({"after": "soon"}, "ValueError"),
        ({"seen": []}, "AttributeError"),
        ({"seen": {"x": ""}}, "ValueError"),
        ({"unread": 5}, "TypeError"),
        ({"began": 7}, "TypeError"),
    ],
)
def test_a_damaged_place_is_named_with_what_to_do(changes: dict[str, Any], kind: str) -> None:
    with pytest.raises(InputError) as caught:
        Place.read(STORED | changes, NOW)
    assert str(caught.value) == (
        f"the stored state of the watcher cannot be read ({kind}); delete it from the state of the asset, and"
        " the watcher starts over"
    )
    assert Place.read("x", NOW) == Place.read(None, NOW)


def test_without_a_stored_place_events_of_two_hours_are_read_and_none_of_them_fires() -> None:
    assert watch.since(None, NOW) == NOW - timedelta(hours=2)
    found = [event("old", NOW - SECOND), event("new", NOW)]
    payloads, stored = watch.decide(Found(found, []), NOW, NOW + SECOND / 2, None)
    assert [payload["event_id"] for payload in payloads] == ["new"]
    assert stored["seen"].keys() == {"1772366399", "1772366400"}
    assert "unread" not in stored


def test_an_event_may_show_a_quarter_of_an_hour_late() -> None:
    late = timedelta(minutes=15)
    place = Place(NOW - timedelta(hours=1), {}).advance([event("1")], NOW + SECOND)
    assert place.after == NOW - late
    assert [place.is_new(event("2", NOW - late - moment)) for moment in (0 * SECOND, SECOND)] == [True, False]
    ahead = Place(NOW - timedelta(hours=1), {}).advance([event("1", NOW + timedelta(hours=1))], NOW)
    assert ahead.after == NOW - late  # a clock ahead of the poll's makes no event old
    assert place.advance([event("1")], NOW - timedelta(hours=9)).after == place.after


def test_marks_are_kept_from_the_second_of_the_place_on() -> None:
    late = timedelta(minutes=15)
    events = [event("1", NOW - late - SECOND), event("2", NOW - late), event("3")]
    place = Place(NOW - timedelta(hours=1), {}).advance(events, NOW)
    assert sorted(place.seen) == [int((NOW - late).timestamp()), int(NOW.timestamp())]


@pytest.mark.parametrize(("limit", "dropped"), [(64, 0), (63, 1), (32, 1), (31, 2)])
def test_the_oldest_marks_are_dropped_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch, limit: int, dropped: int
) -> None:
    monkeypatch.setattr(watch, "MAX_STATE", limit)
    seconds = [event("1", NOW), event("2", NOW + SECOND)]
    place = Place(NOW - SECOND, {}).advance(seconds, NOW, stays=True)
    assert len(place.seen) == 2 - dropped
    assert place.after == (NOW + dropped * SECOND if dropped else NOW - SECOND)
    assert not any(map(place.is_new, seconds))


def test_the_state_names_two_hundred_unread_things() -> None:
    names = [f"t{number:03}" for number in range(201)]
    stored = Place(NOW, {}, frozenset(names), NOW + SECOND).to_json()
    assert stored["unread"] == names[:200]
    assert "unread" not in Place(NOW, {}, frozenset(names), NOW).to_json()
