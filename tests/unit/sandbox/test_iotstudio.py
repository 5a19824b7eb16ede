"""Sandbox of Altair IoT Studio: behaviour that the provider's tests rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import requests

from airflow_provider.sandbox.server import Sandbox

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"


class Api:
    """A bare client that returns the service's replies unchanged."""

    def __init__(self, sandbox: Sandbox, scopes: str = "thing category model query") -> None:
        self.connection = json.loads(sandbox.connections["iotstudio_default"])
        self.session = requests.Session()
        self.space = self.connection["extra"]["space"]
        self.scopes = scopes
        self.log_in()

    def oauth(self, action: str, **form: str) -> requests.Response:
        keys = {"client_id": self.connection["login"], "client_secret": self.connection["password"]}
        url = f"{self.connection['host']}/oauth2/{action}"
        return requests.post(url, data={**keys, **form}, timeout=5)

    def log_in(self) -> None:
        reply = self.oauth("token", grant_type="client_credentials", scope=self.scopes)
        assert reply.status_code == 200, reply.text
        self.session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def __call__(self, method: str, path: str, json: Any = None, **params: Any) -> requests.Response:
        url = f"{self.connection['host']}/spaces/{self.space}{path}"
        headers = params.pop("headers", None)
        return self.session.request(method, url, json=json, params=params, headers=headers, timeout=5)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    client = Api(sandbox)
    yield client
    client.session.close()


def test_the_seeded_space_has_the_things_of_the_examples(api: Api) -> None:
    names = [category["name"] for category in api("GET", "/categories").json()["data"]]
    assert names == ["Meters", "Sensors"]
    assert len(api("GET", "/categories/Sensors/things", limit=1000).json()["data"]) == 240
    thing = api("GET", f"/things/{THING}").json()
    assert "updateFirmware" in thing["actions"]
    assert isinstance(thing["status"]["temperature"], float)


def test_a_token_needs_the_right_secret_and_a_granted_scope(sandbox: Sandbox, api: Api) -> None:
    bad = api.oauth("token", grant_type="client_credentials", client_secret="wrong")
    assert (bad.status_code, bad.json()["error"]) == (401, "invalid_client")
    bad = api.oauth("token", grant_type="client_credentials", scope="thing nonsense")
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_scope")
    assert sandbox.counters.tokens_issued["iotstudio"] == 1


def test_tokens_expire_on_the_sandbox_clock_and_can_be_revoked(sandbox: Sandbox, api: Api) -> None:
    sandbox.clock.advance(604_800)
    assert api("GET", "/things").json() == {"error": {"status": 401, "message": "Unauthenticated"}}
    api.log_in()
    token = str(api.session.headers["Authorization"]).removeprefix("Bearer ")
    assert api.oauth("revoke", token=token).status_code == 200
    assert api("GET", "/things").status_code == 401


def test_scopes_and_policies_are_checked(sandbox: Sandbox) -> None:
    api = Api(sandbox, scopes="thing.read")
    assert api("GET", "/things", limit=1).status_code == 200
    assert api("PUT", f"/things/{THING}/properties", {"setpoint": 20}).status_code == 403
    assert api("GET", "/categories").status_code == 403
    sandbox.iotstudio.client.policies = ["spaces/other/#"]
    assert api("GET", "/things", limit=1).status_code == 403


def test_pages_follow_cursors_both_ways_and_end_with_an_empty_cursor(api: Api) -> None:
    first = api("GET", "/things", limit=100).json()
    second = api("GET", "/things", limit=100, next_cursor=first["paging"]["next_cursor"]).json()
    third = api("GET", "/things", limit=100, next_cursor=second["paging"]["next_cursor"]).json()
    uids = [thing["uid"] for page in (first, second, third) for thing in page["data"]]
    assert len(uids) == len(set(uids)) == 264
    assert uids == sorted(uids)
    assert third["paging"]["next_cursor"] == ""
    back = api("GET", "/things", limit=100, previous_cursor=second["paging"]["previous_cursor"]).json()
    assert back["data"] == first["data"]


