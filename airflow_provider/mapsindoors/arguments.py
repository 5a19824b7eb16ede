"""Arguments: validate conditions of tasks and hooks, and read values that a template rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.input.conditions import (
    SUBJECT,
    list_condition,
    raise_problems,
    refuse_rendered_list,
    text_condition,
)
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.scalars import Scalar
from airflow_provider.core.input.values import is_missing, shown
from airflow_provider.core.sync import paths
from airflow_provider.mapsindoors.api import BASE_TYPES

MATCH_KEYS = ("id", "externalId", "administrativeid")
"""Match keys that are no property."""

DISTANT: Mapping[str, Scalar] = {"allow_distant": Scalar("boolean")}
"""The argument of tasks that place objects."""

BATCH: Mapping[str, Scalar] = {"batch_size": Scalar("integer", least=1)}
"""The argument of tasks that write."""

DELETE_SCALARS: Mapping[str, Scalar] = {**BATCH, "max_deletes": Scalar("integer", least=0)}
"""Arguments of the operator that deletes."""

SYNC_SCALARS: Mapping[str, Scalar] = {
    **DELETE_SCALARS,
    **DISTANT,
    "restore": Scalar("boolean"),
    "verify": Scalar("boolean"),
    "max_changes": Scalar("integer", optional=True, guard=True, least=0),
    "max_delete_ratio": Scalar("number", least=0, most=1),
}
"""Arguments of the operator that syncs."""

_SCOPE = ("base_types", "root_element")


class Arguments:
    """Reader of the arguments that select objects of a map.

    All problems are collected in ``problems``; :meth:`raise_if_any` raises them at once.

    :param problems: problems found before.
    """

    def __init__(self, problems: list[str] | None = None) -> None:
        self.problems: list[str] = problems or []

    def match_on(self, value: Any) -> str:
        """Return a match key: a field, or a property with its language."""
        name = value.strip() if isinstance(value, str) else value
        if is_missing(name):
            self.problems.append(f"match_on is empty; it is one of {', '.join(MATCH_KEYS)}, or a property")
        elif isinstance(name, str) and name.lower() == "administrativeid":
            return "administrativeid"
        elif not isinstance(name, str) or not (name in MATCH_KEYS or _is_property(name)):
            self.problems.append(
                f"match_on must be one of {', '.join(MATCH_KEYS)}, or a property such as roomno@generic, not"
                f" {shown(value)}{nearest(str(value)[:100], MATCH_KEYS)}"
            )
        return str(name)

    def scope(self, value: Any) -> dict[str, Any]:
        """Return a scope; an empty object for None, which limits nothing."""
        if value is None:
            return {}
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            refuse_rendered_list(value, "scope")
        if not isinstance(value, Mapping):
            self.problems.append(f"scope must be an object, not {shown(value)}")
            return {}
        if not value:
            self.problems.append("scope is empty; leave it out to compare everything")
        known = {str(name): one for name, one in value.items() if name in _SCOPE}
        hints = [f"{name}{nearest(str(name), _SCOPE)}" for name in value if name not in _SCOPE]
        if hints:
            self.problems.append(f"scope has unknown keys: {', '.join(sorted(hints))}")
        if "base_types" in known:
            known["base_types"] = self._types("scope base_types", known["base_types"], required=True)
        if "root_element" in known:
            known["root_element"] = self._root("scope root_element", known["root_element"], required=True)
        return known

    def base_types(self, value: Any) -> set[str] | None:
        """Return base types; None for no condition, an empty set for none of them."""
        return None if value is None else set(self._types("base_types", value))

    def root_element(self, value: Any) -> str | None:
        """Return the id of the object to start from; None for no condition."""
        return self._root("root_element", value)

    def raise_if_any(self) -> None:
        """Raise the problems.

        :raises InputError: when there is one.
        """
        raise_problems(self.problems, SUBJECT)

    def _types(self, name: str, value: Any, required: bool = False) -> list[str]:
        if isinstance(value, str):
            refuse_rendered_list(value, name)
            value = [value]
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=str)
        wrong = [f"{name} is empty"] if value is None and required else list_condition(value, name)
        if not wrong:
            unknown = [f"{one}{nearest(one, BASE_TYPES)}" for one in value if one not in BASE_TYPES]
            known = f"; known are {', '.join(BASE_TYPES)}"
            wrong = [f"{name} has unknown types: {', '.join(unknown)}{known}"] if unknown else []
        self.problems += wrong
        return [] if wrong else list(dict.fromkeys(value))

    def _root(self, name: str, value: Any, required: bool = False) -> str | None:
        wrong = [f"{name} is empty"] if value is None and required else text_condition(value, name)
        if not wrong and value is not None and not isinstance(value, str):
            wrong = [f"{name} must be a text, not {shown(value)}"]
        self.problems += wrong
        return None if wrong or value is None else str(value).strip()


def _is_property(name: str) -> bool:
    key, _, language = name.partition("@")
    return bool(key.strip() and language.strip() and "@" not in language)


def check_paths(task: Any, *written: str, read: str) -> None:
    """Check a task's paths that may be left out.

    :param task: the task's operator.
    :param written: arguments with the paths of files to write.
    :param read: argument with the path of a file to read.
    :raises InputError: for each path that a template has lost, and for a file that cannot be written.
    """
    from airflow_provider.core.files.storage import ensure_writable

    raise_problems(paths.rendered_path_problems(task, *written, read))
    for name in written:
        if (path := getattr(task, name)) is not None:
            ensure_writable(path, name)
