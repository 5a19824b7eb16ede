"""Argument checks: validate operators' arguments, which a template may have rendered as texts.

A ``check_`` function returns the problems it finds, none or one, so that a task reports all of them at once::

    raise_problems([*read_scalars(self, SCALARS), *check_choice("mode", self.mode, MODES)])
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider.core.input.values import shown


def check_choice(name: str, value: Any, allowed: Collection[str]) -> list[str]:
    """Require one of some texts."""
    if value in allowed:
        return []
    from airflow_provider.core.input.problems import nearest

    hint = nearest(value[:100], allowed) if isinstance(value, str) else ""
    return [f"'{name}' must be one of {', '.join(allowed)}, not {shown(value)}{hint}"]


def check_not_empty(name: str, value: Any) -> list[str]:
    """Require a value that is not empty."""
    return [] if value else [f"'{name}' is empty"]


def check_rendered(name: str, value: Any) -> list[str]:
    """Require a value that no template has lost: not the text of None, and no empty one.

    Read as None, such a text would silently drop what the argument asks for.
    """
    if not isinstance(value, str) or value.strip() not in ("", "None"):
        return []
    if not value.strip():
        return [f"'{name}' is empty; leave it out if it is not needed"]
    return [f"'{name}' is the text 'None', which a template made of a value that is not there"]


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


def check_without(name: str, others: Mapping[str, Any]) -> list[str]:
    """Require that arguments are None, which cannot be given together with another one.

    :param name: the other argument.
    :param others: the values by name.
    """
    given = [other for other, value in others.items() if value is not None]
    return [f"give either '{other}' or '{name}', not both" for other in given]


def check_file_path(name: str, value: str) -> list[str]:
    """Require a path that names a file, not a folder."""
    fits = value.strip() and not value.endswith("/")
    return [] if fits else [f"'{name}' names no file: {value!r}"]
