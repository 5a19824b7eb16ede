"""Plan document: a plan is equal to itself after writing and reading, and other documents are rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.input.row_numbers import RowNumbers
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata.validation import BASE_TYPES
from airflow_provider.mapsindoors.plan.document import VERSION, Change, Plan
from tests.support.hypothesis_sizes import examples

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2)
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
CHANGES = st.builds(
    Change,
    operation=st.sampled_from(["create", "update", "deactivate", "delete"]),
    key=TEXT,
    base_type=st.sampled_from(BASE_TYPES),
    id=TEXT,
    row=st.integers(0, 10**6),
    name=TEXT,
    fields=st.dictionaries(TEXT, st.lists(JSON, min_size=2, max_size=2), max_size=2),
    body=OBJECTS,
    parent_key=TEXT,
)
PLANS = st.builds(
    Plan,
    dataset=TEXT,
    match_on=TEXT,
    scope=OBJECTS,
    fingerprint=TEXT,
    compared=st.integers(0, 10**6),
    unchanged=st.integers(0, 10**6),
    changes=st.lists(CHANGES, max_size=4),
    failed=st.lists(OBJECTS, max_size=2),
)


def test_a_document_has_a_member_a_line_so_that_two_plans_can_be_compared() -> None:
    change = Change("update", "A-1", "room", fields={"name@en": ["Kök", "Køkken"]})
    document = Plan("d", "externalId", {}, "f", changes=[change]).to_json()
    assert document.decode() == json.dumps(json.loads(document), indent=1, ensure_ascii=False)


@settings(max_examples=examples(25))
@given(plan=PLANS)
def test_a_plan_is_the_same_after_it_was_written_and_read(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json(), "a plan") == plan


def test_a_row_of_several_files_has_the_name_of_its_file() -> None:
    numbers = RowNumbers(["a.csv"])
    numbers.next_file()
    change = Change("update", "A-1", "room", row=numbers.number(3))
    document = Plan("d", "externalId", {}, "f", changes=[change]).to_json()
    assert json.loads(document)["changes"][0]["row"] == "a.csv:3"
    assert Plan.from_json(document, "a plan").changes[0].row == "a.csv:3"


def test_a_plan_is_summed_up_in_a_sentence() -> None:
    plan = Plan("d", "externalId", {}, "f")
    assert plan.summary() == "no changes; 0 rows unchanged, 0 left out; compared with 0 objects"
    plan.changes = [
        Change("create", "A", "room"),
        Change("create", "B", "room"),
        Change("create", "C", "poi"),
        Change("update", "D", "poi", fields={"parentId": ["a", "b"]}),
        Change("update", "E", "poi", fields={"name": ["a", "b"]}),
        Change("delete", "F", "floor"),
    ]
    plan.unchanged, plan.compared, plan.failed = 7, 11, [{"row": 1}]
    assert plan.summary() == (
        "create 2 room, 1 poi; update 2 poi; delete 1 floor; 1 of them move to another parent;"
        " 7 rows unchanged, 1 left out; compared with 11 objects"
    )


@settings(max_examples=examples(25))
@given(plan=PLANS)
def test_the_counts_of_a_plan_are_those_of_its_changes(plan: Plan) -> None:
    counted = {name: sum(kinds.values()) for name, kinds in plan.counts().items()}
    assert counted == {name: plan.count(name) for name in counted}
    assert sum(counted.values()) == len(plan.changes)
    assert json.loads(plan.to_json())["counts"] == plan.counts()


@settings(max_examples=examples(25))
@given(plan=PLANS, data=st.data())
def test_a_plan_that_was_cut_short_is_refused(plan: Plan, data: st.DataObject) -> None:
    document = plan.to_json()
    cut = document[: data.draw(st.integers(0, len(document) - 2))]
    with pytest.raises(InputError, match="is not a plan"):
        Plan.from_json(cut, "a plan")


@settings(max_examples=examples(25))
@given(other=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_plan_is_refused(other: Any) -> None:
    with pytest.raises(InputError, match="is not a plan"):
        Plan.from_json(other, "a plan")


@pytest.mark.parametrize(
    ("members", "change", "says"),
    [
        ({"version": VERSION + 1}, {}, f"version {VERSION} is expected"),
        ({"kind": "AmigoCloud"}, {}, "it is a plan for AmigoCloud"),
        ({}, {"fields": {"status": [1]}}, "the field 'status' has not one old and one new value"),
        ({}, {"fields": {"status": [1, 2, 3]}}, "the field 'status' has not one old and one new value"),
        ({}, {"base_type": "desk"}, "'desk' is no base type"),
        ({}, {"row": "a.csv"}, "'a.csv' is no row of a file"),
    ],
)
def test_a_plan_that_was_altered_is_refused_with_the_reason(
    members: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    document = json.loads(Plan("d", "externalId", {}, "f", changes=[Change("update", "A", "room")]).to_json())
    document["changes"][0] |= change
    with pytest.raises(InputError) as caught:
        Plan.from_json(json.dumps(document | members).encode(), "the plan")
    assert str(caught.value) == f"the plan is not a plan of this version: {says}"
