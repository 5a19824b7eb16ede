"""Argument checks: validate operators' arguments, which a template may have rendered as texts.

A ``check_`` function returns the problems it finds, none or one, so that a task reports all of them at once::

    raise_problems([*check_choice("mode", self.mode, MODES), *check_positive("timeout", self.timeout)])

Templated numbers and booleans are read as their types first, see :func:`read_scalars`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from airflow_provider.core.input.conditions import list_problems
from airflow_provider.core.input.values import (
    UnreadableValueError,
    read_boolean,
    read_integer,
    read_number,
)
from airflow_provider.errors import InputError

SUBJECT = "the task's arguments"
"""Subject of errors about arguments."""


def raise_problems(problems: Iterable[str]) -> None:
    """Raise the problems of a task's arguments, if there are any.

    :raises InputError: with all problems.
    """
    if found := list(problems):
        raise InputError(found, SUBJECT)


def whole_number(value: Any, name: str, least: int = 0) -> int:
    """Read a whole number from a number or a text.

    :param name: the argument's name, for the error.
    :param least: the smallest number allowed.
    :raises InputError: when the value is not a whole number, or smaller.
    """
    text = str(value).strip()
    if not text.isdecimal() or int(text) < least:
        raise InputError(_whole(name, value, least), SUBJECT)
    return int(text)


def check_whole_number(name: str, value: Any, least: int = 0) -> list[str]:
    """Require an integer of at least ``least``; a text is not accepted."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return [] if fits else [_whole(name, value, least)]


def _whole(name: str, value: Any, least: int) -> str:
    return f"'{name}' must be a whole number of at least {least}, not {value!r}"


def check_range(name: str, value: Any, least: float, most: float) -> list[str]:
    """Require a number between two bounds, both inclusive."""
    fits = isinstance(value, (int, float)) and least <= value <= most
    return [] if fits else [f"'{name}' must be from {least} to {most}, not {value!r}"]


def check_positive(name: str, value: Any) -> list[str]:
    """Require a number above 0."""
    fits = isinstance(value, (int, float)) and value > 0
    return [] if fits else [f"'{name}' must be above 0, not {value!r}"]


def check_choice(name: str, value: Any, allowed: Collection[str]) -> list[str]:
    """Require one of some texts."""
    return [] if value in allowed else [f"'{name}' must be one of {', '.join(allowed)}, not {value!r}"]


def check_not_empty(name: str, value: Any) -> list[str]:
    """Require a value that is not empty."""
    return [] if value else [f"'{name}' is empty"]


def check_texts(name: str, value: Any) -> list[str]:
    """Require a list of texts that are not empty, or None."""
    if value is None:
        return []
    fits = not isinstance(value, str) and all(isinstance(item, str) and item for item in value)
    return [] if fits else [f"'{name}' must be a list of texts"]


def check_exactly_one(arguments: Mapping[str, Any]) -> list[str]:
    """Require exactly one argument that is not None.

    :param arguments: the values by name.
    """
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) == 1:
        return []
    *others, last = (f"'{name}'" for name in arguments)
    found = f"not {' and '.join(given)}" if given else "none is given"
    return [f"give exactly one of {', '.join(others)} and {last}; {found}"]


def check_file_path(name: str, value: str) -> list[str]:
    """Require a path that names a file, not a folder."""
    fits = value.strip() and not value.endswith("/")
    return [] if fits else [f"'{name}' names no file: {value!r}"]


Kind = Literal["boolean", "integer", "number", "seconds"]

