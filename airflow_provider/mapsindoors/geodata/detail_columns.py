"""Columns of additional details: read ``detail.website`` and ``detail.hours.monday`` of a row."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from airflow_provider.core.input.values import (
    UnreadableValueError,
    read_boolean,
    read_text,
    shown_value,
)
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata.details import DAYS, PREFIX, TEXT_MEMBERS

COLUMN_MEMBERS = (*TEXT_MEMBERS, "active", *DAYS)
"""Members that a column can have, beside displayed texts."""

_CLOSED = ("closed", "-")
_SPAN = re.compile(r"\s*(.*?\S)\s*[-\u2013]\s*(\S.*?)\s*")


def column_path(name: str) -> tuple[str, ...]:
    """Return the key of a detail and the member that a column is about.

    The last part of ``detail.<key>.<member>`` is a member when it is the name of one; otherwise it belongs to
    the key, and the column is the detail's value.

    :param name: the column.
    """
    rest = name[len(PREFIX) :]
    head, _, last = rest.rpartition(".")
    if head and (last in COLUMN_MEMBERS or re.fullmatch(r"displayText@.+", last)):
        return head.strip(), last
    return rest.strip(), "value"


def column_problem(name: str) -> str:
    """Return what is wrong with the name of a column of a detail; an empty text for nothing.

    A member in other capitals would be a part of the key, and so the value of a new detail.

    :param name: the column.
    """
    rest = name[len(PREFIX) :]
    head, _, last = rest.rpartition(".")
    member, at, language = last.partition("@")
    known = (*COLUMN_MEMBERS, "displayText")
    meant = next((one for one in known if one.lower() == member.strip().lower()), "")
    if not head or not meant or (member == meant and bool(at) == (meant == "displayText")):
        return ""
    at_language = f"@{language or 'en'}" if meant == "displayText" else ""
    return f"is no column of a detail; did you mean '{PREFIX}{head[:60]}.{meant}{at_language}'?"


def add_column(details: dict[str, Json], path: tuple[str, ...], value: Any) -> None:
    """Add a column's value to the details of a row.

    :param details: the details by key; it is changed.
    :param path: what :func:`column_path` has returned.
    :param value: the value, as JSON has it.
    :raises UnreadableValueError: when the value does not fit.
    """
    key, member = path
    detail = details.setdefault(key, {"key": key})
    if isinstance(value, dict) and member == "value":
        more = {name: one for name, one in value.items() if name != "key" or one != key}
        for name, one in more.items():
            # The row's own objects stay as they are when columns add members to them.
            _put(detail, name, deepcopy(one))
    elif member in DAYS:
        hours = _inner(_inner(detail, "openingHours"), "standardOpeningHours")
        _put(hours, member, _read_day(value))
    elif member.startswith("displayText@"):
        _put(_inner(detail, "displayText"), member.partition("@")[2], read_text(value))
    else:
        _put(detail, member, read_boolean(value) if member == "active" else read_text(value).strip())


def _inner(members: Json, name: str) -> Json:
    inner = members.setdefault(name, {})
    if not isinstance(inner, dict):
        raise UnreadableValueError(f"is in {name}, which is given as {shown_value(inner)}, not as an object")
    return inner


def _put(members: Json, name: str, value: Any) -> None:
    if name in members:
        raise UnreadableValueError(f"has {name}, which is given twice")
    members[name] = value


def _read_day(value: Any) -> Json:
    """Return the opening hours of a day from ``08:00-16:00`` or ``closed``."""
    text = read_text(value).strip()
    if text.lower() in _CLOSED:
        return {"closedAllDay": True}
    if found := _SPAN.fullmatch(text):
        return {"closedAllDay": False, "startTime": found[1], "endTime": found[2]}
    raise UnreadableValueError(f"must be a span such as 08:00-16:00, or closed, not {shown_value(value)}")
