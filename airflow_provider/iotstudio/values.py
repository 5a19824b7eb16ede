"""Property values: any Python, NumPy or pandas value as JSON, or a problem that names the property."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, ValueReader, shown
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import api

_READER = ValueReader()


def read_value(value: Any) -> Any:
    """Return a value as JSON; ``ABSENT`` for NaN.

    :param value: the value.
    :raises UnreadableValueError: for a value without a JSON form; the message completes "property 'x' ...".
    """
    # A plain integer of any size is sent as it is: how many digits a property holds is the service's matter.
    return value if type(value) is int else _READER.read(value)


def read_properties(values: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return property values as JSON, and what is wrong with the others.

    NaN means that there is no value: the property is left out. None is JSON null.

    :param values: by property name.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in values.items():
        if not _is_name(name):
            problems.append(f"{shown(name)} is not a property name")
            continue
        try:
            read = read_value(value)
        except UnreadableValueError as problem:
            problems.append(f"property {shown(name)} {problem}")
            continue
        if read is not ABSENT:
            found[str(name)] = read
    return found, problems


def _is_name(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(name.strip().encode())
    except UnicodeEncodeError:
        return False


def read_payload(value: Any, name: str) -> Any:
    """Return the input of an action or the data of an event as JSON; None when there is none.

    :param value: any JSON value.
    :param name: its name, for the error.
    :raises InputError: for a value without a JSON form, and for NaN, which would send none.
    """
    try:
        read = read_value(value)
    except UnreadableValueError as problem:
        raise InputError(f"'{name}' {problem}", name) from None
    if read is ABSENT:
        raise InputError(f"'{name}' is NaN; pass None to send none", name)
    return read


def history_items(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return items of a history as JSON.

    :param items: ``{"at": time, "properties": {name: value}}``.
    :raises InputError: naming each item that has no time or no values.
    """
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, item in enumerate(items, start=1):
        try:
            at = api.format_time(item.get("at"), "at")  # type: ignore[arg-type]
        except InputError as error:
            problems.append(f"item {number}: {error.problems[0]}")
            continue
        values = item.get("properties")
        if not isinstance(values, Mapping) or not values:
            problems.append(f"item {number}: 'properties' must be an object of values by name")
            continue
        read, wrong = read_properties(values)
        problems += [f"item {number}: {problem}" for problem in wrong]
        if read:
            found.append({"at": at, "properties": read})
    raise_problems(problems, "add_history")
    return found


def bind_values(bind: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a query's parameters as JSON; one without a value is refused, because it may select too much.

    :param bind: values by parameter.
    :raises InputError: naming each parameter that has no value.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in (bind or {}).items():
        try:
            found[name] = read_value(value)
        except UnreadableValueError as problem:
            problems.append(f"parameter '{name}' {problem}")
        else:
            if found[name] is ABSENT:
                problems.append(f"parameter '{name}' is NaN; pass None for null")
    raise_problems(problems, "query")
    return found
