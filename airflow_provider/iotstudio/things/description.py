"""Descriptions of Things and categories: their fields, validated before any request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, is_blank, shown, shown_value
from airflow_provider.iotstudio.values import read_value

NAME = re.compile(r"[a-zA-Z0-9_:-]{1,26}")
"""Names of categories and models."""

SERVER_FIELDS = ("uid", "id", "href", "base", "created", "modified", "client_id")
"""Fields that the service sets."""

EMPTY: Mapping[str, Any] = {
    "description": "",
    "@type": [],
    "@context": "",
    "categories": [],
    "model": None,
    "properties": {},
    "actions": {},
    "events": {},
    "links": [],
}
"""What a field is set to when its value is None; a title cannot be empty."""

FIELDS = ("title", *EMPTY)
"""Fields of a description that clients set, beside the values in ``status``."""

TEMPLATE_FIELDS = ("title", "description", "properties", "actions", "events", "links")
"""Fields that a model's template replaces."""

_TEXTS = ("title", "description", "@context")
_OBJECTS = ("properties", "actions", "events")


def read_description(
    fields: object, *, status: bool = False, none: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Return a description's fields as JSON, and what is wrong with them.

    :param fields: the fields by name.
    :param status: whether current values may be among them, as in a new Thing.
    :param none: whether None empties a field; else it is left out, as NaN always is.
    """
    if not isinstance(fields, Mapping):
        return {}, [f"a description is an object of fields by name, not {shown(fields)}"]
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in fields.items():
        try:
            read = read_value(value)
        except UnreadableValueError as problem:
            problems.append(f"{shown(name)} {problem}")
            continue
        if wrong := _name_problem(name, status=status):
            problems.append(wrong)
        elif read is ABSENT or (read is None and not none):
            continue
        elif read is None and name in EMPTY:
            found[name] = EMPTY[name]
        else:
            found[name] = read
    problems += [problem for name, value in found.items() for problem in _problems(name, value)]
    return found, problems


def _name_problem(name: object, *, status: bool) -> str:
    if name in FIELDS or (name == "status" and status):
        return ""
    if name == "status":
        return "'status' has current values, which are written with set_properties"
    if name in SERVER_FIELDS:
        return f"{name!r} is set by the service"
    return f"{shown(name)} is no field of a Thing's description{nearest(str(name), FIELDS)}"


def _problems(name: str, value: Any) -> list[str]:
    if name == "categories":
        return category_problems(value)
    if name == "model":
        return model_problems(value)
    if name == "title" and isinstance(value, str) and is_blank(value):
        return ["'title' is empty"]
    if name == "@type":
        texts = [value] if isinstance(value, str) else value
        right = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        return [] if right else [f"'@type' must be a text or a list of texts, not {shown_value(value)}"]
    if name == "links":
        right = isinstance(value, list) and all(isinstance(link, dict) for link in value)
        return [] if right else [f"'links' must be a list of objects, not {shown_value(value)}"]
    if name in _TEXTS:
        return [] if isinstance(value, str) else [f"{name!r} must be a text, not {shown_value(value)}"]
    return _object_problems(name, value)


def _object_problems(name: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{name!r} must be an object, not {shown_value(value)}"]
    if name not in _OBJECTS:
        return []
    return [
        f"{name!r}: the declaration of {shown(key)} must be an object, not {shown_value(one)}"
        for key, one in value.items()
        if not isinstance(one, dict)
    ]


def category_problems(value: Any) -> list[str]:
    """Return what is wrong with the names of a Thing's categories.

    :param value: the list of names.
    """
    if not isinstance(value, list):
        return [f"'categories' must be a list of names, not {shown_value(value)}"]
    wrong = [problem for name in value for problem in catalog_name_problems(name, "categories")]
    twice = sorted({name for name in value if isinstance(name, str) and value.count(name) > 1})
    return wrong + [f"'categories' has {shown_value(name)} twice" for name in twice]


def model_problems(value: Any) -> list[str]:
    """Return what is wrong with the reference to a model; None refers to none.

    :param value: ``{"name": ..., "version": ...}``.
    """
    if value is None:
        return []
    if not isinstance(value, dict) or "name" not in value:
        return [f"'model' must be an object with a name and a version, not {shown_value(value)}"]
    wrong = [
        f"'model' has an unknown member {shown(name)}" for name in value if name not in ("name", "version")
    ]
    wrong += catalog_name_problems(value["name"], "model")
    version = value.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
        wrong.append(f"'model': the version must be a whole number of at least 1, not {shown_value(version)}")
    return wrong


def catalog_name_problems(name: object, argument: str) -> list[str]:
    """Return what is wrong with the name of a category or a model.

    :param name: the name.
    :param argument: the name's argument or field.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return []
    return [f"{argument!r}: a name has 1 to 26 letters, digits, '_', ':' and '-', not {shown_value(name)}"]


def patch_of(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON Patch that sets fields; repeating it changes nothing.

    :param fields: new values by field.
    """
    # "add" sets a member whether or not it is there; "replace" fails without it.
    return [{"op": "add", "path": f"/{name}", "value": value} for name, value in fields.items()]
