"""MapsIndoorsSyncGeodataOperator: behaviour over TCP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import (
    InputError,
    PlanRejectedError,
    RequestRejectedError,
    VerificationError,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import (
    POI,
    REFUSED,
    ROOMS,
    SQUARE,
    busiest_second,
    by_external_id,
    desk,
    put,
    sync,
    writes,
)


def test_differences_are_written_and_nothing_else(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    before = by_external_id(unlimited_service)
    rows = [
        {"externalId": "A-0-01", "name": "Reception"},
        {"externalId": "A-0-02", "name": before["A-0-02"]["properties"]["name@en"]},
        desk("D-1"),
    ]
    result = sync(rows)
    assert {**result, "requests": 0} == {
        "create": 1,
        "update": 1,
        "delete": 0,
        "deactivate": 0,
        "unchanged": 1,
        "failed": 0,
        "requests": 0,
        "plan": None,
    }
    after = by_external_id(unlimited_service)
    made = after.pop("D-1")
    assert made["parentId"] == before["A-0"]["id"]
    assert made["displayTypeId"] == seed.new_id("type", "Workspace")
    assert made["categories"] == [seed.new_id("category", "WORK")]
    assert after.pop("A-0-01")["properties"] == {"name@en": "Reception", "name@da": "Office A0.01"}
    del before["A-0-01"]
    assert after == before
    assert result["requests"] == 8


def test_null_leaves_a_field_alone_and_nothing_in_it_clears_it(unlimited_service: MapsIndoorsService) -> None:
    room = by_external_id(unlimited_service)["A-0-01"]
    texts = {**room["properties"], "info@generic": "old", "note@generic": "kept"}
    put(unlimited_service, {**room, "aliases": ["old"], "properties": texts})
    row = {"externalId": "A-0-01", "aliases": [], "info@generic": "", "note@generic": None, "status": None}
    assert sync([row])["update"] == 1
    after = by_external_id(unlimited_service)["A-0-01"]
    assert (after["aliases"], after["properties"]["info@generic"]) == ([], "")
    assert (after["properties"]["note@generic"], after["status"]) == ("kept", room["status"])


def test_a_second_run_writes_nothing_though_the_service_rounds(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    unlimited_service.decimals = 7
    rows = [desk("D-1", geometry={"type": "Point", "coordinates": [12.570512345678, 55.78]})]
    sync(rows)
    before = writes(sandbox)
    assert sync(rows)["unchanged"] == 1
    assert writes(sandbox) == before


def test_new_parents_come_before_their_new_children(unlimited_service: MapsIndoorsService) -> None:
    ring = [[12.57, 55.78], [12.571, 55.78], [12.571, 55.781], [12.57, 55.781], [12.57, 55.78]]
    area = {"type": "Polygon", "coordinates": [ring]}
    rows = [
        desk("N-DESK", parentExternalId="N-ROOM"),
        {
            "externalId": "N-ROOM",
            "baseType": "room",
            "name": "New room",
            "displayTypeId": "Office",
            "geometry": area,
            "parentExternalId": "N-FLOOR",
        },
        {
            "externalId": "N-FLOOR",
            "baseType": "floor",
            "baseTypeProperties": {"name": "3", "administrativeid": "30"},
            "geometry": area,
            "parentExternalId": "BLD-A",
        },
    ]
    assert sync(rows)["create"] == 3
    made = by_external_id(unlimited_service)
    assert made["N-DESK"]["parentId"] == made["N-ROOM"]["id"]
    assert made["N-ROOM"]["parentId"] == made["N-FLOOR"]["id"]
    assert sync(rows)["unchanged"] == 3


def test_rows_come_from_a_table(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "desks.csv"
    path.write_text(
        "externalId,name,lon,lat,parentBuilding,parentFloor,capacity\n"
        "D-1,Desk 1,12.5705,55.7805,BLD-A,10,1\n"
        "A-0-P1,,,,,,\n"
    )
    defaults = {"baseType": "poi", "displayType": "Workspace"}
    result = sync(str(path), defaults=defaults)
    made = by_external_id(unlimited_service)
    assert (result["create"], result["update"]) == (1, 1)
    assert made["D-1"]["parentId"] == made["A-1"]["id"]
    assert made["D-1"]["baseTypeProperties"]["capacity"] == "1"
    assert made["A-0-P1"]["displayTypeId"] == seed.new_id("type", "Workspace")


def test_a_whole_new_venue_is_made_level_by_level(
    unlimited_service: MapsIndoorsService, capsys: pytest.CaptureFixture[str]
) -> None:
    index = {"name": "0", "administrativeid": "0"}
    tree = [
        desk("N-POI", parentExternalId="N-ROOM"),
        desk("N-AREA", baseType="area", geometry=SQUARE, parentExternalId="N-VENUE"),
        desk("N-ROOM", baseType="room", displayTypeId="Office", geometry=SQUARE, parentExternalId="N-FLOOR"),
        {"externalId": "N-FLOOR", "baseType": "floor", "parentExternalId": "N-BLD", "geometry": SQUARE},
        {"externalId": "N-BLD", "baseType": "building", "name": "B", "parentExternalId": "N-VENUE"},
        {"externalId": "N-VENUE", "baseType": "venue", "name": "V", "geometry": SQUARE},
    ]
    tree[3]["baseTypeProperties"] = index
    tree[4]["geometry"] = SQUARE
    assert sync(tree, batch_size=1)["create"] == 6
    made = by_external_id(unlimited_service)
    for row in tree[:-1]:
        assert made[row["externalId"]]["parentId"] == made[row["parentExternalId"]]["id"]
    said = capsys.readouterr().out
    assert all(f"{number} of 6 changes written" in said for number in range(1, 7))
    assert sync(tree)["unchanged"] == 6


# Bad rows


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": "X"}, "has no externalId, by which it could be matched"),
        ({"externalId": "A-0-01", "baseType": "desk"}, "baseType 'desk' is unknown"),
        ({"externalId": "A-0-01", "baseType": "poi"}, "it cannot change"),
        ({"externalId": "A-0-01", "name": ""}, "has no name@en"),
        ({"externalId": "A-0-01", "id": seed.TUTORIAL_POI}, "belongs to object"),
        ({"externalId": "A-0-01", "geometry": POI}, "must be a Polygon for a room"),
        ({"externalId": "A-0-01", "datasetId": seed.API_KEY}, "is not the solution's"),
        ({"id": "f" * 24}, "there is no object with id"),
        (desk("D-1", parentExternalId="NOWHERE"), "there is no object with externalId 'NOWHERE'"),
        (desk("D-1", parentExternalId="BLD-A"), "a poi cannot be below a building"),
        (desk("D-1", displayTypeId="Sofa"), "there is no display type 'Sofa'"),
        (desk("D-1", categories=["NOPE"]), "there is no category 'NOPE'"),
        (desk("D-1", name=None), "has no name@en"),
        (desk("D-1", geometry=None), "has no geometry"),
        (desk("D-1", baseType=None), "has no baseType"),
        (desk("D-1", geometry={"type": "Point", "coordinates": [55.78, 112.57]}), "is the order wrong"),
        (desk("D-1", geometry={"type": "Point", "coordinates": [55.78, 12.57]}), "latitude swapped"),
        (desk("D-1", **{"Name@en": "X"}), "is given twice"),
    ],
)
def test_a_bad_row_is_named_before_any_write(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, row: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        sync([desk("D-0"), row])
    assert [one for one in caught.value.problems if one.startswith("row 2") and words in one]
    assert writes(sandbox) == 0


def test_duplicates_in_the_source_and_of_its_rows_on_the_map_are_listed(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    room = by_external_id(unlimited_service)["A-0-01"]
    unlimited_service.campus.geodata = {
        **unlimited_service.campus.geodata,
        "x" * 24: {**room, "id": "x" * 24},
    }
    with pytest.raises(InputError) as caught:
        sync([desk("D-1"), desk("D-1"), {"externalId": "A-0-01"}])
    assert "row 2 (D-1): is about the same object as row 1 (D-1)" in caught.value.problems
    both = f"externalId 'A-0-01' is that of 2 objects: {room['id']}, {'x' * 24}"
    assert f"row 3 (A-0-01): {both}" in caught.value.problems
    assert writes(sandbox) == 0


def test_an_object_outside_of_the_scope_is_not_touched_nor_made_twice(
    unlimited_service: MapsIndoorsService,
) -> None:
    with pytest.raises(InputError, match="outside of the scope"):
        sync([{"externalId": "A-0-01", "name": "X"}], scope={"base_types": ["poi"]})


def test_bad_rows_can_be_left_out(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    rows = [desk("D-1"), desk("D-2", displayTypeId="Sofa"), desk("D-3", parentExternalId="D-2")]
    result = sync(rows, on_row_error="skip", plan_output=plan)
    assert (result["create"], result["failed"]) == (1, 2)
    failed = [json.loads(line) for line in Path(f"{plan}.failed.jsonl").read_text().splitlines()]
    assert [one["row"] for one in failed] == [2, 3]
    assert "there is no display type 'Sofa'" in failed[0]["reasons"]


# Missing rows


def test_missing_rooms_are_deactivated_and_come_back(unlimited_service: MapsIndoorsService) -> None:
    codes = [
        one["externalId"] for one in unlimited_service.campus.geodata.values() if one["baseType"] == "room"
    ]
    rows = [{"externalId": code} for code in codes]
    assert sync(rows[1:], scope=ROOMS, missing="deactivate")["deactivate"] == 1
    assert by_external_id(unlimited_service)[codes[0]]["status"] == 2
    assert sync(rows[1:], scope=ROOMS, missing="deactivate")["deactivate"] == 0
    assert sync(rows, scope=ROOMS, missing="deactivate")["update"] == 1
    assert by_external_id(unlimited_service)[codes[0]]["status"] == 3


def test_missing_rooms_are_deleted_within_the_scope_only(unlimited_service: MapsIndoorsService) -> None:
    floor = by_external_id(unlimited_service)["A-0"]["id"]
    rows = [{"externalId": f"A-0-0{number}"} for number in range(1, 8)]
    scope = {"base_types": ["room"], "root_element": floor}
    before = len(unlimited_service.campus.geodata)
    assert sync(rows, scope=scope, missing="delete", max_deletes=1)["delete"] == 1
    assert "A-0-08" not in by_external_id(unlimited_service)
    assert len(unlimited_service.campus.geodata) == before - 1


def test_objects_without_the_match_key_are_never_touched(unlimited_service: MapsIndoorsService) -> None:
    rows = [
        {"externalId": code}
        for code, one in by_external_id(unlimited_service).items()
        if one["baseType"] == "poi"
    ]
    result = sync(rows, scope={"base_types": ["poi"]}, missing="delete", max_deletes=100)
    assert result["delete"] == 0
    assert seed.TUTORIAL_POI in unlimited_service.campus.geodata


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"missing": "delete"}, "54 deletions are more than max_deletes=0"),
        ({"missing": "delete", "max_deletes": 100, "max_delete_ratio": 0.5}, "54 of 56 compared objects"),
        ({"missing": "deactivate", "max_delete_ratio": 0.1}, "54 of 56 compared objects"),
        ({"max_changes": 1}, "2 changes are more than max_changes=1"),
    ],
)
def test_limits_refuse_a_plan_before_any_write(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, options: dict[str, Any], words: str
) -> None:
    rows = [{"externalId": f"A-0-0{number}", "name": "X"} for number in (1, 2)]
    with pytest.raises(PlanRejectedError, match=words):
        sync(rows, scope=ROOMS, **options)
    assert writes(sandbox) == 0


def test_an_empty_source_deletes_nothing(unlimited_service: MapsIndoorsService, sandbox: Sandbox) -> None:
    with pytest.raises(PlanRejectedError, match="the source is empty"):
        sync([], scope=ROOMS, missing="delete", max_deletes=1000)
    assert writes(sandbox) == 0


def test_a_parent_is_not_deleted_while_children_stay(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows = [
        {"externalId": code}
        for code, one in by_external_id(unlimited_service).items()
        if one["baseType"] == "floor"
    ]
    with pytest.raises(PlanRejectedError, match="objects below it"):
        sync(rows[1:], scope={"base_types": ["floor"]}, missing="delete", max_deletes=10)
    assert writes(sandbox) == 0


def test_rows_that_cannot_be_matched_prevent_deletions(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows: list[Any] = [{"name": "no key"}, {"externalId": "A-0-01"}]
    with pytest.raises(PlanRejectedError, match="the missing rows are not known"):
        sync(rows, scope=ROOMS, missing="deactivate", on_row_error="skip")


# Failures


@pytest.mark.parametrize("stale", [0.0, 5.0])
@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
def test_a_request_without_response_creates_nothing_twice(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, fault: str, stale: float
) -> None:
    unlimited_service.stale_seconds = stale
    sandbox.faults.add(fault, method="POST", path="geodata")
    assert sync([desk(f"D-{n}") for n in range(5)])["create"] == 5
    codes = [one.get("externalId", "") for one in unlimited_service.campus.geodata.values()]
    assert sorted(code for code in codes if code.startswith("D-")) == [f"D-{n}" for n in range(5)]


@pytest.mark.parametrize("style", ["problem", "text", "vague"])
@pytest.mark.parametrize("mode", ["atomic", "stop-at-first", "skip-bad"])
def test_refused_rows_are_found_and_all_others_written_once(
    unlimited_service: MapsIndoorsService, mode: str, style: str
) -> None:
    unlimited_service.batch_mode, unlimited_service.error_style = mode, style
    rows = [desk(f"D-{n}") for n in range(8)]
    rows += [{"externalId": f"A-0-0{n}", "name": f"Room {n}"} for n in range(1, 9)]
    # The validation accepts these rows, and only the service rejects them.
    rows[3] |= REFUSED
    rows[12] |= REFUSED
    result = sync(rows, on_row_error="skip")
    assert (result["create"], result["update"], result["failed"]) == (7, 7, 2)
    codes = [one.get("externalId", "") for one in unlimited_service.campus.geodata.values()]
    assert sorted(code for code in codes if code.startswith("D-")) == [f"D-{n}" for n in range(8) if n != 3]


def test_a_refused_row_fails_the_task_with_its_number(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    rows = [desk("D-1"), desk("D-2", **REFUSED)]
    with pytest.raises(RequestRejectedError, match=r"1 rows were refused: row 2 \(D-2\).*1 created"):
        sync(rows, plan_output=plan)
    (failed,) = [json.loads(line) for line in Path(f"{plan}.failed.jsonl").read_text().splitlines()]
    assert (failed["row"], failed["key"]) == (2, "D-2")
    assert "baseTypeProperties.capacity: Must be" in failed["reasons"][0]


def test_a_row_that_is_refused_when_a_plan_is_applied_is_listed_beside_the_plan(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    rows = [desk("D-1"), desk("D-2", **REFUSED), {"externalId": "D-3"}]
    sync(rows, mode="plan", plan_output=plan, on_row_error="skip")
    assert sync(plan=plan, on_row_error="skip")["failed"] == 2
    failed = [json.loads(line) for line in Path(f"{plan}.failed.jsonl").read_text().splitlines()]
    assert [one["key"] for one in failed] == ["D-3", "D-2"]


def test_without_a_file_every_row_left_out_is_in_the_log(
    unlimited_service: MapsIndoorsService, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"externalId": f"X-{number}"} for number in range(30)]
    with pytest.raises(PlanRejectedError):
        sync([desk("D-1"), *rows], on_row_error="skip", max_changes=0)
    said = capsys.readouterr().out
    assert all(f"Row {number + 2} (X-{number}) left out: has no name@en" in said for number in range(30))


def test_large_plans_go_in_batches_that_the_service_takes(unlimited_service: MapsIndoorsService) -> None:
    unlimited_service.max_items = 3
    assert sync([desk(f"D-{n}") for n in range(10)], batch_size=5)["create"] == 10


@pytest.mark.parametrize("stale", [0.0, 5.0])
def test_deletions_without_response_are_completed(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, stale: float
) -> None:
    unlimited_service.delete_unknown = "refuse"
    unlimited_service.stale_seconds = stale
    sandbox.faults.add("reset_after", method="DELETE")
    rows = [{"externalId": f"A-0-0{number}"} for number in range(1, 6)]
    scope = {"base_types": ["room"], "root_element": by_external_id(unlimited_service)["A-0"]["id"]}
    assert sync(rows, scope=scope, missing="delete", max_deletes=3)["delete"] == 3
    assert not {"A-0-06", "A-0-07", "A-0-08"} & set(by_external_id(unlimited_service))


def test_what_is_not_as_written_is_an_error(unlimited_service: MapsIndoorsService) -> None:
    unlimited_service.stale_seconds = 10_000
    with pytest.raises(VerificationError, match="properties.name@en is 'Office A0.01', not 'Reception'"):
        sync([{"externalId": "A-0-01", "name": "Reception"}])


def test_many_syncs_at_once_keep_the_limit_of_requests(
    service: MapsIndoorsService, departures: list[float]
) -> None:
    def work(number: int) -> dict[str, Any]:
        return sync([{"externalId": f"A-0-0{number}", "name": f"Room {number}"}])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(1, 5)))
    assert [one["update"] for one in results] == [1] * 4
    assert len(service.limit.arrivals[seed.CAMPUS_ID]) == 16
    assert busiest_second(departures) <= 10
