"""Argument checks: validate operators' arguments, which a template may have rendered as texts.

A ``check_`` function returns the problems it finds, none or one, so that a task reports all of them at once::

    raise_problems([*check_choice("mode", self.mode, MODES), *check_positive("timeout", self.timeout)])
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

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
