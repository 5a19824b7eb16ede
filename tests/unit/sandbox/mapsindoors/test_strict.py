"""A strict Integration API: what typed models refuse, with its path, and each switch both ways."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from airflow_provider.sandbox.mapsindoors import seed
from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

POI = seed.TUTORIAL_POI
KEY = "ab" * 12
NAMES = {"name@en": "New printer"}


def poi(**fields: Any) -> dict[str, Any]:
    return {
        "parentId": seed.TUTORIAL_FLOOR,
        "datasetId": seed.CAMPUS_ID,
        "externalId": "NEW-1",
        "baseType": "poi",
        "displayTypeId": "Printer",
        "geometry": {"type": "Point", "coordinates": [9.9569, 57.0859]},
        "properties": NAMES,
        **fields,
    }


def polygon(*ring: list[Any], holes: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [list(ring), *holes]}


def room(shape: dict[str, Any]) -> dict[str, Any]:
    return poi(baseType="room", displayTypeId="Office", geometry=shape)


def errors(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


# Types

TYPES: list[tuple[dict[str, Any], str]] = [
    ({"externalId": 17}, ".externalId"),
    ({"externalId": True}, ".externalId"),
    ({"parentId": 5}, ".parentId"),
    ({"displayTypeId": ["Printer"]}, ".displayTypeId"),
    ({"baseType": 1}, ".baseType"),
    ({"status": 1.0}, ".status"),
    ({"status": "1"}, ".status"),
    ({"status": True}, ".status"),
    ({"status": None}, ".status"),
    ({"status": 2**31}, ".status"),
    ({"aliases": "desk"}, ".aliases"),
    ({"aliases": {"0": "desk"}}, ".aliases"),
    ({"aliases": ["desk", 1]}, ".aliases[1]"),
    ({"aliases": [None]}, ".aliases[0]"),
    ({"categories": {"0": "SERVICES"}}, ".categories"),
    ({"properties": {**NAMES, "seats@generic": 4}}, ".properties.seats@generic"),
    ({"properties": {**NAMES, "a key@en": 4}}, ".properties['a key@en']"),
    ({"properties": [NAMES]}, ".properties"),
    ({"baseTypeProperties": {"capacity": 4}}, ".baseTypeProperties.capacity"),
    ({"baseTypeProperties": {"obstacle": False}}, ".baseTypeProperties.obstacle"),
    ({"displaySetting": "default"}, ".displaySetting"),
    ({"displaySetting": {"visible": "true"}}, ".displaySetting.visible"),
    ({"displaySetting": {"zoomFrom": "17"}}, ".displaySetting.zoomFrom"),
    ({"displaySetting": {"polygon": {"visible": 1}}}, ".displaySetting.polygon.visible"),
    ({"displaySetting": {"model2D": {"widthMeters": "2"}}}, ".displaySetting.model2D.widthMeters"),
    ({"geometry": [9.9, 57.1]}, ".geometry"),
    ({"geometry": {"type": 0, "coordinates": [9.9, 57.1]}}, ".geometry.type"),
    ({"geometry": {"type": "Point", "coordinates": ["9.9", 57.1]}}, ".geometry.coordinates[0]"),
    ({"geometry": {"type": "Point", "coordinates": [9.9, None]}}, ".geometry.coordinates[1]"),
    ({"anchor": {"type": "Point", "coordinates": {"lng": 9.9}}}, ".anchor.coordinates"),
    ({"additionalDetails": {"key": "a"}}, ".additionalDetails"),
    ({"additionalDetails": [{"key": "a", "active": "yes"}]}, ".additionalDetails[0].active"),
    ({"additionalDetails": [{"key": "a", "displayText": "x"}]}, ".additionalDetails[0].displayText"),
    ({"tilesUrl": 3}, ".tilesUrl"),
    ({"tileStyles": [{"style": 1}]}, ".tileStyles[0].style"),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_value_of_another_type_is_refused(client: httpx.Client, method: str) -> None:
    for fields, path in TYPES:
        body = [poi(), poi(**fields)] if method == "POST" else [{"id": POI}, {"id": POI, **fields}]
        found = errors(client.request(method, "/geodata", json=body))
        assert list(found) == [f"$[1]{path}"]
        assert "could not be converted" in found[f"$[1]{path}"][0]


def test_the_first_value_of_another_type_is_named_alone(client: httpx.Client) -> None:
    body = [poi(status="x", externalId=1), poi(aliases=1)]
    assert len(errors(client.post("/geodata", json=body))) == 1


def test_newtonsoft_names_all_and_reads_numbers_as_texts(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.json_reader = "newtonsoft"
    body = [poi(status="x", aliases=1), poi(status=1.0), poi(geometry={"type": "Point", "coordinates": "x"})]
    assert set(errors(client.post("/geodata", json=body))) == {
        "[0].status",
        "[0].aliases",
        "[1].status",
        "[2].geometry.coordinates",
    }
    item = poi(status="1", externalId=17, displaySetting={"visible": "true", "zoomFrom": "17.5"})
    item["baseTypeProperties"] = {"capacity": 4, "obstacle": True}
    (key,) = client.post("/geodata", json=[item]).json()
    found = sandbox.mapsindoors.campus.geodata[key]
    assert (found["status"], found["externalId"]) == (1, "17")
    assert found["displaySetting"] == {"visible": True, "zoomFrom": 17.5}
    assert found["baseTypeProperties"].items() >= {"capacity": "4", "obstacle": "true"}.items()


def test_numbers_in_texts_can_be_read_as_by_newer_servers(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.numbers_in_text = True
    assert client.put("/geodata", json=[{"id": POI, "status": "1"}]).status_code == 204
    assert sandbox.mapsindoors.campus.geodata[POI]["status"] == 1
    for text in ("1.0", "one", "", "١", "1_0"):
        assert "$[0].status" in errors(client.put("/geodata", json=[{"id": POI, "status": text}]))


def test_names_of_fields_have_no_case(client: httpx.Client, sandbox: Sandbox) -> None:
    assert client.put("/geodata", json=[{"ID": POI, "Status": 1}]).status_code == 204
    assert sandbox.mapsindoors.campus.geodata[POI]["status"] == 1


def test_a_type_error_writes_nothing_in_any_batch_mode(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.batch_mode = "skip-bad"
    answer = client.put("/geodata", json=[{"id": POI, "status": 1}, {"id": POI, "status": "1"}])
    assert answer.status_code == 400
    assert sandbox.mapsindoors.campus.geodata[POI]["status"] == 3


BODIES: list[tuple[str, bytes]] = [
    ("no JSON", b"["),
    ("a comma at the end", b'[{"id": "x"},]'),
    ("a comment", b"[/* none */]"),
    ("single quotes", b"[{'id': 'x'}]"),
    ("NaN", b'[{"status": NaN}]'),
    ("Infinity", b'[{"status": -Infinity}]'),
    ("a byte-order mark", b"\xef\xbb\xbf[]"),
    ("Latin-1", b'[{"externalId": "K\xf8benhavn"}]'),
    ("UTF-16", "[]".encode("utf-16")),
    ("nothing", b""),
    ("null", b"null"),
    ("a key twice", b'[{"status": 1, "status": 3}]'),
    ("depth", b"[" * 100_000),
]


@pytest.mark.parametrize("body", [body for _, body in BODIES], ids=[name for name, _ in BODIES])
def test_a_body_that_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    assert list(errors(client.post("/geodata", content=body, headers=kind))) == ["$"]


def test_of_a_key_that_is_there_twice_the_last_value_can_count(
    client: httpx.Client, sandbox: Sandbox
) -> None:
    sandbox.mapsindoors.duplicate_keys = "last"
    body = f'[{{"id": "{POI}", "status": 0, "status": 1}}]'
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert client.put("/geodata", content=body, headers=kind).status_code == 204
    assert sandbox.mapsindoors.campus.geodata[POI]["status"] == 1


def test_a_body_must_be_declared_as_json(client: httpx.Client, sandbox: Sandbox) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.put("/geodata", content=b"[]", headers={"Content-Type": kind})
        assert answer.status_code == 415
    sandbox.mapsindoors.check_content_type = False
    assert client.put("/geodata", content=b"[]").status_code == 204


# Rules

RULES: list[tuple[str, dict[str, Any], str]] = [
    ("ids", {"parentId": "floor-1"}, "parentId"),
    ("ids", {"parentId": seed.TUTORIAL_FLOOR.upper()}, "parentId"),
    ("ids", {"datasetId": seed.API_KEY}, "datasetId"),
    ("dates", {"baseTypeProperties": {"activefrom": "2026-01-01"}}, "baseTypeProperties.activefrom"),
    ("dates", {"baseTypeProperties": {"activefrom": "yesterday"}}, "baseTypeProperties.activefrom"),
    ("dates", {"baseTypeProperties": {"activeto": "2026-13-01T00:00:00Z"}}, "baseTypeProperties.activeto"),
    ("dates", {"baseTypeProperties": {"activeto": "2026-02-30T00:00:00Z"}}, "baseTypeProperties.activeto"),
    ("dates", {"baseTypeProperties": {"activeto": "2026-01-01T00:00:00"}}, "baseTypeProperties.activeto"),
    ("dates", {"baseTypeProperties": {"activeto": "2026-01-01 00:00:00Z"}}, "baseTypeProperties.activeto"),
    ("dates", {"baseTypeProperties": {"activeto": "01/02/2026"}}, "baseTypeProperties.activeto"),
    ("dates", {"baseTypeProperties": {"activeto": "1767225600"}}, "baseTypeProperties.activeto"),
    ("numbers", {"baseTypeProperties": {"capacity": "nan"}}, "baseTypeProperties.capacity"),
    ("numbers", {"baseTypeProperties": {"capacity": "4.0"}}, "baseTypeProperties.capacity"),
    ("numbers", {"baseTypeProperties": {"capacity": "-1"}}, "baseTypeProperties.capacity"),
    ("numbers", {"baseTypeProperties": {"capacity": "1e2"}}, "baseTypeProperties.capacity"),
    ("numbers", {"baseTypeProperties": {"capacity": "٤"}}, "baseTypeProperties.capacity"),
    ("numbers", {"baseTypeProperties": {"obstacle": "yes"}}, "baseTypeProperties.obstacle"),
    ("keys", {"properties": {**NAMES, " name@en": "x"}}, "properties. name@en"),
    ("keys", {"properties": {**NAMES, "seats @en": "x"}}, "properties.seats @en"),
    ("keys", {"properties": {**NAMES, "\u00a0seats@en": "x"}}, "properties.\u00a0seats@en"),
    ("keys", {"properties": {**NAMES, "se\nats@en": "x"}}, "properties.se\nats@en"),
    ("keys", {"properties": {**NAMES, "Name@en": "x"}}, "properties.Name@en"),
    ("languages", {"properties": {**NAMES, "name@de": "x"}}, "properties.name@de"),
    ("languages", {"properties": {**NAMES, "name@xx": "x"}}, "properties.name@xx"),
    ("display_types", {"displayTypeId": "Throne"}, "displayTypeId"),
    ("display_types", {"displayTypeId": KEY}, "displayTypeId"),
    ("status", {"status": 99}, "status"),
    ("status", {"status": -1}, "status"),
    ("status", {"status": 4}, "status"),
]


@pytest.mark.parametrize("check", dict.fromkeys(check for check, _, _ in RULES))
def test_a_value_against_a_rule_is_refused_and_each_rule_has_a_switch(
    client: httpx.Client, sandbox: Sandbox, check: str
) -> None:
    for fields, path in ((fields, path) for name, fields, path in RULES if name == check):
        setattr(sandbox.mapsindoors, f"check_{check}", True)
        found = errors(client.post("/geodata", json=[poi(), poi(**fields)]))
        assert f"[1].{path}" in found
        setattr(sandbox.mapsindoors, f"check_{check}", False)
        answer = client.post("/geodata", json=[poi(**fields)])
        if check == "ids":  # An id without a check is one that does not exist.
            assert "24" not in str(errors(answer))
        else:
            assert answer.status_code == 200, answer.text


OLD_WAYS: list[dict[str, Any]] = [
    {"status": 1.0},
    {"baseTypeProperties": {"capacity": "nan"}},
    {"baseTypeProperties": {"activefrom": "yesterday"}},
    {"properties": {**NAMES, " name@en": "x"}},
    {"baseTypeProperties": {"capacity": 4}},
]


@pytest.mark.parametrize("fields", OLD_WAYS)
def test_strict_false_takes_what_a_tolerant_service_takes(
    client: httpx.Client, sandbox: Sandbox, fields: dict[str, Any]
) -> None:
    assert client.post("/geodata", json=[poi(**fields)]).status_code == 400
    sandbox.mapsindoors.strict = False
    assert client.post("/geodata", json=[poi(**fields)]).status_code == 200


def test_strict_false_keeps_the_checks_of_references_and_status(
    client: httpx.Client, sandbox: Sandbox
) -> None:
    sandbox.mapsindoors.strict = False
    for fields in ({"status": 9}, {"displayTypeId": "Throne"}, {"properties": {"name@de": "x"}}):
        assert client.post("/geodata", json=[poi(**fields)]).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"baseTypeProperties": {"activefrom": "2015-01-16T07:09:00Z", "activeto": ""}},
        {"baseTypeProperties": {"activefrom": "2015-01-16T07:09:00.1234567+01:00"}},
        {"baseTypeProperties": {"activefrom": "2015-01-16T07:09Z", "capacity": "0", "obstacle": "false"}},
        {"properties": {**NAMES, "workplace id@en": "A b", "description@en": None}},
        {"properties": {**NAMES, "url@generic": "https://x.example", "größe@da": "9"}},
        {"categories": ["SERVICES"], "aliases": [], "displaySetting": {"name": "default", "own": [1]}},
        {"externalId": None, "anchor": None, "additionalDetails": None, "_note": {"any": ["thing", 1]}},
        {"displayTypeId": seed.PRINTER, "status": 0},
        {
            "additionalDetails": [
                {"key": "m", "detailType": "email", "value": "a@b.example", "active": True},
                {
                    "key": "p",
                    "detailType": "phone",
                    "value": "+45 98 76 54 32",
                    "displayText": {"da": "Ring"},
                },
                {
                    "key": "h",
                    "detailType": "openinghours",
                    "openingHours": {
                        "standardOpeningHours": {
                            "monday": {"startTime": "08:00", "endTime": "16:00:00"},
                            "tuesday": {"startTime": "8:00 AM", "endTime": "4:00 PM"},
                            "sunday": {"closedAllDay": True},
                        }
                    },
                },
            ]
        },
    ],
)
def test_what_the_docs_and_clients_write_is_accepted(client: httpx.Client, fields: dict[str, Any]) -> None:
    answer = client.post("/geodata", json=[poi(**fields)])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("hours", "path"),
    [
        ({"monday": {"startTime": "25:00", "endTime": "16:00"}}, ".monday.startTime"),
        ({"monday": {"startTime": "08:00", "endTime": "16:60"}}, ".monday.endTime"),
        ({"monday": {"startTime": "13:00 PM", "endTime": "16:00"}}, ".monday.startTime"),
        ({"Montag": {"startTime": "08:00", "endTime": "16:00"}}, ".Montag"),
    ],
)
def test_opening_hours_are_times_of_the_days_of_a_week(
    client: httpx.Client, hours: dict[str, Any], path: str
) -> None:
    detail = {"key": "h", "detailType": "openinghours", "openingHours": {"standardOpeningHours": hours}}
    where = f"[0].additionalDetails[0].openingHours.standardOpeningHours{path}"
    assert where in errors(client.post("/geodata", json=[poi(additionalDetails=[detail])]))


def test_names_of_blanks_are_missing(client: httpx.Client) -> None:
    body = [poi(properties={"name@en": "  "})]
    assert "[0].properties.name@en" in errors(client.post("/geodata", json=body))


# Geometry

SQUARE = [[9.95, 57.08], [9.96, 57.08], [9.96, 57.09], [9.95, 57.09], [9.95, 57.08]]
INNER = [[9.952, 57.082], [9.954, 57.082], [9.954, 57.084], [9.952, 57.084], [9.952, 57.082]]
BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
SHAPES: dict[str, dict[str, Any]] = {
    "a bow tie": polygon(*BOW_TIE),
    "a spike": polygon([0, 0], [1, 0], [1, 1], [1, 2], [1, 1], [0, 1], [0, 0]),
    "a line": polygon([0, 0], [1, 1], [2, 2], [0, 0]),
    "one point": polygon([1, 1], [1, 1], [1, 1], [1, 1]),
    "a touched vertex": polygon([0, 0], [2, 0], [1, 1], [2, 2], [0, 2], [1, 1], [0, 0]),
    "an edge twice": polygon([0, 0], [2, 0], [2, 2], [1, 2], [1, 0], [0, 0]),
    "a hole outside": polygon(*SQUARE, holes=([[0, 0], [1, 0], [1, 1], [0, 0]],)),
    "a hole across the ring": polygon(
        *SQUARE, holes=([[9.955, 57.085], [9.97, 57.085], [9.97, 57.086], [9.955, 57.085]],)
    ),
    "two equal holes": polygon(*SQUARE, holes=(INNER, INNER)),
    "a hole in a hole": polygon(
        *SQUARE, holes=(INNER, [[9.9525, 57.0825], [9.953, 57.0825], [9.953, 57.083], [9.9525, 57.0825]])
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_that_is_no_area_is_refused(
    client: httpx.Client, sandbox: Sandbox, shape: dict[str, Any]
) -> None:
    assert list(errors(client.post("/geodata", json=[room(shape)]))) == ["[0].geometry"]
    sandbox.mapsindoors.check_geometry = False
    assert client.post("/geodata", json=[room(shape)]).status_code == 200


@pytest.mark.parametrize(
    ("base_type", "shape"),
    [
        ("room", polygon([0, 0], [1, 0], [1, 1], [0, 0.5])),
        ("room", polygon([0, 0], [1, 0], [0, 0])),
        ("room", polygon([0, 0, 3], [1, 0, 3], [1, 1, 3], [0, 0, 3])),
        ("room", polygon([0, 0], [181, 0], [1, 1], [0, 0])),
        ("room", polygon([0, 91], [1, 0], [1, 1], [0, 91])),
        ("room", {"type": "Point", "coordinates": [9.9, 57.1]}),
        ("room", {"type": "MultiPolygon", "coordinates": [[SQUARE]]}),
        ("room", {"type": "LineString", "coordinates": SQUARE}),
        ("room", {"type": "Polygon", "coordinates": []}),
        ("room", {"type": "Polygon", "coordinates": [9.9, 57.1]}),
        ("room", {"type": "Polygon"}),
        ("poi", polygon(*SQUARE)),
        ("poi", {"type": "Point", "coordinates": [57.1, 109.9]}),
        ("poi", {"type": "Point", "coordinates": [9.9]}),
        ("poi", {"type": "Point", "coordinates": [[9.9, 57.1]]}),
        ("poi", {"type": "point", "coordinates": [9.9, 57.1]}),
        ("poi", {"type": "Point", "coordinates": None}),
    ],
)
def test_a_geometry_that_its_base_type_cannot_have_is_refused(
    client: httpx.Client, base_type: str, shape: dict[str, Any]
) -> None:
    found = errors(client.post("/geodata", json=[poi(baseType=base_type, geometry=shape)]))
    assert all(path.startswith(("[0].geometry", "$[0].geometry")) for path in found)


@pytest.mark.parametrize(
    "shape",
    [
        polygon(*SQUARE),
        polygon(*SQUARE[::-1]),
        polygon(*SQUARE[:2], SQUARE[1], *SQUARE[2:]),
        polygon(*SQUARE, holes=(INNER,)),
        polygon(*SQUARE, holes=(INNER[::-1],)),
        polygon(*SQUARE, holes=([SQUARE[0], INNER[1], INNER[2], SQUARE[0]],)),
        polygon([0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 0]),
        polygon([0, 0], [1, 0], [2, 0], [2, 1e-6], [0, 1e-6], [0, 0]),
    ],
    ids=["square", "clockwise", "repeated", "hole", "hole reversed", "hole at a corner", "L", "thin"],
)
def test_shapes_as_they_are_found_are_accepted(client: httpx.Client, shape: dict[str, Any]) -> None:
    answer = client.post("/geodata", json=[room(shape)])
    assert answer.status_code == 200, answer.text


def test_polygons_of_a_floor_do_not_overlap(client: httpx.Client) -> None:
    floor = {"id": seed.TUTORIAL_FLOOR, "geometry": {"type": "MultiPolygon", "coordinates": [[SQUARE]]}}
    assert client.put("/geodata", json=[floor]).status_code == 204
    floor["geometry"] = {"type": "MultiPolygon", "coordinates": [[SQUARE], [INNER]]}
    assert list(errors(client.put("/geodata", json=[floor]))) == ["[0].geometry"]


def test_the_order_of_a_ring_can_be_demanded(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.ring_order = "counter-clockwise"
    assert client.post("/geodata", json=[room(polygon(*SQUARE))]).status_code == 200
    assert list(errors(client.post("/geodata", json=[room(polygon(*SQUARE[::-1]))]))) == ["[0].geometry"]


# Other resources, and queries

CATALOGUE: list[tuple[str, dict[str, Any], str]] = [
    ("displaytypes", {"name": 5}, "$[0].name"),
    ("displaytypes", {"name": "D", "aliases": "x"}, "$[0].aliases"),
    ("displaytypes", {"name": "D", "displayRules": {}}, "$[0].displayRules"),
    ("displaytypes", {"name": "D", "displayRules": [{"visible": 1}]}, "$[0].displayRules[0].visible"),
    ("displaytypes", {"name": "D", "properties": {"name@en": 1}}, "$[0].properties.name@en"),
    ("displaytypes", {"name": "D", "properties": {"name@en": "D", "name@da": " "}}, "[0].properties.name@da"),
    ("displaytypes", {"properties": {"name@en": "D", "name@da": "D"}}, "[0].name"),
    (
        "displaytypes",
        {"name": "D", "properties": {"name@en": "D", "name@da": "D", " x@en": ""}},
        "[0].properties. x@en",
    ),
    ("categories", {"key": "K", "name": "Food"}, "$[0].name"),
    ("categories", {"key": "K", "name": {"en": "K"}}, "[0].name.da"),
    ("categories", {"key": "K", "name": {"en": "K", "da": "K", "de": "K"}}, "[0].name.de"),
    ("categories", {"key": 1, "name": {"en": "K", "da": "K"}}, "$[0].key"),
    ("categories", {"key": "SERVICES", "name": {"en": "K", "da": "K"}}, "[0].key"),
]


@pytest.mark.parametrize(("where", "entry", "path"), CATALOGUE)
def test_the_catalogue_has_models_too(
    client: httpx.Client, where: str, entry: dict[str, Any], path: str
) -> None:
    assert path in errors(client.post(f"/{where}", json=[entry]))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"waitTime": "30"}, "$[0].waitTime"),
        ({"waitTime": 1.5}, "$[0].waitTime"),
        ({"waitTime": None}, "$[0].waitTime"),
        ({"waitTime": -1}, "[0].waitTime"),
        ({"onewayDirection": "north"}, "$[0].onewayDirection"),
        ({"onewayDirection": 361}, "[0].onewayDirection"),
        ({"restrictions": "locked"}, "$[0].restrictions"),
        ({"restrictions": ["guests"]}, "[0].restrictions"),
    ],
)
def test_route_elements_have_a_model_too(client: httpx.Client, change: dict[str, Any], path: str) -> None:
    key = client.get("/routing/routeelements").json()[0]["id"]
    answer = client.put("/routing/routeelements", json=[{"id": key, **change}])
    assert path in errors(answer)


@pytest.mark.parametrize("body", [[1], [None], ["A-0-01"], [["a"]], [{"id": POI}]])
def test_a_delete_takes_ids_only(client: httpx.Client, body: list[Any]) -> None:
    assert client.request("DELETE", "/geodata", json=body).status_code == 400
    assert POI in [one["id"] for one in client.get("/geodata").json()]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/geodata", {"baseTypes": "desk"}),
        ("/geodata", {"baseTypes": "poi,desk"}),
        ("/geocode", {"lat": "nan", "lng": 1, "floor": 0}),
        ("/geocode", {"lat": 91, "lng": 1, "floor": 0}),
        ("/geocode", {"lat": 1, "lng": -181, "floor": 0}),
        ("/geocode", {"lat": 1, "lng": 1, "floor": 0.5}),
    ],
)
def test_a_query_is_checked(client: httpx.Client, path: str, query: dict[str, Any]) -> None:
    assert client.get(path, params=query).status_code == 400


def test_queries_can_be_taken_as_they_are(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.check_query = False
    assert client.get("/geodata", params={"baseTypes": "desk"}).json() == []
    assert client.get("/geocode", params={"lat": 91, "lng": 1, "floor": 0}).json() == []


# Property keys with capitals


def bikes(client: httpx.Client) -> dict[str, Any]:
    return next(one for one in client.get("/geodata").json() if one.get("externalId") == "BIKE-1")


@pytest.mark.parametrize(
    ("lower", "key"), [(True, "colorproperty@generic"), (False, "colorProperty@generic")]
)
def test_one_seeded_object_has_a_key_with_capitals(
    client: httpx.Client, sandbox: Sandbox, lower: bool, key: str
) -> None:
    sandbox.mapsindoors.lower_case_keys = lower
    assert bikes(client)["properties"][key] == "green"
    client.put("/geodata", json=[{"id": bikes(client)["id"], "properties": {key: "blue"}}])
    colours = {k: v for k, v in bikes(client)["properties"].items() if k.lower().startswith("color")}
    assert colours == {key: "blue"}


def test_a_service_with_case_keeps_two_spellings(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.mapsindoors.lower_case_keys = False
    body = [{"id": bikes(client)["id"], "properties": {"colorproperty@generic": "blue"}}]
    assert client.put("/geodata", json=body).status_code == 204
    assert {"colorProperty@generic", "colorproperty@generic"} <= set(bikes(client)["properties"])


def test_loaded_rooms_are_valid(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.load("mapsindoors.rooms", rooms=700)
    answer = client.put("/geodata", json=client.get("/geodata").json())
    assert answer.status_code == 204, answer.text


def test_the_seeded_objects_are_valid(client: httpx.Client, sandbox: Sandbox) -> None:
    for lower in (True, False):
        sandbox.mapsindoors.lower_case_keys = lower
        everything = client.get("/geodata").json()
        answer = client.put("/geodata", json=everything)
        assert answer.status_code == 204, answer.text
    for where in ("displaytypes", "categories", "routing/routeelements"):
        answer = client.put(f"/{where}", content=json.dumps(client.get(f"/{where}").json()))
        assert answer.status_code == 415
        answer = client.put(f"/{where}", json=client.get(f"/{where}").json())
        assert answer.status_code == 204, answer.text
