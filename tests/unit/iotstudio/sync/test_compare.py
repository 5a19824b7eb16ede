"""Rows compared with descriptions of Things one by one: the plan's changes, problems and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.errors import InputError, PermissionDeniedError, ServerError
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.sync.compare import Comparison, list_fleet
from airflow_provider.iotstudio.sync.document import Change, Plan, description_hash
from airflow_provider.iotstudio.sync.rows import RowReader
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.slow  # promises do not depend on versions

A, B, C, D = (f"01GQ2E9M2Y45BX9EW0F2BM000{letter}" for letter in "ABCD")


def thing(uid: str, title: str = "", **fields: Any) -> dict[str, Any]:
    return {"uid": uid, "title": title, "description": "old", "categories": [], "model": None, **fields}


@pytest.fixture
def compared(hook: IoTStudioHook) -> Callable[..., Plan]:
    """Return a function that compares rows with Things, and returns the plan."""

    def compare(rows: list[dict[str, Any]], *things: dict[str, Any], **given: Any) -> Plan:
        match_on, category = given.get("match_on", "title"), given.get("category")
        reader, plan = RowReader(match_on, category, {}), Plan("space", match_on, category)
        reader.read(rows, RowOptions())
        comparison = Comparison(reader, plan, deletes=given.get("deletes", True))
        for one in things:
            comparison.add([one])
        comparison.finish(hook, category)
        return plan

    return compare


Compare = Callable[..., Plan]


def reasons(plan: Plan) -> list[tuple[int, str, str]]:
    return [(one["row"], one["key"], one["reasons"][0]) for one in plan.failed]


def test_each_kind_of_change_has_all_that_is_known_of_it(compared: Compare) -> None:
    rows = [
        {"title": "New", "description": "x"},
        {"title": "A", "description": "new"},
        {"uid": B, "description": "new"},
        {"title": "C"},
    ]
    things = [thing(A, "A"), thing(B, "B"), thing(C, "C"), thing(D, "D")]
    plan = compared(rows, *things)
    fields = {"description": ["old", "new"]}
    assert plan.changes == [
        Change("create", "New", "", 1, "New", {"title": [None, "New"], "description": [None, "x"]}),
        Change("update", "A", A, 2, "A", fields, description_hash(things[0])),
        Change("update", B, B, 3, "B", fields, description_hash(things[1])),
        Change("delete", "D", D, 0, "D", {}, description_hash(things[3])),
    ]
    assert (plan.compared, plan.unchanged, plan.failed, plan.unmatched) == (4, 1, [], [])


def test_a_plan_by_uid_names_things_by_it(compared: Compare) -> None:
    plan = compared([{"uid": A, "title": "New"}], thing(A, "Old"), thing(B), match_on="uid")
    assert [(one.operation, one.key, one.title) for one in plan.changes] == [
        ("update", A, "New"),
        ("delete", B, ""),
    ]
    assert plan.compared == 2


def test_things_without_a_title_are_neither_compared_nor_deleted_by_title(compared: Compare) -> None:
    plan = compared([{"title": "A"}], thing(A, "A"), thing(B), thing(C, None))  # type: ignore[arg-type]
    assert (plan.compared, plan.changes, plan.unchanged) == (1, [], 1)


def test_a_thing_that_is_listed_twice_is_compared_once(compared: Compare) -> None:
    plan = compared([{"title": "B"}], thing(A, "A"), thing(B, "B"), thing(A, "A"))
    assert [(one.operation, one.id) for one in plan.changes] == [("delete", A)]
    assert plan.compared == 2


def test_nothing_is_deleted_unless_that_is_asked_for(compared: Compare) -> None:
    plan = compared([{"title": "A"}], thing(A, "A"), thing(B, "B"), deletes=False)
    assert plan.changes == []


def test_the_things_of_rows_that_are_left_out_stay(compared: Compare) -> None:
    rows = [{"title": "A", "description": 7}, {"uid": B, "title": "X", "description": 7}, {"title": "D"}]
    plan = compared(rows, thing(A, "A"), thing(B, "B"), thing(C, " a"), thing(D, "D"))
    assert plan.changes == []
    assert [one["row"] for one in plan.failed] == [1, 2]
    assert plan.unmatched == []


def test_uids_of_rows_that_are_left_out_are_unmatched_where_no_thing_has_them(compared: Compare) -> None:
    rows = [{"uid": uid, "description": 7} for uid in (D, A, C)] + [{"uid": B}]
    plan = compared(rows, thing(A), thing(B), match_on="uid")
    assert plan.unmatched == [C, D]
    assert plan.unchanged == 1


def test_a_title_that_several_things_have_names_three_of_them(compared: Compare) -> None:
    rows = [{"title": "A", "description": "new"}, {"title": "B"}]
    things = [thing(uid, "A") for uid in (D, C, B, A)]
    plan = compared(rows, *things[2:], thing(C + "1", "B"))
    told = "; give the row the uid of one of them"
    assert reasons(plan) == [(1, "A", f"title is that of 2 Things: {A}, {B}{told}")]
    assert (plan.changes, plan.unchanged) == ([], 1)
    plan = compared(rows[:1], *things)
    assert reasons(plan) == [(1, "A", f"title is that of 4 Things: {A}, {B}, {C}, and 1 more{told}")]


@pytest.mark.parametrize(("category", "where"), [(None, ""), ("Meters", " in the category 'Meters'")])
def test_a_uid_that_no_thing_has_is_a_problem(
    compared: Compare, fleet: list[str], category: str | None, where: str
) -> None:
    rows = [{"uid": D, "title": "D"}, {"title": "A"}]
    plan = compared(rows, thing(A, "A", categories=["Meters"]), category=category)
    ((row, key, reason),) = reasons(plan)
    assert (row, key) == (1, "D")
    assert reason.startswith(f"no Thing{where} has the uid '{D}'. The service chooses")
    assert (plan.unchanged, plan.unmatched, plan.changes) == (1, [D], [])


def test_new_things_get_the_category_of_the_sync(compared: Compare, fleet: list[str]) -> None:
    rows = [{"title": "A"}, {"title": "B", "categories": ["Meters", "Sensors"]}]
    plan = compared(rows, category="Meters")
    assert [one.body["categories"] for one in plan.changes] == [["Meters"], ["Meters", "Sensors"]]
    assert "categories" not in compared(rows[:1]).changes[0].body


# -- names of categories and models ----------------------------------------------------------------------


def test_names_that_things_have_are_not_asked_for(compared: Compare, sandbox: Sandbox) -> None:
    known = thing(A, "A", categories=["Own", "Other"], model={"name": "own", "version": 1})
    row = {"title": "B", "categories": ["Own"], "model": "own"}
    sandbox.counters.clear()
    assert len(compared([row], known, deletes=False).changes) == 1
    assert len(compared([{"title": "B"}], known, category="Own", deletes=False).changes) == 1
    assert sandbox.counters.total("iotstudio") == 0


def test_names_that_do_not_exist_are_problems_of_their_rows(
    compared: Compare, fleet: list[str], hook: IoTStudioHook
) -> None:
    hook.create_model("climate")
    rows = [
        {"title": "A", "categories": ["Sensor"]},
        {"title": "B", "categories": ["Meters", "Nothing"]},
        {"title": "C", "model": "climates"},
        {"title": "D", "model": "climate", "categories": ["Meters"]},
        {"title": "E", "categories": []},
        {"title": "F", "model": None},
    ]
    plan = compared(rows, thing(C, "C"))
    assert reasons(plan) == [
        (1, "A", "there is no category 'Sensor'; did you mean 'Sensors'?"),
        (2, "B", "there is no category 'Nothing'"),
        (3, "C", "there is no model 'climates'; did you mean 'climate'?"),
    ]
    assert [one.key for one in plan.changes] == ["D", "E", "F"]


def test_a_category_of_the_sync_that_does_not_exist_ends_it(compared: Compare, fleet: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        compared([{"title": "A"}], category="Meter")
    assert str(caught.value) == "category: there is no category 'Meter'; did you mean 'Meters'?"
    assert len(compared([{"title": "A"}], category="Meters").changes) == 1


def test_names_of_models_are_believed_where_they_may_not_be_listed(
    compared: Compare, hook: IoTStudioHook, sandbox: Sandbox
) -> None:
    sandbox.faults.add("status", path="/models", status=403, times=None)
    with pytest.raises(PermissionDeniedError):
        list(hook.list_models())
    assert len(compared([{"title": "A", "model": "nothing"}]).changes) == 1


# -- titles ----------------------------------------------------------------------------------------------


def test_a_rename_to_a_title_that_stays_is_a_problem_and_to_one_that_goes_is_none(compared: Compare) -> None:
    rows = [{"uid": A, "title": "B"}]
    things = [thing(A, "A"), thing(B, "B")]
    assert reasons(compared(rows, *things, deletes=False, match_on="uid")) == [
        (1, A, f"title 'B' is that of Thing {B}, too; give each Thing its own")
    ]
    assert [one.operation for one in compared(rows, *things, match_on="uid").changes] == ["update", "delete"]
    same = [{"uid": A, "title": "A", "description": "new"}, {"uid": B, "title": "A", "description": "old"}]
    twins = [thing(A, "A"), thing(B, "A")]
    assert [one.id for one in compared(same[:1], *twins, match_on="uid", deletes=False).changes] == [A]


def test_a_title_that_was_doubled_before_is_a_warning_that_names_the_row(
    compared: Compare, capfd: pytest.CaptureFixture[str]
) -> None:
    things = [thing(A, "A"), thing(B, "Twin"), thing(C, "Twin")]
    plan = compared([{"uid": A, "title": "Twin"}], *things, match_on="uid", deletes=False)
    assert [one.fields for one in plan.changes] == [{"title": ["A", "Twin"]}]
    told = f"row 1 ({A}): title 'Twin' is that of Thing {B}, too; give each Thing its own"
    assert told in capfd.readouterr().out


def test_a_creation_that_is_nearly_a_twin_is_a_problem(compared: Compare) -> None:
    plan = compared([{"title": "a"}, {"title": "New"}], thing(A, "A"), deletes=False)
    assert [one.key for one in plan.changes] == ["New"]
    assert reasons(plan)[0][2].startswith(f"title is nearly that of Thing {A}, 'A': they differ in blanks")


# -- the list --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"categories": "Sensors"}, "categories are 'Sensors', not a list of names"),
        ({"categories": ["Sensors", 5]}, "categories are ['Sensors', 5], not a list of names"),
        ({"model": "m"}, "model is 'm', not an object with a name"),
        ({"model": []}, "model is [], not an object with a name"),
        ({"model": {"name": ["m"]}}, "model is {'name': ['m']}, not an object with a name"),
        ({"categories": None, "model": 5}, "model is 5, not an object with a name"),
    ],
)
def test_a_thing_in_another_form_is_an_error_of_the_service(
    hook: IoTStudioHook,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    wrong: str,
) -> None:
    given = [thing(A, "First"), thing(B, "Second", **change)]
    monkeypatch.setattr(IoTStudioHook, "list_things", lambda self, params: iter(given))
    things = list_fleet(hook, None)
    assert next(things)["uid"] == A
    with pytest.raises(ServerError) as caught:
        next(things)
    assert caught.value.status == 200
    assert f"the list of Things has one ('{B}', 'Second') whose {wrong}" in str(caught.value)


def test_a_thing_without_categories_and_model_is_in_order(
    hook: IoTStudioHook, service: IoTStudioService, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [{"uid": A}, thing(B, "B", categories=["x"], model={})]
    monkeypatch.setattr(IoTStudioHook, "list_things", lambda self, params: iter(given))
    assert list(list_fleet(hook, None)) == given
