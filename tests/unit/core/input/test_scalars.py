"""Scalars: numbers and booleans that a template made texts are read as their types, or refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.input.scalars import Scalar, read_scalar, read_scalars
from airflow_provider.errors import InputError

BOOLEAN, INTEGER = Scalar("boolean"), Scalar("integer", least=0)
NUMBER, SECONDS = Scalar("number", least=0, most=1), Scalar("seconds", above=0)
OPTIONAL = Scalar("integer", optional=True, least=1)
GUARD = Scalar("integer", optional=True, guard=True, least=0)


@pytest.mark.parametrize(
    ("scalar", "value", "expected"),
    [
        (BOOLEAN, True, True),
        (BOOLEAN, "False", False),
        (BOOLEAN, " true\n", True),
        (BOOLEAN, "0", False),
        (BOOLEAN, "no", False),
        (BOOLEAN, "Yes", True),
        (BOOLEAN, 1, True),
        (BOOLEAN, np.bool_(False), False),
        (INTEGER, "7", 7),
        (INTEGER, "7.0", 7),
        (INTEGER, np.int64(7), 7),
        (INTEGER, Decimal(7), 7),
        (NUMBER, "0.25", 0.25),
        (NUMBER, 1, 1),
        (SECONDS, "90", 90),
        (SECONDS, "1.5", 1.5),
        (SECONDS, timedelta(minutes=2), 120.0),
        (SECONDS, " 10 days, 23:59:59.25 ", 950399.25),
        (SECONDS, "1:02:03", 3723.0),
        (NUMBER, "0", 0),
        (Scalar("integer", least=1, above=1), 2, 2),
        (SECONDS, str(timedelta(days=1, minutes=2, milliseconds=500)), 86520.5),
        (OPTIONAL, None, None),
        (OPTIONAL, "None", None),
        (OPTIONAL, " ", None),
        (OPTIONAL, "3", 3),
        (GUARD, None, None),
    ],
)
def test_text_of_a_template_is_read_as_its_type(scalar: Scalar, value: Any, expected: Any) -> None:
    found = read_scalar("n", value, scalar)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("scalar", "value", "problem"),
    [
        (BOOLEAN, "maybe", "'n' must be true or false, not 'maybe'"),
        (BOOLEAN, "", "'n' must be true or false, not ''"),
        (BOOLEAN, "None", "'n' must be true or false, not 'None'"),
        (BOOLEAN, None, "'n' must be true or false, not None"),
        (BOOLEAN, 2, "'n' must be true or false, not 2"),
        (BOOLEAN, float("nan"), "'n' must be true or false, not nan"),
        (INTEGER, "-1", "'n' must be a whole number of at least 0, not '-1'"),
        (INTEGER, "1.5", "'n' must be a whole number of at least 0, not '1.5'"),
        (INTEGER, True, "'n' must be a whole number of at least 0, not True"),
        (INTEGER, "True", "'n' must be a whole number of at least 0, not 'True'"),
        (INTEGER, [1], "'n' must be a whole number of at least 0, not [1]"),
        (INTEGER, None, "'n' must be a whole number of at least 0, not None"),
        (NUMBER, "0,5", "'n' must be a number from 0 to 1, not '0,5'"),
        (NUMBER, "nan", "'n' must be a number from 0 to 1, not 'nan'"),
        (NUMBER, float("inf"), "'n' must be a number from 0 to 1, not inf"),
        (SECONDS, "0", "'n' must be a number of seconds above 0, not '0'"),
        (SECONDS, "{{ soon }}", "'n' must be a number of seconds above 0, not '{{ soon }}'"),
        (SECONDS, timedelta(0), "'n' must be a number of seconds above 0, not datetime.timedelta(0)"),
        (OPTIONAL, "0", "'n' must be a whole number of at least 1, or None, not '0'"),
        (GUARD, "", "'n' must be a whole number of at least 0, or None, not ''"),
        (GUARD, "None", "'n' must be a whole number of at least 0, or None, not 'None'"),
        (SECONDS, "1:60:00", "'n' must be a number of seconds above 0, not '1:60:00'"),
        (NUMBER, 1.5, "'n' must be a number from 0 to 1, not 1.5"),
        (
            Scalar("integer", above=0, most=5),
            6,
            "'n' must be a whole number above 0 and at most 5, not 6",
        ),
        (
            Scalar("integer", least=1, above=1),
            1,
            "'n' must be a whole number of at least 1 above 1, not 1",
        ),
        (
            Scalar("seconds", most=31622400),
            "4e7",
            "'n' must be a number of seconds of at most 31622400, not '4e7'",
        ),
        (GUARD, float("nan"), "'n' must be a whole number of at least 0, or None, not nan"),
    ],
)
def test_text_of_another_type_is_a_problem(scalar: Scalar, value: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_scalar("n", value, scalar)
    assert caught.value.problems == [problem]


def test_a_task_reads_all_its_arguments_and_reports_all_problems() -> None:
    task = SimpleNamespace(test_run="False", timeout="soon", max_errors="3", limit="-1")
    scalars = {"test_run": BOOLEAN, "timeout": SECONDS, "max_errors": INTEGER, "limit": OPTIONAL}
    problems = read_scalars(task, scalars)
    assert problems == [
        "'timeout' must be a number of seconds above 0, not 'soon'",
        "'limit' must be a whole number of at least 1, or None, not '-1'",
    ]
    assert (task.test_run, task.max_errors, task.timeout) == (False, 3, "soon")


@given(st.text() | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.text(), max_size=2))
def test_any_value_is_read_or_refused(value: Any) -> None:
    for scalar in (BOOLEAN, INTEGER, NUMBER, SECONDS, OPTIONAL, GUARD):
        found = None
        with suppress(InputError):
            found = read_scalar("n", value, scalar)
        assert found is None or isinstance(found, (bool, int, float))
