"""What a plan depends on, and why it is rejected: hashes, drift, limits and altered changes in full."""

from __future__ import annotations

import hashlib
import json
from inspect import signature
from typing import Any

import msgspec
import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.plan.dependencies import (
    dependencies,
    dependencies_now,
    describe_drift,
    digest_of_scope,
    fingerprint_of,
    fingerprint_of_scope,
)
from airflow_provider.mapsindoors.plan.desired import (
    Defaults,
    DesiredRow,
    read_defaults,
    read_desired_rows,
    tree_level,
)
from airflow_provider.mapsindoors.plan.document import Change, Plan, write_order
from airflow_provider.mapsindoors.plan.expected import read_expected
from airflow_provider.mapsindoors.plan.guards import Guards, reject_altered, reject_drifted
from tests.support.mapsindoors_sync import SQUARE, undecoded

pytestmark = pytest.mark.slow  # nothing of it depends on versions

FLOOR = {"id": "f", "baseType": "floor", "parentId": "b", "externalId": "F", "status": 3}
ROOM = {"id": "r", "baseType": "room", "parentId": "f", "externalId": "R", "status": 3}
OTHER = {"id": "q", "baseType": "room", "parentId": "f", "externalId": "Q", "status": 3}
BUILDING = {"id": "b", "baseType": "building", "externalId": "B", "status": 3}
BODY = {
    "baseType": "room",
    "datasetId": "d",
    "externalId": "N",
    "parentId": "f",
    "displayTypeId": "t",
    "geometry": SQUARE,
    "properties": {"name@en": "New"},
    "status": 3,
}


def snapshot(*objects: dict[str, Any], **more: Any) -> SolutionSnapshot:
    given = objects or (BUILDING, FLOOR, ROOM, OTHER)
    return SolutionSnapshot({"id": "d", "baseLanguage": "en"}, undecoded([*given]), **more)


def plan_of(*changes: Change, match_on: str = "externalId", **more: Any) -> Plan:
    return Plan("d", match_on, {}, "", changes=[*changes], **more)


def update(**fields: Any) -> Change:
    pairs = {name: [ROOM.get(name), value] for name, value in fields.items()}
    return Change("update", "R", "room", "r", 1, fields=pairs, body={"id": "r", **fields})


CREATE = Change("create", "N", "room", row=2, body=BODY)
HIDE = Change("deactivate", "Q", "room", "q", fields={"status": [3, 2]}, body={"id": "q", "status": 2})
DELETE = Change("delete", "Q", "room", "q")


# -- dependencies ---------------------------------------------------------------------------------------


def digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_hashes_of_a_plan_are_the_same_in_all_releases() -> None:
    plan = plan_of(update(status=1), CREATE, failed=[{"row": 7, "reasons": ["x"], "key": "K"}])
    found = dependencies(plan, snapshot(), "all")
    above = [["f", "floor"], ["b", "building"]]
    assert found == {
        "map": "all",
        "failed": digest(plan.failed),
        "object: r": digest([ROOM, above]),
        "externalId: R": digest(["r"]),
        "externalId: N": digest([]),
        "parent: f": digest(above),
    }
    gone = dependencies(plan, snapshot(BUILDING, OTHER), "all")
    assert (gone["object: r"], gone["parent: f"]) == (digest(None), digest([]))
    whole = json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert fingerprint_of(found) == hashlib.sha256(whole.encode()).hexdigest()


def test_a_restore_depends_on_copies_and_not_on_keys() -> None:
    create = Change("create", "r", "room", body={**ROOM, "id": None})
    found = dependencies(plan_of(create, match_on="id"), snapshot(), "all")
    assert found["copy: r"] == digest(["r"])
    assert sorted(found) == ["copy: r", "externalId: R", "failed", "map", "parent: f"]
    other = Change("create", "x", "room", body={**ROOM, "id": None, "externalId": "X"})
    assert dependencies(plan_of(other, match_on="id"), snapshot(), "all")["copy: x"] == digest([])