def test_limits_and_cursors_that_are_wrong_are_refused(api: Api) -> None:
    for query in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"next_cursor": "???"}):
        assert api("GET", "/things", **query).status_code == 400


def test_an_empty_page_can_come_in_the_middle(sandbox: Sandbox, api: Api) -> None:
    sandbox.iotstudio.empty_page_in_the_middle = True
    cursor, sizes = "", []
    while True:
        page = api("GET", "/things", limit=132, next_cursor=cursor).json()
        sizes.append(len(page["data"]))
        cursor = page["paging"]["next_cursor"]
        if not cursor:
            break
    assert sizes == [132, 0, 132]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"property:temperature": "gt:23.5"}, lambda s: s["temperature"] > 23.5),
        ({"property:mode": "eco"}, lambda s: s["mode"] == "eco"),
        ({"property:mode": "contains:om"}, lambda s: "om" in s["mode"]),
        ({"property:window/open": "true"}, lambda s: s["window/open"] is True),
        (
            {"property:temperature": "gte:21", "property:co2": "lt:700"},
            lambda s: s["temperature"] >= 21 and s["co2"] < 700,
        ),
    ],
)
def test_property_filters_are_evaluated_by_the_service(
    sandbox: Sandbox, api: Api, query: dict[str, str], expected: Callable[[dict[str, Any]], bool]
) -> None:
    found = {thing["uid"] for thing in api("GET", "/things", limit=1000, **query).json()["data"]}
    climate = {u: t.status for u, t in sandbox.iotstudio.space.things.items() if "mode" in t.status}
    assert found == {uid for uid, status in climate.items() if expected(status)}
    assert 0 < len(found) < len(climate)


def test_sorting_puts_things_without_the_value_last_and_pages_hold_it(api: Api) -> None:
    first = api("GET", "/things", limit=200, sort="-status.temperature").json()
    rest = api(
        "GET",
        "/things",
        limit=200,
        sort="-status.temperature",
        next_cursor=first["paging"]["next_cursor"],
    ).json()
    values = [one["status"].get("temperature") for one in first["data"] + rest["data"]]
    assert len(values) == 264
    assert values[:240] == sorted(values[:240], reverse=True)
    assert set(values[240:]) == {None}


def test_category_routes_see_only_their_things(api: Api) -> None:
    assert api("GET", f"/categories/Meters/things/{THING}").status_code == 404
    thing = api("GET", f"/categories/Sensors/things/{THING}").json()
    assert "categories" not in thing
    assert thing["id"].endswith(f"/categories/Sensors/things/{THING}")
    assert api("GET", "/categories/Nowhere/things").status_code == 404


def test_names_with_slashes_are_one_segment(api: Api) -> None:
    path = f"/things/{THING}/properties/window%2Fopen"
    assert api("PUT", path, {"window/open": True}).json() == {"window/open": True}
    assert api("GET", path).json() == {"window/open": True}


def test_a_write_of_many_properties_is_all_or_nothing(api: Api) -> None:
    path = f"/things/{THING}/properties"
    before = api("GET", path).json()
    reply = api("PUT", path, {"setpoint": 22.5, "temperature": "warm", "colour": "red", "humidity": 101})
    assert reply.status_code == 400
    assert set(reply.json()["error"]["details"]) == {"temperature", "colour", "humidity"}
    assert api("GET", path).json() == before


@pytest.mark.parametrize(("equal", "entries"), [("record", [True, 1, 2, 2]), ("skip", [True, 1, 2])])
def test_a_write_of_an_equal_value_can_be_left_out_of_the_history(
    sandbox: Sandbox, api: Api, equal: Literal["record", "skip"], entries: list[Any]
) -> None:
    sandbox.iotstudio.unknown_property = "accept"
    sandbox.iotstudio.equal_values = equal
    for value in (True, 1, 2, 2):
        api("PUT", f"/things/{THING}/properties", json={"new": value})
    page = api("GET", f"/things/{THING}/properties-history/new").json()
    found = [item["properties"]["new"] for item in page["data"]]
    assert [repr(value) for value in found] == [repr(value) for value in entries[::-1]]


