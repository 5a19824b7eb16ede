"""Saved plans: a plan is made, reviewed, and applied unchanged, or rejected."""

from __future__ import annotations

import hashlib
import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider.errors import InputError, PermissionDeniedError, PlanRejectedError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.dependencies import fingerprint_of
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import ROOMS, SQUARE, by_external_id, desk, put, sync, writes


def test_a_plan_is_made_reviewed_and_applied(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [desk("D-1"), {"externalId": "A-0-01", "name": "Reception"}]
    result = sync(rows, mode="plan", plan_output=path)
    assert (result["create"], result["update"], result["plan"]) == (1, 1, path)
    assert writes(sandbox) == 0
    document = json.loads(Path(path).read_text())
    assert document["counts"] == {"create": {"poi": 1}, "update": {"room": 1}, "deactivate": {}, "delete": {}}
    assert document["changes"][1]["fields"] == {"properties.name@en": ["Office A0.01", "Reception"]}
    assert {len(digest) for digest in document["depends"].values()} == {16, 64}
    assert sync(plan=path)["create"] == 1
    assert by_external_id(unlimited_service)["A-0-01"]["properties"]["name@en"] == "Reception"


def test_a_plan_is_what_its_schema_says(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    import jsonschema

    path = tmp_path / "plan.json"
    rows = [desk("D-1"), {"externalId": "A-0-01", "name": "Reception"}, {"externalId": "A-0-02", "status": 9}]
    sync(rows, mode="plan", plan_output=str(path), on_row_error="skip", missing="deactivate")
    schema = json.loads((Path(__file__).parents[4] / "docs" / "mapsindoors-plan.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text()))


def test_a_plan_for_a_changed_map_is_rejected(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [{"externalId": f"A-0-0{n}", "name": f"Room {n}"} for n in (1, 2, 3)]
    sync(rows, mode="plan", plan_output=path, scope=ROOMS)
    first, second, third = (by_external_id(unlimited_service)[f"A-0-0{n}"] for n in range(1, 4))
    put(unlimited_service, {**first, "properties": {**first["properties"], "name@en": "Ada's"}})
    put(unlimited_service, {**second, "properties": {**second["properties"], "name@en": "Room 2"}})
    unlimited_service.campus.geodata = {
        key: one for key, one in unlimited_service.campus.geodata.items() if key != third["id"]
    }
    with pytest.raises(PlanRejectedError) as caught:
        sync(plan=path)
    said = str(caught.value)
    assert f"room {first['id']} (A-0-01): properties.name@en was 'Office A0.01', now it is \"Ada's\"" in said
    assert f"room {second['id']} (A-0-02): properties.name@en is already as planned" in said
    assert f"room {third['id']} (A-0-03) is gone" in said
    assert writes(sandbox) == 0


def test_limits_are_checked_when_a_plan_is_applied(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    sync([{"externalId": f"A-0-0{n}", "name": "X"} for n in (1, 2)], mode="plan", plan_output=path)
    with pytest.raises(PlanRejectedError, match="2 changes are more than max_changes=1"):
        sync(plan=path, max_changes=1)
    assert writes(sandbox) == 0


def test_after_a_plan_was_applied_in_part_a_new_plan_holds_what_is_left(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [{"externalId": f"A-0-0{n}", "name": f"Room {n}"} for n in (1, 2, 3)]
    sync(rows, mode="plan", plan_output=path)
    sandbox.faults.add("status", status=403, method="PUT", after=1, times=None)
    with pytest.raises(PermissionDeniedError):
        sync(plan=path, batch_size=1)
    sandbox.faults.clear()
    with pytest.raises(PlanRejectedError, match="A-0-01.*is already as planned"):
        sync(plan=path)
    assert sync(rows, mode="plan", plan_output=path)["update"] == 2
    assert sync(plan=path)["update"] == 2


def test_something_else_is_no_plan(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"version": 1}')
    with pytest.raises(InputError, match="is not a plan"):
        sync(plan=str(path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "exactly one of 'source' and 'plan'"),
        ({"source": [], "mode": "dry"}, "'mode' must be one of plan, apply"),
        ({"source": [], "mode": "plan"}, "needs plan_output"),
        (
            {"source": [], "max_changes": "many"},
            "'max_changes' must be a whole number of at least 0, or None, not 'many'",
        ),
        ({"source": [], "max_deletes": -1}, "'max_deletes' must be a whole number of at least 0, not -1"),
        (
            {"source": [], "max_delete_ratio": "all"},
            "must be a number from 0 to 1, not 'all'",
        ),
        ({"source": [], "scope": {"venue": "x"}}, "scope has unknown keys: venue"),
        ({"source": [], "missing": "drop"}, "'missing' must be one of"),
        ({"source": [], "max_delete_ratio": 10}, "from 0 to 1"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    sandbox: Sandbox, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        sync(**options)
    assert not sandbox.counters.requests


def test_a_backup_of_the_whole_map_is_written(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    before = list(unlimited_service.campus.geodata.values())
    path = tmp_path / "backup.jsonl"
    sync([desk("D-1")], backup=str(path))
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(kept, key=lambda one: one["id"]) == sorted(before, key=lambda one: one["id"])


# Altered plan files


def planned(unlimited_service: MapsIndoorsService, path: Path) -> dict[str, Any]:
    codes = [f"A-0-0{n}" for n in range(1, 8)]
    floor = by_external_id(unlimited_service)["A-0"]["id"]
    rows: list[dict[str, Any]] = [{"externalId": code} for code in codes]
    rows[0]["name"] = "Reception"
    new = {**desk("N-1"), "baseType": "room", "displayTypeId": "Office", "geometry": SQUARE}
    scope = {**ROOMS, "root_element": floor}
    sync([*rows, new], mode="plan", plan_output=str(path), scope=scope, missing="deactivate")
    document = json.loads(path.read_text())
    assert [one["operation"] for one in document["changes"]] == ["create", "update", "deactivate"]
    return dict(document)


@pytest.mark.parametrize(
    ("at", "forged", "words"),
    [
        ((0, "body", "baseType"), "poi", "another base type"),
        ((0, "body", "datasetId"), "7a90d3c45e1f4b68a2c7d90e", "or solution in its body"),
        ((0, "body", "externalId"), "X", "another key"),
        ((0, "body", "status"), 9, "status must be"),
        ((0, "parent_key"), "X", "a parent 'X' that the plan does not create"),
        (
            (1, "body", "properties", "name@en"),
            "Evil",
            "has other differences in its body than in its fields",
        ),
        ((1, "body", "status"), 0, "has other differences in its body than in its fields"),
        ((1, "body", "id"), "c88c996b231746d096db5eaa", "has other differences"),
        ((1, "id"), "c88c996b231746d096db5eaa", "did not compare"),
        ((2, "operation"), "delete", "has a body"),
        ((2, "body", "externalId"), "", "does not deactivate"),
    ],
)
def test_an_altered_plan_is_rejected(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, at: Any, forged: Any, words: str
) -> None:
    path = tmp_path / "plan.json"
    document = planned(unlimited_service, path)
    inner: Any = document["changes"]
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = forged
    path.write_text(json.dumps(document))
    with pytest.raises(PlanRejectedError, match=words):
        sync(plan=str(path))
    assert writes(sandbox) == 0


@pytest.mark.parametrize(
    ("at", "forged"),
    [("operation", "explode"), ("body", [1]), ("fields", None), ("row", "7"), ("base_type", 7)],
)
def test_a_plan_of_another_shape_is_none(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, at: str, forged: Any
) -> None:
    path = tmp_path / "plan.json"
    document = planned(unlimited_service, path)
    document["changes"][1][at] = forged
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="is not a plan"):
        sync(plan=str(path))
    assert writes(sandbox) == 0


def test_the_number_of_compared_objects_is_recounted(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    document = planned(unlimited_service, path)
    path.write_text(json.dumps({**document, "compared": 1_000_000}))
    with pytest.raises(PlanRejectedError, match="1 of 8 compared objects"):
        sync(plan=str(path), max_delete_ratio=0.1)


def test_a_plan_is_not_applied_to_another_scope(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    planned(unlimited_service, path)
    with pytest.raises(PlanRejectedError, match="another scope"):
        sync(plan=str(path), scope={"base_types": ["poi"]})


def test_a_plan_with_new_parents_is_applied(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    room = {**desk("N-1"), "baseType": "room", "displayTypeId": "Office", "geometry": SQUARE}
    rows = [room, desk("N-2", parentExternalId="N-1"), {"externalId": "A-0-P1", "parentExternalId": "N-1"}]
    sync(rows, mode="plan", plan_output=str(path))
    done = sync(plan=str(path))
    assert (done["create"], done["update"]) == (2, 1)
    after = by_external_id(unlimited_service)
    assert after["N-2"]["parentId"] == after["A-0-P1"]["parentId"] == after["N-1"]["id"]


# What a plan depends on


def test_a_change_elsewhere_on_the_map_does_not_void_a_plan(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    rows = [{"externalId": "A-0-01", "name": "Reception"}, {"externalId": "A-0-02"}, desk("D-1")]
    sync(rows, mode="plan", plan_output=path, scope={"base_types": ["room", "poi"]})
    found = by_external_id(unlimited_service)
    floor = {**found["A-0"], "baseTypeProperties": {"name": "EG", "administrativeid": "0"}}
    put(unlimited_service, {**found["A-0-02"], "status": 1}, {**found["B-0-01"], "status": 1}, floor)
    extra = {**found["B-0-02"], "id": "e" * 24, "externalId": "B-0-99"}
    put(unlimited_service, extra)
    done = sync(plan=path)
    assert (done["create"], done["update"]) == (1, 1)
    assert by_external_id(unlimited_service)["A-0-01"]["properties"]["name@en"] == "Reception"


def move(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**found["A-0-01"], "parentId": found["A-1"]["id"]}]


def describe(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**found["A-0-01"], "aliases": ["front desk"]}]


def make_the_desk(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**found["A-0-P1"], "id": "d" * 24, "externalId": " D-1\u00a0"}]


def copy_the_room(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**found["A-0-01"], "id": "c" * 24}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (move, r"room \w+ \(A-0-01\): another field, or its place in the tree, changed"),
        (describe, r"room \w+ \(A-0-01\): another field"),
        (make_the_desk, f"externalId 'D-1' is now that of {'d' * 24}"),
        (copy_the_room, f"externalId 'A-0-01' is now that of .*{'c' * 24}"),
    ],
)
def test_what_drifted_is_named(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, change: Any, words: str
) -> None:
    path = str(tmp_path / "plan.json")
    sync([{"externalId": "A-0-01", "name": "Reception"}, desk("D-1")], mode="plan", plan_output=path)
    put(unlimited_service, *change(by_external_id(unlimited_service)))
    with pytest.raises(PlanRejectedError, match=f"the map changed since the plan .*{words}"):
        sync(plan=path)
    assert writes(sandbox) == 0


def test_a_parent_that_is_gone_is_named(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    sync([desk("D-1", parentExternalId="A-0-01")], mode="plan", plan_output=path)
    room = by_external_id(unlimited_service)["A-0-01"]["id"]
    unlimited_service.campus.geodata = {
        key: one for key, one in unlimited_service.campus.geodata.items() if key != room
    }
    with pytest.raises(PlanRejectedError, match=f"the parent {room} is gone"):
        sync(plan=path)
    assert writes(sandbox) == 0


def of_first_release(unlimited_service: MapsIndoorsService, path: Path) -> None:
    """Write a plan as 0.1.0 did: the fingerprint is that of all compared objects, with sorted fields."""
    sync([{"externalId": "A-0-01", "name": "Reception"}], mode="plan", plan_output=str(path), scope=ROOMS)
    document = json.loads(path.read_text())
    digest = hashlib.sha256()
    with MapsIndoorsHook() as hook:
        for item in sorted(hook.list_geodata(), key=itemgetter("id")):
            if item["baseType"] == "room":
                digest.update(msgspec.json.encode(item, order="deterministic"))
    del document["depends"]
    document["fingerprint"] = digest.hexdigest()
    path.write_text(json.dumps(document))


def test_a_plan_of_the_first_release_is_applied_to_an_unchanged_map_only(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    of_first_release(unlimited_service, path)
    other = by_external_id(unlimited_service)["A-0-04"]
    put(unlimited_service, {**other, "status": 1})
    with pytest.raises(PlanRejectedError, match="an object that was compared, but is not to be changed"):
        sync(plan=str(path))
    assert writes(sandbox) == 0
    put(unlimited_service, other)
    assert sync(plan=str(path))["update"] == 1


@pytest.mark.parametrize("forged", ["fingerprint", "depends", "changes"])
def test_a_plan_whose_dependencies_were_altered_is_rejected(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, forged: str
) -> None:
    path = tmp_path / "plan.json"
    sync([{"externalId": f"A-0-0{n}", "name": "X"} for n in (1, 2)], mode="plan", plan_output=str(path))
    document = json.loads(path.read_text())
    if forged == "fingerprint":
        document["fingerprint"] = "0" * 64
    elif forged == "depends":
        document["depends"].popitem()
    else:
        del document["changes"][1]
    path.write_text(json.dumps(document))
    with pytest.raises(PlanRejectedError, match="was altered"):
        sync(plan=str(path))
    assert writes(sandbox) == 0


@pytest.mark.parametrize("failed", [[], [{"row": 3, "key": "x", "reasons": []}], [{"why": 1}]])
def test_a_plan_whose_rows_that_are_left_out_were_altered_is_rejected(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, failed: list[Any]
) -> None:
    path = tmp_path / "plan.json"
    rows = [{"externalId": "A-0-01", "name": "X"}, {"externalId": "A-0-02", "status": 9}]
    sync(rows, mode="plan", plan_output=str(path), on_row_error="skip")
    document = json.loads(path.read_text())
    assert len(document["failed"]) == 1
    path.write_text(json.dumps({**document, "failed": failed}))
    with pytest.raises((InputError, PlanRejectedError), match=r"was altered|not a plan of this version"):
        sync(plan=str(path))
    path.write_text(json.dumps({**document, "counts": {**document["counts"], "update": {}}}))
    with pytest.raises(PlanRejectedError, match="its counts are not those of its changes"):
        sync(plan=str(path))
    assert writes(sandbox) == 0
    path.write_text(json.dumps(document))
    assert sync(plan=str(path))["update"] == 1


def test_a_plan_that_does_not_hash_the_rows_that_are_left_out_is_applied(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    rows = [{"externalId": "A-0-01", "name": "X"}, {"externalId": "A-0-02", "status": 9}]
    sync(rows, mode="plan", plan_output=str(path), on_row_error="skip")
    document = json.loads(path.read_text())
    del document["depends"]["failed"]
    document["fingerprint"] = fingerprint_of(document["depends"])
    path.write_text(json.dumps(document))
    assert sync(plan=str(path))["update"] == 1
