"""Silent Things: by the newest value, or by their creation when they have none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider.errors import NotFoundError, ServerError
from airflow_provider.iotstudio.events import silence
from airflow_provider.iotstudio.events.fleet import Fleet
from airflow_provider.iotstudio.events.silence import Silence
from airflow_provider.iotstudio.hooks import IoTStudioHook
from tests.unit.iotstudio.conftest import THING

HOUR = timedelta(hours=1)


def value(ago: timedelta, *properties: str) -> dict[str, Any]:
    return {"at": (datetime.now(UTC) - ago).isoformat(), "properties": dict.fromkeys(properties, 1)}


@pytest.mark.parametrize(
    ("created_ago", "values", "silent"),
    [
        (None, [], True),
        (HOUR / 2, [], False),
        (2 * HOUR, [], True),
        (2 * HOUR, [value(2 * HOUR, "a"), value(HOUR / 2, "a")], False),
        (HOUR / 2, [value(2 * HOUR, "a")], True),
        (2 * HOUR, [value(HOUR / 2, "other")], True),
        (2 * HOUR, None, False),
    ],
)
def test_a_thing_is_silent_when_it_has_reported_nothing_for_some_time(
    created_ago: timedelta | None, values: list[dict[str, Any]] | None, silent: bool
) -> None:
    found = Silence(Fleet(), HOUR.total_seconds(), ["a"])
    created = created_ago and (datetime.now(UTC) - created_ago).isoformat()
    assert found._silent([{"uid": "t", "created": created}], [values]) == (["t"] if silent else [])


def test_a_time_of_creation_that_is_none_is_an_error_of_the_reply() -> None:
    said = "Thing t was created at a time that cannot be read: 'yesterday'"
    with pytest.raises(ServerError, match=said) as caught:
        Silence(Fleet(), 60, None)._silent([{"uid": "t", "created": "yesterday"}], [[]])
    assert caught.value.status == 200


def test_a_thing_that_has_just_reported_is_not_asked_again() -> None:
    found = Silence(Fleet(), HOUR.total_seconds(), ["a"])
    things = [{"uid": uid, "created": None, "properties": {"a": {}}} for uid in ("loud", "silent")]
    asked = found._doubtful(things)
    assert [thing["uid"] for thing in asked] == ["loud", "silent"]
    assert found._silent(asked, [[value(HOUR / 2, "a")], [value(2 * HOUR, "a")]]) == ["silent"]
    assert [thing["uid"] for thing in found._doubtful(things)] == ["silent"]


def test_a_filter_on_a_property_of_other_things_is_named(hook: IoTStudioHook) -> None:
    found = Silence(Fleet(category="Meters", filters={"temperature": "gt:0"}), 60, None)
    assert found.find(hook) == []
    (problem,) = found.problems(hook, 1)
    assert problem.startswith("filters: ")
    assert "'temperature'" in problem
    assert problem.endswith("; nothing is silent")
    everywhere = Silence(Fleet(filters={"temperature": "gt:99999"}), 60, None)
    assert everywhere.find(hook) == []
    assert everywhere.problems(hook, 1) == ["no Thing is selected; nothing is silent"]


def test_too_few_things_that_can_fall_silent_are_named(hook: IoTStudioHook) -> None:
    found = Silence(Fleet(), 60, ["a", "tempratur"])
    things = [{"uid": f"{number}", "properties": {"a": {}} if number < 2 else {}} for number in range(3)]
    things[2]["properties"] = {"temperature": {}}
    for _ in range(2):  # the numbers are those of the last poll
        found._doubtful(things)
    known = found.problems(hook, 2)
    assert known == [
        "properties: no Thing of 3 has the property 'tempratur'; did you mean 'temperature'?;"
        " it does not count"
    ]
    assert found.problems(hook, 3) == [
        *known,
        "only 2 of 3 Things can fall silent, not 3; the wait does not end",
    ]


@pytest.mark.parametrize(
    ("properties", "asked"), [(["temperature"], "temperature"), (["temperature", "x"], None)]
)
def test_the_service_is_asked_for_the_only_property_that_counts(
    hook: IoTStudioHook, monkeypatch: pytest.MonkeyPatch, properties: list[str], asked: str | None
) -> None:
    names: list[str | None] = []
    real = IoTStudioHook.last_values

    def last_values(hook: IoTStudioHook, *given: Any, name: str | None = None) -> Any:
        names.append(name)
        return real(hook, *given, name=name)

    monkeypatch.setattr(IoTStudioHook, "last_values", last_values)
    Silence(Fleet((THING,)), 60, properties).find(hook)
    assert names == [asked]


async def test_a_shared_result_is_nearly_an_interval_old_at_most(
    hook: IoTStudioHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def shared_result(key: Any, max_age: float, fetch: Any) -> list[str]:
        asked.append((key, max_age))
        return list(await fetch())

    async def afind(silence: Silence, hook: IoTStudioHook) -> list[str]:
        asked.append(hook)
        return ["t"]

    monkeypatch.setattr(silence, "shared_result", shared_result)
    monkeypatch.setattr(Silence, "afind", afind)
    found = Silence(Fleet(), 60, None)
    assert await found.ashared_find(hook, 30.0) == ["t"]
    assert asked == [(found, 24.0), hook]


async def test_triggers_that_ask_the_same_share_what_they_have_found(hook: IoTStudioHook) -> None:
    def shared(
        space: str | None = None, ids: Any = None, seconds: float = 60, names: Any = ("a", "b")
    ) -> Silence:
        return Silence.shared(hook, space, Fleet(ids), seconds, names)

    first = shared()
    assert shared(names=["b", "a"]) is first
    others = [shared("s"), shared(ids=("t",)), shared(seconds=61), shared(names=None)]
    assert len({id(one) for one in (first, *others)}) == 5
    assert (first._fleet, first._silent_for, first._properties) == (
        *(Fleet(), timedelta(seconds=60), frozenset({"a", "b"})),
    )


@pytest.mark.parametrize("filters", [None, {}])
def test_without_things_and_filters_the_service_is_not_asked_why(filters: Any) -> None:
    nothing: Any = None
    found = Silence(Fleet(category="Meters", filters=filters), 60, None)
    assert found.problems(nothing, 1) == ["no Thing is selected; nothing is silent"]


@pytest.mark.parametrize("how", ["worker", "triggerer"])
async def test_a_thing_that_is_deleted_while_it_is_read_is_not_silent(
    hook: IoTStudioHook, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def gone(*of: Any, **more: Any) -> Any:
        raise NotFoundError(404, "", "gone")

    async def agone(*of: Any, **more: Any) -> Any:
        gone()

    monkeypatch.setattr(IoTStudioHook, "last_values", gone)
    monkeypatch.setattr(IoTStudioHook, "alast_values", agone)
    found = Silence(Fleet((THING,)), 60, None)
    silent = await asyncio.to_thread(found.find, hook) if how == "worker" else await found.afind(hook)
    assert (silent, found._things, found._able) == ([], 1, 1)