_KINDS: Mapping[Kind, str] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "seconds": "a number of seconds",
}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_DURATION = re.compile(r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")
"""The text of a ``timedelta``: ``1 day, 2:03:04.5``."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """The type of a templated argument, and its bounds.

    :param kind: ``boolean``, ``integer``, ``number``, or ``seconds`` (a number, or a ``timedelta``).
    :param optional: whether None is allowed; the text ``None`` and an empty text are read as None.
    :param guard: whether None lifts a limit. An empty text is a problem then, as a template without a value
        would lift it; the text ``None`` is still None.
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
    from airflow_provider.core.input.values import UnreadableValueError, shown

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
    text = value.strip() if isinstance(value, str) else value
    return text is None or text == "None" or (text == "" and not guard)


def _within(number: float, scalar: Scalar) -> bool:
    return (
        (scalar.least is None or number >= scalar.least)
        and (scalar.above is None or number > scalar.above)
        and (scalar.most is None or number <= scalar.most)
    )


def _expected(scalar: Scalar) -> str:
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", scalar.least), ("above", scalar.above), ("at most", scalar.most))
        if bound is not None
    ]
    of = "of " if bounds and bounds[0].startswith("at") else ""
    text = f"{_KINDS[scalar.kind]} {of}{' and '.join(bounds)}".strip()
    return f"{text}, or None" if scalar.optional else text


def _read_boolean(value: Any) -> bool | None:
    text = str(_plain(value)).strip().lower()
    return _BOOLEANS.get(text)


def _read_integer(value: Any) -> int:
    from airflow_provider.core.input.values import read_integer

    return read_integer(_plain(value))


def _read_number(value: Any) -> float:
    from airflow_provider.core.input.values import read_number

    return read_number(_plain(value))


def _read_seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (parts := _DURATION.fullmatch(value.strip())):
        days, hours, minutes, seconds = parts.groups(default="0")
        return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return _read_number(value)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy or pandas, a Decimal and the like as Python's own."""
    from airflow_provider.core.input.values import ValueReader

    return ValueReader().read(value)


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "boolean": _read_boolean,
    "integer": _read_integer,
    "number": _read_number,
    "seconds": _read_seconds,
}


class RenderedArguments:
    """Reader of a task's arguments after templating: a text is read as its type, problems are collected.

    A method that records a problem returns a usable value all the same; :meth:`raise_if_any` comes last::

        arguments = RenderedArguments(self)
        concurrency = arguments.whole("concurrency", 1, 32)
        arguments.raise_if_any()

    :param task: the operator or sensor.
    """

    def __init__(self, task: object) -> None:
        self._task = task
        self.problems: list[str] = []

    def whole(self, name: str, least: int = 0, most: int | None = None) -> int:
        """Return a whole number between two bounds, both inclusive.

        :param name: the argument's name.
        :param least: smallest value allowed.
        :param most: greatest value allowed; None for no bound.
        """
        value = getattr(self._task, name)
        try:
            found = read_integer(_plain(value))
        except UnreadableValueError as problem:
            self.problems.append(f"'{name}' {problem}")
            return least
        if found < least or (most is not None and found > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            self.problems.append(f"'{name}' must be {bounds}, not {found}")
            return least
        return found

    def number(self, name: str, above: float = 0) -> float:
        """Return a number above a bound; a ``timedelta`` is a number of seconds.

        :param name: the argument's name.
        :param above: greatest number that is not allowed.
        """
        value = getattr(self._task, name)
        if isinstance(value, timedelta):
            value = value.total_seconds()
        try:
            found = read_number(_plain(value))
        except UnreadableValueError as problem:
            self.problems.append(f"'{name}' {problem}")
            return above + 1
        if found <= above:
            self.problems.append(f"'{name}' must be above {above:g}, not {found:g}")
            return above + 1
        return found

    def flag(self, name: str) -> bool:
        """Return a boolean.

        :param name: the argument's name.
        """
        try:
            return read_boolean(_plain(getattr(self._task, name)))
        except UnreadableValueError as problem:
            self.problems.append(f"'{name}' {problem}")
            return False

    def texts(self, name: str) -> list[str] | None:
        """Return a list of texts without empty ones; None for None.

        :param name: the argument's name.
        """
        value = getattr(self._task, name)
        if problems := list_problems(value, name):
            self.problems += problems
            return []
        return None if value is None else list(value)

    def raise_if_any(self) -> None:
        """Raise all problems at once.

        :raises InputError: when there is a problem.
        """
        if self.problems:
            raise InputError(self.problems, "the task's arguments")
