"""Keys: one normal form of match keys, one spelling of property keys, and only duplicates that matter."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.operators import MapsIndoorsUpdateGeodataOperator
from airflow_provider.mapsindoors.sensors import MapsIndoorsGeodataSensor
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples
from tests.support.mapsindoors_sync import by_external_id, desk, put, restore, sync, writes

pytestmark = pytest.mark.slow  # keys do not depend on versions

NAME = "R\u00e5dhus-1"
FORMS = [NAME, f" {NAME}", f"{NAME}\u00a0", unicodedata.normalize("NFD", NAME), f"\t{NAME}\u202f\n"]


@pytest.mark.parametrize("stored", FORMS)
def test_a_key_in_another_form_is_no_new_object(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, stored: str
) -> None:
    poi = by_external_id(unlimited_service)["A-0-P1"]
    put(unlimited_service, {**poi, "externalId": stored})
    for form in FORMS:
        assert sync([{"externalId": form, "baseType": "poi"}])["unchanged"] == 1
    assert sync([desk("D-1", parentExternalId="A-0\u00a0")])["create"] == 1
    with pytest.raises(InputError, match="is about the same object as row 1"):
        sync([{"externalId": form} for form in FORMS])


def test_a_new_key_is_written_in_its_normal_form(unlimited_service: MapsIndoorsService) -> None:
    for form in FORMS:
        sync([desk(form)])
    assert NAME in by_external_id(unlimited_service)
    assert not {*FORMS[1:]} & {*by_external_id(unlimited_service)}


@pytest.mark.parametrize(
    "match_on", ["administrativeid", "AdministrativeId", "roomNo@generic", "ROOMNO@GENERIC"]
)
def test_other_match_keys_have_the_same_normal_form(
    unlimited_service: MapsIndoorsService, match_on: str
) -> None:
    unlimited_service.lower_case_keys = False
    room = by_external_id(unlimited_service)["A-0-01"]
    texts = {**room["properties"], "roomNo@generic": " 12 "}
    put(
        unlimited_service,
        {**room, "properties": texts, "baseTypeProperties": {"administrativeid": "12\u00a0"}},
    )
    key = "administrativeid" if match_on.lower() == "administrativeid" else match_on
    assert sync([{key: 12.0, "name": "Room"}], match_on=match_on)["update"] == 1
    assert by_external_id(unlimited_service)["A-0-01"]["properties"]["name@en"] == "Room"


def duplicate(service: MapsIndoorsService, code: str, **fields: Any) -> str:
    """Add a second object with an external id, and return its id."""
    found = by_external_id(service)[code]
    put(service, {**found, "id": "e" * 24, **fields})
    return "e" * 24


def test_duplicates_that_no_row_is_about_stop_nothing(unlimited_service: MapsIndoorsService) -> None:
    duplicate(unlimited_service, "A-0-01")
    assert sync([{"externalId": "A-0-02", "name": "X"}])["update"] == 1


def test_duplicates_stop_a_sync_that_removes_what_is_missing(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    duplicate(unlimited_service, "A-0-01")
    rows = [
        {"externalId": code} for code, one in by_external_id(unlimited_service).items() if code != "A-0-01"
    ]
    with pytest.raises(InputError, match="externalId 'A-0-01' is that of 2 objects"):
        sync(rows, missing="delete", max_deletes=10)
    assert writes(sandbox) == 0


def test_a_duplicate_outside_of_the_scope_does_not_matter(unlimited_service: MapsIndoorsService) -> None:
    other = duplicate(unlimited_service, "A-0-01", parentId=by_external_id(unlimited_service)["B-0"]["id"])
    floor = by_external_id(unlimited_service)["A-0"]["id"]
    with pytest.raises(InputError, match="is that of 2 objects"):
        sync([{"externalId": "A-0-01", "name": "X"}])
    assert sync([{"externalId": "A-0-01", "name": "X"}], scope={"root_element": floor})["update"] == 1
    assert unlimited_service.campus.geodata[other]["properties"]["name@en"] == "Office A0.01"


# Property keys


@pytest.mark.parametrize("nested_put", ["merge", "replace"])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("spelling", ["seatColour@generic", "seatcolour@generic", "SEATCOLOUR@Generic"])
@pytest.mark.parametrize("kind", ["sync", "update"])
def test_a_key_is_written_as_it_is_on_the_object(
    unlimited_service: MapsIndoorsService, kind: str, spelling: str, lower: bool, nested_put: Any
) -> None:
    unlimited_service.lower_case_keys, unlimited_service.nested_put = lower, nested_put
    room = by_external_id(unlimited_service)["A-0-01"]
    there = "seatcolour@generic" if lower else "seatColour@generic"
    put(unlimited_service, {**room, "properties": {**room["properties"], there: "red"}})
    if kind == "sync":
        assert sync([{"externalId": "A-0-01", spelling: "blue"}])["update"] == 1
        assert sync([{"externalId": "A-0-01", spelling: "blue"}])["unchanged"] == 1
    else:
        rows = [{"id": room["id"], "properties": {spelling: "blue"}}]
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
    after = by_external_id(unlimited_service)["A-0-01"]["properties"]
    assert after == {**room["properties"], there: "blue"}


def test_a_new_key_is_written_as_other_objects_have_it_or_as_the_row_does(
    unlimited_service: MapsIndoorsService,
) -> None:
    unlimited_service.lower_case_keys = False
    room = by_external_id(unlimited_service)["A-0-01"]
    put(unlimited_service, {**room, "properties": {**room["properties"], "seatColour@generic": "red"}})
    new = {"seatcolour@generic": "blue", "deskNo@generic": "7", "Note@Generic": "x", "NAME@DA": "Bord"}
    sync([desk("D-1", **new), {"externalId": "A-0-02", "seatcolour@generic": "blue"}])
    found = by_external_id(unlimited_service)
    assert found["D-1"]["properties"] == {
        "name@en": "Desk D-1",
        "seatColour@generic": "blue",
        "deskNo@generic": "7",
        "note@generic": "x",
        "name@da": "Bord",
    }
    assert found["A-0-02"]["properties"]["seatColour@generic"] == "blue"


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Höhe@generic") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("there", [COMPOSED, DECOMPOSED], ids=["composed", "decomposed"])
@pytest.mark.parametrize("given_", [COMPOSED, DECOMPOSED, COMPOSED.upper()], ids=["nfc", "nfd", "upper"])
@pytest.mark.parametrize("kind", ["sync", "update", "matched"])
def test_a_decomposed_property_key_is_no_second_spelling(
    unlimited_service: MapsIndoorsService, kind: str, given_: str, there: str
) -> None:
    unlimited_service.lower_case_keys = False
    room = by_external_id(unlimited_service)["A-0-01"]
    put(unlimited_service, {**room, "properties": {**room["properties"], there: "12"}})
    if kind == "matched":
        assert sync([{given_: "12", "name": "Big"}], match_on=given_)["update"] == 1
        wanted = {**room["properties"], there: "12", "name@en": "Big"}
    elif kind == "sync":
        assert sync([{"externalId": "A-0-01", given_: "12"}])["unchanged"] == 1
        assert sync([{"externalId": "A-0-01", given_: "13"}])["update"] == 1
        assert sync([{"externalId": "A-0-01", given_: "13"}])["unchanged"] == 1
        wanted = {**room["properties"], there: "13"}
    else:
        rows = [{"id": room["id"], "properties": {given_: "13"}}]
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
        wanted = {**room["properties"], there: "13"}
    assert by_external_id(unlimited_service)["A-0-01"]["properties"] == wanted


@pytest.mark.parametrize("kind", ["sync", "update"])
def test_two_spellings_on_an_object_are_reported_when_a_row_has_the_key(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, kind: str
) -> None:
    unlimited_service.lower_case_keys = False
    room = by_external_id(unlimited_service)["A-0-01"]
    both = {"seatColour@generic": "red", "seatcolour@generic": "blue"}
    put(unlimited_service, {**room, "properties": {**room["properties"], **both}})
    words = r"row 1 \(.*'seatColour@generic' and 'seatcolour@generic'; remove one in the CMS"
    with pytest.raises(InputError, match=words):
        if kind == "sync":
            sync([{"externalId": "A-0-01", "seatColour@generic": "green"}])
        else:
            rows = [{"id": room["id"], "seatColour@generic": "green"}]
            MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
    assert writes(sandbox) == 0
    assert sync([{"externalId": "A-0-01", "name": "X"}])["update"] == 1
    after = by_external_id(unlimited_service)["A-0-01"]["properties"]
    assert after == {**room["properties"], **both, "name@en": "X"}


@pytest.mark.long
@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_the_case_no_object_gets_a_second_spelling(
    unlimited_service: MapsIndoorsService, data: st.DataObject
) -> None:
    restore(unlimited_service)
    unlimited_service.lower_case_keys = data.draw(st.booleans())
    spellings = st.sampled_from(["deskNo@generic", "DeskNo@generic", "deskno@generic", "DESKNO@generic"])
    for value in ("1", "2", "3"):
        rows = [{"externalId": f"A-0-0{n}", data.draw(spellings): value} for n in (1, 2)]
        assert sync(rows)["update"] == 2
        assert sync(rows)["unchanged"] == 2
    for n in (1, 2):
        keys = by_external_id(unlimited_service)[f"A-0-0{n}"]["properties"]
        assert [keys[key] for key in keys if key.lower() == "deskno@generic"] == ["3"]


def test_a_sensor_matches_keys_without_case(unlimited_service: MapsIndoorsService) -> None:
    unlimited_service.lower_case_keys = False
    room = by_external_id(unlimited_service)["A-0-01"]
    put(unlimited_service, {**room, "properties": {**room["properties"], "deskNo@generic": "7"}})
    for spelling in ("deskno@generic", "DESKNO@generic"):
        expected = [{"externalId": "A-0-01 ", spelling: 7.0}]
        sensor = MapsIndoorsGeodataSensor(
            task_id="t", expected=expected, match_on="externalId", deferrable=False
        )
        assert sensor.execute({}) == {"matched": 1}


# Catalogues


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name@dk": "Bord"}, r"'name@dk' has the language 'dk', which the solution does not have \(en, da"),
        ({"note@de": ""}, "'note@de' has the language 'de'"),
        ({"properties": {"name@fr": "Table"}}, "'name@fr' has the language 'fr'"),
        ({"displayType": "Ofice"}, "there is no display type 'Ofice'; did you mean 'Office'"),
        ({"categories": ["WORKS"]}, "there is no category 'WORKS'; did you mean 'WORK'"),
        (
            {"baseTypeProperties": {"capcity": 4}},
            "'capcity' is unknown; did you mean 'capacity'",
        ),
        ({"defaultfloor": 1}, "'defaultfloor' is not allowed for a room"),
        ({"baseType": "romo"}, "baseType 'romo' is unknown.*did you mean 'room'"),
        ({"displayType": ""}, "displayTypeId is empty; a room needs one"),
        ({"externalid": "x"}, "'externalid' is not a field of geodata.*did you mean 'externalId'"),
        ({"Capacity": 4}, "did you mean 'capacity'"),
        ({"longitud": 4}, "did you mean 'longitude'"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "update"])
def test_what_the_catalogues_tell_is_checked_before_the_first_write(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, kind: str, row: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=rf"(?s){words}"):
        if kind == "sync":
            sync([{"externalId": "A-0-01", **row}])
        else:
            key = by_external_id(unlimited_service)["A-0-01"]["id"]
            MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": key, **row}]).execute({})
    assert writes(sandbox) == 0


def test_languages_of_the_solution_in_any_case_and_generic_are_written(
    unlimited_service: MapsIndoorsService,
) -> None:
    unlimited_service.lower_case_keys = False
    sync([{"externalId": "A-0-01", "name@DA": "Kontor", "x@Generic": "1"}])
    after = by_external_id(unlimited_service)["A-0-01"]["properties"]
    assert after == {"name@en": "Office A0.01", "name@da": "Kontor", "x@generic": "1"}


@pytest.mark.parametrize("index", [10, 10.0, "10", "10.0"])
def test_a_floors_index_is_a_whole_number(unlimited_service: MapsIndoorsService, index: Any) -> None:
    row = {"externalId": "A-1", "administrativeid": index}
    assert sync([row])["unchanged"] == 1
    floor = {
        "externalId": "A-9",
        "baseType": "floor",
        "parentExternalId": "BLD-A",
        "geometry": by_external_id(unlimited_service)["A-1"]["geometry"],
        "baseTypeProperties": {"name": "9", "administrativeid": 90.0},
    }
    assert sync([floor])["create"] == 1
    with pytest.raises(InputError, match="administrativeid, a floor's index, must be a whole number"):
        sync([{"externalId": "A-1", "administrativeid": "EG"}])
    assert (
        sync([desk("D-1", parentExternalId=None, parentBuilding="BLD-A", parentFloor=index)])["create"] == 1
    )


def test_an_unknown_id_of_an_update_is_named_where_the_map_is_read(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows = [{"id": "f" * 24, "name": "X"}, {"id": seed.TUTORIAL_POI, "name": "Y"}]
    with pytest.raises(InputError, match=r"row 1 \(f{24}\): there is no object with id f{24}"):
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
    assert writes(sandbox) == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"externalId": "A-0-01"}, "externalId 'A-0-01' belongs to object"),
        ({"baseType": "room"}, "baseType 'room' differs from the object's 'poi'"),
    ],
)
def test_an_update_takes_no_key_of_another_object_and_no_other_type(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, fields: dict[str, Any], words: str
) -> None:
    rows = [{"id": seed.TUTORIAL_POI, **fields}]
    with pytest.raises(InputError, match=words):
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
    assert writes(sandbox) == 0
