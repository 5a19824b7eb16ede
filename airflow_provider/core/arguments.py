"""Reads arguments of operators that a template may have made texts."""

from __future__ import annotations

from typing import Any

from airflow_provider.errors import InputError


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