def test_a_plan_of_an_earlier_release_has_no_hash_of_what_is_left_out() -> None:
    plan = plan_of(update(status=1))
    plan.depends = dependencies(plan, snapshot(), "all")
    assert dependencies_now(plan, snapshot()) == plan.depends
    del plan.depends["failed"]
    assert dependencies_now(plan, snapshot()) == plan.depends


def test_the_order_of_members_matters_for_the_bytes_only() -> None:
    one, other = (
        SolutionSnapshot({"id": "d"}, [msgspec.Raw(text)])
        for text in (b'{"id":"r","baseType":"room"}', b'{"baseType":"room","id":"r"}')
    )
    assert fingerprint_of_scope(one) == fingerprint_of_scope(other)
    assert digest_of_scope(one) != digest_of_scope(other)


# -- drift ----------------------------------------------------------------------------------------------


def test_each_change_on_the_map_has_a_sentence() -> None:
    plan = plan_of(update(status=1), DELETE, match_on="externalId")
    now = snapshot(BUILDING, FLOOR, {**ROOM, "status": 2}, OTHER)
    assert describe_drift(plan, now, ["object: r", "object: q", "parent: f", "parent: x"]) == (
        "room r (R): status was 3, now it is 2; room q (Q): another field, or its place in the tree, changed;"
        " the parent f was moved or changed its type; the parent x is gone"
    )
    assert describe_drift(plan, now, ["copy: z", "externalId: R", "externalId: a: b"]) == (
        "a copy of the deleted object z was made or deleted; externalId 'R' is now that of r;"
        " externalId 'a: b' is now that of no object"
    )
    many = snapshot(*({**ROOM, "id": f"r{number}"} for number in range(7)))
    assert describe_drift(plan, many, ["externalId: R"]) == (
        "externalId 'R' is now that of r0, r1, r2, r3, r4, and 2 more"
    )
    assert describe_drift(plan, now, []) == "room r (R): status was 3, now it is 2"
    assert describe_drift(plan, snapshot(), []) == "an object that was compared, but is not to be changed"
    lines = describe_drift(plan, now, [f"copy: {number}" for number in range(13)]).split("; ")
    assert (len(lines), lines[-1]) == (11, "and 3 more")


def test_a_plan_is_applied_to_the_map_that_it_was_made_for() -> None:
    plan = plan_of(update(status=1), CREATE)
    plan.depends = dependencies(plan, snapshot(), digest_of_scope(snapshot()))
    plan.fingerprint = fingerprint_of(plan.depends)
    reject_drifted(plan, snapshot(), "p")
    reject_drifted(plan, snapshot(BUILDING, FLOOR, ROOM, {**OTHER, "status": 1}), "p")
    with pytest.raises(PlanRejectedError) as caught:
        reject_drifted(plan, snapshot(BUILDING, FLOOR, {**ROOM, "status": 2}, OTHER), "p")
    assert str(caught.value) == (
        "the map changed since the plan p was made: room r (R): status was 3, now it is 2. Nothing was"
        " written; make and review a new plan"
    )
    plan.failed = [{"row": 1, "key": "", "reasons": []}]
    with pytest.raises(
        PlanRejectedError, match="^the plan p was altered: its rows that are left out are others$"
    ):
        reject_drifted(plan, snapshot(), "p")
    plan.failed, plan.changes = [], plan.changes[:1]
    with pytest.raises(PlanRejectedError, match="altered: its changes depend on other objects$"):
        reject_drifted(plan, snapshot(), "p")
    plan.changes[0].body["status"] = 7
    with pytest.raises(PlanRejectedError, match="other differences in its body"):
        reject_drifted(plan, snapshot(), "p")
    plan.fingerprint = "x"
    with pytest.raises(
        PlanRejectedError, match="^the plan p was altered: its fingerprint is not that of 'depends'$"
    ):
        reject_drifted(plan, snapshot(), "p")
    old = plan_of(update(status=1))
    old.fingerprint = fingerprint_of_scope(snapshot())
    reject_drifted(old, snapshot(), "p")
    with pytest.raises(PlanRejectedError, match="an object that was compared, but is not to be changed"):
        reject_drifted(old, snapshot(BUILDING, FLOOR, ROOM, {**OTHER, "status": 1}), "p")


