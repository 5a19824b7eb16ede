"""Validation: every problem of a header and of items is named; duplicates are found in little memory."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.input.values import ABSENT
from airflow_provider.leanix.ldif import validation
from airflow_provider.leanix.ldif.header import make_header
from airflow_provider.leanix.ldif.validation import (
    HashSet,
    ItemValidator,
    header_problems,
    is_trigger,
    unknown_field,
)

HEADER = make_header(
    connector_type="cmdb", connector_id="campus", connector_version="1.0.0", processing_direction="inbound"
)


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=300))
def test_hash_set_agrees_with_a_set(values: list[tuple[str, str]]) -> None:
    seen, known = HashSet(), set()
    for value in values:
        assert seen.add(value) is (value not in known)
        known.add(value)


def test_a_hundred_thousand_items_take_some_bytes_each() -> None:
    seen = HashSet()
    assert all(seen.add(("ITComponent", f"i{number}")) for number in range(100_000))
    assert not seen.add(("ITComponent", "i99999"))
    assert sys.getsizeof(seen._slots) < 24 * 100_000


@pytest.mark.parametrize("step", [2, 4, 1024])
def test_hashes_that_meet_find_a_free_place_of_any_number(step: int) -> None:
    """A number is its own hash: those of one step would fill a part of the places only."""
    seen = HashSet()
    assert all(seen.add(step * number + 1) for number in range(2000))
    assert not any(seen.add(step * number + 1) for number in range(2000))


def test_the_set_grows_when_three_quarters_are_used_and_knows_the_hash_zero() -> None:
    seen = HashSet()
    assert [seen.add(number) for number in (0, 0, 1, 1, 1024, 1024, 2048)] == [
        True,
        False,
        False,  # 0 and 1 have the same hash here, which texts have with a chance of 2 ** -64
        False,
        True,
        False,
        True,
    ]
    for number in range(2, 767):
        seen.add(number)
    assert (len(seen._slots), seen._count) == (1024, 768)
    for number in range(767, 770):
        seen.add(number)
        assert len(seen._slots) == 2048
    assert seen._count == 771
    assert not any(seen.add(number) for number in (*range(770), 1024, 2048))


def test_of_a_header_each_bad_field_is_named() -> None:
    assert header_problems(HEADER) == []
    assert header_problems({}) == [
        f"header field '{name}' is missing or empty"
        for name in (
            "connectorType",
            "connectorId",
            "connectorVersion",
            "processingDirection",
        )
    ]
    assert header_problems({**HEADER, "lxVersion": ""}) == ["header field 'lxVersion' is missing or empty"]
    outbound = {**HEADER, "processingDirection": "outbound"}
    assert header_problems({name: value for name, value in outbound.items() if name != "lxVersion"}) == []
    assert header_problems({**outbound, "processingMode": "FULL"}) == []
    assert header_problems({**outbound, "processingMode": "full"}) == [
        "header field 'processingMode' must be partial in an outbound run"
    ]


def test_all_problems_of_a_header_are_named_in_the_order_of_its_fields() -> None:
    header = {
        **HEADER,
        "connectorId": "",
        "colour": 1,
        "lxWorkspace": 5,
        "size": 2,
        "chunkInformation": 6,
        "description": 7,
        "processingDirection": "up",
        "processingMode": "half",
    }
    unknown = (
        "is unknown to the service, which would ignore it; values for processors belong into 'customFields'"
    )
    assert header_problems(header) == [
        "header field 'connectorId' is missing or empty",
        f"field 'colour' {unknown}",
        "header field 'lxWorkspace' must be a text, not int",
        f"field 'size' {unknown}",
        "header field 'chunkInformation' must be an object, not 6",
        "header field 'description' must be a text, not int",
        "header field 'processingDirection' must be inbound or outbound, not 'up'",
        "header field 'processingMode' must be partial or full, not 'half'",
    ]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("description", "", None),
        ("description", " ", None),
        ("description", None, None),
        ("description", "x" * 500, None),
        ("description", "x" * 501, "has 501 characters, more than the 500 allowed"),
        ("connectorType", " ", "is empty; leave it out for its default"),
        ("lxWorkspace", "", "is empty; leave it out for its default"),
        ("lxWorkspace", "None", None),
        ("lxVersion", " None", "is the text 'None', which a template made of a value that is not there"),
        ("lxVersion", 1.0, "must be a text, not float"),
        ("processingMode", "half", "must be partial or full, not 'half'"),
        ("processingMode", "FULL", None),
        ("processingDirection", "sideways", "must be inbound or outbound, not 'sideways'"),
        ("customFields", 5, None),
        ("content", 5, None),
        ("chunkInformation", None, None),
        ("chunkInformation", {}, None),
        ("chunkInformation", {"firstDataObject": 0, "lastDataObject": 1, "maxDataObject": 2}, None),
        ("chunkInformation", [], "must be an object, not []"),
        (
            "chunkInformation",
            {"maxDataObject": -1},
            ": 'maxDataObject' must be a whole number of at least 0, not -1",
        ),
        (
            "chunkInformation",
            {"maxDataObject": True},
            ": 'maxDataObject' must be a whole number of at least 0, not True",
        ),
        (
            "chunkInformation",
            {"maxDataObject": "1"},
            ": 'maxDataObject' must be a whole number of at least 0, not '1'",
        ),
        (
            "chunkInformation",
            {"lastDataObjekt": 1},
            ": field 'lastDataObjekt' is unknown; did you mean 'lastDataObject'?",
        ),
    ],
)
def test_a_header_field_is_valid_or_says_why_not(field: str, value: Any, problem: str | None) -> None:
    header = {**HEADER, field: value}
    space = "" if (problem or "").startswith(":") else " "
    expected = [] if problem is None else [f"header field '{field}'{space}{problem}"]
    assert header_problems(header) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lx_version", "; 'lxVersion' is meant"),
        ("customField", "; 'customFields' is meant"),
        ("Descriptions", "; 'description' is meant"),
        ("conector", "; did you mean 'connectorId'?"),
        ("colour", "; values for processors belong into 'customFields'"),
        (7, "; values for processors belong into 'customFields'"),
    ],
)
def test_an_unknown_header_field_has_a_hint(name: Any, hint: str) -> None:
    assert unknown_field(name) == [f"field {name!r} is unknown to the service, which would ignore it{hint}"]


def problems_of(*items: Any, allow_duplicates: bool = False) -> list[str]:
    validator = ItemValidator(allow_duplicates=allow_duplicates)
    for number, item in enumerate(items, start=1):
        validator.validate(number, item)
    return validator.lines()


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "App", "id": "a", "data": {}, **fields}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("text", "item 1: must be an object, not str"),
        (item(id=""), "item 1: 'id' must be a text that is not empty (type App)"),
        (item(id=" "), "item 1 (): 'id' must be a text that is not empty (type App)"),
        (item(id=7), "item 1 (7): 'id' must be a text that is not empty (type App)"),
        (item(type=None), "item 1 (a): 'type' must be a text that is not empty"),
        (item(data=[]), "item 1 (a): 'data' must be an object (type App)"),
        ({"type": "App", "id": "a"}, "item 1 (a): 'data' is missing; it must be an object (type App)"),
        (item(id="x" * 61), None),
        (MappingProxyType(item()), None),
        (item(id=ABSENT), None),
        ({"type": "", "id": "", "data": {}}, None),
    ],
    ids=str,
)
def test_an_item_is_valid_or_says_why_not(bad: Any, problem: str | None) -> None:
    assert problems_of(bad) == ([] if problem is None else [problem])


@pytest.mark.parametrize(
    ("given", "is_valid"),
    [
        (item(), True),
        (MappingProxyType(item()), False),
        (item(more=1), False),
        ({"type": "App", "id": "a"}, False),
        (item(data=None), False),
        (item(data=MappingProxyType({})), False),
        (item(type=5), False),
        (item(id=5), False),
        (item(type="é"), False),
        (item(id="é"), False),
        (item(type=""), False),
        (item(id=""), False),
        (item(type="App "), False),
        (item(id=" a"), False),
        (None, False),
    ],
    ids=str,
)
def test_an_item_of_plain_letters_is_found_valid_at_once(given: Any, is_valid: bool) -> None:
    for validator in (ItemValidator(), ItemValidator(allow_duplicates=True)):
        assert validator._is_new_item(given) is is_valid
        assert validator._is_new_item(given) is (is_valid and validator._allow_duplicates)


def test_long_names_of_items_are_cut_short() -> None:
    (problem,) = problems_of(item(id="x" * 61, type="y" * 61, data=None))
    assert problem == f"item 1 ({'x' * 59}…): 'data' must be an object (type {'y' * 59}…)"
    (problem,) = problems_of(item(id=["x" * 100], type="App"))
    assert problem == f"item 1 (['{'x' * 57}…): 'id' must be a text that is not empty (type App)"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (item(), item(), True),
        (item(), item(type="Other"), False),
        (item(), item(id="b"), False),
        (item(id="é"), item(id="e\u0301"), True),
        (item(id="é"), item(id=" é"), True),
        (item(), item(id=" a"), True),
        (item(), MappingProxyType(item()), True),
        (item(id=ABSENT), item(id=ABSENT), False),
        (item(type=ABSENT), item(type=ABSENT), False),
    ],
    ids=str,
)
def test_items_of_the_same_type_and_id_are_a_problem_unless_they_are_accepted(
    first: Any, second: Any, same: bool
) -> None:
    problems = problems_of(first, second)
    assert [problem.partition(": ")[2].partition(" (allow")[0] for problem in problems] == [
        "the same type and id occurred before"
    ] * same
    assert problems_of(first, second, allow_duplicates=True) == []


def test_an_unknown_field_of_many_items_is_one_line_before_the_others() -> None:
    found = problems_of(
        item(id="1"), item(id="2", Data={}), item(id="", colour=1), item(id="3", Data=1), item(id="1")
    )
    assert found == [
        "2 items, the first is item 2, have the field 'Data', which the service ignores; did you mean"
        " 'data'?",
        "item 3 has the field 'colour', which the service ignores; fields of the item belong into 'data'",
        "item 3: 'id' must be a text that is not empty (type App)",
        "item 5 (1): the same type and id occurred before (allow_duplicates accepts that) (type App)",
    ]


def test_problems_and_unknown_fields_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_MAX_PROBLEMS", 2)
    monkeypatch.setattr(validation, "_MAX_UNKNOWN", 1)
    monkeypatch.setattr(validation, "_MAX_TEXT", 40)
    found = problems_of(item(id="1", one=1), item(id="2", two=2, one=3), 5, 5, 5, {})
    assert found == [
        "2 items, the first is item 1, have the field 'one', which the service ignores; fields of the item"
        " belong into 'data'",
        "item 3: must be an object, not int",
        "item 4: must be an object, not int",
        "4 further problems are not listed",
    ]
    validator = ItemValidator()
    validator.add(7, None, ["x" * 50])
    assert validator.problems == [f"item 7: {'x' * 31}…"]


@pytest.mark.parametrize(
    ("value", "dummy"),
    [({"type": "", "id": "", "data": {}}, True), ({"type": "", "id": ""}, False), (None, False)],
)
def test_the_dummy_item_is_known(value: Any, dummy: bool) -> None:
    assert is_trigger(value) is dummy


def test_a_hundred_unknown_fields_and_ten_thousand_problems_are_listed() -> None:
    many = problems_of({**item(), **{f"extra{number}": 1 for number in range(150)}})
    assert len(many) == 100
    many = problems_of(*[None] * 10_003)
    assert len(many) == 10_001
    assert many[-2:] == [
        "item 10000: must be an object, not NoneType",
        "3 further problems are not listed",
    ]
    validator = ItemValidator()
    validator.add(1, None, ["x" * 400])
    assert len(validator.problems[0]) == 300
