"""Emulated Integration API: documented behaviour of the vendor, and the effect of each switch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider.sandbox.mapsindoors import seed
from airflow_provider.sandbox.server import Sandbox

GEODATA = f"/{seed.API_KEY}/api/geodata"
FLOOR = seed.TUTORIAL_FLOOR
POI = seed.TUTORIAL_POI


class Client(httpx.Client):
    """Client that is logged in as the seeded user."""

    def log_in(self, **form: str) -> httpx.Response:
        login = {
            "grant_type": "password",
            "client_id": "client",
            "username": seed.USER,
            "password": seed.PASSWORD,
        }
        answer = self.post("/auth/connect/token", data=form or login)
        if answer.status_code == 200:
            self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer

    def geodata(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(GEODATA, params=params).json()
        return found

    def one(self, key: str) -> dict[str, Any]:
        return next(thing for thing in self.geodata() if thing["id"] == key)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    sandbox.mapsindoors.rate_limit = None
    with Client(base_url=f"{sandbox.url}/mapsindoors") as client:
        client.log_in()
        yield client


def poi(**fields: Any) -> dict[str, Any]:
    thing = {
        "parentId": FLOOR,
        "datasetId": seed.CAMPUS_ID,
        "externalId": "NEW-1",
        "baseType": "poi",
        "displayTypeId": "Printer",
        "geometry": {"type": "Point", "coordinates": [9.9569, 57.0859]},
        "properties": {"name@en": "New printer"},
        "_note": "unknown fields are ignored",
    }
    return {**thing, **fields}


# Logging in


def test_both_grants_give_a_day_long_token(client: Client) -> None:
    assert client.log_in().json()["expires_in"] == 86_400
    answer = client.log_in(
        grant_type="client_credentials", client_id=seed.CLIENT, client_secret=seed.SECRET
    ).json()
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "integration"
    assert [one["id"] for one in client.get("/api/dataset").json()] == [seed.CAMPUS_ID]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (
            {"grant_type": "password", "client_id": "client", "username": "x", "password": "y"},
            "invalid_grant",
        ),
        ({"grant_type": "password", "client_id": "other"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, "invalid_client"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "password", "scope": "all"}, "invalid_scope"),
    ],
)
def test_refused_logins_are_400_with_an_error_code(client: Client, form: dict[str, str], error: str) -> None:
    answer = client.log_in(**form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_password_that_is_not_url_encoded_is_refused(client: Client) -> None:
    body = f"grant_type=password&client_id=client&username={seed.USER}&password={seed.PASSWORD}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/auth/connect/token", content=body.encode(), headers=kind).status_code == 400


def test_a_token_request_that_is_no_form_is_refused(client: Client) -> None:
    assert client.post("/auth/connect/token", json={}).json() == {"error": "invalid_request"}


def test_a_token_ends_on_the_clock(client: Client, sandbox: Sandbox) -> None:
    assert client.get("/api/dataset").status_code == 200
    sandbox.clock.advance(86_401)
    answer = client.get("/api/dataset")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_scheme_may_be_written_in_lower_case(client: Client) -> None:
    client.headers["Authorization"] = client.headers["Authorization"].replace("Bearer", "bearer")
    assert client.get("/api/dataset").status_code == 200


def test_a_secret_can_be_changed(client: Client) -> None:
    where = {"params": {"customerId": seed.CUSTOMER}}
    made = client.post("/auth/api/clientcredentials", **where).json()
    grant = {"grant_type": "client_credentials", "client_id": seed.CLIENT, "client_secret": made["secret"]}
    assert client.log_in(**grant).status_code == 200
    listed = client.get("/auth/api/clientcredentials", **where).json()
    assert made["id"] in [one["id"] for one in listed]
    assert "secret" not in listed[-1]
    where["params"]["id"] = made["id"]
    assert client.delete("/auth/api/clientcredentials", **where).status_code == 200
    assert client.log_in(**grant).json() == {"error": "invalid_client"}


# Who may do what


def test_reading_needs_a_key_only_and_writing_a_token(client: Client, sandbox: Sandbox) -> None:
    del client.headers["Authorization"]
    assert client.get(GEODATA).status_code == 200
    assert client.put(GEODATA, json=[]).status_code == 401
    sandbox.mapsindoors.require_token = True
    assert client.get(GEODATA).status_code == 401


def test_the_demo_is_read_only(client: Client) -> None:
    where = f"/{seed.DEMO_ID}/api/geodata"
    assert POI in [one["id"] for one in client.get(where).json()]
    assert client.put(where, json=[{"id": POI}]).status_code == 403


@pytest.mark.parametrize(("user", "geodata", "types"), [(seed.EDITOR, 204, 403), (seed.READER, 403, 403)])
def test_roles_limit_what_is_written(client: Client, user: str, geodata: int, types: int) -> None:
    client.log_in(grant_type="password", client_id="client", username=user, password=seed.PASSWORD)
    assert client.put(GEODATA, json=[{"id": POI, "status": 1}]).status_code == geodata
    assert client.put(f"/{seed.API_KEY}/api/displaytypes", json=[]).status_code == types


def test_another_customers_solution_is_out_of_reach(client: Client) -> None:
    assert client.put(f"/{seed.OTHER_ID}/api/geodata", json=[]).status_code == 403


def test_an_unknown_key_is_404(client: Client) -> None:
    assert client.get("/nobody/api/geodata").status_code == 404


def test_the_dataset_is_found_by_key_and_by_id(client: Client) -> None:
    by_key = client.get(f"/{seed.API_KEY}/api/dataset").json()
    assert by_key == client.get(f"/{seed.CAMPUS_ID}/api/dataset").json()
    assert by_key["id"] == seed.CAMPUS_ID != seed.API_KEY
    assert by_key["rootObjects"][0] == seed.VENUE


# Reading


def test_parents_come_before_children_and_unset_fields_are_left_out(client: Client) -> None:
    seen: set[str] = set()
    for thing in client.geodata():
        assert thing.get("parentId") in {None, *seen}
        assert None not in thing.values()
        seen.add(thing["id"])
    assert len(seen) == 101


def test_filters_limit_types_and_subtree(client: Client) -> None:
    assert {one["baseType"] for one in client.geodata(baseTypes="poi")} == {"poi"}
    repeated, commas = client.geodata(baseTypes=["poi", "area"]), client.geodata(baseTypes="poi,area")
    assert repeated == commas
    assert [one["id"] for one in client.geodata(rootElements=FLOOR)] == [FLOOR, POI]


def test_reads_can_be_stale(client: Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.stale_seconds = 5
    client.put(GEODATA, json=[{"id": POI, "status": 1}])
    assert client.one(POI)["status"] == 3
    sandbox.clock.advance(6)
    assert client.one(POI)["status"] == 1


def test_geocode_gives_what_is_around_a_point(client: Client) -> None:
    where = {"lat": 55.78045, "lng": 12.57045}
    found = client.get(f"/{seed.API_KEY}/api/geocode", params={**where, "floor": 10}).json()
    assert [one.get("externalId") for one in found] == ["NORDHOJ", "BLD-A", "A-1", "A-1-01"]
    assert client.get(f"/{seed.API_KEY}/api/geocode", params={"lat": 1, "lng": 1, "floor": 0}).json() == []
    assert client.get(f"/{seed.API_KEY}/api/geocode", params=where).status_code == 400


# Creating


def test_a_new_object_gets_id_anchor_status_and_administrative_id(client: Client) -> None:
    (key,) = client.post(GEODATA, json=[poi()]).json()
    made = client.one(key)
    assert made["anchor"] == made["geometry"] == poi()["geometry"]
    assert made["displayTypeId"] == seed.PRINTER
    assert made["status"] == 3
    assert made["baseTypeProperties"]["administrativeid"]
    assert "_note" not in made
    assert (len(key), key[12]) == (24, "4")


def test_the_same_external_id_twice_makes_two_objects_in_order(client: Client) -> None:
    names = ["first", "second"]
    keys = client.post(GEODATA, json=[poi(properties={"name@en": name}) for name in names]).json()
    assert [client.one(key)["properties"]["name@en"] for key in keys] == names


def test_what_is_stored_is_normalised(client: Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.decimals = 7
    point = {"type": "Point", "coordinates": [9.95688874041662, 57.0859076569953]}
    extra = {"properties": {"Name@en": "X", "myKey@generic": ""}, "baseTypeProperties": {"capacity": "4"}}
    (key,) = client.post(GEODATA, json=[poi(geometry=point, **extra)]).json()
    made = client.one(key)
    assert made["geometry"]["coordinates"] == [9.9568887, 57.0859077]
    assert made["properties"] == {"name@en": "X", "mykey@generic": ""}
    assert made["baseTypeProperties"]["capacity"] == "4"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"id": "a" * 24}, "[0].id"),
        ({"baseType": "desk"}, "[0].baseType"),
        ({"parentId": None}, "[0].parentId"),
        ({"parentId": "f" * 24}, "[0].parentId"),
        ({"parentId": POI}, "[0].parentId"),
        ({"datasetId": seed.API_KEY}, "[0].datasetId"),
        ({"displayTypeId": None}, "[0].displayTypeId"),
        ({"displayTypeId": "Nothing"}, "[0].displayTypeId"),
        ({"geometry": {"type": "Point", "coordinates": [57.0, 95.0]}}, "[0].geometry"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [0, 0]]]}},
            "[0].geometry",
        ),
        ({"properties": {"name@da": "Kun dansk"}}, "[0].properties.name@en"),
        ({"properties": {"name@en": "X", "name@de": "X"}}, "[0].properties.name@de"),
        ({"properties": {"name@en": 1}}, "$[0].properties.name@en"),
        ({"baseTypeProperties": {"colour": "red"}}, "[0].baseTypeProperties.colour"),
        ({"categories": ["NOPE"]}, "[0].categories"),
        ({"status": 4}, "[0].status"),
        (
            {"additionalDetails": [{"key": "a", "detailType": "email", "value": "@x"}]},
            "[0].additionalDetails",
        ),
    ],
)
def test_a_bad_object_is_refused_with_its_field(client: Client, fields: dict[str, Any], path: str) -> None:
    answer = client.post(GEODATA, json=[poi(**fields)])
    assert answer.status_code == 400
    assert path in answer.json()["errors"]
    assert len(client.geodata()) == 101


def test_an_open_ring_is_refused(client: Client) -> None:
    ring = [[0, 0], [1, 1], [0, 1], [0, 2]]
    room = poi(baseType="room", geometry={"type": "Polygon", "coordinates": [ring]})
    assert "[0].geometry" in client.post(GEODATA, json=[room]).json()["errors"]


def test_one_object_without_a_list_is_refused(client: Client) -> None:
    assert client.post(GEODATA, json=poi()).status_code == 400


# Changing


def test_the_tutorials_put_works_in_a_solution_that_may_be_written(client: Client) -> None:
    change = {
        **client.one(POI),
        "datasetId": seed.DEMO_ID,
        "properties": {"name@en": "Printing facilities1", "name@da": "Print new"},
    }
    answer = client.put(GEODATA, json=[change])
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.one(POI) == {**change, "datasetId": seed.CAMPUS_ID}


def test_a_put_leaves_alone_what_it_does_not_name(client: Client, sandbox: Sandbox) -> None:
    before = client.one(POI)
    client.put(GEODATA, json=[{"id": POI, "properties": {"name@en": "A"}}])
    assert client.one(POI) == {**before, "properties": {"name@en": "A", "name@da": "Print"}}
    sandbox.mapsindoors.nested_put = "replace"
    client.put(GEODATA, json=[{"id": POI, "properties": {"name@en": "B"}}])
    assert client.one(POI) == {**before, "properties": {"name@en": "B"}}


@pytest.mark.parametrize("moves", [False, True])
def test_the_anchor_moves_with_the_geometry_only_if_switched_on(
    client: Client, sandbox: Sandbox, moves: bool
) -> None:
    sandbox.mapsindoors.derive_anchor_on_put = moves
    client.put(GEODATA, json=[{"id": POI, "geometry": {"type": "Point", "coordinates": [9.9, 57.1]}}])
    assert (client.one(POI)["anchor"]["coordinates"] == [9.9, 57.1]) is moves


def test_an_area_gets_its_bounds(client: Client) -> None:
    ring = [[9.0, 57.0], [9.2, 57.0], [9.2, 57.1], [9.0, 57.0]]
    client.put(GEODATA, json=[{"id": FLOOR, "geometry": {"type": "Polygon", "coordinates": [ring]}}])
    assert client.one(FLOOR)["geometry"]["bbox"] == [9.0, 57.0, 9.2, 57.1]


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_id_is_refused(client: Client, sandbox: Sandbox, status: int) -> None:
    sandbox.mapsindoors.put_unknown_status = status
    assert client.put(GEODATA, json=[{"id": "f" * 24}]).status_code == status


@pytest.mark.parametrize(
    ("mode", "changed"),
    [("atomic", []), ("stop-at-first", ["A-0-01"]), ("skip-bad", ["A-0-01", "A-0-03"])],
)
def test_what_a_batch_with_a_bad_object_does(
    client: Client, sandbox: Sandbox, mode: str, changed: list[str]
) -> None:
    sandbox.mapsindoors.batch_mode = mode
    rooms = client.geodata(baseTypes="room")[:3]
    body = [{"id": room["id"], "status": 1} for room in rooms]
    body[1]["status"] = 9
    answer = client.put(GEODATA, json=body)
    assert list(answer.json()["errors"]) == ["[1].status"]
    assert [one["externalId"] for one in client.geodata() if one["status"] == 1] == changed


def test_errors_can_be_plain_text(client: Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.error_style = "text"
    answer = client.put(GEODATA, json=[{"id": POI, "status": 9}])
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "[0].status: Must be 0, 1, 2 or 3."


def test_batches_can_be_limited(client: Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.max_items = 1
    assert client.put(GEODATA, json=[{"id": POI}, {"id": FLOOR}]).status_code == 400
    sandbox.mapsindoors.max_bytes = 10
    assert client.put(GEODATA, json=[{"id": POI}]).status_code == 413


# Deleting


def delete(client: Client, *keys: str) -> httpx.Response:
    return client.request("DELETE", GEODATA, json=list(keys))


@pytest.mark.parametrize(
    ("children", "status", "left"), [("cascade", 204, 99), ("leave", 204, 100), ("refuse", 400, 101)]
)
def test_what_happens_to_children(
    client: Client, sandbox: Sandbox, children: str, status: int, left: int
) -> None:
    sandbox.mapsindoors.delete_children = children
    assert delete(client, FLOOR).status_code == status
    assert len(client.geodata()) == left


def test_deleting_the_unknown_is_ignored_or_refused(client: Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.delete_status = 200
    assert delete(client, "f" * 24).status_code == 200
    sandbox.mapsindoors.delete_unknown = "refuse"
    assert delete(client, POI, "f" * 24).status_code == 404
    assert len(client.geodata()) == 101


# The rest of the catalogue


def test_display_types_and_categories_can_be_changed(client: Client) -> None:
    types, categories = f"/{seed.API_KEY}/api/displaytypes", f"/{seed.API_KEY}/api/categories"
    (key,) = client.post(
        types, json=[{"name": "Desk", "properties": {"name@en": "D", "name@da": "B"}}]
    ).json()
    assert client.put(types, json=[{"id": key, "aliases": ["table"]}]).status_code == 204
    assert {"name": "Desk", "aliases": ["table"]}.items() <= client.get(types).json()[-1].items()
    assert client.request("DELETE", types, json=[key]).status_code == 204
    assert client.request("DELETE", types, json=[seed.PRINTER]).status_code == 400
    assert client.post(categories, json=[{"key": "SERVICES", "name": {"en": "again"}}]).status_code == 400
    assert (
        client.put(categories, json=[{"id": seed.SERVICES, "name": {"en": "S", "da": "S"}}]).status_code
        == 204
    )


def test_route_elements_change_in_what_may_change(client: Client) -> None:
    where = f"/{seed.API_KEY}/api/routing/routeelements"
    first = client.get(where).json()[0]
    (role, *_) = client.get(f"/{seed.API_KEY}/api/appUserRoles").json()
    change = {"id": first["id"], "waitTime": 30, "restrictions": [role["id"]], "externalId": "ignored"}
    assert client.put(where, json=[change]).status_code == 204
    assert client.get(where).json()[0] == {**first, "waitTime": 30, "restrictions": [role["id"]]}
    assert client.put(where, json=[{"id": first["id"], "waitTime": -1}]).status_code == 400


# Limits and speed


def test_the_eleventh_request_in_a_second_is_refused(
    client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.mapsindoors.rate_limit = 10
    moment = time.time()
    monkeypatch.setattr(sandbox.clock, "now", lambda: moment)
    where = f"/{seed.API_KEY}/api/dataset"
    assert [client.get(where).status_code for _ in range(11)] == [200] * 10 + [429]
    assert client.get(f"/{seed.CAMPUS_ID}/api/dataset").headers["retry-after"] == "1"
    assert client.get(f"/{seed.DEMO_ID}/api/dataset").status_code == 200
    sandbox.mapsindoors.retry_after = False
    assert "retry-after" not in client.get(where).headers
    monkeypatch.setattr(sandbox.clock, "now", lambda: moment + 1)
    assert client.get(where).status_code == 200


def test_the_busiest_second_is_known(client: Client, sandbox: Sandbox) -> None:
    for _ in range(4):
        client.get(f"/{seed.API_KEY}/api/dataset")
    assert 1 <= sandbox.mapsindoors.limit.busiest() <= 4
    assert sandbox.mapsindoors.limit.busiest(60) == 4


def test_the_data_are_the_same_after_a_reset(client: Client, sandbox: Sandbox) -> None:
    before = json.dumps(client.geodata())
    client.post(GEODATA, json=[poi()])
    delete(client, FLOOR)
    sandbox.mapsindoors.reset()
    assert json.dumps(client.geodata()) == before


def test_a_solution_can_be_made_large(client: Client, sandbox: Sandbox) -> None:
    seed.grow(sandbox.mapsindoors.campus, 1000)
    assert len(client.geodata()) == 1101
    assert sandbox.counters.rows_served["mapsindoors"] >= 1101