# -- limits ---------------------------------------------------------------------------------------------


def test_each_rule_of_a_plan_has_a_sentence() -> None:
    wide = Guards(max_changes=9, max_deletes=9, max_delete_ratio=1)
    empty = (
        "the source is empty, and every compared object would be deleted or deactivated; if that is meant,"
        " pass their ids to MapsIndoorsDeleteGeodataOperator"
    )
    unknown = "rows without a match are left out, so the missing rows are not known"
    hiding, updating = plan_of(HIDE, compared=4), plan_of(update(status=1), compared=4)
    for plan, rows, says in (
        (hiding, 3, []),
        (hiding, None, []),
        (hiding, 0, [empty]),
        (updating, 0, []),
    ):
        assert wide.violations(plan, snapshot(), rows) == says
    for key, says in (("K", []), ("", [unknown])):
        failed = [{"row": 1, "key": "K", "reasons": []}, {"row": 2, "key": key, "reasons": []}]
        assert wide.violations(plan_of(HIDE, compared=4, failed=failed), snapshot()) == says
        assert wide.violations(plan_of(update(status=1), compared=4, failed=failed), snapshot()) == []
    both = plan_of(HIDE, Change("delete", "F", "floor", "f"), update(status=1), compared=4)
    assert Guards(max_changes=2, max_deletes=0, max_delete_ratio=0.25).violations(both, snapshot()) == [
        "3 changes are more than max_changes=2",
        "1 deletions are more than max_deletes=0",
        "2 of 4 compared objects would go, more than max_delete_ratio=0.25",
        "deleting floor f would leave or take along 2 objects below it",
    ]
    wide.check(hiding, snapshot(), 3)
    with pytest.raises(PlanRejectedError) as caught:
        Guards(max_changes=2).check(both, snapshot())
    assert str(caught.value).startswith("3 changes are more than max_changes=2; 1 deletions are more")


# -- altered plans --------------------------------------------------------------------------------------


def rejected(*changes: Change, where: SolutionSnapshot | None = None, **more: Any) -> str:
    try:
        reject_altered(plan_of(*changes, **more), where or snapshot(), "p")
    except PlanRejectedError as error:
        return str(error).removeprefix("the plan p was altered: ")
    return ""


def changed(change: Change, **given: Any) -> Change:
    members = {name: getattr(change, name) for name in change.__slots__}
    return Change(**{**members, **given})


def test_a_plan_that_was_not_altered_is_not_rejected() -> None:
    below = changed(CREATE, key="M", parent_key="N", body={**BODY, "externalId": "M"})
    assert rejected(update(status=1), CREATE, below, HIDE) == ""
    assert rejected(update(status=1), DELETE) == ""
    moved = changed(update(), fields={"parentId": ["f", "(new: N)"]}, parent_key="N")
    assert rejected(moved, CREATE) == ""
    restored = changed(CREATE, key="x")
    assert rejected(restored, match_on="id") == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (changed(CREATE, id="n"), "change 1 (create N) has an id already"),
        (changed(CREATE, body={**BODY, "id": "n"}), "change 1 (create N) has an id already"),
        (
            changed(CREATE, base_type="poi"),
            "change 1 (create N) has another base type or solution in its body",
        ),
        (
            changed(CREATE, body={**BODY, "datasetId": "e"}),
            "change 1 (create N) has another base type or solution in its body",
        ),
        (changed(CREATE, key="M"), "change 1 (create M) has another key in its body"),
        (
            changed(CREATE, parent_key="M"),
            "change 1 needs a parent 'M' that the plan does not create",
        ),
        (changed(update(), id="x"), "change 1 (update R) is about an object that the plan did not compare"),
        (
            changed(update(status=1), base_type="poi"),
            "change 1 (update R) is about an object that the plan did not compare",
        ),
        (changed(DELETE, body={"id": "q"}), "change 1 (delete Q) has a body"),
        (
            changed(update(status=1), body={"id": "r", "status": 2}),
            "change 1 (update R) has other differences in its body than in its fields",
        ),
        (
            changed(update(status=1), key="", body={"id": "q", "status": 1}),
            "change 1 (update r) has other differences in its body than in its fields",
        ),
        (
            changed(update(status=1), fields={}),
            "change 1 (update R) has other differences in its body than in its fields",
        ),
        (
            changed(update(status=1), fields={"status": [3, 1], "parentId": ["f", "(new: N)"]}),
            "change 1 (update R) has other differences in its body than in its fields",
        ),
        (
            changed(HIDE, fields={"status": [3, 1]}, body={"id": "q", "status": 1}),
            "change 1 (deactivate Q) does not deactivate",
        ),
        (
            changed(
                HIDE,
                fields={"status": [3, 2], "externalId": ["Q", "X"]},
                body={**HIDE.body, "externalId": "X"},
            ),
            "change 1 (deactivate Q) does not deactivate",
        ),
    ],
)
def test_an_altered_change_is_told_with_its_number(change: Change, says: str) -> None:
    assert rejected(change) == says
    assert rejected(update(status=1) if change.id != "r" else DELETE, change).startswith(
        says.replace("change 1", "change 2")
    )


