"""Property values: any Python, NumPy or pandas value as JSON, or a problem that names the property."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.input.values import ABSENT, UnreadableValueError, ValueReader, shown
from airflow_provider.errors import InputError

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
        if not isinstance(name, str) or not name.strip():
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
