"""Things and categories created and updated by the hook: once, and only as described."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    NotFoundError,
    RequestRejectedError,
    TransportError,
)
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.iotstudio.conftest import THING

VALVE: dict[str, Any] = {
    "title": "Valve 7",
    "description": "In the cellar",
    "@type": ["Valve"],
    "categories": ["Meters"],
    "properties": {"position": {"type": "number"}},
    "events": {"stuck": {"data": {"type": "string"}}},
    "links": [{"href": "urn:valve:7", "rel": "self"}],
    "status": {"position": 0.5},
}


def _valves(service: IoTStudioService) -> list[Any]:
    return [thing for thing in service.space.things.values() if thing.title == "Valve 7"]


def test_a_created_thing_has_every_field_that_was_given(hook: IoTStudioHook) -> None:
    made = hook.create_thing(VALVE)
    assert {name: made[name] for name in VALVE} == VALVE
    assert hook.get_thing(made["uid"]) == made


def test_a_thing_is_created_in_a_category(hook: IoTStudioHook, service: IoTStudioService) -> None:
    made = hook.create_thing({"title": "Valve 7"}, category="Meters")
    assert service.space.things[made["uid"]].categories == ["Meters"]


@pytest.mark.parametrize("category", [None, "Meters"])
@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_a_thing_is_created_once_when_the_response_is_lost(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox, kind: str, category: str | None
) -> None:
    body = {name: value for name, value in VALVE.items() if category is None or name != "categories"}
    hook.create_thing(body, category=category)
    sandbox.faults.add(kind, method="POST", path="/things$")
    made = hook.create_thing(body, category=category)
    assert len(_valves(service)) == 2
    assert made["uid"] == max(thing.uid for thing in _valves(service))


def test_a_thing_is_created_though_the_first_request_never_arrived(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    hook.create_thing(VALVE)
    sandbox.faults.add("reset_before", method="POST", path="/things$")
    hook.create_thing(VALVE)
    assert len(_valves(service)) == 2


def test_a_thing_is_given_up_when_no_response_ever_arrives(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("reset_before", method="POST", path="/things$", times=None)
    with pytest.raises(TransportError, match="was not created"):
        hook.create_thing(VALVE)
    assert _valves(service) == []


def test_without_the_order_of_the_newest_a_lost_response_stays_ambiguous(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    sandbox.faults.add("status", method="GET", path="/things$", status=400)
    sandbox.faults.add("reset_after", method="POST", path="/things$")
    with pytest.raises(AmbiguousWriteError):
        hook.create_thing(VALVE)
    assert len(_valves(service)) == 1


def _model(hook: IoTStudioHook, title: str = "From the model") -> dict[str, Any]:
    hook.create_model("valve")
    hook.create_model_version("valve", {"template": {"title": title}})
    return {"title": "Valve 7", "model": {"name": "valve", "version": 1}}


def test_a_lost_thing_is_found_though_its_model_has_replaced_the_title(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    body = _model(hook)
    sandbox.faults.add("reset_after", method="POST", path="/things$")
    assert hook.create_thing(body)["title"] == "From the model"
    assert sum(thing.title == "From the model" for thing in service.space.things.values()) == 1


def test_of_two_things_that_may_be_the_lost_one_none_is_created_again(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    body = _model(hook)
    sandbox.faults.add("reset_after", method="POST", path="/things$")
    usual = hook.send
    others = iter([body])

    def send(call: Any) -> Any:
        if call.method == "POST" and (other := next(others, None)):
            with IoTStudioHook() as somebody:
                somebody.request("POST", "things", json=other)
        return usual(call)

    sandbox.faults.clear()
    sandbox.faults.add("reset_after", method="POST", path="/things$", after=1)
    hook.send = send  # type: ignore[method-assign]
    with pytest.raises(AmbiguousWriteError, match="may be one of"):
        hook.create_thing(body)
    assert sum(thing.title == "From the model" for thing in service.space.things.values()) == 2


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"uid": THING, "title": "a"}, "'uid' is set by the service"),
        ({"titel": "a"}, "did you mean 'title'"),
        ({"title": " "}, "'title' is empty"),
        ({"title": 7}, "'title' must be a text"),
        ({"categories": "Meters"}, "'categories' must be a list"),
        ({"categories": ["No blanks"]}, "1 to 26"),
        ({"categories": ["A", "A"]}, "twice"),
        ({"model": "valve"}, "'model' must be an object"),
        ({"model": {"name": "valve", "version": "1"}}, "whole number"),
        ({"model": {"name": "valve", "versoin": 1}}, "unknown member"),
        ({"properties": ["position"]}, "'properties' must be an object"),
        ({"properties": {"position": "number"}}, "the declaration of 'position'"),
        ({"links": {"href": "a"}}, "'links' must be a list"),
        ({"@type": 7}, "'@type'"),
        ({"description": float("inf")}, "description"),
        ({}, "is empty"),
        ("Valve", "object of fields"),
    ],
)
def test_a_wrong_description_is_refused_before_any_request(
    hook: IoTStudioHook, sandbox: Sandbox, fields: Any, wanted: str
) -> None:
    before = sandbox.counters.total("iotstudio")
    with pytest.raises(InputError, match=wanted):
        hook.create_thing(fields)
    assert sandbox.counters.total("iotstudio") == before


def test_all_problems_of_a_description_are_named_at_once(hook: IoTStudioHook) -> None:
    with pytest.raises(InputError) as caught:
        hook.create_thing({"titel": "a", "links": 7}, category="")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("has_patch", [True, False])
@pytest.mark.parametrize("put_without_status", ["keep", "clear"])
def test_an_update_changes_only_the_given_fields(
    hook: IoTStudioHook, service: IoTStudioService, has_patch: bool, put_without_status: str
) -> None:
    service.has_patch = has_patch
    service.put_without_status = put_without_status  # type: ignore[assignment]
    before = hook.get_thing(THING)
    after = hook.update_thing(THING, {"title": "New", "categories": ["Meters", "Sensors"], "@type": "Sensor"})
    assert (after["title"], after["categories"], after["@type"]) == ("New", ["Meters", "Sensors"], "Sensor")
    changed = {"title", "categories", "@type", "modified"}
    assert {name: value for name, value in after.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }


def test_an_update_with_none_empties_a_field(hook: IoTStudioHook) -> None:
    after = hook.update_thing(THING, {"description": None, "categories": None, "links": None, "model": None})
    assert (after["description"], after["categories"], after["links"], after["model"]) == ("", [], [], None)
    with pytest.raises(InputError, match="title"):
        hook.update_thing(THING, {"title": None})


def test_an_update_is_repeated_when_the_response_is_lost(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    sandbox.faults.add("reset_after", method="PATCH")
    assert hook.update_thing(THING, {"title": "New"})["title"] == "New"


def test_an_update_of_values_is_refused(hook: IoTStudioHook) -> None:
    with pytest.raises(InputError, match="set_properties"):
        hook.update_thing(THING, {"status": {"setpoint": 20}})
    with pytest.raises(InputError, match="no field"):
        hook.update_thing(THING, {})


def test_an_update_of_a_thing_that_is_gone_is_no_matter_of_the_method(
    hook: IoTStudioHook, sandbox: Sandbox
) -> None:
    with pytest.raises(NotFoundError):
        hook.update_thing("01GQ2E9M2Y45BX9EW0F2BM0ZZZ", {"title": "New"})
    assert not [name for name in sandbox.counters.requests if "PUT" in name and name.endswith("{thing}")]


def test_a_category_is_created_once_when_the_response_is_lost(
    hook: IoTStudioHook, service: IoTStudioService, sandbox: Sandbox
) -> None:
    hook.create_model("valve")
    sandbox.faults.add("reset_after", method="POST", path="/categories$")
    made = hook.create_category("Valves", "All of them", model={"name": "valve"})
    assert (made["name"], made["description"]) == ("Valves", "All of them")
    assert made["model"] == {"name": "valve"}
    assert "Valves" in service.space.categories


def test_a_category_that_existed_before_is_refused(hook: IoTStudioHook) -> None:
    with pytest.raises(RequestRejectedError, match="already exists"):
        hook.create_category("Meters", "Electricity")


def test_a_wrong_category_is_refused_before_any_request(hook: IoTStudioHook, sandbox: Sandbox) -> None:
    before = sandbox.counters.total("iotstudio")
    with pytest.raises(InputError) as caught:
        hook.create_category("No blanks", 7, model={"version": 1})  # type: ignore[arg-type]
    assert len(caught.value.problems) == 3
    assert sandbox.counters.total("iotstudio") == before
