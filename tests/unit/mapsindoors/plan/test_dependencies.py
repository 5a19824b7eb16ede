"""What a plan depends on: the hash of a part changes when that part of the map does, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.dependencies import (
    dependencies,
    describe_drift,
    digest_of_scope,
    fingerprint_of_scope,
)
from airflow_provider.mapsindoors.plan.document import Change, Plan
from tests.support.mapsindoors_sync import undecoded

ROOM = {"id": "r", "parentId": "f", "baseType": "room", "externalId": "R-1", "properties": {"name@en": "One"}}
OTHER = {
    "id": "q",
    "parentId": "f",
    "baseType": "room",
    "externalId": "R-2",
    "properties": {"name@en": "Two"},
}
FLOOR = {"id": "f", "baseType": "floor", "externalId": "F", "baseTypeProperties": {"administrativeid": "0"}}


def snapshot(*objects: dict[str, Any], **more: Any) -> SolutionSnapshot:
    return SolutionSnapshot({"id": "d", "baseLanguage": "en"}, undecoded(list(objects)), **more)


@pytest.mark.parametrize("digest", [digest_of_scope, fingerprint_of_scope])
def test_the_digest_of_a_scope_is_that_of_all_of_its_objects(digest: Any) -> None:
    scope = {"base_types": ["room"]}
    before = digest(snapshot(FLOOR, ROOM, OTHER, scope=scope))
    assert digest(snapshot(OTHER, ROOM, FLOOR, scope=scope)) == before
    assert digest(snapshot({**FLOOR, "externalId": "G"}, ROOM, OTHER, scope=scope)) == before
    changed = {**OTHER, "properties": {"name@en": "Three"}}
    different = [
        digest(snapshot(FLOOR, ROOM, changed, scope=scope)),
        digest(snapshot(FLOOR, ROOM, scope=scope)),
        digest(snapshot(FLOOR, ROOM, OTHER)),
    ]
    assert len({before, *different}) == 4


def test_a_new_external_id_depends_on_who_has_it() -> None:
    match_on = "administrativeId"
    change = Change("update", "10", "room", id="r", body={**ROOM, "externalId": "NEW"})
    plan = Plan("d", match_on, {}, "", changes=[change])
    free = dependencies(plan, snapshot(FLOOR, ROOM, match_on=match_on), "all")
    assert sorted(free) == sorted(
        ["map", "failed", "object: r", f"{match_on}: 10", "externalId: NEW", "parent: f"]
    )
    taken = dependencies(
        plan, snapshot(FLOOR, ROOM, {**OTHER, "externalId": "NEW"}, match_on=match_on), "all"
    )
    assert [name for name in free if free[name] != taken[name]] == ["externalId: NEW"]


def test_a_plan_by_external_ids_depends_on_the_key_once() -> None:
    change = Change("create", "NEW", "room", body={**ROOM, "id": None, "externalId": "NEW"})
    found = dependencies(Plan("d", "externalId", {}, "", changes=[change]), snapshot(FLOOR, ROOM), "all")
    assert [name for name in found if name.startswith("externalId")] == ["externalId: NEW"]


def test_the_drift_of_an_object_names_each_field_but_a_parent_that_the_plan_creates() -> None:
    fields = {"parentId": ["e", "f"], "status": [1, 3], "properties.name@en": ["One", "Two"]}
    body = {**ROOM, "parentId": "", "status": 3, "properties": {"name@en": "Two"}}
    change = Change("update", "R-1", "room", id="r", fields=fields, body=body, parent_key="F-2")
    plan = Plan("d", "externalId", {}, "", changes=[change])
    there = snapshot(FLOOR, {**ROOM, "status": 2, "properties": {"name@en": "Two"}})
    assert describe_drift(plan, there, ["object: r"]) == (
        "room r (R-1): status was 1, now it is 2; room r (R-1): properties.name@en is already as planned"
    )
    assert describe_drift(plan, snapshot(FLOOR), ["object: r"]) == "room r (R-1) is gone"


def test_a_restore_depends_on_copies_of_what_it_creates_though_it_changes_other_objects() -> None:
    create = Change("create", "r", "room", body={**ROOM, "id": None})
    update = Change("update", "q", "room", id="q", body=OTHER)
    for changes, copies in (([create, update], ["copy: r"]), ([update], [])):
        plan = Plan("d", "id", {}, "", changes=changes)
        found = dependencies(plan, snapshot(FLOOR, OTHER, match_on="id"), "all")
        assert [name for name in found if name.startswith("copy")] == copies
