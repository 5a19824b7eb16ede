"""Wide rows: values from columns of their own, converted to the types that the Things declare."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.doubled_keys import unique_keys
from airflow_provider.core.input.problems import Problems
from airflow_provider.core.input.values import (
    UnreadableValueError,
    read_boolean,
    read_integer,
    read_number,
    shown,
    shown_value,
)
from airflow_provider.iotstudio.properties.bulk_read import read_descriptions
from airflow_provider.iotstudio.properties.writes import Write, WriteSpool, size_problem

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook

_MAX_DIGITS = 400
"""Maximum characters of a number as text."""

_WHOLE = re.compile(r"[+-]?[0-9]+")
_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}
"""Declared types by the types of JSON values."""

_COMMA = re.compile(r"[+-]?[0-9.\s]*,[0-9]+")


def convert_wide(hook: IoTStudioHook, writes: WriteSpool) -> None:
    """Convert the values of wide rows to the types that the Things declare.

    Descriptions and current values of these Things are read first. Where a Thing declares no type, the type
    of the property's current value counts; without one a text of CSV must be JSON.

    :param hook: the space.
    :param writes: the writes; those without wide values stay as they are.
    :raises InputError: naming row, Thing and property of each value that cannot be converted, and each Thing
        that does not exist.
    """
    if not writes.has_wide:
        return
    problems = Problems("the writes")

    def convert(block: Sequence[Write]) -> list[Write]:
        current, notes = read_descriptions(hook, [write.thing_id for write in block if write.wide])
        converted = []
        for write in block:
            declared = notes.declared.get(write.thing_id) or {}
            new = _convert(write, current.get(write.thing_id), declared, problems) if write.wide else write
            if problem := size_problem(new):
                problems.add(problem)
            converted.append(new)
        return converted

    writes.replace_each(convert)
    problems.raise_if_any()


def _convert(
    write: Write, current: Mapping[str, Any] | None, declared: Mapping[str, Any], problems: Problems
) -> Write:
    row = write.rows[0]
    if current is None:
        problems.add("there is no such Thing in the space", row, write.thing_id)
        return write
    values = dict(write.properties)
    for name in sorted(write.wide):
        schema = declared.get(name)
        kind = schema.get("type") if isinstance(schema, Mapping) else None
        try:
            values[name] = _read(values[name], kind or _kind_of(current.get(name)), is_text=write.texts)
        except UnreadableValueError as problem:
            problems.add(str(problem), row, write.thing_id, f"property {shown(name)}")
    return replace(write, properties=values)


def _read(value: Any, kind: str | None, *, is_text: bool) -> Any:
    """Return a value in a declared type.

    :param value: the value of the row.
    :param kind: the declared type, or that of the current value; None when neither is known.
    :param is_text: whether the row's source holds texts only.
    :raises UnreadableValueError: completing "property 'x' ...".
    """
    if value is None:
        return None
    if kind in ("integer", "number") and isinstance(value, str) and _COMMA.fullmatch(value.strip()):
        raise UnreadableValueError(f"is {shown_value(value)}; a number has a decimal point, not a comma")
    if kind == "boolean":
        return read_boolean(value)
    if kind == "integer":
        return read_integer(value)
    if kind == "number":
        return _number(value)
    if kind in ("object", "array"):
        return _structure(value, kind)
    if kind == "string":
        if not isinstance(value, str):
            raise UnreadableValueError(f"must be a text, as the Thing declares, not {shown_value(value)}")
        return value
    return _literal(value) if is_text and isinstance(value, str) else value


def _number(value: Any) -> int | float:
    if isinstance(value, str) and len(value) > _MAX_DIGITS:
        raise UnreadableValueError(f"has {len(value)} characters, more than any number")
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, str):
        found = read_number(value)
        return float(found)
    if isinstance(value, bool):
        raise UnreadableValueError(f"must be a number, not {shown_value(value)}")
    read_number(value)
    return value if isinstance(value, (int, float)) else read_number(value)


def _structure(value: Any, kind: str) -> Any:
    wanted: type = dict if kind == "object" else list
    if isinstance(value, str):
        try:
            value = _strict_json(value)
        except UnreadableValueError:
            raise
        except (ValueError, RecursionError):
            raise UnreadableValueError(
                f"must be the JSON text of an {kind}, not {shown_value(value)}"
            ) from None
    if not isinstance(value, wanted):
        raise UnreadableValueError(f"must be an {kind}, not {shown_value(value)}")
    return value


def _literal(text: str) -> Any:
    try:
        return _strict_json(text)
    except UnreadableValueError:
        raise
    except (ValueError, RecursionError):
        comma = "; a number has a decimal point, not a comma" if _COMMA.fullmatch(text.strip()) else ""
        raise UnreadableValueError(
            f"is {shown_value(text)}, and the Thing declares no type for it; write it as JSON, a text in"
            f" double quotes{comma}"
        ) from None


def _strict_json(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=unique_keys, parse_constant=refuse)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("beyond the range of numbers")
    return value


def _kind_of(value: Any) -> str | None:
    """Return the declared type that a current value would have; None for null and no value."""
    return _KINDS.get(type(value))
