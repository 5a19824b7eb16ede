"""Restore: a backup resets the map to the time of the backup."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.operators import MapsIndoorsExportGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import SQUARE, by_external_id, desk, put, sync, writes


@pytest.fixture
def backup(unlimited_service: MapsIndoorsService, tmp_path: Path) -> str:
    path = tmp_path / "backup.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in unlimited_service.campus.geodata.values()))
    return str(path)


def comparable(service: MapsIndoorsService) -> dict[str, dict[str, Any]]:
    """Return the map with parents by key, without ids and empty values."""
    objects = service.campus.geodata

    def key(thing: dict[str, Any] | None) -> str:
        return "" if thing is None else str(thing.get("externalId") or thing["baseTypeProperties"])

    def full(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: full(one) for name, one in value.items() if one not in ("", [], {}, None)}

    return {
        key(one): full({**one, "id": "", "parentId": key(objects.get(one.get("parentId", "")))})
        for one in objects.values()
    }


def without(service: MapsIndoorsService, *codes: str) -> None:
    """Delete objects with their descendants."""
    left = dict(service.campus.geodata)
    gone = {by_external_id(service)[code]["id"] for code in codes}
    while gone:
        for key in gone:
            del left[key]
        gone = {key for key, one in left.items() if one.get("parentId") in gone}
    service.campus.geodata = left


def test_what_was_deleted_changed_and_added_is_as_it_was(
    unlimited_service: MapsIndoorsService, backup: str
) -> None:
    before, objects = comparable(unlimited_service), len(unlimited_service.campus.geodata)
    without(unlimited_service, "BLD-A", "B-0-01", "C-0-P1")
    lab = by_external_id(unlimited_service)["B-0-02"]
    more = {**lab["properties"], "name@en": "Wrong", "note@generic": "added"}
    put(unlimited_service, {**lab, "properties": more, "aliases": ["x"], "geometry": SQUARE, "status": 0})
    sync([desk("NEW", parentExternalId="B-0")])
    done = sync(backup, restore=True, missing="delete", max_deletes=1)
    assert (done["create"], done["update"], done["delete"]) == (objects - done["unchanged"] - 1, 1, 1)
    assert comparable(unlimited_service) == before
    assert len(unlimited_service.campus.geodata) == objects
    assert sync(backup, restore=True, missing="delete")["unchanged"] == objects


def test_a_copy_that_was_made_since_the_plan_voids_it(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    backup, path = tmp_path / "backup.json", str(tmp_path / "plan.json")
    room = {**by_external_id(unlimited_service)["B-0-01"], "externalId": ""}
    put(unlimited_service, room)
    backup.write_text(json.dumps(list(unlimited_service.campus.geodata.values())))
    del unlimited_service.campus.geodata[room["id"]]
    planned = sync(str(backup), restore=True, mode="plan", plan_output=path)
    assert planned["create"] == 1
    depends = json.loads(Path(path).read_text())["depends"]
    assert {name.partition(": ")[0] for name in depends} == {"map", "failed", "copy", "parent"}
    put(unlimited_service, {**room, "id": "c" * 24})
    with pytest.raises(PlanRejectedError, match="a copy of the deleted object .* was made or deleted"):
        sync(plan=path)
    assert writes(sandbox) == 0
    del unlimited_service.campus.geodata["c" * 24]
    assert sync(plan=path)["create"] == 1


def test_objects_that_are_new_since_stay_unless_told_otherwise(
    unlimited_service: MapsIndoorsService, backup: str
) -> None:
    sync([desk("NEW")])
    assert sync(backup, restore=True)["delete"] == 0
    assert "NEW" in by_external_id(unlimited_service)


def test_children_that_outlived_their_parent_go_below_the_new_one(
    unlimited_service: MapsIndoorsService, backup: str
) -> None:
    before = comparable(unlimited_service)
    floor = by_external_id(unlimited_service)["A-0"]["id"]
    unlimited_service.campus.geodata = {
        key: one for key, one in unlimited_service.campus.geodata.items() if key != floor
    }
    assert sync(backup, restore=True)["create"] == 1
    assert comparable(unlimited_service) == before
    assert by_external_id(unlimited_service)["A-0"]["id"] != floor


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
@pytest.mark.parametrize("stale", [0.0, 5.0])
def test_a_request_without_response_creates_nothing_twice(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, backup: str, fault: str, stale: float
) -> None:
    before, objects = comparable(unlimited_service), len(unlimited_service.campus.geodata)
    without(unlimited_service, "BLD-A")
    sandbox.clock.advance(10)
    unlimited_service.stale_seconds = stale
    sandbox.faults.add(fault, method="POST", path="geodata", times=3)
    sync(backup, restore=True)
    assert len(unlimited_service.campus.geodata) == objects
    assert comparable(unlimited_service) == before


def test_an_interrupted_attempt_is_resumed(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, backup: str
) -> None:
    before, objects = comparable(unlimited_service), len(unlimited_service.campus.geodata)
    without(unlimited_service, "BLD-A")
    sandbox.faults.add("status", status=403, method="POST", path="geodata", after=2, times=None)
    with pytest.raises(Exception, match="403"):
        sync(backup, restore=True)
    sandbox.faults.clear()
    assert len(unlimited_service.campus.geodata) < objects
    sync(backup, restore=True)
    assert len(unlimited_service.campus.geodata) == objects
    assert comparable(unlimited_service) == before


@pytest.mark.parametrize("suffix", ["geojson", "geoparquet", "jsonl.gz"])
def test_an_export_can_be_put_back_too(
    unlimited_service: MapsIndoorsService, tmp_path: Path, suffix: str
) -> None:
    before = comparable(unlimited_service)
    path = f"{tmp_path}/map.{suffix}"
    MapsIndoorsExportGeodataOperator(task_id="t", output_path=path).execute({})
    without(unlimited_service, "BLD-B")
    assert sync(path, restore=True)["create"] > 20
    assert comparable(unlimited_service) == before


def test_a_restore_can_be_planned_first(
    unlimited_service: MapsIndoorsService, backup: str, tmp_path: Path
) -> None:
    before = comparable(unlimited_service)
    without(unlimited_service, "BLD-B")
    plan = f"{tmp_path}/plan.json"
    made = sync(backup, restore=True, mode="plan", plan_output=plan)
    assert sync(plan=plan)["create"] == made["create"] > 20
    assert comparable(unlimited_service) == before


def test_a_backup_of_another_solution_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, backup: str
) -> None:
    unlimited_service.campus.dataset = {**unlimited_service.campus.dataset, "id": "f" * 24}
    objects = copy.deepcopy(unlimited_service.campus.geodata)
    with pytest.raises(InputError, match="is not the solution's"):
        sync(backup, restore=True)
    assert unlimited_service.campus.geodata == objects
    assert writes(sandbox) == 0


@pytest.mark.parametrize("name", ["map.json", "map.geojson", "map.csv", "map", "map.jsonl.gz"])
def test_a_backup_that_could_not_be_restored_is_refused(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"must end in \.jsonl"):
        sync([{"externalId": "A-0-01", "name": "Q"}], backup=str(tmp_path / name))
    assert sum(sandbox.counters.requests.values()) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "row",
    [
        {"externalId": "A-0-01", "name": "Reception"},
        {"id": "A-0-01", "capacity": 4},
        {"id": "A-0", "baseType": "floor"},
        {"id": "A-0", "datasetId": "here"},
    ],
)
def test_rows_that_are_no_backup_empty_nothing(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, row: dict[str, Any]
) -> None:
    if "id" in row:
        row = {**row, "id": by_external_id(unlimited_service)[row["id"]]["id"]}
    if "datasetId" in row:
        row = {**row, "datasetId": unlimited_service.campus.dataset["id"]}
    for rows in ([row], [row, row]):
        with pytest.raises(
            InputError, match=r"row 1.*is no object of a backup: it has no (baseType|datasetId)"
        ):
            sync(rows, restore=True)
    assert not writes(sandbox)


def test_an_empty_backup_is_refused(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    (tmp_path / "backup.jsonl").write_text("")
    for source in (str(tmp_path / "backup.jsonl"), []):
        with pytest.raises(InputError, match="has no objects, and would restore nothing"):
            sync(source, restore=True)


def test_a_plan_for_a_catalogue_is_named(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"version": 1, "kind": "display types", "changes": [{"operation": "create"}]}))
    with pytest.raises(InputError, match="it is a plan for display types"):
        sync(plan=str(path))


def test_rows_of_a_backup_without_an_id_or_with_that_of_another_row_are_told(
    unlimited_service: MapsIndoorsService,
) -> None:
    one, other = list(unlimited_service.campus.geodata.values())[:2]
    rows = [one, {**other, "id": ""}, {**other, "id": one["id"]}]
    with pytest.raises(InputError) as caught:
        sync([copy.deepcopy(row) for row in rows], restore=True)
    told = "\n".join(caught.value.problems)
    assert "has no id" in told
    assert f"has the id of another row, {one['id']}" in told
    assert "has the id of another row, \n" not in f"{told}\n"


def test_a_row_that_may_be_one_of_several_objects_is_told_with_their_ids(
    unlimited_service: MapsIndoorsService,
) -> None:
    room = {**by_external_id(unlimited_service)["B-0-01"], "externalId": ""}
    copies = [{**room, "id": letter * 24} for letter in "abcdef"]
    put(unlimited_service, room, *copies)
    with pytest.raises(InputError) as caught:
        sync([{**room, "id": "1" * 24}], restore=True)
    ids = [room["id"], *(one["id"] for one in copies[:4])]
    assert f"may be any of 7 objects: {', '.join(ids)}, and 2 more" in caught.value.problems[0]


def test_an_object_of_a_backup_outside_of_the_scope_is_told(unlimited_service: MapsIndoorsService) -> None:
    found = by_external_id(unlimited_service)
    with pytest.raises(InputError) as caught:
        sync([found["B-0-01"]], restore=True, scope={"root_element": found["BLD-A"]["id"]})
    assert f"is about object {found['B-0-01']['id']}, which is outside of the scope" in str(caught.value)
