"""Scalars: read the templated numbers and booleans of a task, which a template may have made texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from airflow_provider.core.input.conditions import SUBJECT
from airflow_provider.core.input.values import (
    UnreadableValueError,
    ValueReader,
    read_integer,
    read_number,
    shown,
)
from airflow_provider.errors import InputError

Kind = Literal["boolean", "integer", "number", "seconds"]

_KINDS: Mapping[Kind, str] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "seconds": "a number of seconds",
}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_DURATION = r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)"
"""The text of a ``timedelta``: ``1 day, 2:03:04.5``."""


class Scalar(NamedTuple):
    """The type of a templated argument, and its bounds.

    :param kind: ``boolean``, ``integer``, ``number``, or ``seconds`` (a number, or a ``timedelta``).
    :param optional: whether None is allowed; the text ``None`` and an empty text are read as None.
    :param guard: whether None lifts a limit. Only None itself does so then: a template without a value makes
        the text ``None`` or an empty one, which are problems.
    :param least: smallest number allowed.
    :param above: the number must be larger than this.
    :param most: largest number allowed.
    """

    kind: Kind
    optional: bool = False
    guard: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None


def read_scalars(task: Any, scalars: Mapping[str, Scalar]) -> list[str]:
    """Replace a task's templated arguments by values of their types; returns the problems of all of them.

    A template makes text of everything, and the text ``False`` is true: so each argument is read once, before
    any other use. An argument with a problem stays as it is; its bounds are in its :class:`Scalar`, so no
    further check repeats the problem. ::

        SCALARS = {
            "test_run": Scalar("boolean"),
            "timeout": Scalar("seconds", above=0),
            "max_changes": Scalar("integer", optional=True, guard=True, least=0),
        }

        def execute(self, context):
            raise_problems([*read_scalars(self, SCALARS), *check_choice("mode", self.mode, MODES)])

    :param task: the operator or sensor, after its templates were rendered.
    :param scalars: types by names of arguments.
    """
    problems: list[str] = []
    for name, scalar in scalars.items():
        try:
            setattr(task, name, read_scalar(name, getattr(task, name), scalar))
        except InputError as error:
            problems += error.problems
    return problems


def read_scalar(name: str, value: Any, scalar: Scalar) -> Any:
    """Return an argument as a value of its type.

    :param name: the argument's name, for the error.
    :param value: the value, or the text that a template made of it.
    :param scalar: its type and bounds.
    :raises InputError: when it is of another type, or out of bounds.
    """
    if scalar.optional and _is_none(value, scalar.guard):
        return None
    try:
        found = _READERS[scalar.kind](value)
    except UnreadableValueError:
        found = None
    if found is None or not _within(found, scalar):
        raise InputError(f"'{name}' must be {_expected(scalar)}, not {shown(value)}", SUBJECT)
    return found


def _is_none(value: Any, guard: bool) -> bool:
    return value is None or (not guard and isinstance(value, str) and value.strip() in ("None", ""))


def _within(number: float, scalar: Scalar) -> bool:
    return (
        (scalar.least is None or number >= scalar.least)
        and (scalar.above is None or number > scalar.above)
        and (scalar.most is None or number <= scalar.most)
    )


def _expected(scalar: Scalar) -> str:
    text = f"{_KINDS[scalar.kind]}{_bounds(scalar)}"
    return f"{text}, or None" if scalar.optional else text


def _bounds(scalar: Scalar) -> str:
    if scalar.least is not None and scalar.most is not None:
        return f" from {scalar.least:.12g} to {scalar.most:.12g}"
    found = []
    if scalar.least is not None:
        found.append(f"of at least {scalar.least:.12g}")
    if scalar.above is not None:
        found.append(f"above {scalar.above:.12g}")
    if scalar.most is not None:
        found.append(f"{'and ' if found else 'of '}at most {scalar.most:.12g}")
    return "".join(f" {one}" for one in found)


def _read_boolean(value: Any) -> bool | None:
    text = str(_plain(value)).strip().lower()
    return _BOOLEANS.get(text)


def _read_integer(value: Any) -> int:
    return read_integer(_plain(value))


def _read_number(value: Any) -> float:
    return read_number(_plain(value))


def _read_seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (parts := re.fullmatch(_DURATION, value.strip())):
        days, hours, minutes, seconds = parts.groups(default="0")
        return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return _read_number(value)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy or pandas, a Decimal and the like as Python's own."""
    return ValueReader().read(value)


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "boolean": _read_boolean,
    "integer": _read_integer,
    "number": _read_number,
    "seconds": _read_seconds,
}
