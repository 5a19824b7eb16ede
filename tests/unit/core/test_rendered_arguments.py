"""Rendered arguments: texts that a template made are read as their types, all problems in one error."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from airflow_provider.core.arguments import RenderedArguments
from airflow_provider.errors import InputError


def reader(value: Any) -> RenderedArguments:
    return RenderedArguments(SimpleNamespace(x=value))


@pytest.mark.parametrize("value", [5, 5.0, "5", " 5 ", "5.0", np.int64(5)])
def test_a_whole_number_is_read(value: Any) -> None:
    arguments = reader(value)
    assert arguments.whole("x", 1, 8) == 5
    arguments.raise_if_any()


@pytest.mark.parametrize("value", [0, 9, "nine", "5.5", 5.5, True, None, "", float("nan"), [5], "None"])
def test_what_is_no_whole_number_between_the_bounds_is_refused(value: Any) -> None:
    arguments = reader(value)
    arguments.whole("x", 1, 8)
    with pytest.raises(InputError, match="'x' must be"):
        arguments.raise_if_any()


@pytest.mark.parametrize("value", [0.5, "0.5", timedelta(milliseconds=500), np.float32(0.5)])
def test_a_number_is_read(value: Any) -> None:
    arguments = reader(value)
    assert arguments.number("x") == 0.5
    arguments.raise_if_any()


@pytest.mark.parametrize("value", [0, -1, "0", "soon", "0,5", None, True, float("inf"), timedelta()])
def test_what_is_no_number_above_the_bound_is_refused(value: Any) -> None:
    arguments = reader(value)
    arguments.number("x")
    with pytest.raises(InputError, match="'x'"):
        arguments.raise_if_any()


@pytest.mark.parametrize(("value", "read"), [(True, True), ("True", True), ("false", False), (0, False)])
def test_a_flag_is_read(value: Any, read: bool) -> None:
    arguments = reader(value)
    assert arguments.flag("x") is read
    arguments.raise_if_any()


@pytest.mark.parametrize("value", ["", "maybe", None, 2, []])
def test_what_is_no_flag_is_refused(value: Any) -> None:
    arguments = reader(value)
    arguments.flag("x")
    with pytest.raises(InputError, match="'x' must be true or false"):
        arguments.raise_if_any()


@pytest.mark.parametrize("value", [None, [], ["a"], ("a", "b")])
def test_a_list_of_texts_is_read(value: Any) -> None:
    arguments = reader(value)
    assert arguments.texts("x") == (None if value is None else list(value))
    arguments.raise_if_any()


@pytest.mark.parametrize("value", ["a", b"a", {"a": 1}, [None], [""], ["a", 5], 5])
def test_what_is_no_list_of_texts_is_refused(value: Any) -> None:
    arguments = reader(value)
    arguments.texts("x")
    with pytest.raises(InputError, match="'x' must be a list of texts"):
        arguments.raise_if_any()


def test_a_rendered_list_is_one_short_problem() -> None:
    arguments = reader(str(["a"] * 100_000))
    arguments.texts("x")
    with pytest.raises(InputError, match="render_template_as_native_obj") as caught:
        arguments.raise_if_any()
    assert len(str(caught.value)) < 500


def test_all_problems_are_in_one_error() -> None:
    arguments = RenderedArguments(SimpleNamespace(a="x", b="y", c="z"))
    arguments.whole("a")
    arguments.flag("b")
    arguments.texts("c")
    with pytest.raises(InputError) as caught:
        arguments.raise_if_any()
    assert len(caught.value.problems) == 3
