"""The same rows in any format, parents and types named in any way, and all bad rows together."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.plan.desired import (
    Defaults,
    DesiredRow,
    raise_for_rows,
    read_defaults,
    read_desired_rows,
    set_languages,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import POI, RING, SQUARE, by_external_id, desk, put, sync, writes

FLAT = [
    {
        "externalId": f"D-{number}",
        "baseType": "poi",
        "name": f"Desk {number}, Süd",
        "name@da": "Bord",
        "displayType": "Workspace",
        "categories": "WORK;FOOD",
        "parentBuilding": "BLD-A",
        "parentFloor": "10",
        "capacity": number,
    }
    for number in (1, 2)
]
AT = [12.5705, 55.7805]


def as_list(path: Path) -> Any:
    return [{**row, "geometry": POI} for row in FLAT]


def as_json(path: Path) -> Any:
    file = path / "rows.json"
    file.write_text(json.dumps(as_list(path)))
    return str(file)


def as_json_lines(path: Path) -> Any:
    file = path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, as_list(path))).encode()))
    return str(file)


def as_geojson(path: Path) -> Any:
    features = [{"type": "Feature", "id": 7, "geometry": POI, "properties": row} for row in FLAT]
    file = path / "rows.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(file)


def as_csv(path: Path, columns: dict[str, str]) -> str:
    file = path / "rows.csv"
    head = [*FLAT[0], *columns]
    lines = [",".join(f'"{cell}"' for cell in [*row.values(), *columns.values()]) for row in FLAT]
    file.write_text("\n".join([",".join(head), *lines]))
    return str(file)


def as_csv_with_wkt(path: Path) -> Any:
    return as_csv(path, {"wkt": "POINT (12.5705 55.7805)"})


def as_csv_with_places(path: Path) -> Any:
    return as_csv(path, {"longitude": "12.5705", "latitude": "55.7805"})


def as_geoparquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    rows = [{**row, "geometry": shapely.to_wkb(shapely.Point(*AT))} for row in FLAT]
    pq.write_table(pa.Table.from_pylist(rows), path / "rows.geoparquet")
    return str(path / "rows.geoparquet")


@pytest.mark.parametrize(
    "source",
    [as_list, as_json, as_json_lines, as_geojson, as_csv_with_wkt, as_csv_with_places, as_geoparquet],
)
def test_the_same_rows_make_the_same_map_from_any_format(
    unlimited_service: MapsIndoorsService, tmp_path: Path, source: Callable[[Path], Any]
) -> None:
    given = source(tmp_path)
    assert sync(given)["create"] == 2
    after = by_external_id(unlimited_service)
    for number in (1, 2):
        made = after[f"D-{number}"]
        assert made["properties"] == {"name@en": f"Desk {number}, Süd", "name@da": "Bord"}
        assert made["geometry"]["coordinates"] == made["anchor"]["coordinates"] == AT
        assert made["parentId"] == after["A-1"]["id"]
        assert made["displayTypeId"] == seed.new_id("type", "Workspace")
        assert made["categories"] == [seed.new_id("category", "WORK"), seed.new_id("category", "FOOD")]
        assert made["baseTypeProperties"]["capacity"] == str(number)
    assert sync(given)["unchanged"] == 2


@pytest.mark.parametrize(
    "parent",
    [
        {"parentId": seed.new_id(seed.CAMPUS_ID, "A-1")},
        {"parentExternalId": "A-1"},
        {"parentAdministrativeId": "floor one"},
        {"parentBuilding": "BLD-A", "parentFloor": 10},
        {"parentBuilding": seed.new_id(seed.CAMPUS_ID, "BLD-A"), "parentFloor": "10"},
    ],
)
def test_a_parent_is_named_in_any_of_these_ways(
    unlimited_service: MapsIndoorsService, parent: dict[str, Any]
) -> None:
    floor = by_external_id(unlimited_service)["A-1"]
    if "parentAdministrativeId" in parent:
        put(
            unlimited_service, {**floor, "baseTypeProperties": {"name": "1", "administrativeid": "floor one"}}
        )
    assert sync([{**desk("D-1"), "parentExternalId": None, **parent}])["create"] == 1
    assert by_external_id(unlimited_service)["D-1"]["parentId"] == floor["id"]


@pytest.mark.parametrize(
    ("parent", "words"),
    [
        ({"parentAdministrativeId": "10"}, "there is more than one object with administrativeid '10'"),
        ({"parentBuilding": "BLD-A", "parentFloor": 70}, "no floor with index 70 in building 'BLD-A'"),
        ({"parentFloor": 10}, "belong together"),
        ({"parentId": "f" * 24}, "there is no object with the parentId"),
        ({}, "a poi needs one"),
    ],
)
def test_a_parent_that_is_none_or_several_is_refused(
    unlimited_service: MapsIndoorsService, parent: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        sync([{**desk("D-1"), "parentExternalId": None, **parent}])


@pytest.mark.parametrize("kind", ["Workspace", "workspace", "Arbejdsplads", seed.new_id("type", "Workspace")])
@pytest.mark.parametrize(
    "category", ["WORK", "work", "Work places", "Arbejdspladser", seed.new_id("category", "WORK")]
)
def test_types_and_categories_are_named_by_id_key_or_name(
    unlimited_service: MapsIndoorsService, kind: str, category: str
) -> None:
    sync([desk("D-1", displayTypeId=kind, categories=[category])])
    made = by_external_id(unlimited_service)["D-1"]
    assert made["displayTypeId"] == seed.new_id("type", "Workspace")
    assert made["categories"] == [seed.new_id("category", "WORK")]


def test_a_name_without_a_language_is_in_the_base_language(unlimited_service: MapsIndoorsService) -> None:
    unlimited_service.campus.dataset = {**unlimited_service.campus.dataset, "baseLanguage": "da"}
    sync([{"externalId": "A-0-01", "name": "Modtagelse"}])
    assert by_external_id(unlimited_service)["A-0-01"]["properties"] == {
        "name@en": "Office A0.01",
        "name@da": "Modtagelse",
    }


def test_defaults_fill_what_a_row_does_not_have(unlimited_service: MapsIndoorsService) -> None:
    defaults = {"status": 1, "capacity": 2, "properties": {"owner@generic": "IT"}}
    sync([{"externalId": "A-0-01", "capacity": 5}, {"externalId": "A-0-02", "status": 3}], defaults=defaults)
    first, second = (by_external_id(unlimited_service)[code] for code in ("A-0-01", "A-0-02"))
    assert (first["status"], second["status"]) == (1, 3)
    assert [one["baseTypeProperties"]["capacity"] for one in (first, second)] == ["5", "2"]
    assert first["properties"]["owner@generic"] == second["properties"]["owner@generic"] == "IT"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"geometry": {"type": "Polygon", "coordinates": [RING[:-1]]}}, "open ring"),
    ({"geometry": {"type": "Polygon", "coordinates": [[*RING[:1], *RING[2:0:-1], *RING[3:]]]}}, "crosses"),
    ({"geometry": POI}, "must be a Polygon for a room"),
    ({"geometry": {"type": "Polygon", "coordinates": [[[y, x] for x, y in RING]]}}, "latitude swapped"),
    ({"geometry": "POLYGON ((1 2, 3"}, "is not WKT"),
    ({"baseType": "desk"}, "baseType 'desk' is unknown"),
    ({"parentExternalId": "NOWHERE"}, "no object with externalId 'NOWHERE'"),
    ({"name": ""}, "has no name@en"),
    ({"Info@en": "a", "info@EN": "b"}, "are the same key"),
    ({"id": seed.TUTORIAL_POI}, "belongs to object"),
    ({"categories": ["NOPE"]}, "there is no category 'NOPE'"),
    ({"colour": "red"}, "'colour' is not a field of geodata"),
    ({"status": 4}, "status must be"),
]


def test_all_bad_rows_are_reported_together_before_any_write(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows = [{"externalId": f"A-{n // 8}-0{n % 8 + 1}", **fields} for n, (fields, _) in enumerate(BAD)]
    with pytest.raises(InputError) as caught:
        sync([*rows, desk("D-1")])
    for number, (_, words) in enumerate(BAD, 1):
        said = [one for one in caught.value.problems if one.startswith(f"row {number} (")]
        assert [one for one in said if words in one], (number, words, said)
    assert not [one for one in caught.value.problems if one.startswith(f"row {len(BAD) + 1} (")]
    assert writes(sandbox) == 0


def test_an_id_with_the_external_id_of_another_object_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    row = {"id": seed.TUTORIAL_POI, "externalId": "A-0-01"}
    with pytest.raises(InputError, match=r"row 1 \(\w+\): externalId 'A-0-01' belongs to object"):
        sync([row], match_on="id")
    assert writes(sandbox) == 0


def test_a_row_about_two_objects_is_one_problem(unlimited_service: MapsIndoorsService) -> None:
    owner = by_external_id(unlimited_service)["A-0-01"]["id"]
    with pytest.raises(InputError) as caught:
        sync([{"id": seed.TUTORIAL_POI, "externalId": "A-0-01"}])
    assert caught.value.problems == [
        f"row 1 (A-0-01): externalId 'A-0-01' belongs to object {owner}, but id names {seed.TUTORIAL_POI}"
    ]


@pytest.mark.parametrize(
    "names",
    [
        {"parentExternalId": "A-0", "parentBuilding": "BLD-A", "parentFloor": 10},
        {"parentExternalId": "A-0", "parentAdministrativeId": "A-1"},
        {"parentExternalId": "A-0", "parentId": "A-1"},
        {"parentBuilding": "BLD-A", "parentFloor": 0, "parentId": "A-1"},
        {"parentExternalId": "new", "parentBuilding": "BLD-A", "parentFloor": 0},
    ],
)
def test_a_row_that_names_two_parents_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, names: dict[str, Any]
) -> None:
    room = by_external_id(unlimited_service)["A-1-01"]
    if "parentAdministrativeId" in names:
        names = {**names, "parentAdministrativeId": room["baseTypeProperties"]["administrativeid"]}
    if "parentId" in names:
        names = {**names, "parentId": room["id"]}
    new = desk("new", baseType="room", geometry=SQUARE, displayTypeId="Office")
    with pytest.raises(InputError, match="names different parents, by parent"):
        sync([new, {**desk("D-1", parentExternalId=None), **names}])
    assert writes(sandbox) == 0


def test_a_row_may_name_its_parent_twice_alike_and_differ_from_the_defaults(
    unlimited_service: MapsIndoorsService,
) -> None:
    floors = by_external_id(unlimited_service)
    same = {"parentExternalId": "A-0", "parentBuilding": "BLD-A", "parentFloor": "0"}
    row = {**desk("D-1"), **same, "parentId": floors["A-0"]["id"]}
    assert sync([row])["create"] == 1
    for defaults in ({"parentId": floors["A-1"]["id"]}, {"parentExternalId": "A-1"}):
        assert sync([{"externalId": "D-1", "parentExternalId": "A-0"}], defaults=defaults)["unchanged"] == 1


@pytest.mark.parametrize(
    "names", [{"parentExternalId": ""}, {"parentBuilding": " ", "parentFloor": 0}, {"parentId": " "}]
)
def test_an_empty_reference_is_refused_before_any_request(sandbox: Sandbox, names: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"row 1 .*{next(iter(names))}"):
        sync([{"externalId": "A-0-01", **names}])
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    ("row", "defaults"),
    [
        ({"name@en": "own"}, {"name": "default"}),
        ({"name": "own"}, {"name@en": "default"}),
        ({"properties": {"Name@EN": "own"}}, {"name": "default"}),
    ],
)
def test_a_name_of_a_row_wins_over_that_of_the_defaults(
    row: dict[str, Any], defaults: dict[str, Any]
) -> None:
    (read,) = read_desired_rows([{"externalId": "1", **row}], defaults=read_defaults(defaults))
    set_languages([read], "en", ["en", "da"])
    assert read.problems == []
    assert read.item["properties"] == {"name@en": "own"}


@pytest.mark.parametrize(
    ("item", "references", "parent"),
    [
        ({}, {}, "default"),
        ({"parentId": "own"}, {}, "own"),
        ({}, {"parentBuilding": "BLD-A"}, None),
        ({"parentId": "own"}, {"parentBuilding": "BLD-A"}, "own"),
    ],
)
def test_a_row_that_names_its_parent_has_no_parent_from_the_defaults(
    item: dict[str, Any], references: dict[str, str], parent: str | None
) -> None:
    assert Defaults({"parentId": "default"}).under(item, references).get("parentId") == parent


@pytest.mark.parametrize(
    ("item", "references", "found"),
    [
        ({}, {}, {"parentFloor": "0", "parentBuilding": "BLD-A"}),
        (
            {"name": "x"},
            {"displayType": "Desk"},
            {"parentFloor": "0", "parentBuilding": "BLD-A", "displayType": "Desk"},
        ),
        ({"parentId": "own"}, {}, {}),
        ({"parentId": "own"}, {"displayType": "Desk"}, {"displayType": "Desk"}),
        ({}, {"parentFloor": "1"}, {"parentFloor": "1"}),
        ({"parentBuilding": "own"}, {}, {}),
    ],
)
def test_a_row_that_names_its_parent_has_no_reference_of_the_defaults(
    item: dict[str, Any], references: dict[str, str], found: dict[str, str]
) -> None:
    defaults = Defaults({}, {"parentFloor": "0", "parentBuilding": "BLD-A"})
    assert defaults.references_under(item, references) == found
    assert Defaults().references_under(item, references) == references


@pytest.mark.parametrize(("key", "kind"), [("NORDHOJ", "venue"), ("BLD-A", "building"), ("A-0", "floor")])
def test_only_rooms_areas_and_places_have_categories(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, key: str, kind: str
) -> None:
    with pytest.raises(InputError, match=f"has categories, which a {kind} cannot have"):
        sync([{"externalId": key, "categories": ["WORK"]}])
    assert writes(sandbox) == 0


def test_columns_of_a_query_have_names_in_any_case() -> None:
    rows = SqlRows(["EXTERNALID", "basetype", "name@en", "Capacity"])
    rows.add([["D-1", "poi", "Desk", 4]])
    (read,) = read_desired_rows(rows)
    rows.close()
    assert (read.item["externalId"], read.base_type) == ("D-1", "poi")


def test_times_of_a_query_are_in_the_zone_that_is_stated() -> None:
    rows = SqlRows(["externalId", "activeFrom"], ZoneInfo("Europe/Copenhagen"))
    rows.add([["D-1", "2026-07-01T12:00:00"]])
    (read,) = read_desired_rows(rows)
    rows.close()
    assert read.item["baseTypeProperties"]["activefrom"].startswith("2026-07-01T10:00:00")


def test_members_of_the_defaults_are_under_those_of_a_row() -> None:
    defaults = read_defaults({"capacity": 2, "obstacle": True, "owner@generic": "IT", "name": "x"})
    rows = read_desired_rows([{"externalId": "1", "capacity": 5, "Name@EN": "own"}], defaults=defaults)
    (item,) = (row.item for row in rows)
    assert item["baseTypeProperties"] == {"capacity": "5", "obstacle": "true"}
    assert "owner@generic" in rows[0].defaulted
    assert Defaults().under({"a": 1}, {}) == {"a": 1}
    plain = Defaults({"properties": {"a": 1, "b": 2}, "status": 1})
    assert plain.under({"properties": {"a": 7}}, {}) == {"properties": {"b": 2, "a": 7}, "status": 1}
    assert plain.under({"status": 3}, {}) == {"properties": {"a": 1, "b": 2}, "status": 3}


def test_a_row_that_is_no_object_is_a_problem_of_its_own() -> None:
    first, second = read_desired_rows(["text", {"externalId": "1"}])
    assert (first.number, first.problems) == (1, ["is not an object, but str"])
    assert (second.number, second.problems) == (2, [])


def test_problems_of_no_row_are_raised_with_those_of_rows() -> None:
    rows = read_desired_rows(["text", {"externalId": "1"}])
    with pytest.raises(InputError) as caught:
        raise_for_rows(rows, "source", "externalId", ["the scope is empty"])
    assert "row 1: is not an object" in str(caught.value)
    assert "the scope is empty" in str(caught.value)
    with pytest.raises(InputError, match="the scope is empty"):
        raise_for_rows([], "source", "externalId", ["the scope is empty"])
    raise_for_rows(rows[1:], "source", "externalId")


def test_a_name_that_is_given_twice_is_explained() -> None:
    (read,) = read_desired_rows([{"externalId": "1", "name": "a", "name@en": "b"}])
    set_languages([read], "en", ["en", "da"])
    assert read.problems == ["'name@en' is given twice; without a language, it is in the base language"]


def test_texts_of_details_have_the_languages_of_the_solution_once_they_are_known() -> None:
    details = [{"key": "k", "displayText": {"EN": "Phone", "xx": "?"}}, "odd"]
    for known, expected in (((), {"EN": "Phone", "xx": "?"}), (["en", "da"], {"en": "Phone", "xx": "?"})):
        row = DesiredRow(1, {"additionalDetails": list(details)})
        set_languages([row], "en", known)
        assert row.item["additionalDetails"] == [{"key": "k", "displayText": expected}, "odd"]


def test_an_index_that_is_no_number_may_stay_as_it_is(unlimited_service: MapsIndoorsService) -> None:
    floor = by_external_id(unlimited_service)["A-1"]
    put(unlimited_service, {**floor, "baseTypeProperties": {"name": "1", "administrativeid": "EG"}})
    assert sync([{"externalId": "A-1", "administrativeid": "EG"}])["unchanged"] == 1
    for known in ({"name": "1"}, {"name": "1", "administrativeid": "10"}):
        put(unlimited_service, {**floor, "baseTypeProperties": known})
        with pytest.raises(InputError, match="administrativeid, a floor's index, must be a whole number"):
            sync([{"externalId": "A-1", "administrativeid": "EG"}])


def test_the_bit_of_the_status_that_shows_an_object_is_set_and_cleared_alone(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    found = by_external_id(unlimited_service)
    statuses = {"A-0-01": 3, "A-0-02": 1, "A-0-03": 2, "A-0-04": 2}
    put(unlimited_service, *({**found[key], "status": status} for key, status in statuses.items()))
    ids = [found[key]["id"] for key in statuses]
    others = [{"id": one["id"]} for one in unlimited_service.campus.geodata.values() if one["id"] not in ids]
    path = tmp_path / "plan.json"
    rows = [*others, {"id": found["A-0-04"]["id"]}]
    sync(rows, match_on="id", mode="plan", plan_output=str(path), missing="deactivate")
    changes = json.loads(path.read_text())["changes"]
    assert {change["id"]: change["fields"] for change in changes if change["id"] in ids} == {
        found["A-0-01"]["id"]: {"status": [3, 2]},
        found["A-0-02"]["id"]: {"status": [1, 0]},
        found["A-0-04"]["id"]: {"status": [2, 3]},
    }
