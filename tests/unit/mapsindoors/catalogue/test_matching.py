"""Rows matched with display types and categories, and the changes that follow, without a service."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.mapsindoors.catalogue.compare import differences
from airflow_provider.mapsindoors.catalogue.document import Change, Plan, entry_hash
from airflow_provider.mapsindoors.catalogue.entries import Catalogue
from airflow_provider.mapsindoors.catalogue.kinds import CATEGORIES, DISPLAY_TYPES, Kind
from airflow_provider.mapsindoors.catalogue.matching import Matching, add_changes
from airflow_provider.mapsindoors.catalogue.rows import DesiredEntry

pytestmark = pytest.mark.slow  # nothing of it depends on versions


def entry(number: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"id-{number}", "name": name, "properties": {"name@en": name}, **fields}


def row(number: int, name: str = "", object_id: str = "", *problems: str, **fields: Any) -> DesiredEntry:
    named = {"name": name} if name else {}
    return DesiredEntry(number, name, {**named, **fields}, list(problems), object_id)


def new(number: int, name: str) -> DesiredEntry:
    return row(number, name, properties={"name@en": name})


def matched(
    rows: list[DesiredEntry], entries: list[dict[str, Any]], kind: Kind = DISPLAY_TYPES
) -> list[list[str]]:
    Matching(rows, Catalogue(kind, entries))
    return [[str(problem) for problem in one.problems] for one in rows]


def planned(rows: list[DesiredEntry], entries: list[dict[str, Any]]) -> Plan:
    catalogue, plan = Catalogue(DISPLAY_TYPES, entries), Plan("display types", "dataset")
    Matching(rows, catalogue)
    add_changes(plan, rows, catalogue, ["en"])
    return plan


OFFICE, LAB = entry(1, "Office"), entry(2, "Lab")


def test_a_row_is_matched_by_its_name_in_any_spelling_of_blanks_or_by_its_id() -> None:
    rows = [row(1, "Office"), row(2, "", "id-2"), row(3, "Hall")]
    assert matched(rows, [entry(1, " Office\u00a0"), LAB]) == [[], [], []]
    assert [one.object_id for one in rows] == ["id-1", "id-2", ""]


def test_an_id_that_does_not_exist_is_cut_in_its_problem() -> None:
    assert matched([row(1, "Office", "x" * 61)], [OFFICE]) == [
        [f"there is no display type with id {'x' * 60}"]
    ]


def test_a_name_that_many_entries_have_names_five_of_them() -> None:
    entries = [entry(number, "Office") for number in range(7)]
    assert matched([row(1, "Office")], entries) == [
        ["name 'Office' is that of 7 display types: id-0, id-1, id-2, id-3, id-4, and 2 more"]
    ]
    assert matched([row(1, "Office", "id-3")], entries) == [[]]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (row(2, "Office"), "is about the same display type as row 1 (Office)"),
        (row(2, "", "id-1"), "is about the same display type as row 1 (Office)"),
    ],
)
def test_two_rows_of_one_entry_are_a_problem_of_the_second(second: DesiredEntry, says: str) -> None:
    assert matched([row(1, "Office"), second], [OFFICE, LAB]) == [[], [says]]
    second.problems.clear()


def test_a_row_without_a_name_is_named_by_its_id() -> None:
    found = matched([row(1, "", "id-1"), row(2, "", "id-1"), row(3, "", "id-2")], [OFFICE, LAB])
    assert found == [[], ["is about the same display type as row 1 (id-1)"], []]


def test_a_row_of_an_id_without_a_name_frees_no_name() -> None:
    found = matched([row(1, "", "id-1"), row(2, "Office")], [OFFICE])
    assert found == [[], ["is about the same display type as row 1 (id-1)"]]


def test_a_row_whose_id_does_not_exist_has_no_twin() -> None:
    assert matched([row(1, "Hall", "nothing"), new(2, "hall")], [OFFICE])[1] == []


def test_the_problems_that_a_row_has_stay() -> None:
    rows = [row(1, "Office", "", "wrong"), row(2, "office", "id-2", "wrong")]
    assert matched(rows, [OFFICE, LAB]) == [["wrong"], ["wrong"]]


def test_a_name_that_a_row_with_an_id_frees_is_free() -> None:
    rows = [row(1, "Former", "id-1"), new(2, "Office")]
    assert matched(rows, [OFFICE, LAB]) == [[], []]
    assert rows[1].object_id == ""


def test_a_row_with_a_problem_frees_no_name() -> None:
    rows = [row(1, "Former", "id-1", "wrong"), new(2, "Office")]
    assert matched(rows, [OFFICE, LAB])[1] == ["is about the same display type as row 1 (Former)"]


def test_another_case_of_the_own_name_is_no_rename_that_frees_it() -> None:
    rows = [row(1, "OFFICE", "id-1"), new(2, "Office")]
    assert matched(rows, [OFFICE]) == [[], ["is about the same display type as row 1 (OFFICE)"]]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([new(1, "Hall"), new(2, "Hall")], "is about the same display type as row 1 (Hall)"),
        (
            [new(1, "Hall"), new(2, "hall")],
            "name 'hall' differs from 'Hall' of row 1 in case only; write it alike, or give the row the id"
            " to rename it",
        ),
        (
            [new(1, "Hall"), new(2, "LAB")],
            "name 'LAB' differs from 'Lab' of display type id-2 in case only; write it alike, or give the row"
            " the id to rename it",
        ),
        ([new(1, "Hall"), row(2, "Lab", "id-1")], "name 'Lab' is that of display type id-2, too"),
        ([row(1, "Hall", "id-1"), row(2, "Hall", "id-2")], "is about the same display type as row 1 (Hall)"),
    ],
)
def test_a_new_name_that_another_entry_or_row_has_is_a_problem(
    rows: list[DesiredEntry], problem: str
) -> None:
    assert matched(rows, [OFFICE, LAB])[1] == [problem]


def test_one_twin_is_named_and_the_next_rows_are_looked_at() -> None:
    rows = [row(1, "", "id-1"), row(2, "", "id-2"), new(3, "LAB"), new(4, "OFFICE")]
    entries = [OFFICE, LAB, entry(3, "lab"), entry(4, "lab ")]
    found = matched(rows, entries)
    assert [len(problems) for problems in found] == [0, 0, 1, 1]
    assert "'Lab' of display type id-2" in found[2][0]
    assert "'Office' of display type id-1" in found[3][0]


def test_names_that_are_not_new_are_not_compared() -> None:
    twins = [OFFICE, entry(2, "office")]
    assert matched([row(1, "Office", "id-1"), row(2, "office", "id-2")], twins) == [[], []]


def test_a_name_like_an_id_is_a_problem_and_a_semicolon_in_a_key_is_one() -> None:
    assert matched([new(1, "ID-2")], [OFFICE, LAB]) == [
        ["name 'ID-2' is the id of display type id-2, which rows of geodata name by it"]
    ]
    assert matched([new(1, "A;B"), new(2, "A-B")], [OFFICE]) == [[], []]
    category = {"id": "id-1", "key": "FOOD", "name": {"en": "Food"}}
    rows = [DesiredEntry(number, key, {"key": key}) for number, key in ((1, "A;B"), (2, "AB"))]
    assert matched(rows, [category], CATEGORIES) == [
        ["key 'A;B' has a semicolon, which separates keys in rows of geodata"],
        [],
    ]


# -- changes ------------------------------------------------------------------------------------------


def test_each_change_has_all_that_is_known_of_it() -> None:
    created, updated = new(1, "Hall"), row(2, "Office", aliases=["bureau"])
    renamed, same = row(3, "Workshop", "id-2"), row(4, "Shop")
    plan = planned([created, updated, renamed, same], [OFFICE, LAB, entry(3, "Shop")])
    assert plan.changes == [
        Change(
            "update", "Office", "id-1", 2, {"aliases": [None, ["bureau"]]}, updated.fields, entry_hash(OFFICE)
        ),
        Change(
            "update", "Workshop", "id-2", 3, {"name": ["Lab", "Workshop"]}, renamed.fields, entry_hash(LAB)
        ),
        Change("create", "Hall", "", 1, differences(created.fields, {}), created.fields, ""),
    ]
    assert (plan.compared, plan.unchanged, plan.failed) == (3, 1, [])


def test_rows_with_problems_are_listed_by_what_names_them() -> None:
    rows = [
        row(1, "Hall", "", "wrong"),
        row(2, "", "id-1", "wrong", "worse"),
        row(3, "", "nothing"),
        row(4, "Lab"),
        row(5, "Shop"),
    ]
    plan = planned(rows, [OFFICE, LAB, entry(3, "Shop")])
    assert plan.failed == [
        {"row": 1, "key": "Hall", "reasons": ["wrong"]},
        {"row": 2, "key": "Office", "reasons": ["wrong", "worse"]},
        {"row": 3, "key": "nothing", "reasons": ["there is no display type with id nothing"]},
    ]
    assert (plan.unchanged, plan.changes) == (2, [])


def test_a_name_whose_rename_is_left_out_is_free_for_nobody() -> None:
    rows = [row(1, "Former", "id-1", properties={"name@en": ""}), new(2, "Office"), new(3, "Hall")]
    plan = planned(rows, [OFFICE, LAB])
    assert [change.key for change in plan.changes] == ["Hall"]
    assert [(one["row"], one["reasons"][-1]) for one in plan.failed][1] == (
        2,
        "name 'Office' is that of display type id-1, whose row is left out",
    )


def test_names_that_are_swapped_are_a_problem_of_both_rows() -> None:
    rows = [row(1, "Lab", "id-1"), row(2, "Office", "id-2"), new(3, "Hall")]
    plan = planned(rows, [OFFICE, LAB])
    hint = (
        ", which itself waits for a name that another row is to free; names are swapped in two runs: first"
        " give one a third name"
    )
    assert [one["reasons"] for one in plan.failed] == [
        [f"name 'Lab' is that of display type id-2{hint}"],
        [f"name 'Office' is that of display type id-1{hint}"],
    ]
    assert [change.key for change in plan.changes] == ["Hall"]


def test_an_update_is_checked_only_where_it_changes_something() -> None:
    nameless = {**OFFICE, "properties": {}}
    assert planned([row(1, "Office")], [nameless]).unchanged == 1
    plan = planned([row(1, "Office", aliases=["a"])], [nameless])
    (reason,) = plan.failed[0]["reasons"]
    assert reason.startswith("has no name@en; a display type needs a name")


def test_rules_that_the_row_does_not_name_are_not_checked() -> None:
    wrong = {"name": "far", "zoomFrom": 20, "zoomTo": 10}
    office = {**OFFICE, "displayRules": [{"name": "near", "zoomTo": 10}, wrong]}
    assert planned([row(1, "Office", displayRules={"near": {"zoomFrom": 5}})], [office]).failed == []
    plan = planned([row(1, "Office", displayRules={"near": {"zoomFrom": 15}})], [office])
    (reason,) = plan.failed[0]["reasons"]
    assert "zoomFrom 15 is above zoomTo 10 in the display rule 'near'" in reason


def test_empty_rules_are_a_problem_where_there_are_some() -> None:
    office = {**OFFICE, "displayRules": [{"name": "near"}]}
    plan = planned([row(1, "Office", displayRules={}), row(2, "Lab", displayRules={})], [office, LAB])
    assert [(one["row"], one["reasons"][0][:22]) for one in plan.failed] == [(1, "displayRules is empty,")]
    assert plan.unchanged == 1


def test_a_property_in_two_spellings_is_not_changed() -> None:
    office = {**OFFICE, "properties": {"name@en": "O", "Owner@en": "a", "owner@EN": "b"}}
    plan = planned([row(1, "Office", properties={"owner@en": "c"})], [office])
    assert "more than once" in plan.failed[0]["reasons"][0]
    assert planned([row(1, "Office", properties={"name@en": "P"})], [office]).failed == []