def test_writes_can_be_clamped_rounded_and_dropped(sandbox: Sandbox, api: Api) -> None:
    service = sandbox.iotstudio
    service.out_of_range, service.rounding = "clamp", {"temperature": 1}
    service.lost_writes = {"mode"}
    path = f"/things/{THING}/properties"
    wanted = {"setpoint": 40, "temperature": 20.26, "mode": "off"}
    assert api("PUT", path, wanted).json() == wanted
    stored = api("GET", path).json()
    assert (stored["setpoint"], stored["temperature"], stored["mode"]) == (30, 20.3, "auto")


def test_read_only_is_accepted_unless_the_switch_says_otherwise(sandbox: Sandbox, api: Api) -> None:
    path = f"/things/{THING}/properties"
    assert api("PUT", path, {"co2": 700}).status_code == 200
    sandbox.iotstudio.read_only = "reject"
    assert api("PUT", path, {"co2": 800}).status_code == 400


def test_the_preview_header_brings_201_back(api: Api) -> None:
    path, old = f"/things/{THING}/properties", {"Prefer": "preview=2023.1"}
    assert api("PUT", path, {"setpoint": 20}, headers=old).status_code == 201
    assert api("PUT", path, {"setpoint": 20}, headers={"Prefer": "preview=2024.1"}).status_code == 200


def test_history_is_newest_first_in_half_open_ranges(sandbox: Sandbox, api: Api) -> None:
    path = f"/things/{THING}/properties-history"
    day = api("GET", path, at="2026-01-01|2026-01-02", limit=1000).json()["data"]
    assert len(day) == 48
    assert day[0]["at"] == "2026-01-01T23:00:00Z"
    assert day[-1]["at"] == "2026-01-01T00:00:00Z"
    grouped = api("GET", path, at="2026-01-01|2026-01-02", group="true").json()["data"]
    assert len(grouped) == 24
    assert set(grouped[0]["properties"]) == {"temperature", "humidity"}
    last = api("GET", path, at="2026-01-01T12:30:00Z").json()["data"]
    assert [row["at"] for row in last] == ["2026-01-01T12:00:00Z"] * 2
    api("PUT", f"/things/{THING}/properties", {"temperature": 18.5})
    api("PUT", f"/things/{THING}/properties", {"temperature": 19.5}, update_history="false")
    newest = api("GET", f"{path}/temperature", limit=1).json()["data"][0]
    assert newest["properties"] == {"temperature": 18.5}


@pytest.mark.parametrize("group", ["false", "true"])
def test_history_pages_neither_skip_nor_repeat_items(api: Api, group: str) -> None:
    path, cursor, rows = f"/things/{THING}/properties-history", "", []
    while True:
        page = api("GET", path, limit=7, group=group, next_cursor=cursor).json()
        rows += [(row["at"], *sorted(row["properties"])) for row in page["data"]]
        cursor = page["paging"]["next_cursor"]
        if not cursor:
            break
    assert len(rows) == len(set(rows)) == (144 if group == "false" else 72)


def test_history_takes_old_values_once_and_drops_a_range(api: Api) -> None:
    path = f"/things/{THING}/properties-history"
    old = [{"at": "2025-12-01T00:00:00Z", "properties": {"temperature": 20, "humidity": 40}}]
    assert api("POST", path, old).status_code == 201
    assert api("POST", path, old).status_code == 409
    assert api("DELETE", path).status_code == 400
    assert api("DELETE", path, at="2025|2026").status_code == 204
    assert api("GET", path, at="2025|2026").json()["data"] == []


