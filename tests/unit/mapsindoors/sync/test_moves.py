"""Objects that get another parent: planned, guarded, verified, whether or not the service moves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import (
    InputError,
    PlanRejectedError,
    RequestRejectedError,
    VerificationError,
)
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.mapsindoors.seed import TUTORIAL_FLOOR
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import SQUARE, by_external_id, put, sync, writes

ROOMS = [f"A-1-0{number}" for number in range(1, 9)]
MOVE = [{"externalId": code, "parentExternalId": "A-2"} for code in ROOMS]


@pytest.fixture
def service(unlimited_service: MapsIndoorsService) -> MapsIndoorsService:
    return unlimited_service


def test_all_rooms_of_a_floor_move_to_another_one(
    service: MapsIndoorsService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = by_external_id(service)
    plan = str(tmp_path / "plan.json")
    assert sync(MOVE, mode="plan", plan_output=plan)["update"] == 8
    assert "update 8 room; 8 of them move to another parent" in capsys.readouterr().out
    page = (tmp_path / "plan.html").read_text()
    assert "Administration · floor 1" in page
    assert "Administration · floor 2" in page
    assert '<span class="chip moved">' in page
    assert sync(plan=plan)["update"] == 8
    after = by_external_id(service)
    for code in ROOMS:
        assert after[code] == {**before[code], "parentId": before["A-2"]["id"]}
    assert sync(MOVE)["unchanged"] == 8


def test_rooms_move_below_a_floor_that_the_same_rows_create(service: MapsIndoorsService) -> None:
    floor = {"externalId": "A-9", "baseType": "floor", "parentExternalId": "BLD-A", "geometry": SQUARE}
    floor["baseTypeProperties"] = {"name": "9", "administrativeid": 90}
    rows = [{"externalId": "A-1-01", "parentExternalId": "A-9"}, floor]
    result = sync(rows)
    assert (result["create"], result["update"]) == (1, 1)
    after = by_external_id(service)
    assert after["A-1-01"]["parentId"] == after["A-9"]["id"]


def test_a_service_that_does_not_move_objects_fails_the_verification(service: MapsIndoorsService) -> None:
    service.put_parent = "ignore"
    with pytest.raises(VerificationError, match=r"parentId is .* \(the service may not move objects"):
        sync(MOVE)
    room, floor = by_external_id(service)["A-1-01"]["id"], by_external_id(service)["A-2"]["id"]
    update = MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": room, "parentId": floor}])
    with pytest.raises(VerificationError, match=r"parentId is .* \(the service may not move objects"):
        update.execute({})
    service.put_parent = "move"
    assert update.execute({}) == {"updated": 1}


def test_a_service_that_refuses_moves_names_the_rows(service: MapsIndoorsService) -> None:
    service.put_parent = "refuse"
    with pytest.raises(RequestRejectedError, match=r"row 1 \(A-1-01\).*Cannot be changed"):
        sync(MOVE)
    assert sync([{"externalId": "A-1-01", "parentExternalId": "A-1"}])["unchanged"] == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"externalId": "A-1-01", "parentExternalId": "BLD-A"}, "a room cannot be below a building"),
        ({"externalId": "A-1-01", "parentExternalId": "A-1-02"}, "a room cannot be below a room"),
        ({"externalId": "A-1", "parentExternalId": "A-1-01"}, "a floor cannot be below a room"),
        (
            {"externalId": "X", "name": "X", "parentExternalId": "A-1"},
            r"source: row 1 \(X\): has no baseType",
        ),
        (
            {"externalId": "X", "baseType": "area", "parentExternalId": "BLD-A"},
            "an area cannot be below a building",
        ),
        ({"externalId": "BLD-A", "parentExternalId": "BLD-A"}, "a building cannot be below a building"),
        ({"externalId": "A-1-01", "parentExternalId": "X-1"}, "there is no object with externalId 'X-1'"),
        ({"externalId": "A-1-01", "parentId": TUTORIAL_FLOOR}, r"geometry is 215 km away from it"),
    ],
)
def test_a_parent_that_cannot_be_is_refused_before_any_write(
    service: MapsIndoorsService, sandbox: Sandbox, row: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        sync([row])
    assert writes(sandbox) == 0


def test_a_move_to_another_venue_is_made_when_distance_is_allowed(service: MapsIndoorsService) -> None:
    row = {"externalId": "A-1-01", "parentId": TUTORIAL_FLOOR}
    assert sync([row], allow_distant=True)["update"] == 1


def test_a_move_out_of_the_scope_is_refused(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    scope = {"root_element": by_external_id(service)["BLD-A"]["id"]}
    inside = [{"externalId": "A-1-01", "parentExternalId": "A-2"}]
    assert sync(inside, scope=scope)["update"] == 1
    before = writes(sandbox)
    with pytest.raises(InputError, match="outside of the scope, where no sync with this scope finds it"):
        sync([{"externalId": "A-1-02", "parentExternalId": "B-1"}], scope=scope)
    new = {"externalId": "B-9", "baseType": "floor", "parentExternalId": "BLD-B", "geometry": SQUARE}
    new["baseTypeProperties"] = {"name": "9", "administrativeid": 90}
    with pytest.raises(InputError, match=r"row 1 \(A-1-02\): would move .* outside of the scope"):
        sync([{"externalId": "A-1-02", "parentExternalId": "B-9"}, new], scope=scope)
    assert writes(sandbox) == before


# -- moves and deletions in one plan ---------------------------------------------------------------------


def emptied_floor(service: MapsIndoorsService) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rows that move everything below floor A-1 to A-2, and options that delete the floor."""
    found = by_external_id(service)
    floor = found["A-1"]["id"]
    below = [code for code, one in found.items() if one.get("parentId") == floor]
    others = [code for code in found if code != "A-1" and code not in below]
    rows = [{"externalId": code, "parentExternalId": "A-2"} for code in below]
    rows += [{"externalId": code} for code in others]
    return rows, {"missing": "delete", "max_deletes": 1}


