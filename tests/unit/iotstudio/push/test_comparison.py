"""Comparison of pushed values with filters, and topics, without a broker."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from airflow_provider.core.push import inbox as inbox_module
from airflow_provider.core.push.inbox import Inbox
from airflow_provider.core.push.topics import TopicPattern
from airflow_provider.iotstudio.push import comparison
from airflow_provider.iotstudio.push.comparison import MAX_ASKS, PushedValues, holds


@pytest.mark.parametrize(
    ("condition", "value", "result"),
    [
        ("gt:20", 21, True),
        ("gt:20", 20.0, False),
        ("gte:20", 20, True),
        ("lt:-5", -6, True),
        ("lte:1e3", 1001, False),
        ("neq:0", 0, False),
        ("20", 20.0, True),
        (20, 19, False),
        (["gt:20", "lt:30"], 25, True),
        (["gt:20", "lt:30"], 35, False),
        (["gt:20", "contains:5"], 25, None),
        (["gt:30", "contains:5"], 25, False),
        (True, True, True),
        (True, False, False),
        ("true", False, False),
        ("eq:false", False, True),
        ("neq:true", True, None),
        ("gt:0", True, None),
        (True, 1, None),
        ("gt:20", "21", None),
        ("gt:abc", 5, None),
        ("eco", "eco", None),
        ("contains:ec", "eco", None),
        ("gt:20", None, None),
        ("eq:9007199254740993", 9007199254740993, True),
        ("eq:9007199254740993", 9007199254740994, False),
        ("eq:9007199254740993", 9007199254740992, None),
        ("gt:9007199254740992", 9007199254740993, None),
        ("gt:1", 10**400, None),
        ("eq:1_000", 1000, None),
        ("eq:nan", 1.0, None),
        ("gt:20", [21], None),
    ],
)
def test_only_comparisons_that_are_certain_have_a_result(condition: Any, value: Any, result: Any) -> None:
    assert holds(condition, value) is result


def compared(filters: dict[str, Any], *pushed: Any, matches: bool = False) -> list[str]:
    values = PushedValues(filters)
    for number, found in enumerate(pushed):
        values.add("a", values.relevant(found), matches=matches, now=float(number))
    return values.due(float(len(pushed)))


@pytest.mark.parametrize("key", ["temp", "property:temp"])
def test_the_service_is_asked_when_a_thing_may_have_started_or_stopped_to_match(key: str) -> None:
    assert compared({key: "gt:20"}, {"temp": 30}) == ["a"]
    assert compared({key: "gt:20"}, {"temp": 10}) == []
    assert compared({key: "gt:20"}, {"temp": 10}, matches=True) == ["a"]
    assert compared({key: "gt:20"}, {"temp": 30}, matches=True) == []


def test_of_several_properties_one_that_does_not_hold_is_enough() -> None:
    both = {"temp": "gt:20", "mode": "eco"}
    assert compared(both, {"temp": 30}) == ["a"]
    assert compared(both, {"temp": 10, "mode": "eco"}) == []
    assert compared(both, {"temp": 30}, matches=True) == []
    assert compared(both, {"mode": "off"}, matches=True) == ["a"]


def test_a_value_that_only_the_service_compares_is_asked_about_twice_until_it_changes() -> None:
    values = PushedValues({"mode": "eco"})
    times = []
    for number, mode in enumerate(["eco", "eco", "off", "off", "eco"]):
        values.add("a", {"mode": mode}, matches=False, now=10.0 * number)
        while values.next_at < 1e9:
            times.append(values.next_at)
            values.answered("a", matches=False, now=values.next_at)
    assert times == [0.0, 1.0, 20.0, 21.0, 40.0, 41.0]


@pytest.mark.parametrize("before", [True, False])
def test_an_answer_that_is_news_is_not_asked_for_again(before: bool) -> None:
    values = PushedValues({"mode": "eco"})
    values.add("a", {"mode": "eco"}, matches=before, now=0.0)
    values.answered("a", matches=not before, now=0.0)
    assert values.next_at == float("inf")


def test_an_answer_that_contradicts_a_value_is_asked_for_some_times_later_and_later() -> None:
    values = PushedValues({"temp": "gt:20"})
    values.add("a", {"temp": 30}, matches=False, now=0.0)
    times = []
    while values.next_at < 1e9:
        times.append(values.next_at)
        values.answered("a", matches=False, now=values.next_at)
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert len(times) == MAX_ASKS


def test_the_remembered_values_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MAX_REMEMBERED", 10)
    values = PushedValues({"temp": "gt:20"})
    for number in range(1000):
        values.add(str(number), {"temp": 1}, matches=False, now=0.0)
    assert len(values._last) <= 10


@pytest.mark.parametrize("value", ["alarm " + "x" * 100_000, ["x" * 100_000], {"text": "x" * 100_000}])
def test_long_values_are_not_kept_and_still_compared(value: Any) -> None:
    values = PushedValues({"mode": "contains:alarm"})
    for mode, asked in [(value, ["a"]), (value, []), ("short", ["a"]), (value, ["a"])]:
        for pushed in ({"mode": mode}, values.relevant({"mode": mode})):
            assert len(repr(values.relevant(pushed))) < 200
            values.add("a", pushed, matches=False, now=0.0)
        assert values.due(0.0) == asked
        values.answered("a", matches=False, now=0.0)
        assert len(repr(values._last)) < 200


@pytest.mark.parametrize(
    ("topic", "names"),
    [
        ("spaces/s/things/t/properties", {"space": "s", "thing_id": "t"}),
        ("spaces/other/things/t/properties", None),
        ("spaces/s/things/t/properties/x", None),
        ("spaces/s/things//properties", {"space": "s", "thing_id": ""}),
    ],
)
def test_a_topic_is_read_by_its_pattern(topic: str, names: Any) -> None:
    pattern = TopicPattern("spaces/{space}/things/{thing_id}/properties", {"space": "s", "category": None})
    assert pattern.subscription == "spaces/s/things/+/properties"
    assert pattern.read(topic) == names


async def test_an_inbox_keeps_the_newest_values_and_makes_a_poll_due_when_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_KEYS", 2)
    inbox = Inbox()

    def fill() -> None:
        for key, values in [("a", {"x": 1, "y": 1}), ("b", {"x": 1}), ("a", {"x": 2}), ("c", {"x": 1})]:
            inbox.put(key, values)

    thread = threading.Thread(target=fill)
    thread.start()
    await asyncio.to_thread(thread.join)
    await inbox.wait(60)
    assert inbox.take() == {"a": {"x": 2, "y": 1}, "b": {"x": 1}}
    assert (inbox.take(), inbox.poll_due) == ({}, True)
