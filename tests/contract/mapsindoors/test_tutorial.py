"""Vendor's Python tutorial and related pages: their steps, as plain requests, work against the sandbox."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.mapsindoors import seed
from airflow_provider.sandbox.server import Sandbox

PRINTER = {
    "id": seed.TUTORIAL_POI,
    "parentId": seed.TUTORIAL_FLOOR,
    "datasetId": seed.CAMPUS_ID,
    "baseType": "poi",
    "displayTypeId": seed.PRINTER,
    "displaySetting": {"name": "default"},
    "geometry": {"coordinates": [9.95688874041662, 57.0859076569953], "type": "Point"},
    "anchor": {"coordinates": [9.95688874041662, 57.0859076569953], "type": "Point"},
    "aliases": [],
    "categories": [seed.SERVICES],
    "status": 3,
    "baseTypeProperties": {
        "administrativeid": "311a5837-395f-4e2b-9b88-c21b1b5c7833",
        "activefrom": "2015-01-16T07:09:00Z",
        "capacity": "0",
    },
    "properties": {"name@en": "Printing facilities1", "name@da": "Print new"},
}
BY_PASSWORD = {
    "grant_type": "password",
    "client_id": "client",
    "username": seed.USER,
    "password": seed.PASSWORD,
}
BY_SECRET = {"grant_type": "client_credentials", "client_id": seed.CLIENT, "client_secret": seed.SECRET}


class Tutorial:
    """Login, and requests with its token."""

    def __init__(self, sandbox: Sandbox, login: dict[str, str] = BY_PASSWORD) -> None:
        sandbox.mapsindoors.rate_limit = None
        self.host = sandbox.mapsindoors.base_url
        reply = requests.post(f"{self.host}/auth/connect/token", data=login, timeout=10)
        assert reply.status_code == 200, reply.text
        self.token = reply.json()

    def __call__(
        self, method: str, path: str, solution: str = seed.API_KEY, **more: Any
    ) -> requests.Response:
        # The page writes the scheme in lower case.
        headers = {"Authorization": f"bearer {self.token['access_token']}"}
        url = f"{self.host}/{solution}/api/{path}"
        return requests.request(method, url, headers=headers, timeout=10, **more)

    def geodata(self) -> dict[str, Any]:
        return {one["id"]: one for one in self("GET", "geodata").json()}


@pytest.fixture
def tutorial(sandbox: Sandbox) -> Tutorial:
    return Tutorial(sandbox)


@pytest.mark.parametrize("login", [BY_PASSWORD, BY_SECRET], ids=["password", "client_credentials"])
def test_both_logins_give_a_token_for_a_day(sandbox: Sandbox, login: dict[str, str]) -> None:
    tutorial = Tutorial(sandbox, login)
    assert set(tutorial.token) == {"access_token", "expires_in", "token_type", "scope"}
    assert tutorial.token["expires_in"] == 86400
    assert tutorial.token["token_type"] == "Bearer"
    assert tutorial("GET", "dataset").json()["id"] == seed.CAMPUS_ID


def test_a_wrong_password_is_a_400_that_says_so(sandbox: Sandbox) -> None:
    url = f"{sandbox.mapsindoors.base_url}/auth/connect/token"
    reply = requests.post(url, data={**BY_PASSWORD, "password": "wrong"}, timeout=10)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")


def test_the_printer_is_renamed_and_the_hook_sees_it(tutorial: Tutorial) -> None:
    reply = tutorial("PUT", "geodata", json=[PRINTER])
    assert (reply.status_code, reply.content) == (204, b"")
    with MapsIndoorsHook() as hook:
        found = next(one for one in hook.list_geodata() if one["id"] == seed.TUTORIAL_POI)
    assert {key: found[key] for key in PRINTER if key not in ("geometry", "anchor")} == {
        key: value for key, value in PRINTER.items() if key not in ("geometry", "anchor")
    }
    assert found["geometry"]["coordinates"] == pytest.approx(PRINTER["geometry"]["coordinates"], abs=1e-7)


def test_the_demo_that_the_page_writes_to_is_read_only(tutorial: Tutorial) -> None:
    thing = {**PRINTER, "datasetId": seed.DEMO_ID}
    assert tutorial("PUT", "geodata", seed.DEMO_ID, json=[thing]).status_code == 403
    assert tutorial("GET", "geodata", seed.DEMO_ID).status_code == 200


def test_a_place_is_made_changed_and_deleted(tutorial: Tutorial) -> None:
    new = {key: value for key, value in PRINTER.items() if key != "id"} | {"externalId": "COPIER-1"}
    new["baseTypeProperties"] = {"capacity": "0"}
    reply = tutorial("POST", "geodata", json=[new])
    assert reply.ok, reply.text
    (made,) = reply.json()
    assert tutorial.geodata()[made]["externalId"] == "COPIER-1"
    change = {"id": made, "properties": {"name@en": "Copier", "name@da": "Kopimaskine"}}
    assert tutorial("PUT", "geodata", json=[change]).status_code == 204
    found = tutorial.geodata()[made]
    assert (found["properties"]["name@en"], found["externalId"]) == ("Copier", "COPIER-1")
    assert tutorial("DELETE", "geodata", json=[made]).ok
    assert made not in tutorial.geodata()


def test_mistakes_get_a_400_with_feedback(tutorial: Tutorial) -> None:
    for method, body in (("PUT", PRINTER), ("PUT", [{"properties": {}}]), ("POST", [{"baseType": "poi"}])):
        reply = tutorial(method, "geodata", json=body)
        assert reply.status_code == 400
        assert reply.json()["errors"]


def test_what_the_login_may_see_is_listed(tutorial: Tutorial) -> None:
    headers = {"Authorization": f"Bearer {tutorial.token['access_token']}"}
    listed = requests.get(f"{tutorial.host}/api/dataset", headers=headers, timeout=10).json()
    assert [one["id"] for one in listed] == [seed.CAMPUS_ID]
    assert set(listed[0]) >= {"id", "name", "availableLanguages", "baseLanguage", "rootObjects"}


def test_a_part_of_the_map_is_read_by_root_and_type(tutorial: Tutorial) -> None:
    whole = tutorial.geodata()
    poi = tutorial("GET", "geodata", params={"baseTypes": "poi"}).json()
    assert {one["id"] for one in poi} == {key for key, one in whole.items() if one["baseType"] == "poi"}
    below = tutorial("GET", "geodata", params={"rootElements": seed.TUTORIAL_FLOOR}).json()
    assert {seed.TUTORIAL_FLOOR, seed.TUTORIAL_POI} <= {one["id"] for one in below}
    assert len(below) < len(whole)


def test_a_point_is_placed_on_its_floor(tutorial: Tutorial) -> None:
    whole = tutorial.geodata()
    lng, lat = whole[seed.TUTORIAL_POI]["geometry"]["coordinates"]
    floor = whole[seed.TUTORIAL_FLOOR]["baseTypeProperties"]["administrativeid"]
    found = tutorial("GET", "geocode", params={"lat": lat, "lng": lng, "floor": floor}).json()
    assert seed.TUTORIAL_FLOOR in {one["id"] for one in found}


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("displaytypes", {"name": "Locker", "properties": {"name@en": "Locker", "name@da": "Skab"}}),
        ("categories", {"key": "POST", "name": {"en": "Mail", "da": "Post"}}),
    ],
)
def test_types_and_categories_are_made_and_deleted(
    tutorial: Tutorial, path: str, new: dict[str, Any]
) -> None:
    (made,) = tutorial("POST", path, json=[new]).json()
    assert made in {one["id"] for one in tutorial("GET", path).json()}
    assert tutorial("DELETE", path, json=[made]).ok
    assert made not in {one["id"] for one in tutorial("GET", path).json()}


def test_a_secret_is_replaced_by_a_new_one(sandbox: Sandbox) -> None:
    tutorial = Tutorial(sandbox, BY_SECRET)
    url = f"{tutorial.host}/auth/api/clientcredentials"
    headers = {"Authorization": f"Bearer {tutorial.token['access_token']}"}
    ask = {"customerId": seed.CUSTOMER}
    (old,) = requests.get(url, params=ask, headers=headers, timeout=10).json()
    made = requests.post(url, params={**ask, "description": "nightly"}, headers=headers, timeout=10).json()
    assert set(made) == {"id", "description", "createdAt", "secret"}
    requests.delete(url, params={**ask, "id": old["id"]}, headers=headers, timeout=10).raise_for_status()
    Tutorial(sandbox, {**BY_SECRET, "client_secret": made["secret"]})
    late = requests.post(f"{tutorial.host}/auth/connect/token", data=BY_SECRET, timeout=10)
    assert (late.status_code, late.json()["error"]) == (400, "invalid_client")
