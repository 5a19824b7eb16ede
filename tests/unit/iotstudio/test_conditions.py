"""Conditions: an empty one never widens a selection, and one that can never hold is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.conditions import (
    filter_problems,
    query_filters,
    read_bound,
    unfit_condition,
)
from airflow_provider.iotstudio.export.history import Span
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples

from .conftest import THING

NOTHING: list[Any] = [None, "", "  ", float("nan"), np.nan, pd.NA, pd.NaT, Decimal("NaN"), {}, [], (), [None]]
SPAN = {"start": "2026-01-01", "end": "2026-01-02"}


class Mode(Enum):
    ECO = "eco"


# -- filters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [*NOTHING, ["gt:1", ""], ["gt:1", None]])
def test_an_empty_condition_is_refused_whatever_stands_beside_it(condition: Any) -> None:
    with pytest.raises(InputError, match="empty"):
        api.filters({"mode": "eco", "window/open": condition})


@pytest.mark.parametrize("filters", [{}, "", "{'mode': 'eco'}", [], ["mode"], {"": "eco"}, {" ": "eco"}, 5])
def test_filters_that_are_no_conditions_by_name_are_refused(filters: Any) -> None:
    assert filter_problems(filters)


def test_no_filters_are_no_condition() -> None:
    assert filter_problems(None) == []
    assert api.filters(None) == {}


def test_every_condition_is_named_in_one_error() -> None:
    with pytest.raises(InputError) as caught:
        api.filters({"a": None, "b": ">20", "": "x", "c": "gt:1", "property:c": "gt:2"})
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("condition", "right"),
    [
        (">20", "gt:20"),
        (">= 20", "gte:20"),
        ("<20", "lt:20"),
        ("<=20", "lte:20"),
        ("=20", "eq:20"),
        ("==eco", "eq:eco"),
        ("!=eco", "neq:eco"),
        ("<>eco", "neq:eco"),
        ("ge:20", "gte"),
        ("LE:20", "lte"),
        ("ne:eco", "neq"),
        ("GT:20", "gt:20"),
        ("gt20", "gt:20"),
        ("GTE-0.5", "gte:-0.5"),
        (" gt:20", "gt:20"),
        ("gt :20", "gt:20"),
        ("gt 20", "gt:20"),
        ("contain:a", "contains"),
        ("above:20", "gt"),
        ({"gt": 20}, "gt:20"),
        ({"$gte": 20}, "gte:20"),
        ({">": 20}, "gt:20"),
    ],
)
def test_a_condition_that_the_service_does_not_understand_is_refused_with_the_right_one(
    condition: Any, right: str
) -> None:
    (problem,) = filter_problems({"temperature": condition})
    assert "'temperature'" in problem
    assert f"'{right}'" in problem


@pytest.mark.parametrize(
    "condition",
    [
        "between:1,2",
        "in:a,b",
        "regex:^a",
        "gt:",
        "neq: ",
        "neq:\u200b",
        "contains:\ufeff",
        "contains:",
        "gt:None",
        "eq:nan",
        "neq:None",
        "None",
        "NaT",
        "lt:inf",
        "gt:20 and lt:30",
        "gt:20;lt:30",
        "gt:\u221220",
        "neq:[]",
        "{}",
        ["gt:30", "eq:20"],
        ["lte:10", 20],
        ["gt:20", "eq:20"],
        ["eq:eco", "neq:eco"],
        "gt:20,5",
        "gt:>20",
        "gte:gt:20",
        ["gt:30", "lt:20"],
        ["gt:20", "lte:20"],
        ["eco", "comfort"],
        float("inf"),
        b"eco",
        {"a", "b"},
        [["gt:20"]],
        datetime(2026, 1, 1),
        object(),
    ],
)
def test_a_condition_that_can_never_hold_or_holds_always_is_refused(condition: Any) -> None:
    assert filter_problems({"temperature": condition})


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        ("gt:20", "gt:20"),
        ("eco", "eco"),
        ("none", "none"),
        ("eq:>20", "eq:>20"),
        ("eq:above:3", "eq:above:3"),
        ("10:30:00", "10:30:00"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("urn:campus:room:A-1", "urn:campus:room:A-1"),
        ("https://example.com/a", "https://example.com/a"),
        ("lt:-0.5e3", "lt:-0.5e3"),
        ("gt:A", "gt:A"),
        (20, 20),
        (20.5, 20.5),
        (False, False),
        (np.int64(20), 20),
        (np.bool_(True), True),
        (Decimal("20.50"), 20.5),
        (Mode.ECO, "eco"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (["gt:20", "lt:30"], ["gt:20", "lt:30"]),
        (("gte:20", "lte:20"), ["gte:20", "lte:20"]),
        (["contains:a", "contains:b"], ["contains:a", "contains:b"]),
        (["neq:a", "neq:b"], ["neq:a", "neq:b"]),
    ],
)
def test_a_condition_that_the_service_understands_is_sent(condition: Any, sent: Any) -> None:
    assert api.filters({"x": condition}) == {"property:x": sent}


def test_a_name_may_have_the_prefix_of_the_api() -> None:
    assert api.filters({"property:x": "gt:1"}) == {"property:x": "gt:1"}


MISSING = st.sampled_from(NOTHING)
WORDS = st.text(max_size=8) | st.sampled_from(["gt:20", "eco", "neq:eco", ">3", "ge:3", "None"])
CONDITIONS = (
    MISSING | WORDS | st.integers() | st.floats() | st.booleans() | st.lists(WORDS | MISSING, max_size=3)
)


@settings(max_examples=examples(200))
@given(filters=st.dictionaries(st.sampled_from("abcd"), CONDITIONS, max_size=4))
def test_filters_never_lose_a_condition(filters: dict[str, Any]) -> None:
    try:
        sent = query_filters(filters)
    except InputError:
        return
    assert filters
    assert sent.keys() == {f"property:{name}" for name in filters}
    for name, condition in filters.items():
        wire = api.things("s", params={f"property:{name}": sent[f"property:{name}"]}).params
        values = [value for key, value in wire.items() if key == f"property:{name}"]  # type: ignore[union-attr]
        assert values
        (texts,) = values
        assert len(texts) == (len(condition) if isinstance(condition, list) else 1)
        assert all(text.strip() for text in texts)


# -- deletes ------------------------------------------------------------------------------------------

DELETES: list[dict[str, Any]] = [
    {},
    {"filters": {}},
    {"filters": {"mode": "eco", "window/open": None}},
    {"filters": {"mode": "eco", "window/open": float("nan")}},
    {"filters": {"mode": ""}},
    {"filters": {"": "eco"}},
    {"filters": {"mode": "neq:"}},
    {"filters": {"mode": "neq:None"}},
    {"filters": {"mode": {"neq": "eco"}}},
    {"filters": {"mode": []}},
    {"filters": {}, "category": "Meters"},
    {"filters": {}, "thing_ids": []},
    {"thing_ids": [None], "category": "Meters"},
    {"thing_ids": [None]},
    {"thing_ids": [""]},
    {"thing_ids": [THING, pd.NA]},
    {"thing_ids": [float("nan")]},
    {"thing_ids": [5]},
    {"thing_ids": THING},
    {"thing_ids": f"['{THING}']"},
    {"thing_ids": {}},
    {"thing_ids": [THING], "category": ""},
    {"category": " "},
    {"category": float("nan")},
    {"category": ["Meters"]},
]


@pytest.mark.parametrize("arguments", DELETES, ids=repr)
def test_nothing_is_deleted_under_an_empty_condition(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        hook.delete_things(**arguments)
    assert sandbox.counters.total("iotstudio") == 0
    assert len(service.space.things) == 264


def test_a_condition_that_is_there_still_deletes(hook: IoTStudioHook, service: IoTStudioService) -> None:
    assert len(hook.delete_things(filters={"mode": "eco", "window/open": True})) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": "", "end": ""},
        {"start": None, "end": None},
        {"start": "2026-01-01", "end": None},
        {"start": "2026-01-01", "end": " "},
        {"start": float("nan"), "end": "2026-01-02"},
        {"start": "yesterday", "end": "2026-01-02"},
        {"start": "2026-01-02", "end": "2026-01-01"},
        {"start": "20260131000000", "end": "2026-02-01"},
        {**SPAN, "names": [None]},
        {**SPAN, "names": [""]},
        {**SPAN, "names": ["temperature", None]},
        {**SPAN, "names": "temperature"},
        {**SPAN, "names": {}},
    ],
    ids=repr,
)
def test_a_history_is_not_deleted_under_an_empty_condition(
    hook: IoTStudioHook, sandbox: Sandbox, service: IoTStudioService, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        hook.delete_history(THING, **arguments)
    assert sandbox.counters.total("iotstudio") == 0


def test_both_bounds_are_told_at_once(hook: IoTStudioHook) -> None:
    for call in (
        lambda: hook.delete_history(THING, start="", end=" "),
        lambda: hook.iter_history(THING, start="", end=" "),
        lambda: Span.parse("", " "),
    ):
        with pytest.raises(InputError, match="(?s)'start' is empty.*'end' is empty"):
            call()


@pytest.mark.parametrize(
    ("condition", "kinds", "said"),
    [
        ("gt:abc", {"number"}, "is a number, so 'gt:abc' never holds"),
        ("20..30", {"number"}, "never holds"),
        ("eq:>20", {"number"}, "never holds"),
        (True, {"number"}, "'true' never holds"),
        ("contains:2", {"number"}, "never holds"),
        (["gt:1", "lt:x"], {"number"}, "'lt:x' never holds"),
        ("ja", {"boolean"}, "is a boolean, so 'ja' never holds"),
        ("neq:abc", {"number"}, ""),
        ("gt:-2e3", {"number"}, ""),
        ("True", {"boolean"}, ""),
        ("gt:abc", {"string"}, ""),
        ("gt:abc", {"number", "string"}, ""),
        ("gt:abc", set(), ""),
    ],
)
def test_a_condition_that_never_holds_for_a_type_is_found(condition: Any, kinds: set[str], said: str) -> None:
    found = unfit_condition(condition, kinds)
    assert (said in found) if said else not found


def test_no_names_delete_no_history(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    hook.delete_history(THING, **SPAN, names=[])
    assert sandbox.counters.total("iotstudio") == 0


# -- ids and names in paths, and the parameters of lists --------------------------------------------------

BY_ID: dict[str, Callable[[IoTStudioHook, Any], Any]] = {
    "get_thing": lambda h, one: h.get_thing(one),
    "get_properties": lambda h, one: h.get_properties(one),
    "get_property": lambda h, one: h.get_property(one, "mode"),
    "get_property name": lambda h, one: h.get_property(THING, one),
    "set_properties": lambda h, one: h.set_properties(one, {"mode": "eco"}),
    "iter_history": lambda h, one: list(h.iter_history(one)),
    "history_page": lambda h, one: h.history_page(one),
    "invoke_action": lambda h, one: h.invoke_action(one, "reboot"),
    "invoke_action action": lambda h, one: h.invoke_action(THING, one),
    "get_action": lambda h, one: h.get_action(one, "reboot", "01J"),
    "get_action action": lambda h, one: h.get_action(THING, one, "01J"),
    "get_action id": lambda h, one: h.get_action(THING, "reboot", one),
    "list_actions": lambda h, one: list(h.list_actions(one, "reboot")),
    "list_actions action": lambda h, one: list(h.list_actions(THING, one)),
    "list_events": lambda h, one: list(h.list_events(one)),
    "get_event": lambda h, one: h.get_event(one, "highTemperature", "01K"),
    "delete_event": lambda h, one: h.delete_event(THING, "highTemperature", one),
    "delete_event event": lambda h, one: h.delete_event(THING, one, "01K"),
    "add_event": lambda h, one: h.add_event(one, "highTemperature", 40),
    "add_event event": lambda h, one: h.add_event(THING, one, 40),
    "add_history": lambda h, one: h.add_history(one, [{"at": "2025-01-01", "properties": {"mode": "eco"}}]),
    "last_values": lambda h, one: h.last_values(one, "2026-01-01"),
    "last_values at": lambda h, one: h.last_values(THING, one),
    "delete_history": lambda h, one: h.delete_history(one, **SPAN),
    "patch_things": lambda h, one: h.patch_things([{"id": one, "patch": []}]),
    "get_model": lambda h, one: h.get_model(one),
    "create_model": lambda h, one: h.create_model(one),
    "update_model": lambda h, one: h.update_model(one, "text"),
    "delete_model": lambda h, one: h.delete_model(one),
    "list_model_versions": lambda h, one: list(h.list_model_versions(one)),
    "get_model_version": lambda h, one: h.get_model_version("pump", one),
    "create_model_version": lambda h, one: h.create_model_version(one, {"title": "x"}),
    "get_mqtt_credentials": lambda h, one: h.get_mqtt_credentials(one),
    "set_mqtt_credentials": lambda h, one: h.set_mqtt_credentials(one),
    "delete_mqtt_credentials": lambda h, one: h.delete_mqtt_credentials(one),
}

OPTIONAL: dict[str, Callable[[IoTStudioHook, Any], Any]] = {
    "list_things category": lambda h, one: list(h.list_things(category=one)),
    "list_things property": lambda h, one: list(h.list_things(params={"property:mode": one})),
    "list_things title": lambda h, one: list(h.list_things(params={"title": one})),
    "iter_history name": lambda h, one: list(h.iter_history(THING, name=one)),
    "iter_history start": lambda h, one: list(h.iter_history(THING, start=one)),
    "iter_history end": lambda h, one: list(h.iter_history(THING, end=one)),
    "history_page name": lambda h, one: h.history_page(THING, name=one),
    "last_values name": lambda h, one: h.last_values(THING, "2026-01-01", name=one),
    "list_events event": lambda h, one: list(h.list_events(THING, one)),
    "mqtt thing beside category": lambda h, one: h.delete_mqtt_credentials(one, category="Sensors"),
    "mqtt category": lambda h, one: h.delete_mqtt_credentials(category=one),
    "raw property": lambda h, one: h.request("DELETE", "things", params={"property:mode": one, "title": "x"}),
}


@pytest.mark.parametrize("name", BY_ID)
@pytest.mark.parametrize("missing", [None, "", " ", float("nan"), pd.NA])
def test_a_missing_id_is_refused_before_any_request(
    hook: IoTStudioHook, sandbox: Sandbox, name: str, missing: Any
) -> None:
    with pytest.raises(InputError):
        BY_ID[name](hook, missing)
    assert sandbox.counters.total("iotstudio") == 0


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("missing", ["", " ", float("nan"), pd.NaT, [], {}])
def test_an_empty_condition_of_a_list_is_refused_before_any_request(
    hook: IoTStudioHook, sandbox: Sandbox, name: str, missing: Any
) -> None:
    with pytest.raises(InputError):
        OPTIONAL[name](hook, missing)
    assert sandbox.counters.total("iotstudio") == 0


def test_an_empty_list_of_ids_lists_nothing_without_a_request(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    assert list(hook.list_things(params={"thingID[]": []})) == []
    assert sandbox.counters.total("iotstudio") == 0


def test_a_raw_request_with_an_empty_list_is_refused(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    for params in ({"thingID[]": []}, {"thingID[]": [None]}, {"thingID[]": None}):
        with pytest.raises(InputError):
            hook.request("DELETE", "things", params=params)
    with pytest.raises(InputError, match="empty name"):
        hook.request("DELETE", "things//properties-history", params={"at": "2026|2027"})
    assert sandbox.counters.total("iotstudio") == 0


def test_nothing_to_add_or_to_patch_sends_no_request(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    hook.add_history(THING, [])
    assert hook.patch_things([]) == []
    assert sandbox.counters.total("iotstudio") == 0


# -- bounds -------------------------------------------------------------------------------------------

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026",
        "2026-01",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "2026-01-01 01:00:00+01:00",
        "2026-01-01T00:00:00",
        NEW_YEAR,
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        date(2026, 1, 1),
        pd.Timestamp("2026-01-01", tz="UTC"),
        np.datetime64("2026-01-01"),
        1767225600,
        1767225600.0,
        1767225600000,
        np.int64(1767225600),
        Decimal(1767225600),
        "1767225600",
        "1767225600000",
    ],
    ids=repr,
)
def test_a_bound_is_a_moment_in_utc(value: Any) -> None:
    assert read_bound(value, "start") == NEW_YEAR


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        math.nan,
        pd.NaT,
        "next Tuesday",
        "None",
        True,
        2026,
        1e18,
        "20260131120000",
        202601311200,
        math.inf,
        [],
        b"2026",
        {},
    ],
)
def test_a_bound_that_is_no_time_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(InputError, match="'start'"):
        read_bound(value, "start")