def test_a_floor_is_deleted_after_its_rooms_were_moved_away(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    rows, options = emptied_floor(service)
    count = len(service.campus.geodata)
    plan = str(tmp_path / "plan.json")
    sync(rows, mode="plan", plan_output=plan, **options)
    operations = [change["operation"] for change in json.loads(Path(plan).read_text())["changes"]]
    assert operations == ["update"] * (len(operations) - 1) + ["delete"]
    result = sync(plan=plan, max_deletes=1)
    assert (result["update"], result["delete"]) == (12, 1)
    assert len(service.campus.geodata) == count - 1
    assert "A-1" not in by_external_id(service)


@pytest.mark.parametrize("verify", [True, False])
def test_nothing_is_deleted_when_the_service_did_not_move_what_is_below(
    service: MapsIndoorsService, verify: bool
) -> None:
    service.put_parent = "ignore"
    rows, options = emptied_floor(service)
    before = service.campus.geodata
    with pytest.raises(VerificationError, match="parentId is"):
        sync(rows, verify=verify, **options)
    assert service.campus.geodata == before


def test_a_floor_stays_when_the_service_refuses_to_move_one_of_its_rooms(service: MapsIndoorsService) -> None:
    rows, options = emptied_floor(service)
    refused = {"externalId": "A-1-01", "parentExternalId": "A-2", "capacity": 10**10}
    rows = [refused if row["externalId"] == "A-1-01" else row for row in rows]
    result = sync(rows, on_row_error="skip", **options)
    assert (result["update"], result["delete"], result["failed"]) == (11, 0, 2)
    assert {"A-1", "A-1-01"} <= by_external_id(service).keys()


@pytest.mark.parametrize("new", [True, False])
def test_nothing_is_placed_below_an_object_that_the_plan_deletes(
    service: MapsIndoorsService, sandbox: Sandbox, new: bool
) -> None:
    found = by_external_id(service)
    floor = found["A-1"]["id"]
    below = {item["id"] for item in service.campus.geodata.values() if item.get("parentId") == floor}
    service.campus.geodata = {key: item for key, item in service.campus.geodata.items() if key not in below}
    rows = [{"externalId": code} for code, one in found.items() if one["id"] not in {floor, *below}]
    if new:
        room = {"externalId": "N-1", "baseType": "room", "name": "New", "displayType": "Office"}
        rows.append({**room, "geometry": SQUARE, "parentExternalId": "A-1"})
    else:
        rows = [{**row, **({"parentId": floor} if row["externalId"] == "A-2-01" else {})} for row in rows]
    with pytest.raises(PlanRejectedError, match=f"is placed below floor {floor}, which the plan deletes"):
        sync(rows, missing="delete", max_deletes=1)
    assert writes(sandbox) == 0


def test_a_plan_is_refused_when_a_moved_object_was_moved_elsewhere_since(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    sync(MOVE, mode="plan", plan_output=plan)
    found = by_external_id(service)
    put(service, {**found["A-1-03"], "parentId": found["A-0"]["id"]})
    with pytest.raises(PlanRejectedError, match="parentId was"):
        sync(plan=plan)


# -- what others place below an object that is deleted -------------------------------------------------


def desk_of(service: MapsIndoorsService) -> dict[str, Any]:
    """Return a place as the service stores it."""
    return next(item for item in service.campus.geodata.values() if item["baseType"] == "poi")


def add_before_each_read(
    service: MapsIndoorsService, new: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let somebody else store an object just before each read of the map."""
    read = MapsIndoorsHook.iter_geodata

    def adds_first(hook: MapsIndoorsHook) -> Any:
        put(service, new)
        return read(hook)

    monkeypatch.setattr(MapsIndoorsHook, "iter_geodata", adds_first)


@pytest.mark.parametrize("batch_size", [500, 1])
@pytest.mark.parametrize("below", ["A-1", "A-1-01"])
def test_what_somebody_adds_below_a_deleted_object_is_not_taken_along(
    service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch, below: str, batch_size: int
) -> None:
    found = by_external_id(service)
    floor = found["A-1"]["id"]
    kept = [{"externalId": code} for code in found if not code.startswith("A-1")]
    new = {**desk_of(service), "id": "d" * 24, "externalId": "BY-SOMEBODY", "parentId": found[below]["id"]}
    added = [new]

    def adds_before_the_floor(hook: MapsIndoorsHook) -> Any:
        is_last = not any(one.get("parentId") == floor for one in service.campus.geodata.values())
        if added and (is_last or below != "A-1"):
            put(service, added.pop())
        return read(hook)

    read = MapsIndoorsHook.iter_geodata
    monkeypatch.setattr(MapsIndoorsHook, "iter_geodata", adds_before_the_floor)
    with pytest.raises(RequestRejectedError, match=f"would be deleted without being in the plan: {'d' * 24}"):
        sync(kept, missing="delete", max_deletes=100, batch_size=batch_size)
    assert {"A-1", below, "BY-SOMEBODY"} <= by_external_id(service).keys()


def test_an_added_place_keeps_all_that_is_above_it(
    service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = by_external_id(service)
    kept = [{"externalId": code} for code in found if not code.startswith("A-1")]
    new = {**desk_of(service), "id": "d" * 24, "externalId": "D", "parentId": found["A-1-01"]["id"]}
    add_before_each_read(service, new, monkeypatch)
    result = sync(kept, missing="delete", max_deletes=100, on_row_error="skip")
    assert result["failed"] == 2
    assert {"A-1", "A-1-01", "D"} <= by_external_id(service).keys()
    assert "A-1-02" not in by_external_id(service)


def test_the_operator_that_deletes_takes_nothing_along_either(
    service: MapsIndoorsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = by_external_id(service)
    new = {**desk_of(service), "id": "d" * 24, "externalId": "D", "parentId": found["A-1-01"]["id"]}
    add_before_each_read(service, new, monkeypatch)
    task = MapsIndoorsDeleteGeodataOperator(task_id="t", ids=[found["A-1-01"]["id"]])
    with pytest.raises(RequestRejectedError, match="without being in the plan"):
        task.execute({})
    assert {"A-1-01", "D"} <= by_external_id(service).keys()


# -- floors with the same index ------------------------------------------------------------------------


def floor_of(code: str, index: object, building: str) -> dict[str, Any]:
    row = {"externalId": code, "baseType": "floor", "parentExternalId": building, "geometry": SQUARE}
    return {**row, "baseTypeProperties": {"name": code, "administrativeid": index}}


@pytest.mark.parametrize(
    "rows",
    [
        [{"externalId": "A-0", "parentExternalId": "BLD-B"}],
        [floor_of("B-NEW", 0.0, "BLD-B")],
        [{"externalId": "B-1", "administrativeid": "0"}],
        [floor_of("B-8", 80, "BLD-B"), floor_of("B-9", "80", "BLD-B")],
    ],
)
def test_a_building_gets_no_second_floor_with_an_index(
    service: MapsIndoorsService, sandbox: Sandbox, rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(InputError, match="is a floor with the index .* in a building that has another one"):
        sync(rows)
    assert writes(sandbox) == 0


def test_floors_may_swap_their_indices_and_replace_deleted_ones(service: MapsIndoorsService) -> None:
    swap = [
        {"externalId": "B-0", "administrativeid": "1"},
        {"externalId": "B-1", "administrativeid": "0"},
    ]
    assert sync(swap)["update"] == 2
    found = by_external_id(service)
    floor = found["B-0"]["id"]
    below = {code for code, one in found.items() if one.get("parentId") == floor}
    rows = [{"externalId": code} for code in found if code != "B-0" and code not in below]
    new = floor_of("B-NEW", 1, "BLD-B")
    result = sync([*rows, new], missing="delete", max_deletes=100)
    assert (result["create"], result["delete"]) == (1, len(below) + 1)
