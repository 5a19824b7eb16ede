"""Conditions: what is named and empty is a problem, and nothing empty selects more than it did before."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.input.conditions import (
    list_condition,
    list_problems,
    mapping_condition,
    raise_problems,
    refuse_data_frame,
    refuse_rendered_list,
    rendered_hint,
    text_condition,
)
from airflow_provider.core.input.values import is_blank, is_missing
from airflow_provider.errors import InputError

MISSING = [
    "",
    " ",
    "\n",
    "\u200b",
    "\ufeff \u00a0",
    "\u2060\u200e",
    "\x00",
    "\x7f\x80",
    float("nan"),
    np.nan,
    pd.NA,
    pd.NaT,
    Decimal("nan"),
    np.datetime64("NaT"),
]


@pytest.mark.parametrize("check", [text_condition, list_condition, list_problems, mapping_condition])
def test_none_is_no_condition(check: Callable[[Any, str], list[str]]) -> None:
    assert check(None, "x") == []


@pytest.mark.parametrize("value", [*MISSING, [], {}], ids=repr)
def test_an_empty_text_is_a_problem(value: Any) -> None:
    assert text_condition(value, "x") == ["x is empty; leave it out for no condition"]


@pytest.mark.parametrize("value", ["a", " a ", 5, 0])
def test_a_text_or_a_number_is_a_condition(value: Any) -> None:
    assert text_condition(value, "x") == []


@pytest.mark.parametrize("value", [["a"], {"a": 1}, True])
def test_what_is_no_text_is_a_problem(value: Any) -> None:
    assert "must be a text" in text_condition(value, "x")[0]


@pytest.mark.parametrize("value", [*MISSING, None], ids=repr)
def test_an_empty_item_of_a_list_is_named_by_its_number(value: Any) -> None:
    assert list_condition(["a", value], "x") == ["x: item 2 is empty"]
    assert list_problems(["a", value], "x") == ["'x' must be a list of texts: x: item 2 is empty"]


@pytest.mark.parametrize("value", [[], (), set()], ids=repr)
def test_an_empty_list_is_a_condition_that_nothing_meets(value: Any) -> None:
    assert list_condition(value, "x") == list_problems(value, "x") == []


@pytest.mark.parametrize("value", ["a", b"a", {"a": 1}, ["a", 5], 5], ids=repr)
def test_what_is_no_list_of_texts_is_a_problem(value: Any) -> None:
    assert len(list_condition(value, "x")) == 1
    assert "'x' must be a list of texts" in list_problems(value, "x")[0]


@pytest.mark.parametrize(
    "text", [str(["a"] * 100_000), '{"a": 1}', "('a',)"], ids=["list", "object", "tuple"]
)
def test_a_list_that_a_template_made_a_text_is_one_short_problem(text: str) -> None:
    (problem,) = list_problems(text, "x")
    assert "render_template_as_native_obj" in problem
    assert len(problem) < 500


@pytest.mark.parametrize("value", [*MISSING, None, [], {}, [None], ["a", ""]], ids=repr)
def test_an_empty_condition_of_several_is_named(value: Any) -> None:
    problems = mapping_condition({"mode": "eco", "window/open": value}, "filters")
    assert [problem.partition(" is empty")[0] for problem in problems] == [
        "filters: the condition of 'window/open'"
    ]


@pytest.mark.parametrize("value", [{}, [], "a", {1: "a"}, {"": "a"}], ids=repr)
def test_what_are_no_conditions_by_name_is_a_problem(value: Any) -> None:
    assert len(mapping_condition(value, "filters")) == 1


@pytest.mark.parametrize("value", [0, False, "0", "None", 0.0, np.int64(0)], ids=repr)
def test_zero_and_false_are_not_empty(value: Any) -> None:
    assert not is_missing(value)
    assert mapping_condition({"a": value}, "filters") == []


ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(MISSING)


@given(st.dictionaries(st.text(), ANY | st.lists(ANY, max_size=3), max_size=4))
def test_conditions_are_complete_or_refused(filters: dict[str, Any]) -> None:
    incomplete = not filters or any(map(is_blank, filters))
    for value in filters.values():
        items = value if isinstance(value, list) else [value]
        incomplete = incomplete or not items or any(map(is_missing, items))
    assert bool(mapping_condition(filters, "filters")) == incomplete


def test_all_problems_are_raised_at_once() -> None:
    raise_problems([])
    with pytest.raises(InputError, match="2 problems in the task's arguments") as caught:
        raise_problems(["one", "two"])
    assert caught.value.problems == ["one", "two"]
    with pytest.raises(InputError, match="in the query"):
        raise_problems(["one", "two"], "the query")


@pytest.mark.parametrize("text", ["[1]", " {", "\n('a',)", "(1"])
def test_the_text_of_a_list_has_a_hint_at_how_a_list_is_passed(text: str) -> None:
    assert rendered_hint(text).startswith(" that a template made: pass the task's .output, or set")


@pytest.mark.parametrize("text", ["", "a", "a [", "<("])
def test_other_texts_have_no_hint(text: str) -> None:
    assert rendered_hint(text) == ""


@pytest.mark.parametrize("text", ["['a']", " {'a': 1}", "([1],)", "('a',)", '("a",)'])
def test_a_list_that_a_template_made_a_text_is_refused_with_its_length(text: str) -> None:
    with pytest.raises(InputError, match=rf"^rows: is the text of a list \({len(text)} characters"):
        refuse_rendered_list(text, "rows")


@pytest.mark.parametrize("text", ["", "a.csv", "(a).csv", "a[1].csv"])
def test_a_path_is_no_text_of_a_list(text: str) -> None:
    refuse_rendered_list(text, "rows")
    assert list_problems(text, "rows") != []


def test_a_data_frame_is_refused_with_what_to_pass() -> None:
    with pytest.raises(InputError, match=r"^rows: is a DataFrame; pass its rows as a list of objects"):
        refuse_data_frame(pd.DataFrame({"a": [1]}), "rows")
    refuse_data_frame([{"a": 1}], "rows")


@pytest.mark.parametrize("name", ["DataFrame", "GeoDataFrame", "LazyFrame", "Table", "RecordBatch"])
def test_tables_of_each_library_are_refused_by_the_end_of_their_names(name: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_data_frame(type(name, (), {})(), "rows")
    assert str(caught.value) == (
        f"rows: is a {name}; pass its rows as a list of objects, as .to_dict('records'), .to_dicts() or"
        " .to_pylist() return them"
    )
    refuse_data_frame(type(f"{name}s", (), {})(), "rows")


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("", True),
        ("\x1b\u200b ", True),
        ("\x00a", False),
        ("\u00e9", False),
        ("\ue000", False),
        ("\u0301", False),
    ],
    ids=ascii,
)
def test_a_text_is_blank_when_nothing_of_it_can_be_seen(text: str, blank: bool) -> None:
    assert is_blank(text) is blank


def test_problems_of_conditions_say_what_is_wrong_with_which_item() -> None:
    assert list_condition([7, "a", ""], "ids") == ["ids: item 1 is no text: 7", "ids: item 3 is empty"]
    assert list_condition("a", "ids") == ["ids must be a list, not 'a'"]
    assert list_problems("a", "ids") == ["'ids' must be a list of texts, not a text"]
    assert list_problems({"a": 1}, "ids") == ["'ids' must be a list of texts, not {'a': 1}"]
    assert mapping_condition([], "filters") == ["filters must be an object of conditions by name, not []"]
    assert mapping_condition({}, "filters") == ["filters is empty; leave it out for no condition"]
    assert mapping_condition({5: "a", " ": "b", "c": ""}, "filters") == [
        "filters has the name 5, which is no text",
        "filters has a condition without a name",
        "filters: the condition of 'c' is empty ('')",
    ]
