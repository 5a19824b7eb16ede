"""Requests as data: what may stand in a URL."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.http.call import SUCCESS, UNSET, Call, pairs, segment
from airflow_provider.errors import InputError

ID = UUID("0a1b2c3d-0000-4000-8000-000000000001")
MISSING = [float("nan"), np.float64("nan"), pd.NA, pd.NaT, Decimal("NaN"), np.datetime64("NaT")]
NO_TEXTS = [[[1]], {"id": 1}, b"x", float("inf"), object]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a/b?c", "a%2Fb%3Fc"),
        (7, "7"),
        (np.int64(7), "7"),
        (7.0, "7"),
        (Decimal(7), "7"),
        (Decimal("7.5"), "7.5"),
        (ID, str(ID)),
        (np.str_("a b"), "a%20b"),
        (0, "0"),
    ],
    ids=repr,
)
def test_an_id_of_any_library_becomes_plain_text(value: Any, expected: str) -> None:
    assert segment(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        ".",
        "..",
        " . ",
        "None",
        "nan",
        "NaN",
        " None ",
        "<NA>",
        "NaT",
        True,
        *NO_TEXTS,
        *MISSING,
    ],
    ids=repr,
)
def test_a_missing_id_never_gets_into_a_url(value: Any) -> None:
    with pytest.raises(InputError, match="a name or an id in a request"):
        segment(value)


def test_a_value_that_is_no_text_is_refused_with_the_reason() -> None:
    for value, reason in (
        (object(), "is a object, which has no JSON form"),
        (b"x", "is binary"),
        ([1], "must be a text"),
    ):
        with pytest.raises(InputError, match=f"^a name or an id in a request {reason}"):
            segment(value)


def test_query_parameters_become_plain_text() -> None:
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    params = {
        "ids": [np.int64(1), Decimal(2), 3.0],
        "flag": np.bool_(True),
        "plain": False,
        "none": None,
        "empty": "",
        "at": moment,
        "id": ID,
    }
    assert pairs(params) == (
        ("ids", "1"),
        ("ids", "2"),
        ("ids", "3"),
        ("flag", "true"),
        ("plain", "false"),
        ("empty", ""),
        ("at", "2026-01-31T12:00:00Z"),
        ("id", str(ID)),
    )


@pytest.mark.parametrize("value", [*MISSING, [None], ["a", float("nan")], *NO_TEXTS], ids=repr)
def test_a_query_parameter_without_a_value_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="the query parameter 'category'"):
        pairs({"category": value})


@given(st.text() | st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.integers()))
def test_any_value_is_a_segment_or_refused(value: Any) -> None:
    try:
        made = segment(value)
    except InputError:
        return
    assert made
    assert "/" not in made
    assert made not in {"None", "nan", ".", ".."}


def test_a_body_is_json_a_form_or_bytes_and_nothing_is_no_null() -> None:
    assert Call[Any]("GET", "x").body() == (None, None)
    assert Call[Any]("PUT", "x", json=None).body() == (b"null", "application/json")
    form = Call[Any]("POST", "x", form={"a": "b c"}).body()
    assert form == (b"a=b+c", "application/x-www-form-urlencoded")
    assert Call[Any]("PUT", "x", content=b"c").body() == (b"c", None)
    stream, kind = Call[Any]("PUT", "x", content=lambda: iter([b"c"])).body()
    assert (list(stream or ()), kind) == ([b"c"], None)
    assert not UNSET


def test_a_call_is_shown_by_its_purpose_alone() -> None:
    assert repr(Call[Any]("GET", "x?token=1", name="read")) == "<Call GET (read)>"
    assert repr(Call[Any]("GET", "x?token=1")) == "<Call GET (without a name)>"
    assert frozenset(range(200, 300)) == SUCCESS


def test_a_name_with_half_a_character_is_refused() -> None:
    with pytest.raises(InputError, match=r"^'a\\ud800' cannot be a name .*: it is not valid text$"):
        segment("a\ud800")