def test_the_device_completes_an_action_after_its_time(sandbox: Sandbox, api: Api) -> None:
    path = f"/things/{THING}/actions/updateFirmware"
    action = api("POST", path, {"updateFirmware": {"input": "v2.0.0"}}).json()["updateFirmware"]
    assert action["status"] == "pending"
    url = f"{path}/{action['href'].rsplit('/', 1)[1]}"
    assert api("GET", url).json()["updateFirmware"]["status"] == "pending"
    sandbox.clock.advance(sandbox.iotstudio.device_seconds)
    done = api("GET", url).json()["updateFirmware"]
    assert (done["status"], done["output"]) == ("completed", {"ok": True})
    assert "timeCompleted" in done


def test_only_the_last_hundred_actions_and_events_of_a_name_are_stored(sandbox: Sandbox, api: Api) -> None:
    thing = sandbox.iotstudio.space.things[THING]
    first = api("POST", f"/things/{THING}/events/highTemperature", {"highTemperature": {"data": 40}}).json()
    href = first["highTemperature"]["href"].rsplit("/", 1)[1]
    for _ in range(100):
        api("POST", f"/things/{THING}/events/highTemperature", {"highTemperature": {"data": 61.5}})
    assert len(thing.events) == 100
    assert api("GET", f"/things/{THING}/events/highTemperature/{href}").status_code == 404


def test_things_are_created_patched_and_deleted(api: Api) -> None:
    body = {"title": "Pump", "properties": {"rpm": {"type": "integer"}}, "categories": ["Meters"]}
    made = api("POST", "/things", body)
    assert made.status_code == 201
    uid = made.json()["uid"]
    patch = [{"op": "replace", "path": "/title", "value": "P1"}]
    assert api("PATCH", f"/things/{uid}", patch).json()["title"] == "P1"
    many = [{"id": uid, "patch": patch}, {"id": "01UNKNOWN", "patch": patch}]
    reply = api("PATCH", "/things", many)
    assert (reply.status_code, reply.json()["has_errors"]) == (207, [1])
    assert api("DELETE", "/things").status_code == 400
    assert api("DELETE", "/things", **{"thingID[]": uid}).json() == [uid]
    assert api("GET", f"/things/{uid}").status_code == 404


def test_a_model_in_use_stays(api: Api) -> None:
    assert api("POST", "/models", {"name": "pump"}).status_code == 201
    assert api("POST", "/models", {"name": "pump"}).status_code == 409
    assert api("POST", "/models/pump/versions", {"title": "one"}).json()["version"] == 1
    uid = api("POST", "/things", {"title": "P", "model": {"name": "pump", "version": 1}}).json()["uid"]
    assert api("DELETE", "/models/pump").status_code == 403
    api("DELETE", f"/things/{uid}")
    assert api("DELETE", "/models/pump").status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        {"model": ["pump"]},
        {"categories": "Sensors"},
        {"categories": [{}]},
        {"status": [1]},
        {"links": ["room"]},
    ],
)
def test_a_thing_of_the_wrong_shape_is_refused(api: Api, body: Any) -> None:
    reply = api("POST", "/things", body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "malformed body")


def test_a_thing_without_categories_may_have_null(api: Api) -> None:
    assert api("POST", "/things", {"title": "Pump", "categories": None}).json()["categories"] == []


def test_credentials_of_a_thing_have_topics_and_those_of_a_category_have_none(api: Api) -> None:
    for path, topics in ((f"/things/{THING}", True), ("/categories/Sensors", False)):
        made = api("POST", f"{path}/mqtt-credentials", {"description": "for the gateway"}).json()
        assert ("topics" in made) is topics
        assert "T" in made["created"]


def test_a_query_can_write_to_the_things_it_finds(sandbox: Sandbox, api: Api) -> None:
    body = {
        "query": "FOR t IN things FILTER HAS(t.properties, @name) RETURN t._key",
        "bindVars": {"name": "setpoint"},
        "then": {"op": "update", "resource": "properties", "data": {"setpoint": 18}},
    }
    assert api("POST", "/query/cursor", body).json()["then"] == {"success_count": 240, "error_count": 0}
    assert sandbox.iotstudio.space.things[THING].status["setpoint"] == 18