def test_objects_outside_of_the_scope_and_those_changed_twice_are_told() -> None:
    scoped = snapshot(scope={"base_types": ["floor"]})
    assert (
        rejected(update(status=1), where=scoped)
        == "change 1 (update R) is about an object that the plan did not compare"
    )
    assert rejected(update(status=1), update(status=1)) == "r is changed 2 times"
    many = [changed(CREATE, id=f"n{number}") for number in range(12)]
    told = rejected(*many).split("; ")
    assert (len(told), told[9][:9], told[10]) == (11, "change 10", "and 2 more")


def test_creations_come_parents_first_and_deletions_children_first() -> None:
    order = [
        write_order(Change(operation, "K", kind))  # type: ignore[arg-type]
        for operation, kind in (
            *(("create", kind) for kind in ("venue", "building", "floor", "room", "area", "poi")),
            *(("update", "venue"), ("deactivate", "poi")),
            *(("delete", kind) for kind in ("poi", "area", "room", "floor", "building", "venue")),
        )
    ]
    assert order == sorted(order)
    assert len(set(order)) == 11
    assert order[4] == order[5]
    assert order[6] == order[7]


# -- rows -----------------------------------------------------------------------------------------------


def test_expected_objects_with_problems_are_all_told() -> None:
    rows = [
        {"externalId": "1", "parentExternalId": "2"},
        {"externalId": "2", "name": "x"},
        {"externalId": "3" * 70, "status": 1},
        {"externalId": "3" * 70, "status": 1},
        {"id": "a" * 24, "externalId": "4", "name@en": None},
    ]
    with pytest.raises(InputError) as caught:
        read_expected(rows, "externalId")
    told = caught.value.problems
    assert len(told) == 4
    assert told[0] == "row 1 (1): has a reference to its parent; use parentId"
    assert told[1].startswith("row 2 (2): ")
    assert told[2].endswith(f"): is about the same object as row 3 ({'3' * 60})")
    assert told[3] == "row 5 (4): has no expected value: each is null"
    assert caught.value.subject == "expected"


def test_what_is_left_out_when_rows_are_read() -> None:
    for function in (read_defaults, read_desired_rows):
        assert signature(function).parameters["match_on"].default == "externalId"
    assert signature(read_desired_rows).parameters["subject"].default == "source"
    assert tree_level(DesiredRow(1, {})) == -1
    assert [tree_level(DesiredRow(1, {"baseType": kind})) for kind in ("venue", "building", "poi")] == [
        0,
        1,
        5,
    ]


def test_defaults_may_be_left_out_and_are_an_object_otherwise() -> None:
    assert read_defaults(None) == Defaults()
    with pytest.raises(InputError, match="^defaults: must be an object, not list$"):
        read_defaults([1])
    with pytest.raises(InputError, match="^defaults: "):
        read_defaults("[{{ x }}]")
    with pytest.raises(InputError, match="^source: "):
        read_desired_rows(5)
