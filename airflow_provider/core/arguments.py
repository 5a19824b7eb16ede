"""Arguments of operators, which a template may have rendered as texts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider.core.conditions import list_problems
from airflow_provider.core.values import (
    UnreadableValueError,
    ValueReader,
    read_boolean,
    read_integer,
    read_number,
)
from airflow_provider.errors import InputError

_READER = ValueReader()


def whole_number(value: Any, name: str, least: int = 0) -> int:
    """Read a whole number.

    :param name: the argument's name, for the error.
    :param least: the smallest one that is allowed.
    :raises InputError: when it is none, or a smaller one.
    """
    text = str(value).strip()
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(text)


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
            found = read_integer(_READER.read(value))
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
            found = read_number(_READER.read(value))
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
            return read_boolean(_READER.read(getattr(self._task, name)))
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
