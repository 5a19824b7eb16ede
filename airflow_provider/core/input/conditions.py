"""Conditions: an empty or null one never widens a selection.

An argument that is None by default means "no condition". What was named and is empty is an error before the
first request, because a missing value (an empty XCom, a template without a value) would otherwise select
everything. An empty list of ids or names selects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_provider.core.input.values import is_blank, is_missing, shown
from airflow_provider.errors import InputError

SUBJECT = "the task's arguments"
"""Subject of errors about arguments."""

_TABLES = ("DataFrame", "LazyFrame", "Table", "RecordBatch")
"""Ends of the names of data libraries' types that are no lists of objects."""

_RENDERED = r"""\s*([\[{]|\(\s*[\[{('"])"""
"""Beginning of the text of a list, an object or a tuple of texts."""


def text_condition(value: Any, name: str) -> list[str]:
    """Return what is wrong with a condition that is one text or number; nothing for None.

    :param value: the argument.
    :param name: its name.
    """
    if value is None:
        return []
    if is_missing(value):
        return [f"{name} is empty; leave it out for no condition"]
    if isinstance(value, (Mapping, list, tuple, set, bool)):
        return [f"{name} must be a text, not {shown(value)}"]
    return []


def list_condition(value: Any, name: str) -> list[str]:
    """Return what is wrong with a condition that is a list of ids or names; nothing for None.

    An empty list is a condition that nothing meets.

    :param value: the argument.
    :param name: its name.
    """
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        return [f"{name} must be a list, not {shown(value)}"]
    return [
        f"{name}: item {number} is empty"
        if is_missing(item)
        else f"{name}: item {number} is no text: {shown(item)}"
        for number, item in enumerate(value, start=1)
        if is_missing(item) or not isinstance(item, str)
    ]


def mapping_condition(value: Any, name: str) -> list[str]:
    """Return what is wrong with conditions by name, such as filters; nothing for None.

    :param value: the argument; each condition in it needs a value.
    :param name: its name.
    """
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return [f"{name} must be an object of conditions by name, not {shown(value)}"]
    if not value:
        return [f"{name} is empty; leave it out for no condition"]
    wrong = [
        f"{name} has the name {shown(key)}, which is no text" for key in value if not isinstance(key, str)
    ]
    wrong += [
        f"{name} has a condition without a name" for key in value if isinstance(key, str) and is_blank(key)
    ]
    return wrong + [
        f"{name}: the condition of {key!r} is empty ({shown(one)})"
        for key, one in value.items()
        if is_missing(one) or (isinstance(one, (list, tuple, set)) and any(map(is_missing, one)))
    ]


def raise_problems(problems: Iterable[str], subject: str = SUBJECT) -> None:
    """Raise all problems of arguments in one error; nothing when there are none.

    :param problems: the problems, a sentence each.
    :param subject: what they are problems of.
    :raises InputError: with all of them.
    """
    if found := list(problems):
        raise InputError(found, subject)


def list_problems(value: Any, name: str) -> list[str]:
    """Return the problems of an argument that must be a list of texts; none for None.

    :param value: the argument.
    :param name: its name.
    """
    if isinstance(value, str):
        return [f"'{name}' must be a list of texts, not a text{rendered_hint(value)}"]
    if isinstance(value, (bytes, Mapping)) or (value is not None and not isinstance(value, Collection)):
        return [f"'{name}' must be a list of texts, not {shown(value)}"]
    return [f"'{name}' must be a list of texts: {problem}" for problem in list_condition(value, name)]


def rendered_hint(text: str) -> str:
    """Return how to pass a list or an object that a template has made a text; empty for other texts.

    :param text: the argument's value.
    """
    if text.lstrip()[:1] not in ("[", "{", "("):
        return ""
    return (
        " that a template made: pass the task's .output, or set render_template_as_native_obj=True on the DAG"
    )


def refuse_rendered_list(text: str, subject: str) -> None:
    """Refuse a list that a template has made a text.

    :param text: the argument's value.
    :param subject: the argument's name.
    :raises InputError: saying how a list is passed on.
    """
    if re.match(_RENDERED, text):
        raise InputError(
            f"is the text of a list ({len(text)} characters, from a template): pass the task's .output, or"
            " set render_template_as_native_obj=True on the DAG",
            subject,
        )


def refuse_data_frame(source: object, subject: str) -> None:
    """Refuse a data frame, whose items are the names of its columns.

    :param source: the argument's value.
    :param subject: the argument's name.
    :raises InputError: saying how its rows are passed.
    """
    if type(source).__name__.endswith(_TABLES):
        raise InputError(
            f"is a {type(source).__name__}; pass its rows as a list of objects, as .to_dict('records'),"
            " .to_dicts() or .to_pylist() return them",
            subject,
        )
