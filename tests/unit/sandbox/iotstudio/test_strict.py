"""A strict IoT Studio: values and descriptions that it refuses, models, previews and the limit of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
Api = Callable[..., requests.Response]

VALUES: list[tuple[str, Any]] = [
    ("temperature", "21"),
    ("temperature", True),
    ("temperature", [21]),
    ("temperature", 85.1),
    ("temperature", -41),
    ("co2", 600.5),
    ("co2", -1),
    ("mode", 3),
    ("mode", False),
    ("window/open", 1),
    ("window/open", "true"),
    ("setpoint", 31),
    ("setpoint", {"value": 20}),
    ("colour", "red"),
]
WRITES: dict[str, Callable[[str, Any], tuple[str, str, Any]]] = {
    "multi PUT": lambda name, value: ("PUT", f"/things/{THING}/properties", {"setpoint": 20, name: value}),
    "single PUT": lambda name, value: (
        "PUT",
        f"/things/{THING}/properties/{name.replace('/', '%2F')}",
        {name: value},
    ),
    "category PUT": lambda name, value: (
        "PUT",
        f"/categories/Sensors/things/{THING}/properties",
        {name: value},
    ),
    "history POST": lambda name, value: (
        "POST",
        f"/things/{THING}/properties-history",
        [{"at": "2025-01-01T00:00:00Z", "properties": {"setpoint": 20, name: value}}],
    ),
    "single history POST": lambda name, value: (
        "POST",
        f"/things/{THING}/properties-history/{name.replace('/', '%2F')}",
        {"at": "2025-01-01T00:00:00Z", "properties": {name: value}},
    ),
    "PATCH of the status": lambda name, value: (
        "PATCH",
        f"/things/{THING}",
        [{"op": "add", "path": f"/status/{name.replace('/', '~1')}", "value": value}],
    ),
}


@pytest.mark.parametrize("way", WRITES)
def test_a_value_that_its_property_cannot_have_is_refused(sandbox: Sandbox, api: Api, way: str) -> None:
    thing = sandbox.iotstudio.space.things[THING]
    before = json.dumps([thing.status, {key: len(series) for key, series in thing.history.items()}])
    for name, value in VALUES:
        answer = api(*WRITES[way](name, value))
        assert answer.status_code == 400, answer.text
        assert list(answer.json()["error"]["details"]) == [name]
    after = json.dumps([thing.status, {key: len(series) for key, series in thing.history.items()}])
    assert after == before


def test_a_put_and_a_post_of_a_thing_check_the_status(api: Api) -> None:
    described = api("GET", f"/things/{THING}").json()
    assert api("PUT", f"/things/{THING}", described).status_code == 200
    described["status"] |= {"co2": "many", "setpoint": 99}
    for method, path in (("PUT", f"/things/{THING}"), ("POST", "/things")):
        answer = api(method, path, described)
        assert (answer.status_code, set(answer.json()["error"]["details"])) == (400, {"co2", "setpoint"})


def test_a_bulk_patch_reports_the_bad_thing_alone(api: Api) -> None:
    other = api("GET", "/things?limit=2&sort=uid").json()["data"][1]["uid"]
    items = [
        {"id": uid, "patch": [{"op": "replace", "path": "/status/setpoint", "value": value}]}
        for uid, value in ((THING, 99), (other, 20))
    ]
    reply = api("PATCH", "/things", items)
    assert (reply.status_code, reply.json()["has_errors"]) == (207, [0])
    assert api("GET", f"/things/{other}/properties/setpoint").json() == {"setpoint": 20}


def test_a_query_that_writes_counts_the_things_that_cannot_take_the_value(api: Api) -> None:
    then = {"op": "update", "resource": "properties", "data": {"setpoint": 99}}
    body = {"query": "FOR t IN things RETURN t._key", "then": then, "batchSize": 10}
    assert api("POST", "/query/cursor", body).json()["then"] == {"success_count": 0, "error_count": 10}


@pytest.mark.parametrize(
    "body", [{"at": 2025, "properties": {"co2": 1}}, {"at": "2025-01-01", "properties": {}}]
)
def test_a_history_row_has_a_time_and_values(api: Api, body: Any) -> None:
    assert api("POST", f"/things/{THING}/properties-history", body).status_code == 400


def test_payloads_of_actions_and_events_are_checked(sandbox: Sandbox, api: Api) -> None:
    thing = sandbox.iotstudio.space.things[THING]
    delay = {"input": {"type": "number", "maximum": 100}, "output": {"type": "object"}}
    thing.fields = {**thing.fields, "actions": {"delay": delay}}
    path = f"/things/{THING}/actions/delay"
    for value in ("5", 101, True):
        assert api("POST", path, {"delay": {"input": value}}).status_code == 400
    href = api("POST", path, {"delay": {"input": 5}}).json()["delay"]["href"]
    one = f"{path}/{href.rsplit('/', 1)[1]}"
    for change in ({"output": 1}, {"status": 1}):
        assert api("PUT", one, {"delay": change}).status_code == 400
    assert api("PUT", one, {"delay": {"status": "completed", "output": {"ok": True}}}).status_code == 200
    event = f"/things/{THING}/events/highTemperature"
    assert api("POST", event, {"highTemperature": {"data": "warm"}}).status_code == 400


# Switches of values


def test_null_is_a_value_of_every_type_or_of_none(sandbox: Sandbox, api: Api) -> None:
    path = f"/things/{THING}/properties"
    assert api("PUT", path, {"setpoint": None}).status_code == 200
    sandbox.iotstudio.null_values = "reject"
    assert api("PUT", path, {"setpoint": None}).status_code == 400
    sandbox.iotstudio.strict = False
    assert api("PUT", path, {"setpoint": None}).status_code == 200


FURTHER: list[tuple[dict[str, Any], Any, Any]] = [
    ({"type": "string", "enum": ["a", "b"]}, "a", "c"),
    ({"enum": [1, 2]}, 1, True),
    ({"const": 5}, 5, 6),
    ({"type": "array", "maxItems": 2}, [1, 2], [1, 2, 3]),
    ({"type": "array", "minItems": 1}, [1], []),
    ({"type": "array", "items": {"type": "integer", "maximum": 3}}, [1, 3], [1, 4]),
    ({"type": "object", "required": ["name"]}, {"name": "x"}, {}),
    ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": 1, "m": "x"}, {"n": "1"}),
]


@pytest.mark.parametrize(("schema", "good", "bad"), FURTHER)
def test_further_keywords_are_enforced_by_a_switch(
    sandbox: Sandbox, api: Api, schema: dict[str, Any], good: Any, bad: Any
) -> None:
    uid = api("POST", "/things", {"properties": {"p": schema}}).json()["uid"]
    path = f"/things/{uid}/properties"
    assert api("PUT", path, {"p": bad}).status_code == 200
    sandbox.iotstudio.further_keywords = "enforce"
    assert api("PUT", path, {"p": bad}).status_code == 400
    assert api("PUT", path, {"p": good}).status_code == 200


@pytest.mark.parametrize("switch", ["strict", "check_values"])
def test_without_the_check_only_property_writes_are_checked(sandbox: Sandbox, api: Api, switch: str) -> None:
    setattr(sandbox.iotstudio, switch, False)
    statuses = {way: api(*write("temperature", "warm")).status_code for way, write in WRITES.items()}
    assert {way for way, status in statuses.items() if status == 400} == {
        "multi PUT",
        "single PUT",
        "category PUT",
    }


# Descriptions

DESCRIPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"title": 5}, "title"),
    ({"description": ["x"]}, "description"),
    ({"@context": ["https://www.w3.org/2019/wot/td/v1"]}, "@context"),
    ({"@type": {"a": 1}}, "@type"),
    ({"@type": ["Sensor", 1]}, "@type"),
    ({"properties": {"p": "number"}}, "properties.p"),
    ({"properties": {"p": {"type": "float"}}}, "properties.p.type"),
    ({"properties": {"p": {"type": ["number", "null"]}}}, "properties.p.type"),
    ({"properties": {"p": {"minimum": "0"}}}, "properties.p.minimum"),
    ({"properties": {"p": {"minimum": 3, "maximum": 1}}}, "properties.p.minimum"),
    ({"properties": {"p": {"readOnly": "true"}}}, "properties.p.readOnly"),
    ({"properties": {"p": {"enum": "a,b"}}}, "properties.p.enum"),
    ({"properties": {"p": {"unit": 1}}}, "properties.p.unit"),
    ({"actions": {"a": "reboot"}}, "actions.a"),
    ({"actions": {"a": {"input": {"type": "int"}}}}, "actions.a.input.type"),
    ({"events": {"e": {"data": 5}}}, "events.e.data"),
    ({"links": [{"href": 1}]}, "links[0].href"),
]


@pytest.mark.parametrize(("body", "path"), DESCRIPTIONS)
def test_a_description_of_the_wrong_types_is_refused(
    sandbox: Sandbox, api: Api, body: dict[str, Any], path: str
) -> None:
    api("POST", "/models", {"name": "m"})
    for method, where, sent in (
        ("POST", "/things", body),
        ("PUT", f"/things/{THING}", body),
        ("POST", "/models/m/versions", {"template": body}),
    ):
        answer = api(method, where, sent)
        assert answer.status_code == 400, (where, answer.text)
        assert path in answer.json()["error"]["details"]
    sandbox.iotstudio.check_descriptions = False
    assert api("POST", "/things", body).status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/categories", {"name": "Pumps", "description": 5}, 400),
        ("/categories", {"name": "Pumps", "model": "pump"}, 400),
        ("/categories", {"name": "Pumps", "model": {"name": "nothing"}}, 404),
        ("/categories", {"name": "Pumps", "model": {"name": "m", "version": "1"}}, 400),
        ("/categories", {"name": "Pumps", "model": {"name": "m", "version": 1}}, 404),
        ("/categories", {"name": "a b"}, 400),
        ("/models", {"name": "n" * 27}, 400),
        ("/models", {"name": "n", "description": {}}, 400),
        ("/models/m/versions", {"title": 1}, 400),
        ("/models/m/versions", {"template": []}, 400),
        ("/things", {"model": {"name": "nothing"}}, 404),
        ("/things", {"model": {"name": "m", "version": 3}}, 404),
        ("/things", {"model": {"version": 3}}, 400),
        ("/things", {"actions": ["reboot"]}, 400),
    ],
)
def test_categories_models_and_references_are_checked(
    api: Api, path: str, body: dict[str, Any], status: int
) -> None:
    api("POST", "/models", {"name": "m"})
    assert api("POST", path, body).status_code == status


# Models

TEMPLATE = {
    "title": "RPi",
    "properties": {"cpu": {"type": "number", "maximum": 100}, "disk": {"type": "integer"}},
    "actions": {"delay": {"input": {"type": "number", "minimum": 3, "maximum": 100}}},
    "links": None,
}


def model(api: Api, name: str = "pi", **template: Any) -> None:
    api("POST", "/models", {"name": name})
    answer = api("POST", f"/models/{name}/versions", {"template": {**TEMPLATE, **template}})
    assert answer.status_code == 201


def test_a_new_thing_gets_what_its_model_has(api: Api) -> None:
    model(api)
    body = {"title": "mine", "description": "kept", "model": {"name": "pi", "version": 1}}
    made = api("POST", "/things", {**body, "links": [{"href": "urn:x", "rel": "y"}]}).json()
    assert (made["title"], made["description"]) == ("RPi", "kept")
    assert made["properties"] == TEMPLATE["properties"]
    assert made["links"] == [{"href": "urn:x", "rel": "y"}]
    path = f"/things/{made['uid']}/properties"
    assert api("PUT", path, {"cpu": 12.5}).status_code == 200
    assert set(api("PUT", path, {"cpu": 101, "disk": 1.5, "fan": 1}).json()["error"]["details"]) == {
        "cpu",
        "disk",
        "fan",
    }
    assert api("POST", f"/things/{made['uid']}/actions/delay", {"delay": {"input": 5}}).status_code == 201


def test_without_a_version_the_last_one_is_applied(api: Api) -> None:
    model(api)
    model(api, properties={"fan": {"type": "boolean"}})
    made = api("POST", "/things", {"model": {"name": "pi"}}).json()
    assert made["model"] == {"name": "pi", "version": 2}
    assert list(made["properties"]) == ["fan"]


def test_the_model_of_a_category_is_that_of_its_things(api: Api) -> None:
    model(api)
    model(api, "other")
    api("POST", "/categories", {"name": "Boards", "model": {"name": "pi"}})
    for path, body in (("/things", {"categories": ["Boards"]}), ("/categories/Boards/things", {})):
        made = api("POST", path, body)
        assert made.json()["properties"] == TEMPLATE["properties"]
    wrong = api("POST", "/things", {"categories": ["Boards"], "model": {"name": "other"}})
    assert (wrong.status_code, "does not match the Model" in wrong.text) == (400, True)
    assert api("DELETE", "/models/pi").status_code == 403


def test_a_put_and_a_patch_apply_the_model_again(api: Api) -> None:
    model(api)
    uid = api("POST", "/things", {"model": {"name": "pi", "version": 1}}).json()["uid"]
    body = {"title": "x", "properties": {"own": {}}, "model": {"name": "pi", "version": 1}}
    assert api("PUT", f"/things/{uid}", body).json()["properties"] == TEMPLATE["properties"]
    patch = [{"op": "add", "path": "/properties/own", "value": {}}]
    assert api("PATCH", f"/things/{uid}", patch).json()["properties"] == TEMPLATE["properties"]
    patch = [{"op": "replace", "path": "/model", "value": None}]
    assert api("PATCH", f"/things/{uid}", patch).json()["model"] is None


@pytest.mark.parametrize("switch", ["strict", "apply_models"])
def test_models_can_be_left_unapplied(sandbox: Sandbox, api: Api, switch: str) -> None:
    model(api)
    setattr(sandbox.iotstudio, switch, False)
    assert api("POST", "/things", {"model": {"name": "pi"}}).json()["properties"] == {}


def test_the_seeded_and_the_loaded_things_are_valid(sandbox: Sandbox, api: Api) -> None:
    sandbox.load("iotstudio.things", things=3)
    sandbox.iotstudio.null_values = "reject"
    sandbox.iotstudio.further_keywords = "enforce"
    for thing in api("GET", "/things?limit=1000").json()["data"][::20]:
        assert api("PUT", f"/things/{thing['uid']}", thing).status_code == 200
        answer = api("PUT", f"/things/{thing['uid']}/properties", thing["status"])
        assert answer.status_code == 200, answer.text


# Older servers, and the number of tokens


@pytest.mark.parametrize(
    ("preview", "status"), [("", 404), ("2022.2", 404), ("2023.1", 200), ("2024.1", 200)]
)
def test_an_older_server_knows_these_routes_with_a_preview_only(
    sandbox: Sandbox, api: Api, preview: str, status: int
) -> None:
    sandbox.iotstudio.requires_preview = True
    headers = {"Prefer": f"preview={preview}"} if preview else {}
    assert api("GET", f"/things/{THING}", headers=headers).status_code == status
    sandbox.iotstudio.requires_preview = False
    assert api("GET", f"/things/{THING}", headers=headers).status_code == 200


def log_in(sandbox: Sandbox) -> requests.Response:
    connection = json.loads(sandbox.connections["iotstudio_default"])
    form = {"client_id": connection["login"], "client_secret": connection["password"]}
    form |= {"grant_type": "client_credentials", "scope": "thing"}
    return requests.post(f"{connection['host']}/oauth2/token", data=form, timeout=5)


def test_ten_tokens_of_a_client_are_valid_at_once(sandbox: Sandbox) -> None:
    assert [log_in(sandbox).status_code for _ in range(11)] == [200] * 10 + [429]
    sandbox.clock.advance(604_800)
    assert log_in(sandbox).status_code == 200


def test_a_new_token_can_end_the_oldest(sandbox: Sandbox, api: Api) -> None:
    sandbox.iotstudio.token_above_max = "end_oldest"
    for _ in range(9):
        assert log_in(sandbox).status_code == 200
    assert api("GET", f"/things/{THING}").status_code == 200
    assert log_in(sandbox).status_code == 200
    assert api("GET", f"/things/{THING}").status_code == 401
    sandbox.iotstudio.max_tokens = None
    assert [log_in(sandbox).status_code for _ in range(12)] == [200] * 12


def test_a_description_without_values_keeps_or_clears_them(sandbox: Sandbox, api: Api) -> None:
    body = {name: value for name, value in api("GET", f"/things/{THING}").json().items() if name != "status"}
    assert api("PUT", f"/things/{THING}", body).json()["status"]
    sandbox.iotstudio.put_without_status = "clear"
    assert api("PUT", f"/things/{THING}", body).json()["status"] == {}


def test_an_older_service_knows_no_patch(sandbox: Sandbox, api: Api) -> None:
    sandbox.iotstudio.has_patch = False
    for path in ("/things", f"/things/{THING}"):
        reply = api("PATCH", path, [])
        assert (reply.status_code, reply.json()["error"]["message"]) == (
            404,
            "Requested url does not match any rules",
        )


def test_results_of_a_bulk_patch_are_a_list_or_by_id(sandbox: Sandbox, api: Api) -> None:
    patches = [
        {"id": THING, "patch": [{"op": "add", "path": "/title", "value": "a"}]},
        {"id": "x", "patch": []},
    ]
    listed = api("PATCH", "/things", patches).json()
    assert ([one["status"] for one in listed["results"]], listed["has_errors"]) == ([200, 404], [1])
    sandbox.iotstudio.patch_results = "by_id"
    named = api("PATCH", "/things", patches).json()["results"]
    assert {name: one["status"] for name, one in named.items()} == {THING: 200, "x": 404}


def test_events_begin_with_the_newest_or_the_oldest(sandbox: Sandbox, api: Api) -> None:
    path = f"/things/{THING}/events/highTemperature"
    for data in (1, 2):
        api("POST", path, {"highTemperature": {"data": data}})
    orders = {}
    for order in ("newest", "oldest"):
        sandbox.iotstudio.event_order = order  # type: ignore[assignment]
        orders[order] = [one["highTemperature"]["data"] for one in api("GET", path).json()["data"]]
    assert orders == {"newest": [2, 1], "oldest": [1, 2]}
