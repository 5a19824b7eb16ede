"""Rows validated against a small map, and the plan that follows: each problem and change in full."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.core.input.values import hide_values
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.dependencies import dependencies, digest_of_scope, fingerprint_of
from airflow_provider.mapsindoors.plan.desired import (
    DesiredRow,
    match_rows,
    read_defaults,
    read_desired_rows,
    set_languages,
)
from airflow_provider.mapsindoors.plan.document import Change, Plan
from airflow_provider.mapsindoors.plan.moves import needs_of_deletions, removal_problems
from airflow_provider.mapsindoors.plan.planner import comparable_ids, make_plan
from airflow_provider.mapsindoors.plan.resolution import Rules, resolve_references, resolve_types
from airflow_provider.mapsindoors.plan.restore import match_backup
from tests.support.mapsindoors_sync import undecoded

pytestmark = pytest.mark.slow  # nothing of it depends on versions


def square(west: float, south: float, size: float = 0.001) -> dict[str, Any]:
    east, north = round(west + size, 6), round(south + size, 6)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


HERE, THERE = (12.57, 55.78), (10.2, 56.1)


def thing(
    object_id: str, kind: str, parent: str = "", at: tuple[float, float] = HERE, **fields: Any
) -> dict[str, Any]:
    shape = (
        point(at[0] + 0.0005, at[1] + 0.0005)
        if kind == "poi"
        else square(*at, 0.01 if kind == "venue" else 0.001)
    )
    return {
        "id": object_id,
        "datasetId": "d",
        "baseType": kind,
        "parentId": parent,
        "externalId": object_id.upper(),
        "properties": {"name@en": f"Name {object_id}"},
        "geometry": shape,
        "status": 3,
        **fields,
    }


def floor(
    object_id: str, parent: str, index: str, at: tuple[float, float] = HERE, **fields: Any
) -> dict[str, Any]:
    members = {"name": index, "administrativeid": index}
    return thing(object_id, "floor", parent, at, baseTypeProperties=members, **fields)


MAP = [
    thing("v", "venue"),
    thing("b", "building", "v"),
    floor("f0", "b", "0"),
    floor("f1", "b", "10"),
    thing("r", "room", "f0", displayTypeId="type"),
    thing("p", "poi", "r", displayTypeId="type"),
    thing("w", "venue", at=THERE),
    thing("c", "building", "w", at=THERE),
    floor("g0", "c", "0", at=THERE),
    thing("s", "room", "g0", at=THERE, displayTypeId="type"),
]
DATASET = {"id": "d", "baseLanguage": "en", "availableLanguages": ["en", "da"]}
NEW = {"baseType": "room", "name": "New", "displayTypeId": "Office", "geometry": square(*HERE)}


def snapshot_of(*changed: dict[str, Any], without: tuple[str, ...] = (), **more: Any) -> SolutionSnapshot:
    objects = {one["id"]: one for one in (*MAP, *changed) if one["id"] not in without}
    types = [{"id": "type", "name": "Office"}]
    groups = [{"id": "group", "key": "WORK", "name": {"en": "Work"}}]
    return SolutionSnapshot(
        DATASET, undecoded([*objects.values()]), display_types=types, categories=groups, **more
    )


def resolved(
    rows: list[dict[str, Any]], snapshot: SolutionSnapshot | None = None, **rules: Any
) -> tuple[list[DesiredRow], SolutionSnapshot]:
    snapshot = snapshot or snapshot_of()
    read = read_desired_rows(rows, match_on=snapshot.match_on, exact=rules.get("exact", False))
    set_languages(read, "en", ["en", "da"])
    match_rows(read, snapshot)
    resolve_references(read, snapshot, Rules(**rules))
    return read, snapshot


def problems(
    *rows: dict[str, Any], snapshot: SolutionSnapshot | None = None, **rules: Any
) -> list[list[str]]:
    return [[str(one) for one in row.problems] for row in resolved([*rows], snapshot, **rules)[0]]


def problem(row: dict[str, Any], snapshot: SolutionSnapshot | None = None, **rules: Any) -> list[str]:
    return problems(row, snapshot=snapshot, **rules)[0]


# -- references -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        {"parentId": "f0"},
        {"parentExternalId": "F0"},
        {"parentBuilding": "B", "parentFloor": 0},
        {"parentExternalId": "F0", "parentBuilding": "b", "parentFloor": "0", "parentId": "f0"},
    ],
)
def test_a_parent_may_be_named_in_several_ways_that_agree(names: dict[str, Any]) -> None:
    (row,), _ = resolved([{"externalId": "N", **NEW, **names}])
    assert (row.problems, row.item["parentId"], row.parent) == ([], "f0", None)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"parentFloor": 0}, "parentFloor and parentBuilding belong together"),
        ({"parentBuilding": "B"}, "parentFloor and parentBuilding belong together"),
        (
            {"parentExternalId": "F1", "parentId": "f0"},
            "names different parents, by parentExternalId and by parentId",
        ),
        (
            {"parentExternalId": "F1", "parentBuilding": "B", "parentFloor": 0},
            "names different parents, by parentExternalId and by parentBuilding with parentFloor",
        ),
        (
            {"parentAdministrativeId": "10", "parentExternalId": "F0"},
            "names different parents, by parentExternalId and by parentAdministrativeId",
        ),
        ({"parentExternalId": "NONE"}, "there is no object with externalId 'NONE'"),
        ({"parentAdministrativeId": "0"}, "there is more than one object with administrativeid '0': f0, g0"),
    ],
)
def test_a_parent_that_is_not_one_object_is_a_problem(names: dict[str, Any], says: str) -> None:
    assert problem({"externalId": "N", **NEW, **names})[0] == says


def test_a_parent_may_be_the_row_of_a_new_object_and_is_left_out_with_it() -> None:
    rows: list[dict[str, Any]] = [
        {
            "externalId": "P",
            "baseType": "poi",
            "name": "P",
            "displayTypeId": "Office",
            "parentExternalId": "N",
        },
        {"externalId": "N", **NEW, "parentExternalId": "F0"},
        {"externalId": "R", "parentExternalId": "F0"},
    ]
    rows[0]["geometry"] = point(12.5705, 55.7805)
    (first, second, third), _ = resolved(rows)
    assert first.parent is second
    assert "parentId" not in first.item
    assert (second.item["parentId"], third.item["parentId"], third.parent) == ("f0", "f0", None)
    assert [row.problems for row in (first, second, third)] == [[], [], []]
    rows[1]["displayTypeId"] = "Nowhere"
    assert problems(*rows) == [
        ["its parent, row 2, is left out"],
        ["there is no display type 'Nowhere'"],
        [],
    ]


@pytest.mark.parametrize("above", ["N", "M"])
def test_rows_that_name_each_other_as_parents_end_in_problems(above: str) -> None:
    rows: list[dict[str, Any]] = [
        {"externalId": "P", "parentExternalId": "N"},
        {"externalId": "N", **NEW, "parentExternalId": above},
        {"externalId": "M", **NEW, "parentExternalId": "N"},
    ]
    first, second, third = problems(*rows)
    assert first == ["its parent, row 2, is left out"]
    assert second[0] == third[0] == "a room cannot be below a room"


def test_names_of_types_and_categories_become_ids_and_unknown_ones_are_all_told() -> None:
    (row,), snapshot = resolved(
        [{"externalId": "R", "displayTypeId": "office", "categories": ["work", "group"]}]
    )
    assert (row.item["displayTypeId"], row.item["categories"], row.problems) == (
        "type",
        ["group", "group"],
        [],
    )
    row = DesiredRow(1, {"displayTypeId": "Ofice", "categories": ["WORK", "WORKS"]})
    resolve_types([row], snapshot)
    assert row.problems == [
        "there is no display type 'Ofice'; did you mean 'Office'?",
        "there is no category 'WORKS'; did you mean 'WORK'?",
    ]
    empty = DesiredRow(1, {"displayTypeId": "", "categories": []})
    resolve_types([empty], snapshot)
    assert (empty.item, empty.problems) == ({"displayTypeId": "", "categories": []}, [])


# -- rows and their objects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"externalId": "R", "baseType": "area"},
            ["baseType 'area' differs from the object's 'room'; it cannot change"],
        ),
        ({"externalId": "R", "datasetId": "e"}, ["datasetId 'e' is not the solution's"]),
        ({"externalId": "R", "datasetId": "d"}, []),
        (
            {"externalId": "R", "geometry": point(12.5705, 55.7805)},
            ["geometry must be a Polygon for a room, not 'Point'"],
        ),
        (
            {"externalId": "R", "name": ""},
            ["has no name@en, which is required in the solution's base language"],
        ),
        (
            {"externalId": "R", "name": " "},
            ["has no name@en, which is required in the solution's base language"],
        ),
        ({"externalId": "R", "name@da": ""}, []),
        ({"externalId": "R", "displayTypeId": ""}, ["displayTypeId is empty; a room needs one"]),
        ({"externalId": "P", "displayTypeId": ""}, ["displayTypeId is empty; a poi needs one"]),
        ({"externalId": "F0", "categories": ["WORK"]}, ["has categories, which a floor cannot have"]),
        ({"externalId": "B", "categories": ["WORK"]}, ["has categories, which a building cannot have"]),
        ({"externalId": "V", "categories": ["WORK"]}, ["has categories, which a venue cannot have"]),
        ({"externalId": "R", "categories": ["WORK"]}, []),
        (
            {"externalId": "R", "parentId": "none" * 20},
            [f"there is no object with the parentId {('none' * 20)[:60]}"],
        ),
        ({"externalId": "R", "parentId": "b"}, ["a room cannot be below a building"]),
        ({"externalId": "N", "baseType": "venue", "name": "N", "geometry": square(*HERE)}, []),
        (
            {"externalId": "N", "baseType": "area", "name": "N", "parentId": "f0", "geometry": square(*HERE)},
            [],
        ),
        (
            {"externalId": "N", "name": "N", "parentId": "f0"},
            ["has no baseType, which a new object needs"],
        ),
        (
            {"externalId": "N", "baseType": "room", "name": "N"},
            [
                "has no parent; a room needs one",
                "has no geometry, which a new room needs",
                "has no displayTypeId, which a new room needs",
            ],
        ),
        (
            {"externalId": "N", "baseType": "floor", "parentId": "b", "geometry": square(*HERE)},
            ["a new floor needs baseTypeProperties name and administrativeid (its index)"],
        ),
        (
            {
                "externalId": "N",
                "baseType": "room",
                "parentId": "f0",
                "displayTypeId": "",
                "geometry": square(*HERE),
            },
            [
                "has no name@en, which is required in the solution's base language",
                "has no displayTypeId, which a new room needs",
            ],
        ),
    ],
)
def test_a_row_is_validated_against_its_object_and_its_parent(row: dict[str, Any], says: list[str]) -> None:
    assert problem(row) == says


def test_a_new_floor_needs_an_index_and_a_short_name_but_no_name_in_its_properties() -> None:
    row = {"externalId": "N", "baseType": "floor", "parentId": "b", "geometry": square(*HERE)}
    for members in ({"name": "2"}, {"administrativeid": "20"}, {}):
        says = "a new floor needs baseTypeProperties name and administrativeid (its index)"
        assert problem({**row, "baseTypeProperties": members}) == [says]
    assert problem({**row, "baseTypeProperties": {"name": "2", "administrativeid": "020"}}) == []
    (read,), _ = resolved([{**row, "baseTypeProperties": {"name": "2", "administrativeid": "020"}}])
    assert read.item["baseTypeProperties"] == {"name": "2", "administrativeid": "20"}


def test_another_solution_is_named_where_that_is_allowed() -> None:
    assert problem({"externalId": "R", "datasetId": "e"}, any_dataset=True) == []


def test_a_new_object_must_be_in_the_scope() -> None:
    scoped = snapshot_of(scope={"root_element": "b"})
    row = {"externalId": "N", **NEW}
    assert problem({**row, "parentId": "f0"}, scoped) == []
    at = {"geometry": square(*THERE)}
    assert problem({**row, **at, "parentId": "g0"}, scoped) == ["is a new room outside of the scope"]
    assert problem({**row, **at, "parentId": "g0", "displayTypeId": "None"}, scoped) == [
        "there is no display type 'None'"
    ]
    assert problem({**row, "parentId": "f0"}, snapshot_of(scope={"base_types": ["poi"]})) == [
        "is a new room outside of the scope"
    ]


def test_values_of_the_service_stay_as_they_are() -> None:
    odd = {
        **MAP[2],
        "baseTypeProperties": {"name": "0", "administrativeid": "EG"},
        "properties": {"NAME@en": " "},
    }
    (row,), _ = resolved([odd], snapshot_of(odd), exact=True)
    assert row.problems == []
    assert (row.item["baseTypeProperties"]["administrativeid"], row.item["properties"]) == (
        "EG",
        {"NAME@en": " "},
    )
    far = {**MAP[4], "geometry": square(13.9, 55.78)}
    assert len(problem(far, exact=True)) == 1
    assert problem(far, exact=True, allow_distant=True) == []
    second = {**MAP[3], "baseTypeProperties": {"name": "1", "administrativeid": "0"}}
    assert problem(second, exact=True) == []
    assert problem({"externalId": "F1", "administrativeid": "0"}) == [
        "is a floor with the index 0 in a building that has another one: object f0"
    ]


def test_a_property_has_the_spelling_of_other_objects() -> None:
    (row,), _ = resolved(
        [{"externalId": "R", "OWNER@generic": "x"}],
        snapshot_of({**MAP[5], "properties": {"name@en": "P", "Owner@generic": "y"}}),
    )
    assert row.item["properties"] == {"Owner@generic": "x"}


def test_an_index_that_is_no_number_may_stay_only() -> None:
    odd = snapshot_of(floor("f1", "b", "EG"))
    assert problem({"externalId": "F1", "baseTypeProperties": {"administrativeid": "EG"}}, odd) == []
    says = problem({"externalId": "F0", "baseTypeProperties": {"administrativeid": "UG"}}, odd)
    assert len(says) == 1
    assert says[0].startswith("administrativeid, a floor's index, must be a whole number")
    new = {"externalId": "N", "baseType": "floor", "parentId": "b", "geometry": square(*HERE)}
    assert len(problem({**new, "baseTypeProperties": {"name": "x", "administrativeid": "x"}})) == 1


# -- dates ----------------------------------------------------------------------------------------------


def dated(**members: str) -> SolutionSnapshot:
    return snapshot_of({**MAP[5], "baseTypeProperties": members})


@pytest.mark.parametrize(
    ("there", "given", "is_wrong"),
    [
        ({}, {"activefrom": "2026-01-02"}, False),
        ({}, {"activefrom": "2026-01-02", "activeto": "2026-01-01"}, True),
        ({}, {"activefrom": "2026-01-02", "activeto": "2026-01-02"}, True),
        ({}, {"activefrom": "2026-01-01", "activeto": "2026-01-02"}, False),
        ({"activefrom": "2026-01-02T00:00:00Z"}, {"activeto": "2026-01-01"}, True),
        ({"activeto": "2026-01-01T00:00:00Z"}, {"activefrom": "2026-01-02"}, True),
        ({"activeto": "2026-01-03T00:00:00Z"}, {"activefrom": "2026-01-02"}, False),
        ({"activeto": "0001-01-01T00:00:00Z"}, {"activefrom": "2026-01-02"}, False),
        ({"activeto": "0002-01-01T00:00:00Z"}, {"activefrom": "2026-01-02"}, True),
        ({}, {"activefrom": "2026-01-02", "activeto": "0001-01-01"}, True),
        (
            {"activefrom": "2026-01-02T00:00:00Z", "activeto": "2026-01-01T00:00:00Z"},
            {"activefrom": "2026-01-02"},
            False,
        ),
        (
            {"activefrom": "2026-01-02T00:00:00Z", "activeto": "2026-01-05T00:00:00Z"},
            {"activefrom": "2026-01-02", "activeto": "2026-01-01"},
            True,
        ),
        (
            {"activefrom": "2026-01-02T00:00:00Z", "activeto": "2026-01-01T00:00:00Z"},
            {"capacity": "4"},
            False,
        ),
    ],
)
def test_an_object_must_be_shown_for_some_time(
    there: dict[str, str], given: dict[str, str], is_wrong: bool
) -> None:
    found = problem({"externalId": "P", "baseTypeProperties": given}, dated(**there))
    assert len(found) == is_wrong
    if is_wrong:
        assert found[0].startswith("activeto ")
        assert " is not after activefrom 2026-01-02" in found[0]
        assert found[0].endswith(", so the object would never be shown; a date alone is its midnight")


def test_dates_of_a_database_are_not_in_the_problem() -> None:
    rows: list[dict[str, Any]] = [
        {"externalId": "P", "baseTypeProperties": {"activefrom": "2026-01-02", "activeto": "2026-01-01"}}
    ]
    with hide_values():
        (found,) = problems(*rows)
    assert found == [
        "activeto is not after activefrom, so the object would never be shown; a date alone is its midnight"
    ]


# -- places ---------------------------------------------------------------------------------------------


def kilometres(x: float, y: float) -> str:
    metres = geometry.distance(geometry.bounds(MAP[0]["geometry"]), (x, y))
    return f"{metres / 1000:,.0f} km away from the venue"


def test_a_place_far_from_its_venue_is_told_with_its_farthest_position() -> None:
    allow = "; pass allow_distant=True if it is right"
    far = point(-150.0, -40.0)
    assert problem({"externalId": "P", "geometry": far}) == [
        f"geometry is {kilometres(-150, -40)}, at [-150.0, -40.0]{allow}"
    ]
    assert problem({"externalId": "P", "geometry": far}, allow_distant=True) == []
    wide = square(12.57, 55.78, 1.0)
    x, y = 13.57, 56.78
    assert problem({"externalId": "R", "geometry": wide}) == [
        f"geometry is {kilometres(x, y)}, at [{x}, {y}]{allow}"
    ]


@pytest.mark.parametrize("row", [{"externalId": "R"}, {"externalId": "R", "geometry": square(*HERE)}])
def test_each_place_of_a_row_is_looked_at(row: dict[str, Any]) -> None:
    found = problem({**row, "anchor": point(13.9, 55.78)})
    assert len(found) == 1
    assert found[0].startswith(f"anchor is {kilometres(13.9, 55.78)}, at [13.9, 55.78]")


def test_a_place_that_is_there_already_stays_whatever_it_is() -> None:
    far = {**MAP[4], "geometry": square(13.9, 55.78)}
    row = {"externalId": "R", "geometry": square(13.9, 55.78)}
    assert problem(row, snapshot_of(far)) == []
    assert len(problem({**row, "anchor": point(14.9, 55.78)}, snapshot_of(far))) == 1
    assert len(problem({"externalId": "N", **NEW, "parentId": "f0", "geometry": square(13.9, 55.78)})) == 1


def test_a_surface_without_area_may_only_be_there_already() -> None:
    ring = [[12.57, 55.78], [12.571, 55.78], [12.57, 55.78], [12.57, 55.78]]
    flat = {"type": "Polygon", "coordinates": [ring]}
    row = {"externalId": "R", "geometry": flat}
    assert problem(row) == ["geometry has a ring without area"]
    there = {**MAP[4], "geometry": flat}
    assert problem(row, snapshot_of(there)) == []
    assert problem(there, exact=True) == []


def test_longitude_and_latitude_that_are_swapped_are_told() -> None:
    for is_allowed in (False, True):
        assert problem(
            {"externalId": "P", "geometry": point(55.7805, 12.5705)}, allow_distant=is_allowed
        ) == ["geometry has longitude and latitude swapped: [55.7805, 12.5705] is far from the venue"]


def test_a_place_five_kilometres_around_the_venue_is_near() -> None:
    assert problem({"externalId": "P", "geometry": point(12.57, 55.82)}) == []
    assert len(problem({"externalId": "P", "geometry": point(12.57, 55.84)})) == 1


@pytest.mark.parametrize(
    ("at", "is_wrong"), [((0.0, 0.0), True), ((0.0, 50.0), False), ((50.0, 0.0), False), ((1.0, 1.0), False)]
)
def test_without_a_venue_only_the_place_without_degrees_is_wrong(
    at: tuple[float, float], is_wrong: bool
) -> None:
    row = {"externalId": "V", "baseType": "venue", "geometry": square(5.0, 5.0), "anchor": point(*at)}
    nothing = snapshot_of(without=tuple(one["id"] for one in MAP))
    says = "anchor is at 0, 0, as if it were missing; pass allow_distant=True if it is right"
    assert problem({**row, "name": "V"}, nothing) == [says] * is_wrong
    assert problem({**row, "name": "V"}, nothing, allow_distant=True) == []


def test_what_is_below_a_new_venue_is_compared_with_its_place() -> None:
    rows: list[dict[str, Any]] = [
        {"externalId": "NV", "baseType": "venue", "name": "NV", "geometry": square(2.0, 48.0)},
        {"externalId": "NB", "baseType": "building", "name": "NB", "parentExternalId": "NV"},
    ]
    assert problems(*rows[:1], {**rows[1], "geometry": square(2.0, 48.0)}) == [[], []]
    (first, second) = problems(rows[0], {**rows[1], "geometry": square(*HERE)})
    assert first == []
    assert "km away from the venue" in second[0]


def test_a_row_without_a_known_venue_may_be_at_any_venue() -> None:
    lost = snapshot_of({**MAP[4], "parentId": ""})
    assert problem({"externalId": "R", "geometry": square(*THERE)}, lost) == []
    assert len(problem({"externalId": "R", "geometry": square(0.0, 0.0)}, lost)) == 1
    assert len(problem({"externalId": "R", "geometry": square(*THERE)})) == 1


# -- moves ----------------------------------------------------------------------------------------------


def test_a_move_out_of_the_scope_is_a_problem() -> None:
    scoped = snapshot_of(scope={"root_element": "f0"})
    assert problem({"externalId": "R", "parentId": "f1"}, scoped) == [
        "would move from f0 to f1, outside of the scope, where no sync with this scope finds it again; widen"
        " the scope"
    ]
    assert problem({"externalId": "R", "parentId": "f0"}, scoped) == []
    assert problem({"externalId": "R", "parentId": "f1"}) == []


def test_a_move_to_another_venue_needs_a_place_there() -> None:
    bounds = geometry.bounds(MAP[6]["geometry"])
    west, south, east, north = geometry.bounds(MAP[4]["geometry"])
    away = max(geometry.distance(bounds, place) for place in ((west, south), (east, north)))
    assert problem({"externalId": "R", "parentId": "g0"}) == [
        f"would move to another venue, and its geometry is {away / 1000:,.0f} km away from it; give the new"
        " geometry, too, or pass allow_distant=True"
    ]
    assert problem({"externalId": "R", "parentId": "g0"}, allow_distant=True) == []
    assert problem({"externalId": "R", "parentId": "g0", "geometry": square(*THERE)}) == []
    wide = {**MAP[4], "geometry": square(10.2, 56.1, 0.5)}
    assert len(problem({"externalId": "R", "parentId": "g0"}, snapshot_of(wide))) == 1
    none = {**MAP[4], "geometry": None}
    assert problem({"externalId": "R", "parentId": "g0"}, snapshot_of(none)) == []


def test_a_building_has_one_floor_of_an_index() -> None:
    says = "is a floor with the index {} in a building that has another one: {}"
    new = {"externalId": "N", "baseType": "floor", "parentId": "b", "geometry": square(*HERE)}
    index = {"baseTypeProperties": {"name": "x", "administrativeid": "10"}}
    assert problem({**new, **index}) == [says.format(10, "object f1")]
    assert problems({**new, **index}, {"externalId": "F1", "status": 1}) == [[says.format(10, "row 2")], []]
    assert problems({**new, **index}, {"externalId": "F1", "administrativeid": "30"}) == [[], []]
    assert problem({**new, **index, "parentId": "c", "geometry": square(*THERE)}) == []
    assert problem({**new, **index}, deletes=True) == []
    assert (
        problem(
            {**new, **index},
            snapshot_of(scope={"base_types": ["room", "floor"], "root_element": "b"}),
            deletes=True,
        )
        == []
    )
    keyless = snapshot_of({**floor("f1", "b", "10"), "externalId": ""})
    assert problem({**new, **index}, keyless, deletes=True) == [says.format(10, "object f1")]
    twice = [
        {**new, **index, "externalId": key, "baseTypeProperties": {"name": "x", "administrativeid": "70"}}
        for key in "MN"
    ]
    assert problems(*twice) == [[says.format(70, "row 2")], [says.format(70, "row 1")]]
    assert problems({"externalId": "F0"}, {"externalId": "G0", "parentId": "b"}, allow_distant=True) == [
        [],
        [says.format(0, "row 1")],
    ]
    area = snapshot_of({**MAP[4], "parentId": "b", "baseTypeProperties": {"administrativeid": "70"}})
    assert problems(twice[0], snapshot=area) == [[]]


def test_floors_of_a_new_building_are_compared_with_each_other() -> None:
    building = {
        "externalId": "NB",
        "baseType": "building",
        "name": "NB",
        "parentId": "v",
        "geometry": square(*HERE),
    }
    floors = [
        {
            "externalId": key,
            "baseType": "floor",
            "parentExternalId": "NB",
            "geometry": square(*HERE),
            "baseTypeProperties": {"name": key, "administrativeid": index},
        }
        for key, index in (("N1", "0"), ("N2", "0"), ("N3", "10"))
    ]
    found = problems(building, *floors)
    assert [len(one) for one in found] == [0, 1, 1, 0]
    assert found[1][0].endswith("another one: row 3")


# -- plans ----------------------------------------------------------------------------------------------


def test_a_plan_has_all_that_is_known_of_each_change() -> None:
    rows: list[dict[str, Any]] = [
        {"externalId": "R", "status": 1},
        {"externalId": "N", **NEW, "parentExternalId": "F0", "capacity": None, "aliases": []},
        {"externalId": "S", "status": 3},
        {"externalId": "P", "parentExternalId": "N"},
        {"externalId": "X", **NEW, "displayTypeId": "None"},
    ]
    read, snapshot = resolved(rows)
    plan = make_plan(read, snapshot, {"base_types": None})
    shape = square(*HERE)
    assert plan.changes == [
        Change(
            *("create", "N", "room", "", 2, "New", {}),
            body={
                "externalId": "N",
                "baseType": "room",
                "displayTypeId": "type",
                "geometry": shape,
                "properties": {"name@en": "New"},
                "parentId": "f0",
                "datasetId": "d",
                "aliases": [],
                "anchor": geometry.anchor(shape),
            },
        ),
        Change("update", "R", "room", "r", 1, "Name r", {"status": [3, 1]}, {"id": "r", "status": 1}),
        Change("update", "P", "poi", "p", 4, "Name p", {"parentId": ["r", "(new: N)"]}, {"id": "p"}, "N"),
    ]
    assert (plan.compared, plan.unchanged, plan.dataset, plan.match_on) == (10, 1, "d", "externalId")
    assert [(one["row"], one["key"]) for one in plan.failed] == [(5, "X")]
    assert plan.failed[0]["reasons"][0] == "there is no display type 'None'"
    assert plan.depends == dependencies(plan, snapshot, digest_of_scope(snapshot))
    assert plan.fingerprint == fingerprint_of(plan.depends)


def test_what_has_no_row_is_deleted_or_deactivated_or_stays() -> None:
    rows = [{"externalId": key} for key in ("V", "B", "F0", "F1", "P", "W", "C", "G0")] + [
        {"externalId": "R", "status": 7}
    ]
    inactive = snapshot_of({**MAP[5], "status": 2})
    for missing, found in (
        ("ignore", []),
        ("delete", [Change("delete", "S", "room", "s", 0, "Name s")]),
        (
            "deactivate",
            [
                Change("update", "P", "poi", "p", 5, "Name p", {"status": [2, 3]}, {"id": "p", "status": 3}),
                Change(
                    "deactivate", "S", "room", "s", 0, "Name s", {"status": [3, 2]}, {"id": "s", "status": 2}
                ),
            ],
        ),
    ):
        read, snapshot = resolved(rows, inactive)
        plan = make_plan(read, snapshot, {}, missing)
        assert sorted(plan.changes, key=lambda change: change.key) == found
        assert [one["key"] for one in plan.failed] == ["R"], "its object is not missing"
    statusless = snapshot_of({**MAP[9], "status": None})
    (change,) = [one for one in make_plan([], statusless, {}, "deactivate").changes if one.id == "s"]
    assert change.fields == {"status": [3, 2]}
    hidden = snapshot_of({**MAP[9], "status": 2})
    assert "s" not in {one.id for one in make_plan([], hidden, {}, "deactivate").changes}


def test_objects_are_compared_that_have_a_key_a_known_type_and_are_in_the_scope() -> None:
    odd = [{**MAP[4], "externalId": ""}, {**MAP[5], "baseType": "planet"}]
    assert sorted(comparable_ids(snapshot_of(*odd))) == ["b", "c", "f0", "f1", "g0", "s", "v", "w"]
    assert sorted(comparable_ids(snapshot_of(*odd, scope={"root_element": "c"}))) == ["c", "g0", "s"]


def test_a_deletion_leaves_nothing_below_it() -> None:
    snapshot = snapshot_of()
    delete = [Change("delete", key.upper(), kind, key) for key, kind in (("f0", "floor"), ("r", "room"))]
    move = Change(
        "update", "P", "poi", "p", 3, fields={"parentId": ["r", "f1"]}, body={"id": "p", "parentId": "f1"}
    )
    plan = Plan("d", "externalId", {}, "", changes=delete)
    assert removal_problems(plan, snapshot) == [
        "deleting room r would leave or take along 1 objects below it"
    ]
    plan.changes = [*delete, move]
    assert removal_problems(plan, snapshot) == []
    assert needs_of_deletions(plan, snapshot) == {"r": [move], "f0": [move]}
    plan.changes = [*delete, Change("create", "N", "room", row=7, body={"parentId": "f0"})]
    assert removal_problems(plan, snapshot) == [
        "deleting room r would leave or take along 1 objects below it",
        "row 7 (N) is placed below floor f0, which the plan deletes",
    ]
    other = Change("update", "", "poi", "p", 4, fields={"status": [3, 1]}, body={"id": "p", "parentId": "r"})
    plan.changes = [*delete, other]
    assert removal_problems(plan, snapshot)[1] == "row 4 (p) is placed below room r, which the plan deletes"
    assert needs_of_deletions(plan, snapshot) == {}


def test_what_is_left_out_of_a_change_and_of_a_plan() -> None:
    change, plan = Change("delete", "R", "room"), Plan("d", "externalId", {}, "")
    assert (change.id, change.row, change.name, change.fields, change.body) == ("", 0, "", {}, {})
    assert (change.parent_key, plan.compared, plan.unchanged, plan.changes, plan.failed) == ("", 0, 0, [], [])
    assert Rules() == Rules(allow_distant=False, exact=False, any_dataset=False, deletes=False)
    row = DesiredRow(1, {})
    assert (row.key, row.object_id, row.base_type, row.columns, row.defaulted) == ("", "", "", 0, frozenset())


# -- rows of a source -----------------------------------------------------------------------------------


def test_a_row_is_matched_by_its_key_or_its_id() -> None:
    twins = snapshot_of({**MAP[9], "externalId": "R"})
    for row, found, says in (
        ({"externalId": "R"}, "r", []),
        ({"id": "r"}, "r", []),
        ({"id": "r", "externalId": "R"}, "r", []),
        ({"id": "x" * 70}, "", [f"there is no object with id {'x' * 60}"]),
        ({"id": "r", "externalId": "S"}, "r", ["externalId 'S' belongs to object s, but id names r"]),
        ({"status": 1}, "", ["has no externalId, by which it could be matched, and no id"]),
    ):
        (read,) = rows = read_desired_rows([row])
        match_rows(rows, snapshot_of())
        assert (read.object_id, [str(one) for one in read.problems]) == (found, says)
    many = snapshot_of(*({**MAP[9], "id": f"s{number}", "externalId": "R"} for number in range(6)))
    (read,) = rows = read_desired_rows([{"externalId": "R"}])
    match_rows(rows, many)
    assert read.problems == ["externalId 'R' is that of 7 objects: r, s0, s1, s2, s3, and 2 more"]
    (read,) = rows = read_desired_rows([{"externalId": "R"}])
    match_rows(rows, twins)
    assert (read.object_id, read.problems) == ("", ["externalId 'R' is that of 2 objects: r, s"])
    (read,) = rows = read_desired_rows([{"externalId": "R"}])
    match_rows(rows, snapshot_of({**MAP[9], "externalId": "R"}, scope={"root_element": "w"}))
    assert (read.object_id, read.base_type, read.problems) == ("s", "room", [])
    (read,) = rows = read_desired_rows([{"externalId": "R"}])
    match_rows(rows, snapshot_of(scope={"root_element": "w"}))
    assert (read.object_id, read.problems) == ("r", ["is about object r, which is outside of the scope"])


@pytest.mark.parametrize("name", ["id", "externalId"])
def test_a_key_that_cannot_be_read_is_one_problem(name: str) -> None:
    (read,) = rows = read_desired_rows([{name: ["x"]}])
    match_rows(rows, snapshot_of())
    (said,) = read.problems
    assert said.startswith(f"{name} must be")


def test_an_object_without_a_base_type_has_none() -> None:
    (read,) = rows = read_desired_rows([{"externalId": "R"}])
    match_rows(rows, snapshot_of({**MAP[4], "baseType": None}))
    assert (read.object_id, read.base_type) == ("r", "")


def test_two_rows_of_one_object_are_a_problem_of_the_second() -> None:
    rows = read_desired_rows(
        [{"id": "r"}, {"externalId": "R"}, {"externalId": "N" * 70}, {"externalId": "N" * 70}]
    )
    match_rows(rows, snapshot_of())
    assert [row.problems for row in rows] == [
        [],
        ["is about the same object as row 1 (r)"],
        [],
        [f"is about the same object as row 3 ({'N' * 60})"],
    ]


def test_an_external_id_of_another_object_is_not_given_away() -> None:
    by_id = snapshot_of(match_on="id")
    for row, says in (
        ({"id": "r", "externalId": "S"}, ["externalId 'S' belongs to object s, but the row is about r"]),
        ({"id": "r", "externalId": "R"}, []),
        ({"id": "r", "externalId": "NEW"}, []),
    ):
        rows = read_desired_rows([row], match_on="id")
        match_rows(rows, by_id)
        assert [str(one) for one in rows[0].problems] == says


def test_what_a_row_has_from_the_defaults_is_known() -> None:
    defaults = read_defaults({"name": "x", "owner@generic": "IT", "capacity": 3})
    first, second = read_desired_rows(
        [{"externalId": "1"}, {"externalId": "2", "owner@generic": "me"}], defaults=defaults
    )
    assert (first.defaulted, second.defaulted) == ({"name@*", "owner@generic"}, {"name@*"})
    assert (first.columns, second.columns) == (1, 2)
    (plain,) = read_desired_rows([{"externalId": "1"}])
    assert plain.defaulted == frozenset()


# -- restore --------------------------------------------------------------------------------------------


def backup(*objects: dict[str, Any], **more: Any) -> list[DesiredRow]:
    rows = read_desired_rows([*objects], match_on="id", exact=True)
    match_backup(rows, snapshot_of(match_on="id", **more))
    return rows


def test_objects_of_a_backup_are_matched_by_id_or_as_they_were_recreated() -> None:
    again = {**MAP[4], "id": "r2"}
    snapshot: dict[str, Any] = {"without": ("r",)}
    rows = read_desired_rows([MAP[4], {**MAP[5]}], match_on="id", exact=True)
    match_backup(rows, snapshot_of(again, {**MAP[5], "parentId": "r2"}, match_on="id", **snapshot))
    room, poi = rows
    assert (room.object_id, room.item["id"], room.key) == ("r2", "r2", "r")
    assert (poi.object_id, poi.item["parentId"], poi.parent) == ("p", "r2", None)
    room, poi = backup(MAP[4], MAP[5], without=("r", "p"))
    assert (room.object_id, poi.object_id) == ("", "")
    assert poi.parent is room
    assert "parentId" not in poi.item
    assert "id" not in room.item


def test_what_a_backup_does_not_have_is_emptied() -> None:
    more = {
        **MAP[4],
        "aliases": ["x"],
        "categories": ["group"],
        "externalId": "R",
        "properties": {"name@en": "R", "note@generic": "y"},
        "baseTypeProperties": {"capacity": "4"},
    }
    less = {name: value for name, value in MAP[4].items() if name not in ("externalId", "displayTypeId")}
    rows = read_desired_rows([less], match_on="id", exact=True)
    match_backup(rows, snapshot_of(more, match_on="id"))
    item = rows[0].item
    assert (item["aliases"], item["categories"], item["externalId"]) == ([], [], "")
    assert item["properties"] == {"name@en": "Name r", "note@generic": ""}
    assert item["baseTypeProperties"] == {"capacity": ""}
    assert "displayTypeId" not in item
    assert "additionalDetails" not in item
    website = [{"key": "website", "detailType": "url", "value": "https://a.example"}]
    rows = read_desired_rows([less], match_on="id", exact=True)
    match_backup(rows, snapshot_of({**MAP[4], "additionalDetails": website}, match_on="id"))
    assert rows[0].item["additionalDetails"] == []
    assert rows[0].item["externalId"] == ""
    assert "aliases" not in rows[0].item
